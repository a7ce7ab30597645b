# What does Ganglion need at Google? A GPU service that scales to zero, and a way in for the app's Azure identity.

terraform {
  required_version = ">= 1.9"

  # Where the state lies is said at init: -backend-config=bucket=… -backend-config=prefix=…
  backend "gcs" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.30, < 8.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region

  # Budgets and quotas are charged to a project, also where a person applies this.
  user_project_override = true
  billing_project       = var.project
}

data "google_project" "here" {}

resource "google_project_service" "used" {
  for_each = toset([
    "run.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "sts.googleapis.com",
    "artifactregistry.googleapis.com",
    "cloudquotas.googleapis.com",
    "billingbudgets.googleapis.com",
    "monitoring.googleapis.com",
  ])
  service            = each.value
  disable_on_destroy = false
}
