variable "project_id" {
  description = "Google Cloud project whose costs are watched."
  type        = string
}

variable "billing_account" {
  description = "Billing account: `gcloud billing accounts list`."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account must look like 0X0X0X-0X0X0X-0X0X0X: three times six hexadecimal digits in capitals."
  }
}

variable "prefix" {
  description = "Begins the name."
  type        = string
  default     = "bessai"
}

variable "amount" {
  description = "What a month may cost, in whole units of the billing account's currency."
  type        = number

  validation {
    condition     = var.amount >= 1 && floor(var.amount) == var.amount
    error_message = "amount ${var.amount} cannot be used: give a whole number, 1 or more."
  }
}

variable "channels" {
  description = "Notification channels: output of alerts. Empty: the billing account's administrators alone."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.channels) <= 5
    error_message = "channels holds ${length(var.channels)} channels; a budget takes at most 5."
  }
}
