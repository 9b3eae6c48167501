output "images" {
  description = "Where images are pushed to and pulled from."
  value       = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.this["images"].repository_id}"
}

output "packages" {
  description = "Where Python packages are uploaded to; add /simple/ to install from it."
  value       = "https://${var.region}-python.pkg.dev/${var.project_id}/${google_artifact_registry_repository.this["packages"].repository_id}"
}

output "repositories" {
  description = "Short names of the repositories: images and packages."
  value       = { for name, repository in google_artifact_registry_repository.this : name => repository.name }
}

output "region" {
  description = "Region of the packages."
  value       = var.region
}
