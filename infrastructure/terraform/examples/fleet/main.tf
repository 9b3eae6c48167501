# Many sites into one table, with packages, releases from GitHub, alerts and a budget.

locals {
  with_certificate = toset([for name, site in var.sites : name if site.credentials == "certificate"])
  kms_key_name     = one(module.encryption[*].kms_key_name)
}

module "services" {
  source = "../../modules/services"

  project_id = var.project_id
}

module "encryption" {
  source = "../../modules/encryption"
  count  = var.own_key ? 1 : 0

  project_id = module.services.project_id
  region     = var.region
  labels     = var.labels
}

module "ingest" {
  source = "../../modules/ingest"

  project_id   = module.services.project_id
  region       = var.region
  readers      = var.readers
  kms_key_name = local.kms_key_name
  labels       = var.labels
}

module "identity" {
  source = "../../modules/identity"
  count  = length(local.with_certificate) == 0 ? 0 : 1

  project_id  = module.services.project_id
  authorities = [for path in var.authority_files : file(path)]
  sites       = local.with_certificate
}

module "site" {
  source   = "../../modules/site"
  for_each = var.sites

  project_id = module.services.project_id
  region     = var.region
  site       = each.key
  site_id    = each.value.site_id

  table             = module.ingest.table
  dead_letter_topic = module.ingest.dead_letter_topic
  pubsub_agent      = module.ingest.pubsub_agent
  schema            = module.ingest.schema

  credentials       = each.value.credentials
  identity_pool     = each.value.credentials == "certificate" ? one(module.identity[*].pool) : null
  identity_provider = each.value.credentials == "certificate" ? one(module.identity[*].provider) : null

  secrets             = each.value.secrets
  live_readers        = each.value.live_readers
  kms_key_name        = local.kms_key_name
  deletion_protection = each.value.deletion_protection
  labels              = var.labels
}

module "artifacts" {
  source = "../../modules/artifacts"

  project_id   = module.services.project_id
  region       = var.region
  readers      = { for name, site in module.site : name => "serviceAccount:${site.service_account}" }
  kms_key_name = local.kms_key_name
  labels       = var.labels
}

module "github" {
  source = "../../modules/github"
  count  = var.github == null ? 0 : 1

  project_id    = module.services.project_id
  region        = module.artifacts.region
  repositories  = module.artifacts.repositories
  repository_id = var.github.repository_id
  environment   = var.github.environment
}

module "alerts" {
  source = "../../modules/alerts"

  project_id = module.services.project_id
  sites = {
    for name, site in var.sites : name => { topic = module.site[name].topic, silence_minutes = site.silence_minutes }
  }
  dead_letter_subscription = module.ingest.dead_letter_subscription
  emails                   = var.emails
  labels                   = var.labels
}

module "budget" {
  source = "../../modules/budget"
  count  = var.budget == null ? 0 : 1

  project_id      = module.services.project_id
  billing_account = var.budget.billing_account
  amount          = var.budget.amount
  channels        = module.alerts.channels
}
