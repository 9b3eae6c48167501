output "env_file" {
  description = "Lines for config/.env: `terraform output -raw env_file`."
  value       = module.site.env_file
}

output "files" {
  description = "Files for /etc/bessai/gcp on the gateway."
  value       = module.site.files
}
