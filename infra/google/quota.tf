# How many GPUs may the project run? The quota is requested, and each plan compares it with max_instances.

locals {
  gpu_quota = "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"
}

resource "google_cloud_quotas_quota_preference" "gpus" {
  count         = var.quota_email == "" ? 0 : 1
  parent        = "projects/${var.project}"
  name          = "${var.name}-l4-${var.region}"
  service       = "run.googleapis.com"
  quota_id      = local.gpu_quota
  dimensions    = { region = var.region }
  contact_email = var.quota_email
  justification = "Serves a language model that scales to zero."
  depends_on    = [google_project_service.used]

  quota_config {
    preferred_value = var.max_instances
  }
}

check "gpu_quota" {
  data "google_cloud_quotas_quota_info" "gpus" {
    parent   = "projects/${var.project}"
    service  = "run.googleapis.com"
    quota_id = local.gpu_quota
  }

  assert {
    condition = anytrue([
      for each in data.google_cloud_quotas_quota_info.gpus.dimensions_infos :
      contains(each.applicable_locations, var.region) && try(tonumber(each.details[0].value), 0) >= var.max_instances
    ])
    error_message = "The project's quota of L4 GPUs in ${var.region} is below max_instances. Set quota_email to request it; Google answers within days."
  }
}
