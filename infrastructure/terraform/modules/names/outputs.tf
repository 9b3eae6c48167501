output "project_id" {
  description = "The project, checked."
  value       = var.project_id
}

output "region" {
  description = "The region, checked."
  value       = var.region
}

output "site" {
  description = "The short name, checked: the common name of the site's certificate."
  value       = var.site
}

output "site_id" {
  description = "SITE_ID of the gateway: also the ordering key of the lane `live`."
  value       = local.site_id
}

output "topic" {
  description = "Topic that the site alone publishes to; GCP_PUBSUB_TOPIC."
  value       = local.base
}

output "bigquery_subscription" {
  description = "Subscription that writes the site's messages into BigQuery."
  value       = "${local.base}-bigquery"
}

output "live_subscription" {
  description = "Ordered subscription to the lane `live`, for dashboards and optimisers."
  value       = "${local.base}-live"
}

output "account_id" {
  description = "Name of the site's service account, before the @."
  value       = local.base
}

output "secret_prefix" {
  description = "Begins the names of the site's secrets."
  value       = "${local.base}-"
}

output "retention" {
  description = "Retention as Pub/Sub wants it."
  value       = "${var.retention_days * 86400}s"
}

output "labels" {
  description = "Labels of the site's resources."
  value       = merge(var.labels, { app = var.prefix, site = var.site })
}
