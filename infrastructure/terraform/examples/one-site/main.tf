# One site: messages into BigQuery, a certificate instead of a key, and a call when the gateway is silent.

module "services" {
  source = "../../modules/services"

  project_id = var.project_id
}

module "ingest" {
  source = "../../modules/ingest"

  project_id = module.services.project_id
  region     = var.region
}

module "identity" {
  source = "../../modules/identity"

  project_id  = module.services.project_id
  authorities = [file(var.authority_file)]
  sites       = [var.site]
}

module "site" {
  source = "../../modules/site"

  project_id = module.services.project_id
  region     = var.region
  site       = var.site
  site_id    = var.site_id

  table             = module.ingest.table
  dead_letter_topic = module.ingest.dead_letter_topic
  pubsub_agent      = module.ingest.pubsub_agent
  schema            = module.ingest.schema

  identity_pool     = module.identity.pool
  identity_provider = module.identity.provider
}

module "alerts" {
  source = "../../modules/alerts"

  project_id               = module.services.project_id
  sites                    = { (var.site) = { topic = module.site.topic } }
  dead_letter_subscription = module.ingest.dead_letter_subscription
  emails                   = { watch = var.email }
}
