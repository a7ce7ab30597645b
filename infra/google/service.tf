# How does the model run? vLLM on one GPU, weights from a bucket, no instance while nobody asks.

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
  deletion_protection = false
  depends_on          = [google_storage_bucket_iam_member.weights]

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
      image = var.image
      args = concat([
        "--model=/weights/${var.weights_folder}",
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
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 120

        http_get {
          path = "/health"
          port = 8000
        }
      }
    }
  }
}
