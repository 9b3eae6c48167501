locals {
  # With the number, not the id: tokens and members want it so.
  pool = "projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/${google_iam_workload_identity_pool.gateways.workload_identity_pool_id}"
}

output "pool" {
  description = "Full name of the pool."
  value       = local.pool
}

output "provider" {
  description = "Full name of the provider."
  value       = "${local.pool}/providers/${google_iam_workload_identity_pool_provider.certificates.workload_identity_pool_provider_id}"
}
