output "table" {
  description = "Table of the messages, as Pub/Sub names it; known once Pub/Sub may write to it."
  value       = local.table
  depends_on  = [google_bigquery_table_iam_member.writer]
}

output "dataset" {
  description = "The dataset."
  value       = google_bigquery_dataset.this.dataset_id
}

output "dead_letter_topic" {
  description = "Full name of the topic of what could not be written; known once Pub/Sub may publish to it."
  value       = google_pubsub_topic.dead_letter.id
  depends_on  = [google_pubsub_topic_iam_member.dead_letter]
}

output "dead_letter_subscription" {
  description = "Short name of the subscription to look at dead letters with."
  value       = google_pubsub_subscription.dead_letter.name
}

output "schema" {
  description = "Full name of the schema of the topics; null when there is none."
  value       = one(google_pubsub_schema.this[*].id)
}

output "pubsub_agent" {
  description = "The member that Pub/Sub itself acts as in this project."
  value       = local.pubsub_agent
}

output "region" {
  description = "Region of the dataset."
  value       = var.region
}
