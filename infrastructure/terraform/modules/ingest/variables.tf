variable "project_id" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the dataset and of dead letters at rest."
  type        = string
  default     = "southamerica-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region \"${var.region}\" is no single region: give one like southamerica-west1 (Santiago)."
  }
}

variable "prefix" {
  description = "Begins every name; the same as for the sites."
  type        = string
  default     = "bessai"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,8}$", var.prefix)) && !startswith(var.prefix, "goog")
    error_message = "prefix \"${var.prefix}\" cannot be used: give 2 to 9 lowercase letters and digits, beginning with a letter, and not with goog."
  }
}

variable "table_days" {
  description = "Days that BigQuery keeps a message; null: for ever."
  type        = number
  default     = null

  validation {
    condition     = var.table_days == null || try(var.table_days >= 1 && floor(var.table_days) == var.table_days, false)
    error_message = "table_days must be a whole number of days, 1 or more, or null to keep messages for ever."
  }
}

variable "view_days" {
  description = "Days that the views look back. They read all of them each time: a longer look back costs more."
  type        = number
  default     = 31

  validation {
    condition     = var.view_days >= 1 && floor(var.view_days) == var.view_days
    error_message = "view_days ${var.view_days} cannot be used: give a whole number of days, 1 or more."
  }
}

variable "dead_letter_days" {
  description = "Days that Pub/Sub keeps a message that could not be written to BigQuery."
  type        = number
  default     = 31

  validation {
    condition     = var.dead_letter_days >= 1 && var.dead_letter_days <= 31 && floor(var.dead_letter_days) == var.dead_letter_days
    error_message = "dead_letter_days ${var.dead_letter_days} cannot be used: Pub/Sub keeps messages for at most 31 days; give a whole number from 1 to 31."
  }
}

variable "topic_schema" {
  description = "Schema that Pub/Sub holds every message to. Null, and it should stay null for what this gateway publishes: README.md says why."
  type = object({
    type       = string
    definition = string
  })
  default = null

  validation {
    condition     = var.topic_schema == null || contains(["AVRO", "PROTOCOL_BUFFER"], try(var.topic_schema.type, ""))
    error_message = "topic_schema.type must be AVRO or PROTOCOL_BUFFER: Pub/Sub knows no JSON Schema."
  }
}

variable "readers" {
  description = "Who may read the tables, as group:…, user:… or serviceAccount:…"
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for who in var.readers : can(regex("^(group|user|serviceAccount|domain):.+", who))])
    error_message = "readers must be like group:analysts@example.com; allUsers and allAuthenticatedUsers are refused."
  }
}

variable "kms_key_name" {
  description = "Key of yours that encrypts messages and tables (projects/…/cryptoKeys/…), in the same region; null: Google's keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_name == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key_name))
    error_message = "kms_key_name must be the full name of a key: projects/…/locations/…/keyRings/…/cryptoKeys/…"
  }
}

variable "deletion_protection" {
  description = "Refuses to delete the table and the dead letters."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of every resource that has any."
  type        = map(string)
  default     = {}
}
