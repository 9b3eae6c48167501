variable "project_id" {
  description = "Google Cloud project."
  type        = string
}

variable "prefix" {
  description = "Begins every name."
  type        = string
  default     = "bessai"
}

variable "authorities" {
  description = "Certificates (PEM) of the authorities that sign the gateways' certificates: yours alone, never a public one. Two while you change from one to the next."
  type        = list(string)

  validation {
    condition     = length(var.authorities) >= 1 && length(var.authorities) <= 3
    error_message = "authorities must hold one to three certificates."
  }

  validation {
    condition = alltrue([
      for pem in var.authorities : can(regex("^\\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----\\s*$", pem))
    ])
    error_message = "each of authorities must be exactly one certificate in PEM: give the certificate of the authority, without text around it, and never its key."
  }
}

variable "sites" {
  description = "Short names of the sites whose certificates are accepted. A site that leaves the list is locked out, whatever its certificate says."
  type        = set(string)

  validation {
    condition     = length(var.sites) > 0 && alltrue([for site in var.sites : can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", site))])
    error_message = "sites must hold at least one short name of a site: 2 to 20 lowercase letters, digits and hyphens."
  }

  validation {
    condition     = length(join("', '", var.sites)) < 3900
    error_message = "sites make a condition longer than the 4096 characters that Google Cloud takes: split the fleet over several projects."
  }
}
