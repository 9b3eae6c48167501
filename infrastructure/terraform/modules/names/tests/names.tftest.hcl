variables {
  project_id = "acme-bess-prod"
  site       = "calama-1"
}

run "names_of_a_site" {
  command = plan

  assert {
    condition     = output.topic == "bessai-calama-1" && output.account_id == "bessai-calama-1"
    error_message = "topic ${output.topic}, account ${output.account_id}"
  }
  assert {
    condition     = output.bigquery_subscription == "bessai-calama-1-bigquery" && output.live_subscription == "bessai-calama-1-live"
    error_message = "subscriptions ${output.bigquery_subscription}, ${output.live_subscription}"
  }
  assert {
    condition     = output.site_id == "calama-1"
    error_message = "site_id does not fall back to site: ${output.site_id}"
  }
  assert {
    condition     = output.retention == "604800s"
    error_message = "seven days are ${output.retention}"
  }
  assert {
    condition     = jsonencode(output.labels) == jsonencode({ app = "bessai", site = "calama-1" })
    error_message = "labels ${jsonencode(output.labels)}"
  }
}

run "site_id_of_the_gateway_may_be_another" {
  command = plan
  variables {
    site_id = "Parque Ñuñoa / BESS 2"
  }
  assert {
    condition     = output.site_id == "Parque Ñuñoa / BESS 2" && output.topic == "bessai-calama-1"
    error_message = "site_id ${output.site_id}, topic ${output.topic}"
  }
}

run "longest_names" {
  command = plan
  variables {
    prefix = "acmepower"
    site   = "cerro-dominador-bess" # 20 characters: 9 + 1 + 20 is what an account may have
  }
  assert {
    condition     = length(output.account_id) == 30
    error_message = "${length(output.account_id)} characters"
  }
}

run "project_number_instead_of_its_id" {
  command = plan
  variables {
    project_id = "123456789012"
  }
  expect_failures = [var.project_id]
}

run "project_id_too_short" {
  command = plan
  variables {
    project_id = "acme"
  }
  expect_failures = [var.project_id]
}

run "zone_instead_of_a_region" {
  command = plan
  variables {
    region = "southamerica-west1-a"
  }
  expect_failures = [var.region]
}

run "multi_region" {
  command = plan
  variables {
    region = "US"
  }
  expect_failures = [var.region]
}

run "prefix_that_pubsub_reserves" {
  command = plan
  variables {
    prefix = "google"
  }
  expect_failures = [var.prefix]
}

run "prefix_too_long_for_an_account" {
  command = plan
  variables {
    prefix = "energystore"
  }
  expect_failures = [var.prefix]
}

run "site_with_capitals" {
  command = plan
  variables {
    site = "Calama"
  }
  expect_failures = [var.site]
}

run "site_ends_with_a_hyphen" {
  command = plan
  variables {
    site = "calama-"
  }
  expect_failures = [var.site]
}

run "site_too_long" {
  command = plan
  variables {
    site = "cerro-dominador-bess2"
  }
  expect_failures = [var.site]
}

run "account_too_short" {
  command = plan
  variables {
    prefix = "ab"
    site   = "cd"
  }
  expect_failures = [var.site]
}

run "site_called_like_the_dead_letters" {
  command = plan
  variables {
    site = "dead-letter"
  }
  expect_failures = [var.site]
}

run "site_id_that_the_environment_file_would_cut" {
  command = plan
  variables {
    site_id = "calama #1"
  }
  expect_failures = [var.site_id]
}

run "site_id_with_a_newline" {
  command = plan
  variables {
    site_id = "calama\nGCP_PROJECT_ID=other"
  }
  expect_failures = [var.site_id]
}

run "no_retention" {
  command = plan
  variables {
    retention_days = 0
  }
  expect_failures = [var.retention_days]
}

run "retention_longer_than_pubsub_has" {
  command = plan
  variables {
    retention_days = 32
  }
  expect_failures = [var.retention_days]
}

run "retention_of_half_a_day" {
  command = plan
  variables {
    retention_days = 1.5
  }
  expect_failures = [var.retention_days]
}

run "label_with_capitals" {
  command = plan
  variables {
    labels = { Owner = "ops" }
  }
  expect_failures = [var.labels]
}

run "label_that_is_set_here" {
  command = plan
  variables {
    labels = { site = "other" }
  }
  expect_failures = [var.labels]
}
