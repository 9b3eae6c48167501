variable "project_id" {
  description = "Google Cloud project."
  type        = string
}

variable "prefix" {
  description = "Begins every name."
  type        = string
  default     = "bessai"
}

variable "repository_id" {
  description = "Number of the repository whose workflows may push: `gh api repos/OWNER/NAME --jq .id`. A name that is given up can be taken by a stranger, its number cannot."
  type        = string

  validation {
    condition     = can(regex("^[1-9][0-9]{0,18}$", var.repository_id))
    error_message = "repository_id \"${var.repository_id}\" must be the number of the repository, not its name."
  }
}

variable "environment" {
  description = "GitHub environment that a job must run in, where GitHub asks people for approval."
  type        = string
  default     = "release"

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", var.environment))
    error_message = "environment \"${var.environment}\" cannot be used: give letters, digits and . _ -"
  }
}

variable "region" {
  description = "Region of the packages: output of artifacts."
  type        = string
}

variable "repositories" {
  description = "Short names of the package repositories to push to, by a name of your choice: output of artifacts."
  type        = map(string)
}
