# How does the app's managed identity become a Google identity? Without a key: its Entra token is exchanged.

resource "google_iam_workload_identity_pool" "azure" {
  workload_identity_pool_id = var.name
  display_name              = "Ganglion in Azure"
  depends_on                = [google_project_service.used]
}

resource "google_iam_workload_identity_pool_provider" "azure" {
  workload_identity_pool_id          = google_iam_workload_identity_pool.azure.workload_identity_pool_id
  workload_identity_pool_provider_id = "azure"
  attribute_mapping                  = { "google.subject" = "assertion.sub" }
  attribute_condition                = "assertion.sub == '${var.azure_identity_object_id}'"

  oidc {
    issuer_uri        = "https://sts.windows.net/${var.azure_tenant}/"
    allowed_audiences = [var.federation_audience]
  }
}

resource "google_service_account" "caller" {
  account_id   = "${var.name}-caller"
  display_name = "Calls the models for Ganglion"
  depends_on   = [google_project_service.used]
}

resource "google_service_account_iam_member" "impersonated" {
  service_account_id = google_service_account.caller.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.azure.name}/subject/${var.azure_identity_object_id}"
}

resource "google_cloud_run_v2_service_iam_member" "invoked" {
  name     = google_cloud_run_v2_service.model.name
  location = google_cloud_run_v2_service.model.location
  role     = "roles/run.invoker"
  member   = "serviceAccount:${google_service_account.caller.email}"
}
