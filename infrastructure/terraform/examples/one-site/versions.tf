# Every argument was read in the documentation of provider 7.45.0, see tests/infrastructure/google_provider.json.
terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region

  # Budgets are asked for in the name of a project.
  user_project_override = true
  billing_project       = var.project_id
}
