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
