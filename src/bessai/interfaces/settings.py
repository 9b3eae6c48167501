"""What the service plane is told by its environment. The gateway that starts it has validated the values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bessai.history.levels import Keep
from bessai.interfaces.broker_settings import KafkaSettings, NatsSettings
from bessai.interfaces.mqtt.settings import MqttSettings
from bessai.interfaces.parquet_settings import ParquetSettings
from bessai.interfaces.tracing import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class PubSubSettings:
    """Where to publish, and how much."""

    project: str
    topic: str
    emulator_host: str | None = None
    compression: Literal["none", "gzip"] = "gzip"
    records_per_second: float | None = None
    """None: as fast as the service takes them."""
    bytes_per_second: float | None = None
    """Before compression. None: as fast as the service takes them."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> PubSubSettings | None:
        """The settings; None when there is no topic to publish to.

        Raises:
            ValueError: a value cannot be used; the message names the variable, the value and the mend.
        """
        get = environment.get
        project, topic = get("GCP_PROJECT_ID"), get("GCP_PUBSUB_TOPIC")
        if not project or not topic:
            return None
        for name, value in (("GCP_PROJECT_ID", project), ("GCP_PUBSUB_TOPIC", topic)):
            if re.search(r"[\s/]", value):
                raise ValueError(
                    f"{name}={value}: give the short name alone, such as bessai, not projects/…/topics/bessai"
                    if name == "GCP_PUBSUB_TOPIC"
                    else f"{name}={value}: give the project's id alone, without spaces and slashes"
                )
        emulator = get("PUBSUB_EMULATOR_HOST") or None
        if emulator and re.search(r"[\s/]", emulator):
            raise ValueError(f"PUBSUB_EMULATOR_HOST={emulator}: give host:port, without http://")
        compression = get("PUBSUB_COMPRESSION") or "gzip"
        if compression not in {"none", "gzip"}:
            raise ValueError(f"PUBSUB_COMPRESSION={compression}: set it to gzip or none")
        return cls(
            project=project,
            topic=topic,
            emulator_host=emulator,
            compression="gzip" if compression == "gzip" else "none",
            records_per_second=rate(environment, "PUBSUB_MAX_RECORDS_PER_SECOND"),
            bytes_per_second=rate(environment, "PUBSUB_MAX_BYTES_PER_SECOND"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Settings of the service plane; the names of the variables stand in `from_environment`."""

    site: str
    data_dir: Path
    pubsub: PubSubSettings | None = None
    """None: nothing is published to Pub/Sub."""
    otlp_endpoint: str | None
    """None turns telemetry off."""
    service_name: str
    sampler: Sampler = field(default_factory=Sampler)
    """Which traces are kept."""
    log_level: str
    log_format: str = "auto"
    """One of `bessai.logs.FORMATS`."""
    publish: Sequence[str] | None = None
    """None: every point. Else the devices whose points are published besides the plant's own."""
    report: str | None = None
    """Report rules as JSON, see `bessai.site.ReportFile`; None: every point in every record."""
    batch: bool = False
    """True to publish `bessai.batch/1` instead of a message a record."""
    publish_every: float = 0.2
    """Seconds between looks for new records: a batch holds what came meanwhile."""
    socket: Path | None
    """Where the control plane listens for the status and for requests."""
    schedule: Path | None = None
    """A schedule file, when there is one."""
    site_file: Path | None = None
    """The site file, when there is one: the operator's link is in it."""
    mqtt: MqttSettings | None = None
    kafka: KafkaSettings | None = None
    nats: NatsSettings | None = None
    parquet: ParquetSettings | None = None
    history: Keep | None = None
    """None: no history is kept."""
    grid: Path | None = None
    """The grid file, when there is one: then performance is recorded."""
    notify: Path | None = None
    """The notification file, when there is one."""
    page: str | None = None
    """Where people reach the page's alarm list; None: nowhere that is known."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ServiceSettings:
        """Read the settings. A variable that is empty counts as not set, except where empty means off.

        Raises:
            ValueError: `SITE_ID` is missing, or a value cannot be used.
        """
        get = environment.get
        site = get("SITE_ID")
        if not site:
            raise ValueError("SITE_ID is not set: set it to the unique id of the site")
        socket, schedule = get("BESSAI_SOCKET"), get("SCHEDULE_FILE")
        site_file, grid = get("SITE_FILE"), get("GRID_FILE")
        return cls(
            site=site,
            data_dir=Path(get("DATA_DIR") or "data"),
            pubsub=PubSubSettings.from_environment(environment),
            otlp_endpoint=get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel-collector:4317") or None,
            service_name=get("OTEL_SERVICE_NAME") or "bessai-edge-gateway",
            sampler=Sampler.from_environment(environment),
            log_level=(get("LOG_LEVEL") or "INFO").upper(),
            log_format=get("LOG_FORMAT") or "auto",
            publish=_publish(get("BESSAI_PUBLISH") or "all"),
            report=get("BESSAI_REPORT") or None,
            batch=get("PUBLISH_FORMAT") == "batch",
            publish_every=rate(environment, "PUBLISH_EVERY") or 0.2,
            socket=Path(socket) if socket else None,
            schedule=Path(schedule) if schedule else None,
            site_file=Path(site_file) if site_file else None,
            mqtt=MqttSettings.from_environment(environment),
            kafka=KafkaSettings.from_environment(environment),
            nats=NatsSettings.from_environment(environment, site),
            parquet=ParquetSettings.from_environment(environment),
            history=None if get("HISTORY_MAX_MB") == "0" else Keep.from_environment(environment),
            grid=Path(grid) if grid else None,
            notify=Path(notify) if (notify := get("NOTIFY_FILE")) else None,
            page=page_link(environment),
        )


def page_link(environment: Mapping[str, str]) -> str | None:
    """Where people reach the page's alarm list; None while `HTTP_NAME` does not say by which name."""
    get = environment.get
    name, port, tls = get("HTTP_NAME"), get("HTTP_PORT") or "8080", get("HTTP_TLS") or "auto"
    if not name or port == "0":
        return None
    host = get("HTTP_HOST") or "127.0.0.1"
    here = host.startswith("127.") or host in {"::1", "localhost"}
    scheme = "http" if tls == "off" or (tls == "auto" and here) else "https"
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}/#/alarms"


def _publish(text: str) -> Sequence[str] | None:
    kind, *devices = text.split()
    return None if kind == "all" else devices


def rate(environment: Mapping[str, str], name: str) -> float | None:
    """A limit by the second; None when it is not set.

    Raises:
        ValueError: it is no number above zero.
    """
    text = environment.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{name}={text}: set it to a number above 0, or leave it out for no limit")
    return value
