# Needs no provider: `terraform init && terraform test` runs without a network.
terraform {
  required_version = ">= 1.9, < 2.0"
}
