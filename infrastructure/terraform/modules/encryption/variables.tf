variable "project_id" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the key: that of everything it encrypts."
  type        = string
  default     = "southamerica-west1"
}

variable "prefix" {
  description = "Begins every name."
  type        = string
  default     = "bessai"
}

variable "labels" {
  description = "Labels of the key."
  type        = map(string)
  default     = {}
}
