variables {
  project_id            = "acme-bess-prod"
  topic                 = "bessai-calama-1"
  site_id               = "Calama 1"
  service_account_email = "bessai-calama-1@acme-bess-prod.iam.gserviceaccount.com"
  provider_name         = "projects/123456789012/locations/global/workloadIdentityPools/bessai-gateways/providers/certificates"
}

run "with_a_certificate" {
  command = plan

  assert {
    condition     = output.env_file == "GCP_PROJECT_ID=acme-bess-prod\nGCP_PUBSUB_TOPIC=bessai-calama-1\nGOOGLE_APPLICATION_CREDENTIALS=/etc/bessai/gcp/credentials.json\nSITE_ID=Calama 1\n"
    error_message = output.env_file
  }
  assert {
    condition     = jsondecode(output.files["credentials.json"]).audience == "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/bessai-gateways/providers/certificates"
    error_message = output.files["credentials.json"]
  }
  assert {
    condition     = jsondecode(output.files["certificate_config.json"]).cert_configs.workload.key_path == "/etc/bessai/gcp/site.key"
    error_message = output.files["certificate_config.json"]
  }
  assert {
    condition     = !strcontains(jsonencode(output.files), "PRIVATE KEY")
    error_message = "a secret in the outputs"
  }
}

run "with_a_key" {
  command = plan
  variables {
    credentials   = "key"
    provider_name = null
  }
  assert {
    condition     = length(output.files) == 0 && output.environment.GOOGLE_APPLICATION_CREDENTIALS == "/etc/bessai/gcp/credentials.json"
    error_message = jsonencode(output.environment)
  }
}

run "with_the_identity_of_the_machine" {
  command = plan
  variables {
    credentials   = "machine"
    provider_name = null
  }
  assert {
    condition     = !can(output.environment.GOOGLE_APPLICATION_CREDENTIALS) && length(output.files) == 0
    error_message = jsonencode(output.environment)
  }
}

run "certificate_without_a_provider" {
  command = plan
  variables {
    provider_name = null
  }
  expect_failures = [var.provider_name]
}

run "provider_by_the_id_of_the_project" {
  command = plan
  variables {
    provider_name = "projects/acme-bess-prod/locations/global/workloadIdentityPools/bessai-gateways/providers/certificates"
  }
  expect_failures = [var.provider_name]
}

run "unknown_credentials" {
  command = plan
  variables {
    credentials = "password"
  }
  expect_failures = [var.credentials]
}

run "full_name_of_a_topic" {
  command = plan
  variables {
    topic = "projects/acme-bess-prod/topics/bessai-calama-1"
  }
  expect_failures = [var.topic]
}

run "address_of_a_person" {
  command = plan
  variables {
    service_account_email = "ana@example.com"
  }
  expect_failures = [var.service_account_email]
}

run "relative_directory" {
  command = plan
  variables {
    directory = "config/gcp"
  }
  expect_failures = [var.directory]
}
