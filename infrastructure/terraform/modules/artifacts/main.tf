locals {
  formats = {
    images   = { format = "DOCKER", what = "Container images of the gateway." }
    packages = { format = "PYTHON", what = "Python packages of the gateway." }
  }

  grants = merge([
    for name in keys(local.formats) : { for key, member in var.readers : "${name}/${key}" => { name = name, member = member } }
  ]...)
}

resource "google_artifact_registry_repository" "this" {
  # checkov:skip=CKV_GCP_84:a key of one's own is a choice (kms_key_name); Google's keys encrypt otherwise
  for_each = local.formats

  project       = var.project_id
  location      = var.region
  repository_id = "${var.prefix}-${each.key}"
  format        = each.value.format
  description   = each.value.what
  kms_key_name  = var.kms_key_name
  labels        = merge(var.labels, { app = var.prefix })

  # A version that runs in a substation is never replaced under its own name.
  dynamic "docker_config" {
    for_each = each.value.format == "DOCKER" ? [true] : []
    content {
      immutable_tags = docker_config.value
    }
  }

  dynamic "cleanup_policies" {
    for_each = each.value.format == "DOCKER" ? [var.keep_untagged_days] : []
    content {
      id     = "untagged"
      action = "DELETE"
      condition {
        tag_state  = "UNTAGGED"
        older_than = "${cleanup_policies.value * 86400}s"
      }
    }
  }

  deletion_policy = var.deletion_protection ? "PREVENT" : "DELETE"
}

resource "google_artifact_registry_repository_iam_member" "reader" {
  for_each = local.grants

  project    = var.project_id
  location   = google_artifact_registry_repository.this[each.value.name].location
  repository = google_artifact_registry_repository.this[each.value.name].name
  role       = "roles/artifactregistry.reader"
  member     = each.value.member
}
