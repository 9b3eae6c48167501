variable "project_id" {
  description = "Google Cloud project, with billing."
  type        = string
}

variable "region" {
  description = "Region of everything."
  type        = string
  default     = "southamerica-west1"
}

variable "sites" {
  description = "The sites, by short name. Take one out and its gateway is locked out; its topic stays until protection is off."
  type = map(object({
    site_id             = optional(string)
    credentials         = optional(string, "certificate")
    secrets             = optional(set(string), [])
    live_readers        = optional(set(string), [])
    silence_minutes     = optional(number, 15)
    deletion_protection = optional(bool, true)
  }))

  validation {
    condition     = length(var.sites) > 0
    error_message = "sites is empty: give at least one."
  }

  validation {
    condition     = length(distinct([for name, site in var.sites : coalesce(site.site_id, name)])) == length(var.sites)
    error_message = "two sites have the same site_id: the records of both would be taken for those of one."
  }
}

variable "authority_files" {
  description = "Certificates (PEM) of the authorities that sign the gateways' certificates."
  type        = list(string)
  default     = ["authority.crt"]
}

variable "own_key" {
  description = "true: encrypt with a key of your own (Cloud KMS)."
  type        = bool
  default     = false
}

variable "readers" {
  description = "Who may read the tables, as group:…"
  type        = set(string)
  default     = []
}

variable "emails" {
  description = "Addresses to call, by a name of your choice."
  type        = map(string)
}

variable "github" {
  description = "Repository whose releases push packages here; null: none."
  type = object({
    repository_id = string
    environment   = optional(string, "release")
  })
  default = null
}

variable "budget" {
  description = "Billing account and what a month may cost, in its currency; null: no budget."
  type = object({
    billing_account = string
    amount          = number
  })
  default = null
}

variable "labels" {
  description = "Labels of every resource that has any."
  type        = map(string)
  default     = {}
}
