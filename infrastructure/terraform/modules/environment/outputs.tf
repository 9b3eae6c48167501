output "environment" {
  description = "Settings of the gateway, by name."
  value       = local.environment
}

output "env_file" {
  description = "The same as lines for config/.env."
  value       = join("", [for name in sort(keys(local.environment)) : "${name}=${local.environment[name]}\n"])
}

output "files" {
  description = "Files that belong into `directory` on the gateway, by name: for certificate alone. None of them is secret."
  value = local.certificate ? {
    "credentials.json"        = jsonencode(local.credentials)
    "certificate_config.json" = jsonencode(local.certificate_config)
  } : {}
}
