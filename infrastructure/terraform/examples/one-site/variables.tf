variable "project_id" {
  description = "Google Cloud project, with billing."
  type        = string
}

variable "region" {
  description = "Region of everything."
  type        = string
  default     = "southamerica-west1"
}

variable "site" {
  description = "Short name of the site: lowercase letters, digits and hyphens."
  type        = string
}

variable "site_id" {
  description = "SITE_ID of the gateway; null: the same as site."
  type        = string
  default     = null
}

variable "authority_file" {
  description = "Certificate (PEM) of the authority that signs the gateway's certificate."
  type        = string
  default     = "authority.crt"
}

variable "email" {
  description = "Address to call."
  type        = string
}
