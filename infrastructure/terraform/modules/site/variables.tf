variable "project_id" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of messages and secrets at rest."
  type        = string
  default     = "southamerica-west1"
}

variable "prefix" {
  description = "Begins every name; the same as for ingest."
  type        = string
  default     = "bessai"
}

variable "site" {
  description = "Short name of the site: see modules/names."
  type        = string
}

variable "site_id" {
  description = "SITE_ID of the gateway; null: the same as site."
  type        = string
  default     = null
}

variable "table" {
  description = "Table of the messages: output of ingest."
  type        = string

  validation {
    condition     = can(regex("^[^.:]+\\.[A-Za-z0-9_]+\\.[A-Za-z0-9_-]+$", var.table))
    error_message = "table \"${var.table}\" must be PROJECT.DATASET.TABLE."
  }
}

variable "dead_letter_topic" {
  description = "Full name of the dead-letter topic: output of ingest."
  type        = string

  validation {
    condition     = can(regex("^projects/[^/]+/topics/[^/]+$", var.dead_letter_topic))
    error_message = "dead_letter_topic \"${var.dead_letter_topic}\" must be projects/…/topics/…"
  }
}

variable "pubsub_agent" {
  description = "The member that Pub/Sub itself acts as: output of ingest."
  type        = string
}

variable "schema" {
  description = "Full name of a schema that the topic holds messages to: output of ingest; null: none."
  type        = string
  default     = null
}

variable "retention_days" {
  description = "Days that Pub/Sub keeps a message: as long as BigQuery may be out of reach, and as far back as a new subscription can look."
  type        = number
  default     = 7
}

variable "delivery_attempts" {
  description = "Attempts to write a message to BigQuery before it becomes a dead letter; pauses between them grow to ten minutes."
  type        = number
  default     = 20

  validation {
    condition     = var.delivery_attempts >= 5 && var.delivery_attempts <= 100 && floor(var.delivery_attempts) == var.delivery_attempts
    error_message = "delivery_attempts ${var.delivery_attempts} cannot be used: Pub/Sub takes a whole number from 5 to 100."
  }
}

variable "live_readers" {
  description = "Who takes the lane `live` in order from a subscription of its own, as serviceAccount:…; none: no such subscription."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for who in var.live_readers : can(regex("^(serviceAccount|group|user):.+", who))])
    error_message = "live_readers must be like serviceAccount:optimiser@PROJECT.iam.gserviceaccount.com."
  }
}

variable "credentials" {
  description = "How the gateway proves who it is: certificate, key or machine."
  type        = string
  default     = "certificate"
}

variable "identity_pool" {
  description = "Full name of the identity pool of the gateways' certificates, with the project's number: output of identity. For certificate alone."
  type        = string
  default     = null
}

variable "identity_provider" {
  description = "Full name of the X.509 provider: output of identity. For certificate alone."
  type        = string
  default     = null
}

variable "secrets" {
  description = "Names of secrets that belong to the site, for example mqtt-password. Terraform makes the empty place; you put the value in, so that no state file holds it."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.secrets : can(regex("^[a-z][a-z0-9-]{0,99}$", name))])
    error_message = "secrets must be names of lowercase letters, digits and hyphens, beginning with a letter: the name, never the value."
  }
}

variable "kms_key_name" {
  description = "Key of yours, in the same region; null: Google's keys."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Refuses to delete the topic, the subscriptions and the secrets."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of every resource that has any."
  type        = map(string)
  default     = {}
}
