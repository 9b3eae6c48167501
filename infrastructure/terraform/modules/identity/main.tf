# Gateways prove who they are with an X.509 certificate of your own authority. Google checks the chain, that the gateway
# holds the private key (mutual TLS) and the condition below, and gives a token for an hour.

data "google_project" "this" {
  project_id = var.project_id
}

resource "google_iam_workload_identity_pool" "gateways" {
  project                   = var.project_id
  workload_identity_pool_id = "${var.prefix}-gateways"
  display_name              = "Gateways"
  description               = "Gateways of battery plants, by their certificates."
}

resource "google_iam_workload_identity_pool_provider" "certificates" {
  # checkov:skip=CKV_GCP_125:the check is about GitHub's tokens and fails on every provider without `oidc`; this one takes certificates
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.gateways.workload_identity_pool_id
  workload_identity_pool_provider_id = "certificates"
  display_name                       = "Certificates of the gateways"

  attribute_mapping = {
    "google.subject" = "assertion.subject.dn.cn"
  }

  # Google does not look at revocation lists: this list is what shuts a site out.
  attribute_condition = "google.subject in ['${join("', '", sort(var.sites))}']"

  x509 {
    trust_store {
      dynamic "trust_anchors" {
        for_each = var.authorities
        content {
          pem_certificate = trust_anchors.value
        }
      }
    }
  }
}
