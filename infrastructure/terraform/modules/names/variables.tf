variable "project_id" {
  description = "Google Cloud project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id \"${var.project_id}\" is no project id: give 6 to 30 lowercase letters, digits and hyphens, beginning with a letter. The project's number and its display name are other things; `gcloud projects list` shows the id."
  }
}

variable "region" {
  description = "Region of everything: messages at rest, tables, secrets, packages."
  type        = string
  default     = "southamerica-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region \"${var.region}\" is no single region: give one like southamerica-west1 (Santiago), not a zone like southamerica-west1-a and not a multi-region like US."
  }
}

variable "prefix" {
  description = "Begins every name. Another one keeps two fleets in one project apart."
  type        = string
  default     = "bessai"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,8}$", var.prefix)) && !startswith(var.prefix, "goog")
    error_message = "prefix \"${var.prefix}\" cannot be used: give 2 to 9 lowercase letters and digits, beginning with a letter, and not with goog, which Pub/Sub reserves."
  }
}

variable "site" {
  description = "Short name of the site in Google Cloud, and the common name of its certificate."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.site)) && !strcontains(var.site, "--")
    error_message = "site \"${var.site}\" cannot be used: give 2 to 20 lowercase letters, digits and single hyphens, beginning with a letter and ending with a letter or digit."
  }

  validation {
    condition     = length("${var.prefix}-${var.site}") <= 30
    error_message = "prefix \"${var.prefix}\" and site \"${var.site}\" make a service account name of ${length("${var.prefix}-${var.site}")} characters; Google Cloud takes at most 30. Shorten one of them."
  }

  validation {
    condition     = length("${var.prefix}-${var.site}") >= 6
    error_message = "prefix \"${var.prefix}\" and site \"${var.site}\" make a service account name of ${length("${var.prefix}-${var.site}")} characters; Google Cloud wants at least 6. Lengthen one of them."
  }

  validation {
    condition     = !contains(["dead-letter", "deploy"], var.site)
    error_message = "site \"${var.site}\" is the name of a part of this installation: call the site otherwise."
  }
}

variable "site_id" {
  description = "SITE_ID of the gateway, as it stands in every message; null: the same as site."
  type        = string
  default     = null

  validation {
    condition     = var.site_id == null || can(regex("^[\\p{L}\\p{N}]([\\p{L}\\p{N} ._:/@+-]{0,126}[\\p{L}\\p{N}])?$", var.site_id))
    error_message = "site_id cannot be used: give 1 to 128 letters, digits, spaces and . _ : / @ + -, beginning and ending with a letter or digit. Quotes, # and $ mean something else in the file that the gateway reads."
  }
}

variable "retention_days" {
  description = "Days that Pub/Sub keeps a message that nobody has taken yet."
  type        = number
  default     = 7

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 31 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days ${var.retention_days} cannot be used: Pub/Sub keeps messages for at most 31 days; give a whole number from 1 to 31."
  }
}

variable "labels" {
  description = "Labels of every resource that has any."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))
    ])
    error_message = "labels cannot be used: keys begin with a lowercase letter, and keys and values hold at most 63 lowercase letters, digits, _ and -."
  }

  validation {
    condition     = length(setintersection(keys(var.labels), ["app", "site"])) == 0
    error_message = "labels must not set app and site: these two are set here."
  }
}
