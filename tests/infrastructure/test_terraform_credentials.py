"""The gateway takes the settings and credentials that Terraform gives; the commands of docs/gcp.md work."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import google.auth.transport.requests
import pytest
import trustme
from cryptography import x509
from dotenv import dotenv_values

from bessai.core.settings import Settings
from bessai.interfaces.pubsub_client import credentials_for, topic_path
from bessai.interfaces.settings import PubSubSettings
from support.terraform import ROOT, Terraform

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "gcp.md").read_text(encoding="utf-8")
SITE = {
    "project_id": "acme-bess-prod",
    "topic": "bessai-calama-1",
    "site_id": "Parque Ñuñoa 1",
    "service_account_email": "bessai-calama-1@acme-bess-prod.iam.gserviceaccount.com",
    "provider_name": "projects/12/locations/global/workloadIdentityPools/bessai-gateways/providers/certificates",
}


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return Terraform(tmp_path_factory.mktemp("terraform"))


@pytest.mark.parametrize("credentials", ["certificate", "key", "machine"])
def test_the_gateway_takes_the_settings(terraform: Terraform, credentials: str) -> None:
    answer = terraform.outputs("environment", SITE | {"credentials": credentials})
    given = {
        name: value or "" for name, value in dotenv_values(stream=io.StringIO(answer["env_file"])).items()
    }
    assert given == answer["environment"]
    assert given["SITE_ID"] == SITE["site_id"]
    assert {name.lower() for name in given} <= set(Settings.model_fields)
    assert ("GOOGLE_APPLICATION_CREDENTIALS" in given) == (credentials != "machine")
    settings = PubSubSettings.from_environment(given)
    assert settings is not None
    assert topic_path(settings.project, settings.topic) == "projects/acme-bess-prod/topics/bessai-calama-1"
    assert set(answer["files"]) == (
        {"credentials.json", "certificate_config.json"} if credentials == "certificate" else set()
    )


class _Google(BaseHTTPRequestHandler):
    """Stands in for the two services of Google that a certificate is exchanged with."""

    asked: list[tuple[str, str, tuple[str, int]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert isinstance(self.connection, ssl.SSLSocket)
        certificate: Any = self.connection.getpeercert() or {}
        subject = {name: value for part in certificate.get("subject", ()) for name, value in part}
        serial = int(certificate.get("serialNumber", "0"), 16)
        self.asked.append((self.path, body, (subject.get("commonName", ""), serial)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(
            json.dumps(
                {"access_token": "of-the-pool", "token_type": "Bearer", "expires_in": 1}
                if self.path == "/v1/token"
                else {"accessToken": "of-the-account", "expireTime": "2099-01-01T00:00:00Z"}
            ).encode()
        )

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_the_certificate_is_exchanged_for_a_token_of_the_account(
    terraform: Terraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real client of Google with the files that Terraform makes; only the addresses lead to this machine."""
    files = terraform.outputs("environment", SITE | {"directory": str(tmp_path)})["files"]
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.crt")
    serials = [_renew(authority, tmp_path)]

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    asked: list[tuple[str, str, tuple[str, int]]] = []
    handler = type("Handler", (_Google,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    here = f"https://127.0.0.1:{server.server_address[1]}"
    document = json.loads(files["credentials.json"])
    for name in ("token_url", "service_account_impersonation_url"):
        document[name] = re.sub(r"^https://[a-z.]+", here, document[name])
    (tmp_path / "credentials.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "certificate_config.json").write_text(files["certificate_config.json"], encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "credentials.json"))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme-bess-prod")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.crt"))
    try:
        credentials: Any = credentials_for(topic_path("acme-bess-prod", "bessai-calama-1"))
        request = google.auth.transport.requests.Request()
        credentials.refresh(request)
        serials.append(_renew(authority, tmp_path))
        credentials.refresh(request)
    finally:
        server.shutdown()
        server.server_close()

    assert credentials.token == "of-the-account"
    assert [certificate for _, _, certificate in asked] == [
        ("calama-1", serial) for serial in serials for _ in ("exchange", "impersonation")
    ], "mutual TLS with the site's certificate, from the next time on with the renewed one"
    for (exchange, body, _), (impersonation, _, _) in zip(asked[::2], asked[1::2], strict=True):
        assert exchange == "/v1/token"
        assert "token-type%3Amtls" in body
        assert impersonation.endswith(f"/serviceAccounts/{SITE['service_account_email']}:generateAccessToken")


def _renew(authority: trustme.CA, directory: Path) -> int:
    """A key and a certificate for it; the serial number."""
    own = authority.issue_cert(common_name="calama-1")
    own.cert_chain_pems[0].write_to_path(directory / "site.crt")
    own.private_key_pem.write_to_path(directory / "site.key")
    return x509.load_pem_x509_certificate(own.cert_chain_pems[0].bytes()).serial_number


def test_the_files_are_those_that_gcloud_makes(terraform: Terraform, tmp_path: Path) -> None:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("gcloud is not installed: the credentials file is not compared with its")
    files = terraform.outputs("environment", SITE | {"directory": str(tmp_path)})["files"]
    own = trustme.CA().issue_cert(common_name="calama-1")
    own.cert_chain_pems[0].write_to_path(tmp_path / "site.crt")
    own.private_key_pem.write_to_path(tmp_path / "site.key")
    subprocess.run(
        [
            gcloud, "iam", "workload-identity-pools", "create-cred-config", SITE["provider_name"],
            f"--service-account={SITE['service_account_email']}",
            f"--credential-cert-path={tmp_path}/site.crt",
            f"--credential-cert-private-key-path={tmp_path}/site.key",
            f"--credential-cert-configuration-output-file={tmp_path}/certificate_config.json",
            f"--output-file={tmp_path}/credentials.json",
        ],
        env=os.environ | {"CLOUDSDK_CONFIG": str(tmp_path), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"},
        check=True, timeout=120, capture_output=True,
    )  # fmt: skip
    for name, text in files.items():
        assert json.loads(text) == json.loads((tmp_path / name).read_text(encoding="utf-8")), name


def _blocks(heading: str) -> list[str]:
    part = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (section,) = (text for text in part if text.startswith(heading))
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_page_make_a_certificate(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: the commands of docs/gcp.md are not run")
    make, sign, _ = _blocks("3. ")
    script = "\n".join(("set -e", *_blocks("1. "), make.replace("/etc/bessai/gcp", str(tmp_path)), sign))
    script = re.sub(r"^.*\bchgrp\b.*$|\bsudo | -g bessai\b", "", script, flags=re.MULTILINE)
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "site.crt: OK" in done.stdout
    certificate = x509.load_pem_x509_certificate((tmp_path / "site.crt").read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=calama-1"
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o640


def test_the_page_shows_what_terraform_answers(terraform: Terraform) -> None:
    names = terraform.outputs("names", {"project_id": "acme-bess-prod", "site": "calama-1"})
    answer = terraform.outputs("environment", SITE | {"topic": names["topic"], "site_id": names["site_id"]})
    assert f"```\n{answer['env_file']}```" in PAGE
    assert names["bigquery_subscription"] in PAGE


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "gcp.md"], ids=lambda page: page.name)
def test_links_and_names_of_the_pages_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link, place in re.findall(r"\]\((?!http)([^)#]+)(?:#([\w-]+))?\)", text):
        target = page.parent / link
        assert target.exists(), link
        if place:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert place in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}, place
    for setting in re.findall(r"`((?:GCP|GOOGLE|PUBLISH|MQTT|CYCLE)_\w+)", text):
        assert setting.lower() in Settings.model_fields, setting
    for name in re.findall(r"^\| \[`(\w+)`\]", text, re.MULTILINE):
        assert (ROOT / "modules" / name).is_dir()
    if page.name == "README.md":
        assert all(f"](modules/{path.name})" in text for path in (ROOT / "modules").iterdir())
