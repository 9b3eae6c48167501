output "project_id" {
  description = "The project, once its services are on: take it from here, and everything waits for them."
  value       = var.project_id
  depends_on  = [google_project_service.this]
}
