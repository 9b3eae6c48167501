# What one gateway is told. No secret is in here: the private key of the certificate is made on the gateway and stays there.
locals {
  certificate = var.credentials == "certificate"

  environment = merge(
    {
      SITE_ID          = var.site_id
      GCP_PROJECT_ID   = var.project_id
      GCP_PUBSUB_TOPIC = var.topic
    },
    var.credentials == "machine" ? {} : {
      GOOGLE_APPLICATION_CREDENTIALS = "${var.directory}/credentials.json"
    }
  )

  # An external account: the certificate is exchanged for a token of the site's service account, an hour at a time.
  credentials = {
    type               = "external_account"
    universe_domain    = "googleapis.com"
    audience           = "//iam.googleapis.com/${coalesce(var.provider_name, "none")}"
    subject_token_type = "urn:ietf:params:oauth:token-type:mtls"
    token_url          = "https://sts.mtls.googleapis.com/v1/token"
    credential_source = {
      certificate = {
        certificate_config_location = "${var.directory}/certificate_config.json"
      }
    }
    service_account_impersonation_url = "https://iamcredentials.mtls.googleapis.com/v1/projects/-/serviceAccounts/${var.service_account_email}:generateAccessToken"
  }

  certificate_config = {
    cert_configs = {
      workload = {
        cert_path = "${var.directory}/site.crt"
        key_path  = "${var.directory}/site.key"
      }
    }
  }
}
