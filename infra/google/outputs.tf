output "url" {
  description = "The setting GANGLION_CLOUD_RUN_L4_URL."
  value       = google_cloud_run_v2_service.model.uri
}

output "provider" {
  description = "The setting GANGLION_GOOGLE_PROVIDER."
  value       = "projects/${data.google_project.here.number}/locations/global/workloadIdentityPools/${google_iam_workload_identity_pool.azure.workload_identity_pool_id}/providers/${google_iam_workload_identity_pool_provider.azure.workload_identity_pool_provider_id}"
}

output "service_account" {
  description = "The setting GANGLION_GOOGLE_SERVICE_ACCOUNT."
  value       = google_service_account.caller.email
}
