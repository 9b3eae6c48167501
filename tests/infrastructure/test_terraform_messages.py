"""What Terraform makes takes what the gateway publishes, and the gateway takes the settings that Terraform gives."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import google.auth.transport.requests
import jsonschema
import numpy as np
import pytest
import trustme
from dotenv import dotenv_values
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from bessai.core.settings import Settings
from bessai.interfaces.batch_message import encode_batch
from bessai.interfaces.courier import Lane, Message
from bessai.interfaces.envelope import SCHEMA_ID
from bessai.interfaces.messages import RecordEncoder
from bessai.interfaces.pubsub_client import credentials_for, topic_path
from bessai.interfaces.settings import PubSubSettings
from support.entries import cycle_entry, event_entry
from support.hcl import read_directory
from support.terraform import MODULES, Terraform

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "telemetry.schema.json").read_text())
TABLE = json.loads((MODULES / "ingest" / "tables" / "messages.json").read_text(encoding="utf-8"))
VIEWS = {
    path.name.partition(".")[0]: path.read_text(encoding="utf-8")
    for path in (MODULES / "ingest" / "views").iterdir()
}
ODD = np.array([0.1 + 0.2, -1e-7, 1e300 / 3, np.nan, 512.0, 9.0])
ENTRIES = [cycle_entry(1), cycle_entry(2, values=ODD, verified=False), event_entry(3)]
RECORDS = RecordEncoder("calama-1")(ENTRIES, lane=Lane.LIVE, previous=0)
BATCHES = encode_batch(ENTRIES, "calama-1", Lane.BACKLOG, 0)
MESSAGES = [*RECORDS, *BATCHES]
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


def test_the_table_has_the_columns_that_pubsub_writes_with_metadata() -> None:
    """Names and types as in the documentation of BigQuery subscriptions."""
    columns = {column["name"]: column["type"] for column in TABLE}
    assert columns == {
        "subscription_name": "STRING",
        "message_id": "STRING",
        "publish_time": "TIMESTAMP",
        "data": "JSON",
        "attributes": "JSON",
    }
    (subscription,) = (
        block for block in read_directory(MODULES / "site").all("resource") if block.labels[1] == "bigquery"
    )
    (config,) = subscription.all("bigquery_config")
    assert config.arguments["write_metadata"] == "true"
    assert not set(config.arguments) & {"use_topic_schema", "use_table_schema"}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.id)
def test_every_message_fits_the_columns(message: Message) -> None:
    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    def number(text: str) -> float:
        assert Decimal(text) == Decimal(repr(float(text))), (
            f"BigQuery refuses {text}: no FLOAT64 is exactly that"
        )
        return float(text)

    content = json.loads(message.data, parse_constant=refuse, parse_float=number)
    assert isinstance(content, dict)
    assert all(isinstance(value, str) for value in message.attributes.values())
    column = next(column for column in TABLE if column["name"] == "attributes")
    assert set(message.attributes) <= set(re.findall(r"\w+", column["description"]))
    assert content["schema"] == message.attributes["schema"]
    assert content["schema"] in next(c for c in TABLE if c["name"] == "data")["description"]


def test_the_views_read_what_the_schema_has_and_as_what_it_is() -> None:
    for message in RECORDS:
        jsonschema.validate(json.loads(message.data), SCHEMA)
    roots: dict[str, Any] = {
        "data": SCHEMA,
        "event": SCHEMA["$defs"]["EventPart"],
        "record.points[TRIM(key, '\"')]": SCHEMA["$defs"]["Point"],
    }
    call = re.compile(
        r"(SAFE_CAST\()?(JSON_\w+)\((data|event|attributes|record\.points\[.*?\]), '\$\.([\w.]+)'\)(?: AS (\w+)\))?"
    )
    seen = 0
    for name, query in VIEWS.items():
        for cast, function, column, path, kind in call.findall(query):
            seen += 1
            if column == "attributes":
                assert path in RECORDS[0].attributes, f"{name}: {path}"
                continue
            found = _resolve(roots[column], path)
            assert found is not None, f"{name}: {column} has no {path}"
            assert bool(cast) == bool(kind)
            assert _fits(function, kind, found), f"{name}: {path} is {found}, read with {function} {kind}"
    assert seen == sum(query.count("'$.") for query in VIEWS.values()) > 30
    assert f"= '{SCHEMA_ID}'" in VIEWS["records"]
    for name in ("points", "events"):
        for column in re.findall(r"\brecord\.(\w+)", VIEWS[name]):
            assert re.search(rf"(AS |^\s+){column},?$", VIEWS["records"], re.MULTILINE), (
                f"{name}: record has no {column}"
            )


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        return _choices(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return [inner for choice in schema["anyOf"] for inner in _choices(choice)]
    return [schema]


def _resolve(schema: dict[str, Any], path: str) -> list[dict[str, Any]] | None:
    choices = _choices(schema)
    for part in path.split("."):
        inner = [choice["properties"][part] for choice in choices if part in choice.get("properties", {})]
        if not inner:
            return None
        choices = [choice for found in inner for choice in _choices(found)]
    return choices


def _fits(function: str, kind: str, choices: list[dict[str, Any]]) -> bool:
    types = {choice["type"] for choice in choices} - {"null"}
    if function == "JSON_QUERY":
        return bool(types & {"object", "array"})
    if function == "JSON_VALUE_ARRAY":
        return types == {"array"}
    if kind == "TIMESTAMP":
        return types == {"string"} and any(choice.get("format") == "date-time" for choice in choices)
    return types == {{"INT64": "integer", "FLOAT64": "number", "BOOL": "boolean", "": "string"}[kind]}


def test_the_live_subscription_takes_the_lane_that_is_called_so_in_order() -> None:
    (live,) = (
        block
        for block in read_directory(MODULES / "site").all("resource", "google_pubsub_subscription")
        if block.labels[1] == "live"
    )
    (lane,) = re.findall(r'attributes\.lane = \\"(\w+)\\"', live.arguments["filter"])
    assert lane == Lane.LIVE.value == RECORDS[0].attributes["lane"] != BATCHES[0].attributes["lane"]
    assert live.arguments["enable_message_ordering"] == "true"
    assert all(message.ordering_key for message in MESSAGES)


def test_no_schema_of_pubsub_describes_what_is_published() -> None:
    """So none is attached. Protocol Buffers, without imports as Pub/Sub wants them; Avro marks every choice."""
    points = json.loads(RECORDS[0].data)["points"]
    state, bits = points["device_status"], points["alarms"]
    assert isinstance(state["meaning"], str)
    assert isinstance(bits["meaning"], list)
    one, many = _point(repeated=False), _point(repeated=True)
    json_format.ParseDict(state, one())
    json_format.ParseDict(bits, many())
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(bits, one())
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(state, many())
    with pytest.raises(json_format.ParseError, match="no field named"):
        json_format.ParseDict(state | {"added_in_a_later_version": 1}, one())
    variables = {block.labels[0]: block for block in read_directory(MODULES / "ingest").all("variable")}
    assert variables["topic_schema"].arguments["default"] == "null"


def _point(*, repeated: bool) -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"point_{repeated}.proto", syntax="proto3", package=f"p{repeated}"
    )
    message = file.message_type.add(name="Point")
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, name in enumerate(("value", "unit", "quality", "time", "meaning"), 1):
        message.field.add(
            name=name,
            number=number,
            type=kinds.TYPE_DOUBLE if name == "value" else kinds.TYPE_STRING,
            label=kinds.LABEL_REPEATED if repeated and name == "meaning" else kinds.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"p{repeated}.Point"))


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

    asked: list[tuple[str, Any, str]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert isinstance(self.connection, ssl.SSLSocket)
        certificate: Any = self.connection.getpeercert() or {}
        subject = {name: value for part in certificate.get("subject", ()) for name, value in part}
        self.asked.append((self.path, body, subject.get("commonName", "")))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(
            json.dumps(
                {"access_token": "of-the-pool", "token_type": "Bearer", "expires_in": 3600}
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
    own = authority.issue_cert(common_name="calama-1")
    own.cert_chain_pems[0].write_to_path(tmp_path / "site.crt")
    own.private_key_pem.write_to_path(tmp_path / "site.key")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    asked: list[tuple[str, Any, str]] = []
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
        credentials.refresh(google.auth.transport.requests.Request())
    finally:
        server.shutdown()
        server.server_close()

    assert credentials.token == "of-the-account"
    (exchange, impersonation) = asked
    assert exchange[0] == "/v1/token"
    assert exchange[2] == impersonation[2] == "calama-1", "mutual TLS with the site's certificate"
    assert "token-type%3Amtls" in exchange[1]
    assert impersonation[0].endswith(f"/serviceAccounts/{SITE['service_account_email']}:generateAccessToken")


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
