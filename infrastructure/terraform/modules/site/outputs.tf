output "environment" {
  description = "Settings of the gateway, by name."
  value       = module.environment.environment
}

output "env_file" {
  description = "The same as lines for config/.env."
  value       = module.environment.env_file
}

output "files" {
  description = "Files that belong into /etc/bessai/gcp on the gateway, by name. None of them is secret."
  value       = module.environment.files
}

output "topic" {
  description = "Short name of the site's topic."
  value       = google_pubsub_topic.this.name
}

output "bigquery_subscription" {
  description = "Short name of the subscription that writes into BigQuery."
  value       = google_pubsub_subscription.bigquery.name
}

output "live_subscription" {
  description = "Full name of the ordered subscription to the lane `live`; null when nobody reads it."
  value       = one(google_pubsub_subscription.live[*].id)
}

output "service_account" {
  description = "Address of the site's service account."
  value       = google_service_account.this.email
}

output "secrets" {
  description = "Full names of the site's secrets, by name: `gcloud secrets versions add` fills them."
  value       = { for name, secret in google_secret_manager_secret.this : name => secret.id }
}
