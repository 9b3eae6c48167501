variable "project_id" {
  description = "Google Cloud project."
  type        = string
}

variable "services" {
  description = "Services to switch on; the default is what the other modules need."
  type        = set(string)
  default = [
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "billingbudgets.googleapis.com",
    "cloudkms.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "secretmanager.googleapis.com",
    "sts.googleapis.com",
  ]

  validation {
    condition     = alltrue([for name in var.services : endswith(name, ".googleapis.com")])
    error_message = "services must be names like pubsub.googleapis.com."
  }
}
