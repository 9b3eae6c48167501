variable "project_id" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the packages."
  type        = string
  default     = "southamerica-west1"
}

variable "prefix" {
  description = "Begins every name."
  type        = string
  default     = "bessai"
}

variable "readers" {
  description = "Who may pull, by a name of your choice: members like serviceAccount:…"
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for who in values(var.readers) : can(regex("^(group|user|serviceAccount|domain|principal|principalSet):.+", who))])
    error_message = "readers must be members like serviceAccount:…; allUsers and allAuthenticatedUsers are refused."
  }
}

variable "kms_key_name" {
  description = "Key of yours, in the same region; null: Google's keys. Cannot be changed later."
  type        = string
  default     = null
}

variable "keep_untagged_days" {
  description = "Days after which an image without a tag is removed."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_untagged_days >= 1 && floor(var.keep_untagged_days) == var.keep_untagged_days
    error_message = "keep_untagged_days ${var.keep_untagged_days} cannot be used: give a whole number of days, 1 or more."
  }
}

variable "deletion_protection" {
  description = "Refuses to delete the repositories."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of the repositories."
  type        = map(string)
  default     = {}
}
