variable "project_id" {
  description = "Google Cloud project: GCP_PROJECT_ID."
  type        = string
}

variable "topic" {
  description = "Short name of the site's topic: GCP_PUBSUB_TOPIC."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_.~+%-]{2,254}$", var.topic))
    error_message = "topic \"${var.topic}\" is no short name of a topic: give the name alone, not projects/…/topics/…"
  }
}

variable "site_id" {
  description = "SITE_ID of the gateway."
  type        = string
}

variable "service_account_email" {
  description = "The site's service account."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z0-9.-]+\\.iam\\.gserviceaccount\\.com$", var.service_account_email))
    error_message = "service_account_email \"${var.service_account_email}\" is no address of a service account."
  }
}

variable "credentials" {
  description = "How the gateway proves who it is: certificate (X.509), key (a service account's key), machine (the identity of a machine in Google Cloud)."
  type        = string
  default     = "certificate"

  validation {
    condition     = contains(["certificate", "key", "machine"], var.credentials)
    error_message = "credentials \"${var.credentials}\" is unknown: give certificate, key or machine."
  }
}

variable "provider_name" {
  description = "Full name of the X.509 provider of the identity pool: projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER. For certificate alone."
  type        = string
  default     = null

  validation {
    condition     = var.credentials != "certificate" || can(regex("^projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}$", var.provider_name))
    error_message = "provider_name must be the full name of the provider, with the project's number, when credentials is certificate: projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER."
  }
}

variable "directory" {
  description = "Directory of the credentials on the gateway."
  type        = string
  default     = "/etc/bessai/gcp"

  validation {
    condition     = can(regex("^/[A-Za-z0-9_./-]+[A-Za-z0-9_-]$", var.directory))
    error_message = "directory \"${var.directory}\" cannot be used: give an absolute path of letters, digits and _ . / -, without a slash at the end."
  }
}
