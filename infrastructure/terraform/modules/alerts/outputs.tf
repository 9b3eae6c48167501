output "channels" {
  description = "Full names of the notification channels, for a budget too."
  value       = local.channels
}
