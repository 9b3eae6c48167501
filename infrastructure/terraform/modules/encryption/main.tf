# A key of your own for messages, tables, packages and secrets. Who destroys it destroys all of them.

data "google_project" "this" {
  project_id = var.project_id
}

# The account that BigQuery encrypts with is another one than its service agent.
data "google_bigquery_default_service_account" "this" {
  project = var.project_id
}

locals {
  agents = {
    bigquery      = data.google_bigquery_default_service_account.this.member
    pubsub        = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    secretmanager = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
    artifacts     = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
  }
}

resource "google_kms_key_ring" "this" {
  project  = var.project_id
  name     = var.prefix
  location = var.region
}

resource "google_kms_crypto_key" "this" {
  name            = "data"
  key_ring        = google_kms_key_ring.this.id
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = "7776000s" # 90 days; old versions go on decrypting
  labels          = merge(var.labels, { app = var.prefix })

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = local.agents

  crypto_key_id = google_kms_crypto_key.this.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}
