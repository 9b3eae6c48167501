# Workflows of one repository, in one environment, push packages without a key: GitHub signs a token for each job.

data "google_project" "this" {
  project_id = var.project_id
}

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project_id
  workload_identity_pool_id = "${var.prefix}-github"
  display_name              = "GitHub Actions"
  description               = "Workflows that push packages."
}

resource "google_iam_workload_identity_pool_provider" "github" {
  # checkov:skip=CKV_GCP_125:it wants `sub`, whose form GitHub changes from one repository to the next; number and environment are held fast below
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub"

  # Not `sub`: of repositories made since July 2026 it holds numbers beside the names, of older ones it does not.
  attribute_mapping = {
    "google.subject" = "assertion.repository_id + ':' + assertion.environment"
  }

  attribute_condition = "assertion.repository_id == '${var.repository_id}' && assertion.environment == '${var.environment}'"

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "deploy" {
  project      = var.project_id
  account_id   = "${var.prefix}-deploy"
  display_name = "Releases from GitHub"
  description  = "Pushes images and packages, and nothing else."
}

resource "google_service_account_iam_member" "github" {
  service_account_id = google_service_account.deploy.name
  role               = "roles/iam.workloadIdentityUser"
  member = format(
    "principal://iam.googleapis.com/projects/%s/locations/global/workloadIdentityPools/%s/subject/%s:%s",
    data.google_project.this.number,
    google_iam_workload_identity_pool.github.workload_identity_pool_id,
    var.repository_id,
    var.environment,
  )
}

resource "google_artifact_registry_repository_iam_member" "deploy" {
  for_each = var.repositories

  project    = var.project_id
  location   = var.region
  repository = each.value
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.deploy.member
}
