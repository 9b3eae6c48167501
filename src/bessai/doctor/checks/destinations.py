"""Where records and telemetry go: reached as the settings say, up to the TLS handshake, without signing in."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bessai.doctor.checks.network import PUBSUB
from bessai.doctor.checks.reaching import reach, why
from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, warn
from bessai.interfaces.broker_settings import KafkaSettings, NatsSettings
from bessai.interfaces.mqtt.settings import MqttSettings

_SOON = 14.0
"""Days: others' certificates are often renewed a month before their end, so a month would be told too often."""
_GREETING = 64 << 10


def pubsub(look: Look) -> Iterator[Finding]:
    """Google Cloud Pub/Sub, or an emulator."""
    settings = look.settings
    if settings is None or not settings.gcp_pubsub_topic:
        yield skipped()
        return
    if settings.pubsub_emulator_host:
        host, _, port = settings.pubsub_emulator_host.rpartition(":")
        yield warn("emulator", address=settings.pubsub_emulator_host)
        yield from _reached(host.strip("[]"), int(port or 8085), None)
        return
    yield from _reached(PUBSUB, 443, ssl.create_default_context())
    if settings.google_application_credentials is not None:
        yield _credentials(settings.google_application_credentials)


def _credentials(path: Path) -> Finding:
    """Whether the file holds what its kind needs; Google alone knows whether it is still good."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return bad("no_credentials", file=str(path), why=f"{type(error).__name__}")
    kind = str(document.get("type"))
    needed = {
        "service_account": ("client_email", "private_key", "token_uri"),
        "external_account": ("audience", "credential_source", "token_url"),
        "authorized_user": ("client_id", "client_secret", "refresh_token"),
    }.get(kind, ())
    missing = [name for name in needed if not document.get(name)]
    if missing:
        return bad("no_credentials", file=str(path), why=f"{kind}: {', '.join(missing)}")
    source = document.get("credential_source")
    if isinstance(source, dict) and "file" in source and not Path(str(source["file"])).is_file():
        return bad("no_credentials", file=str(path), why=f"{source['file']}")
    return ok("credentials", file=str(path), kind=kind)


def mqtt(look: Look) -> Iterator[Finding]:
    """The MQTT broker."""
    found = None if look.settings is None else MqttSettings.from_environment(look.settings.environment())
    if found is None:
        yield skipped()
        return
    yield from _reached(found.host, found.port, found.tls_context() if found.tls else None)


def kafka(look: Look) -> Iterator[Finding]:
    """Each broker that is named; the cluster may have more."""
    found = None if look.settings is None else KafkaSettings.from_environment(look.settings.environment())
    if found is None:
        yield skipped()
        return
    for broker in found.brokers:
        host, _, port = broker.rpartition(":")
        yield from _reached(host.strip("[]"), int(port), found.tls.context() if found.tls else None)


def nats(look: Look) -> Iterator[Finding]:
    """Each server that is named. It greets in plain text, then TLS begins."""
    settings = look.settings
    found = (
        None if settings is None else NatsSettings.from_environment(settings.environment(), settings.site_id)
    )
    if found is None:
        yield skipped()
        return
    for server in found.servers:
        url = urlsplit(server)
        context = found.tls.context() if found.tls else None
        yield from _reached(url.hostname or "", url.port or 4222, context, _greeted)


def _greeted(plain: socket.socket) -> None:
    line = b""
    while not line.endswith(b"\n") and len(line) < _GREETING:  # by the byte: what follows belongs to TLS
        one = plain.recv(1)
        if not one:
            break
        line += one
    if not line.startswith(b"INFO"):
        raise OSError(f"it does not greet as a NATS server does: {line[:40]!r}")


def collector(look: Look) -> Iterator[Finding]:
    """The OpenTelemetry collector. Unless one is set, its absence is no fault."""
    settings = look.settings
    if settings is None or settings.otel_sdk_disabled:
        yield skipped()
        return
    url = urlsplit(settings.otel_exporter_otlp_endpoint)
    chosen = "otel_exporter_otlp_endpoint" in settings.model_fields_set
    context = ssl.create_default_context() if url.scheme == "https" else None
    for finding in _reached(url.hostname or "", url.port or 4317, context):
        if chosen or finding.verdict == "ok":
            yield finding if finding.verdict != "bad" else warn(finding.text, **finding.facts)
        else:
            yield skipped("default", address=finding.facts["address"])


def _reached(
    host: str,
    port: int,
    context: ssl.SSLContext | None,
    before: Callable[[socket.socket], None] | None = None,
) -> Iterator[Finding]:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        reached = reach(host, port, context, before=before)
    except OSError as error:
        yield bad("unreachable", address=address, why=why(error))
        return
    facts = {"address": address, "ms": reached.milliseconds}
    if reached.days is None:
        yield ok("plain", **facts)
    elif reached.days < _SOON:
        yield warn("ends", **facts, days=reached.days)
    else:
        yield ok("tls", **facts, days=reached.days)
