variable "project_id" {
  description = "Google Cloud project."
  type        = string
}

variable "prefix" {
  description = "Begins every name; the same as for ingest and the sites."
  type        = string
  default     = "bessai"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,8}$", var.prefix))
    error_message = "prefix \"${var.prefix}\" cannot be used: give 2 to 9 lowercase letters and digits, beginning with a letter."
  }
}

variable "sites" {
  description = "What to watch, by the short name of the site: its topic, and after how many minutes of silence to call."
  type = map(object({
    topic           = string
    silence_minutes = optional(number, 15)
  }))

  validation {
    condition = alltrue([
      for site in values(var.sites) : site.silence_minutes >= 5 && site.silence_minutes <= 1410 && floor(site.silence_minutes) == site.silence_minutes
    ])
    error_message = "silence_minutes must be a whole number from 5 to 1410: metrics of Pub/Sub come minutes late, and Cloud Monitoring waits for absent data for at most 23.5 hours."
  }
}

variable "dead_letter_subscription" {
  description = "Short name of the subscription of dead letters: output of ingest."
  type        = string
}

variable "backlog_minutes" {
  description = "Age of the oldest message that is not in BigQuery yet, in minutes, from which to call."
  type        = number
  default     = 30

  validation {
    condition     = var.backlog_minutes >= 5 && var.backlog_minutes <= 44640
    error_message = "backlog_minutes ${var.backlog_minutes} cannot be used: give 5 to 44640 (31 days, the longest that Pub/Sub keeps a message)."
  }
}

variable "emails" {
  description = "Addresses to call, by a name of your choice."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for address in values(var.emails) : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "emails must be addresses like guardia@example.cl."
  }
}

variable "channels" {
  description = "Notification channels that exist already (SMS, PagerDuty, webhook …), as projects/…/notificationChannels/…"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for channel in var.channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "channels must be full names: projects/…/notificationChannels/…; `gcloud beta monitoring channels list` shows them."
  }

  validation {
    condition     = length(var.channels) + length(var.emails) > 0
    error_message = "nobody would be called: give at least one of emails and channels."
  }
}

variable "labels" {
  description = "Labels of the policies."
  type        = map(string)
  default     = {}
}
