# How does the model run? vLLM on one GPU, weights from a bucket, no instance while nobody asks.

locals {
  # A probe may take 240 s by its periods and begin 240 s after the container: what a start needs beyond 240 s is delay.
  probe_period_s  = 2
  probe_periods   = 120
  probe_delay_s   = max(0, var.start_p99_s - local.probe_period_s * local.probe_periods)
  image_reference = var.image_digest == "" ? ":${var.image_tag}" : "@${var.image_digest}"
  image           = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}/${var.image}${local.image_reference}"
}

# The project's own registry keeps what it once fetched: a start needs Docker Hub no more.
resource "google_artifact_registry_repository" "images" {
  location      = var.region
  repository_id = "${var.name}-images"
  description   = "Images of the model server, fetched from Docker Hub once"
  format        = "DOCKER"
  mode          = "REMOTE_REPOSITORY"
  depends_on    = [google_project_service.used]

  remote_repository_config {
    docker_repository {
      public_repository = "DOCKER_HUB"
    }
  }
}

resource "google_service_account" "model" {
  account_id   = "${var.name}-model"
  display_name = "Runs the model of Ganglion"
  depends_on   = [google_project_service.used]
}

resource "google_storage_bucket_iam_member" "weights" {
  bucket = var.weights_bucket
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${google_service_account.model.email}"
}

resource "google_cloud_run_v2_service" "model" {
  name                = "${var.name}-llm"
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL"
  deletion_protection = var.deletion_protection
  depends_on          = [google_storage_bucket_iam_member.weights]

  # With scaling = "count" in fleet.toml the app sets the number of instances: an apply must not reset it.
  lifecycle {
    ignore_changes = [scaling]
  }

  template {
    service_account                  = google_service_account.model.email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    gpu_zonal_redundancy_disabled    = true
    max_instance_request_concurrency = var.concurrency
    timeout                          = "${var.request_timeout_s}s"

    scaling {
      min_instance_count = 0
      max_instance_count = var.max_instances
    }

    node_selector {
      accelerator = "nvidia-l4"
    }

    volumes {
      name = "weights"
      gcs {
        bucket    = var.weights_bucket
        read_only = true
      }
    }

    containers {
      image   = local.image
      command = ["vllm", "serve"]
      args = concat([
        "/weights/${var.weights_folder}",
        "--load-format=${var.load_format}",
        "--served-model-name=${var.served_model}",
        "--host=0.0.0.0",
        "--port=8000",
        "--max-model-len=${var.context_tokens}",
        "--max-num-seqs=${var.concurrency}",
      ], var.arguments)

      ports {
        container_port = 8000
      }

      resources {
        limits = {
          cpu              = "8"
          memory           = "32Gi"
          "nvidia.com/gpu" = "1"
        }
        cpu_idle          = false
        startup_cpu_boost = true
      }

      volume_mounts {
        name       = "weights"
        mount_path = "/weights"
      }

      startup_probe {
        initial_delay_seconds = local.probe_delay_s
        period_seconds        = local.probe_period_s
        timeout_seconds       = 2
        failure_threshold     = local.probe_periods

        http_get {
          path = "/health"
          port = 8000
        }
      }
    }
  }
}
