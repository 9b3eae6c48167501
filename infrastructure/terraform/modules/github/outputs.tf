output "provider" {
  description = "For `workload_identity_provider` of google-github-actions/auth."
  value = format(
    "projects/%s/locations/global/workloadIdentityPools/%s/providers/%s",
    data.google_project.this.number,
    google_iam_workload_identity_pool.github.workload_identity_pool_id,
    google_iam_workload_identity_pool_provider.github.workload_identity_pool_provider_id,
  )
}

output "service_account" {
  description = "For `service_account` of google-github-actions/auth."
  value       = google_service_account.deploy.email
}
