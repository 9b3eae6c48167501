# One site: a topic that its gateway alone may publish to. With one topic for all, each gateway could speak in the name of
# every other one, and nobody could tell which of them has fallen silent.

module "names" {
  source = "../names"

  project_id     = var.project_id
  region         = var.region
  prefix         = var.prefix
  site           = var.site
  site_id        = var.site_id
  retention_days = var.retention_days
  labels         = var.labels
}

locals {
  deletion_policy = var.deletion_protection ? "PREVENT" : "DELETE"
}

resource "google_pubsub_topic" "this" {
  # checkov:skip=CKV_GCP_83:a key of one's own is a choice (kms_key_name); Google's keys encrypt otherwise
  project                    = module.names.project_id
  name                       = module.names.topic
  kms_key_name               = var.kms_key_name
  message_retention_duration = module.names.retention
  labels                     = module.names.labels

  message_storage_policy {
    allowed_persistence_regions = [module.names.region]
  }

  dynamic "schema_settings" {
    for_each = var.schema == null ? [] : [var.schema]
    content {
      schema   = schema_settings.value
      encoding = "JSON"
    }
  }

  deletion_policy = local.deletion_policy
}

# --- who may publish ----------------------------------------------------------------------------------------

resource "google_service_account" "this" {
  project      = module.names.project_id
  account_id   = module.names.account_id
  display_name = substr("Gateway of ${module.names.site_id}", 0, 100)
  description  = "Publishes to the topic ${module.names.topic}, and nothing else."
}

resource "google_pubsub_topic_iam_member" "publisher" {
  project = module.names.project_id
  topic   = google_pubsub_topic.this.name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.this.member
}

# The certificate with the site's name, of the gateways' own authority, stands for the account. No key exists.
resource "google_service_account_iam_member" "certificate" {
  count = var.credentials == "certificate" ? 1 : 0

  service_account_id = google_service_account.this.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${var.identity_pool}/subject/${module.names.site}"

  lifecycle {
    precondition {
      condition     = can(regex("^projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]+$", var.identity_pool))
      error_message = "identity_pool must be the full name of the pool, with the project's number, when credentials is certificate."
    }
  }
}

# --- into BigQuery ------------------------------------------------------------------------------------------

resource "google_pubsub_subscription" "bigquery" {
  project = module.names.project_id
  name    = module.names.bigquery_subscription
  topic   = google_pubsub_topic.this.id
  labels  = module.names.labels

  bigquery_config {
    table          = var.table
    write_metadata = true
  }

  # A table has no order, the messages carry theirs (`sequence`, `previous`), and with ordering one message that cannot be
  # written would hold up all that follow it.
  enable_message_ordering = false

  message_retention_duration = module.names.retention

  dead_letter_policy {
    dead_letter_topic     = var.dead_letter_topic
    max_delivery_attempts = var.delivery_attempts
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  deletion_policy = local.deletion_policy
}

# To pass on a dead letter Pub/Sub acknowledges it here.
resource "google_pubsub_subscription_iam_member" "dead_letter" {
  project      = module.names.project_id
  subscription = google_pubsub_subscription.bigquery.name
  role         = "roles/pubsub.subscriber"
  member       = var.pubsub_agent
}

# --- for programs that want the present, in order ----------------------------------------------------------

resource "google_pubsub_subscription" "live" {
  count = length(var.live_readers) == 0 ? 0 : 1

  project = module.names.project_id
  name    = module.names.live_subscription
  topic   = google_pubsub_topic.this.id
  labels  = module.names.labels

  filter                  = "attributes.lane = \"live\""
  enable_message_ordering = true

  # Who was away for long wants the present, not yesterday; BigQuery has yesterday.
  message_retention_duration = "3600s"
  ack_deadline_seconds       = 30

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription_iam_member" "live" {
  for_each = var.live_readers

  project      = module.names.project_id
  subscription = google_pubsub_subscription.live[0].name
  role         = "roles/pubsub.subscriber"
  member       = each.key
}

# --- secrets of the site ------------------------------------------------------------------------------------

resource "google_secret_manager_secret" "this" {
  for_each = var.secrets

  project   = module.names.project_id
  secret_id = "${module.names.secret_prefix}${each.key}"
  labels    = module.names.labels

  replication {
    user_managed {
      replicas {
        location = module.names.region

        dynamic "customer_managed_encryption" {
          for_each = var.kms_key_name == null ? [] : [var.kms_key_name]
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  deletion_protection = var.deletion_protection
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = var.secrets

  project   = module.names.project_id
  secret_id = google_secret_manager_secret.this[each.key].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this.member
}

module "environment" {
  source = "../environment"

  project_id            = module.names.project_id
  topic                 = module.names.topic
  site_id               = module.names.site_id
  service_account_email = google_service_account.this.email
  credentials           = var.credentials
  provider_name         = var.identity_provider
}
