# May the app set the number of instances (scaling = "count" in fleet.toml)? The least that its calls need.

resource "google_project_iam_custom_role" "counts" {
  count       = var.counted ? 1 : 0
  role_id     = "${replace(var.name, "-", "_")}_counts"
  title       = "Sets the number of instances for Ganglion"
  permissions = ["run.services.get", "run.services.update"]
}

resource "google_project_iam_custom_role" "waits" {
  count       = var.counted ? 1 : 0
  role_id     = "${replace(var.name, "-", "_")}_waits"
  title       = "Waits for operations of Cloud Run for Ganglion"
  permissions = ["run.operations.get"]
}

resource "google_cloud_run_v2_service_iam_member" "counted" {
  count    = var.counted ? 1 : 0
  name     = google_cloud_run_v2_service.model.name
  location = google_cloud_run_v2_service.model.location
  role     = google_project_iam_custom_role.counts[0].id
  member   = "serviceAccount:${google_service_account.caller.email}"
}

# Operations belong to the project, not to the service.
resource "google_project_iam_member" "waits" {
  count   = var.counted ? 1 : 0
  project = var.project
  role    = google_project_iam_custom_role.waits[0].id
  member  = "serviceAccount:${google_service_account.caller.email}"
}

# Whoever changes a service acts as the account that the service runs as.
resource "google_service_account_iam_member" "acts_as_model" {
  count              = var.counted ? 1 : 0
  service_account_id = google_service_account.model.name
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${google_service_account.caller.email}"
}
