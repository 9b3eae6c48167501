resource "google_project_service" "this" {
  for_each = var.services

  project = var.project_id
  service = each.key

  # Something else in the project may use it too.
  disable_on_destroy = false
}
