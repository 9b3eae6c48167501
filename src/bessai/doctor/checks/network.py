"""The way out, names, and the doors of the gateway itself."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from bessai.doctor.checks.reaching import resolve, why
from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, warn
from bessai.interfaces.broker_settings import KafkaSettings, NatsSettings

PUBSUB = "pubsub.googleapis.com"


def route(look: Look) -> Iterator[Finding]:
    """The default route; a plant without a cloud may well have none."""
    ways = [
        cells[0]
        for line in (look.read("proc/net/route") or "").splitlines()[1:]
        if len(cells := line.split()) > 7 and cells[1] == cells[7] == "00000000"
    ]
    ways += [
        cells[9]
        for line in (look.read("proc/net/ipv6_route") or "").splitlines()
        if len(cells := line.split()) > 9 and cells[0] == "0" * 32 and cells[1] == "00" and cells[9] != "lo"
    ]
    if ways:
        yield ok(interfaces=", ".join(dict.fromkeys(ways)))
    elif look.settings is not None and look.settings.gcp_pubsub_topic:
        yield bad("needed")
    else:
        yield warn("none")


def names(look: Look) -> Iterator[Finding]:
    """Every host name of the settings, looked up."""
    wanted = host_names(look)
    if not wanted:
        yield skipped()
    for setting, host in wanted.items():
        started = time.perf_counter()
        try:
            found = resolve(host)
        except OSError as error:
            yield bad("unknown_name", setting=setting, host=host, why=why(error))
            continue
        yield ok(setting=setting, host=host, address=found[0], ms=(time.perf_counter() - started) * 1e3)


def host_names(look: Look) -> dict[str, str]:
    """Setting and name, without those that are addresses already."""
    settings, found = look.settings, dict[str, str]()
    if settings is None:
        return found
    if settings.gcp_pubsub_topic and not settings.pubsub_emulator_host:
        found["GCP_PUBSUB_TOPIC"] = PUBSUB
    if settings.mqtt_url:
        found["MQTT_URL"] = urlsplit(settings.mqtt_url).hostname or ""
    environment = settings.environment()
    if (kafka := KafkaSettings.from_environment(environment)) is not None:
        found |= {f"KAFKA_BROKERS ({b})": b.rpartition(":")[0].strip("[]") for b in kafka.brokers}
    if (nats := NatsSettings.from_environment(environment, settings.site_id)) is not None:
        found |= {f"NATS_URL ({n})": urlsplit(n).hostname or "" for n in nats.servers}
    if not settings.otel_sdk_disabled and "otel_exporter_otlp_endpoint" in settings.model_fields_set:
        found["OTEL_EXPORTER_OTLP_ENDPOINT"] = urlsplit(settings.otel_exporter_otlp_endpoint).hostname or ""
    for device in look.site.devices if look.site is not None else ():
        if device.endpoint.host:
            found[f"devices.{device.name}" if device.name else "INVERTER_IP"] = device.endpoint.host
    return {setting: host for setting, host in found.items() if host and not _is_address(host)}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def ports(look: Look) -> Iterator[Finding]:
    """The gateway's own ports: listened on while it runs, free while it does not."""
    settings, site = look.settings, look.site
    if settings is None:
        return
    doors = [("HTTP_PORT", settings.http_host, settings.http_port)] if settings.http_port else []
    scada = site.scada if site is not None else None
    if scada is not None and (link := scada.iec104) is not None:
        doors += [("scada.iec104.port", link.listen, link.port)] if link.port is not None else []
        doors += [("scada.iec104.tls.port", link.listen, link.tls.port)] if link.tls is not None else []
    if scada is not None and scada.dnp3 is not None:
        doors.append(("scada.dnp3.port", scada.dnp3.listen, scada.dnp3.port))
    if not doors:
        yield skipped()
    for setting, host, port in doors:
        taken = listened(look, port)
        facts = {"setting": setting, "host": host, "port": port}
        if look.trouble is not None and look.status is None:
            yield skipped("silent", **facts)
        elif look.status is None:
            if taken:
                yield bad("taken", **facts)
            elif _privileged(look, port):
                yield warn("privileged", **facts)
            else:
                yield ok("free", **facts)
        else:
            yield ok("listening", **facts) if taken else bad("shut", **facts)


def listened(look: Look, port: int) -> bool:
    """Whether anybody on this machine listens on a TCP port."""
    for table in ("proc/net/tcp", "proc/net/tcp6"):
        for line in (look.read(table) or "").splitlines()[1:]:
            cells = line.split()
            if cells[3] == "0A" and int(cells[1].rpartition(":")[2], 16) == port:
                return True
    return False


def connected(look: Look, host: str, port: int) -> bool:
    """Whether anything on this machine has a connection to an address now."""
    try:
        wanted = {_packed(address) for address in resolve(host)}
    except OSError:
        return False
    for table in ("proc/net/tcp", "proc/net/tcp6"):
        for line in (look.read(table) or "").splitlines()[1:]:
            cells = line.split()
            address, _, number = cells[2].rpartition(":")
            if cells[3] == "01" and int(number, 16) == port and _from_kernel(address) in wanted:
                return True
    return False


def _packed(address: str) -> bytes:
    one = ipaddress.ip_address(address.partition("%")[0])
    return one.packed


def _from_kernel(text: str) -> bytes:
    """The kernel writes words of 32 bits in the machine's order; IPv4 inside IPv6 is IPv4."""
    raw = bytes.fromhex(text)
    words = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
    mapped = ipaddress.IPv6Address(words).ipv4_mapped if len(words) == 16 else None
    return mapped.packed if mapped is not None else words


def _privileged(look: Look, port: int) -> bool:
    first = look.number("proc/sys/net/ipv4/ip_unprivileged_port_start")
    return port < (1024 if first is None else first)
