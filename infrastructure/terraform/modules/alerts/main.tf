locals {
  labels   = merge(var.labels, { app = var.prefix })
  channels = concat([for channel in google_monitoring_notification_channel.email : channel.id], var.channels)
  bigquery = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = monitoring.regex.full_match(\"${var.prefix}-.*-bigquery\")"
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.emails

  project      = var.project_id
  display_name = "${var.prefix}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.value }
  user_labels  = local.labels
}

# Seen from the cloud: a gateway, its power supply and its link can all fail at once, and then only the cloud can call.
resource "google_monitoring_alert_policy" "silent" {
  for_each = var.sites

  project               = var.project_id
  display_name          = "${var.prefix}: ${each.key} is silent"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels
  user_labels           = merge(local.labels, { site = each.key })

  # Two conditions, since a counter that stands still may be reported as nothing or as zero.
  conditions {
    display_name = "Nothing was published"

    condition_absent {
      filter   = "metric.type = \"pubsub.googleapis.com/topic/send_request_count\" AND metric.labels.response_class = \"success\" AND resource.type = \"pubsub_topic\" AND resource.labels.topic_id = \"${each.value.topic}\""
      duration = "${each.value.silence_minutes * 60}s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.topic_id"]
      }
    }
  }

  conditions {
    display_name = "Zero was published"

    condition_threshold {
      filter          = "metric.type = \"pubsub.googleapis.com/topic/send_request_count\" AND metric.labels.response_class = \"success\" AND resource.type = \"pubsub_topic\" AND resource.labels.topic_id = \"${each.value.topic}\""
      comparison      = "COMPARISON_LT"
      threshold_value = 1
      duration        = "0s"

      aggregations {
        alignment_period     = "${each.value.silence_minutes * 60}s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.topic_id"]
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${each.key} has been silent for ${each.value.silence_minutes} min"
    content   = <<-EOT
      The gateway of **${each.key}** has published nothing for ${each.value.silence_minutes} minutes. The plant may be fine: the
      battery is guarded on site, and records wait in the gateway's journal. What to look at, in this order:

      1. Does the link to the site work?
      2. On the gateway: `bessai status` shows what the sink `pubsub` waits for and how to mend it.
      3. Has the site's certificate ended? `openssl x509 -noout -enddate -in /etc/bessai/gcp/site.crt`
      4. Has somebody taken the site out of the list of sites in Terraform?
    EOT
  }
}

resource "google_monitoring_alert_policy" "backlog" {
  project               = var.project_id
  display_name          = "${var.prefix}: messages do not reach BigQuery"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "The oldest message waits too long"

    condition_threshold {
      filter          = "metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND ${local.bigquery}"
      comparison      = "COMPARISON_GT"
      threshold_value = var.backlog_minutes * 60
      duration        = "300s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = <<-EOT
      Messages have waited for more than ${var.backlog_minutes} minutes. Nothing is lost yet: Pub/Sub keeps them for the days of
      `retention_days`. `gcloud pubsub subscriptions describe NAME` shows the state of the delivery to BigQuery: `PERMISSION_DENIED`,
      `NOT_FOUND` and `SCHEMA_MISMATCH` are for you to mend, and `terraform plan` shows what is not as it should be.
    EOT
  }
}

resource "google_monitoring_alert_policy" "dead_letters" {
  project               = var.project_id
  display_name          = "${var.prefix}: dead letters"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "A message could not be written to BigQuery"

    condition_threshold {
      filter          = "metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${var.dead_letter_subscription}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = <<-EOT
      `gcloud pubsub subscriptions pull ${var.dead_letter_subscription} --limit=5 --format=json` shows them without taking them away.
      The attributes of Pub/Sub say which subscription could not deliver it and how often it was tried.
    EOT
  }
}
