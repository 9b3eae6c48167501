output "env_files" {
  description = "Lines for config/.env, by site: `terraform output -json env_files | jq -r '.\"calama-1\"'`."
  value       = { for name, site in module.site : name => site.env_file }
}

output "files" {
  description = "Files for /etc/bessai/gcp on each gateway, by site."
  value       = { for name, site in module.site : name => site.files }
}

output "secrets" {
  description = "Empty places for secrets, by site."
  value       = { for name, site in module.site : name => site.secrets }
}

output "images" {
  description = "Where images are pushed to and pulled from."
  value       = module.artifacts.images
}

output "packages" {
  description = "Where Python packages are uploaded to."
  value       = module.artifacts.packages
}

output "github" {
  description = "What google-github-actions/auth needs; null without GitHub."
  value       = one([for github in module.github : { workload_identity_provider = github.provider, service_account = github.service_account }])
}
