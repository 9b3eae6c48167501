data "google_project" "this" {
  project_id = var.project_id
}

locals {
  labels          = merge(var.labels, { app = var.prefix })
  pubsub_agent    = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  deletion_policy = var.deletion_protection ? "PREVENT" : "DELETE"
}

# --- what could not be written to BigQuery ------------------------------------------------------------------

resource "google_pubsub_topic" "dead_letter" {
  # checkov:skip=CKV_GCP_83:a key of one's own is a choice (kms_key_name); Google's keys encrypt otherwise
  project      = var.project_id
  name         = "${var.prefix}-dead-letter"
  kms_key_name = var.kms_key_name
  labels       = local.labels

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  deletion_policy = local.deletion_policy
}

# Without a subscription a dead letter would be gone at once.
resource "google_pubsub_subscription" "dead_letter" {
  project = var.project_id
  name    = "${var.prefix}-dead-letter"
  topic   = google_pubsub_topic.dead_letter.id
  labels  = local.labels

  message_retention_duration = "${var.dead_letter_days * 86400}s"
  ack_deadline_seconds       = 60

  expiration_policy {
    ttl = ""
  }

  deletion_policy = local.deletion_policy
}

resource "google_pubsub_topic_iam_member" "dead_letter" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letter.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_schema" "this" {
  count = var.topic_schema == null ? 0 : 1

  project    = var.project_id
  name       = "${var.prefix}-messages"
  type       = var.topic_schema.type
  definition = var.topic_schema.definition

  deletion_policy = local.deletion_policy
}

# --- BigQuery -----------------------------------------------------------------------------------------------

resource "google_bigquery_dataset" "this" {
  # checkov:skip=CKV_GCP_81:a key of one's own is a choice (kms_key_name); Google's keys encrypt otherwise
  project       = var.project_id
  dataset_id    = var.prefix
  friendly_name = "Battery plants"
  description   = "What the gateways publish. The table messages holds everything as it came; the views are for people."
  location      = var.region
  labels        = local.labels

  delete_contents_on_destroy = false

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key_name == null ? [] : [var.kms_key_name]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_table" "messages" {
  # checkov:skip=CKV_GCP_80:a key of one's own is a choice (kms_key_name); Google's keys encrypt otherwise
  # checkov:skip=CKV_GCP_121:deletion_protection is on unless somebody sets the variable to false
  project     = var.project_id
  dataset_id  = google_bigquery_dataset.this.dataset_id
  table_id    = "messages"
  description = "One row a message, as it was published. At least once: a message may stand twice."
  schema      = file("${path.module}/tables/messages.json")
  labels      = local.labels

  time_partitioning {
    type          = "DAY"
    field         = "publish_time"
    expiration_ms = var.table_days == null ? null : var.table_days * 86400000
  }
  require_partition_filter = true
  clustering               = ["subscription_name"] # one a site

  dynamic "encryption_configuration" {
    for_each = var.kms_key_name == null ? [] : [var.kms_key_name]
    content {
      kms_key_name = encryption_configuration.value
    }
  }

  deletion_protection = var.deletion_protection
}

# Pub/Sub itself writes, to this table and no other.
resource "google_bigquery_table_iam_member" "writer" {
  project    = var.project_id
  dataset_id = google_bigquery_table.messages.dataset_id
  table_id   = google_bigquery_table.messages.table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_agent
}

locals {
  table = "${var.project_id}.${google_bigquery_table.messages.dataset_id}.${google_bigquery_table.messages.table_id}"
}

resource "google_bigquery_table" "records" {
  # checkov:skip=CKV_GCP_80:a view holds no data
  # checkov:skip=CKV_GCP_121:a view holds no data
  project     = var.project_id
  dataset_id  = google_bigquery_dataset.this.dataset_id
  table_id    = "records"
  description = "One row a record of the last ${var.view_days} days, each once."
  labels      = local.labels

  view {
    query          = templatefile("${path.module}/views/records.sql.tftpl", { table = local.table, days = var.view_days })
    use_legacy_sql = false
  }

  deletion_protection = false
}

resource "google_bigquery_table" "of_records" {
  # checkov:skip=CKV_GCP_80:a view holds no data
  # checkov:skip=CKV_GCP_121:a view holds no data
  for_each = {
    points = "One row a point and record."
    events = "One row an event: alarms, warnings and what people did."
  }

  project     = var.project_id
  dataset_id  = google_bigquery_dataset.this.dataset_id
  table_id    = each.key
  description = each.value
  labels      = local.labels

  view {
    query = templatefile("${path.module}/views/${each.key}.sql.tftpl", {
      records = "${var.project_id}.${google_bigquery_table.records.dataset_id}.${google_bigquery_table.records.table_id}"
    })
    use_legacy_sql = false
  }

  deletion_protection = false
}

resource "google_bigquery_dataset_iam_member" "reader" {
  for_each = var.readers

  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.key
}
