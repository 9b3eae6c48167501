"""What the service plane is told by its environment. The gateway that starts it has validated the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Settings of the service plane; the names of the variables stand in `from_environment`."""

    site: str
    data_dir: Path
    project: str | None
    topic: str | None
    emulator_host: str | None
    otlp_endpoint: str | None
    """None turns telemetry off."""
    service_name: str
    log_level: str
    publish: Sequence[str] | None = None
    """None: every point. Else the devices whose points are published besides the plant's own."""
    report: str | None = None
    """Report rules as JSON, see `bessai.site.ReportFile`; None: every point in every record."""
    batch: bool = False
    """True to publish `bessai.batch/1` instead of a message a record."""
    socket: Path | None
    """Where the control plane listens for the status and for requests."""
    schedule: Path | None = None
    """A schedule file, when there is one."""

    @property
    def publishing(self) -> bool:
        """True when there is a topic to publish to."""
        return bool(self.project and self.topic)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ServiceSettings:
        """Read the settings. A variable that is empty counts as not set, except where empty means off.

        Raises:
            ValueError: `SITE_ID` is missing.
        """
        get = environment.get
        site = get("SITE_ID")
        if not site:
            raise ValueError("SITE_ID is not set: set it to the unique id of the site")
        socket, schedule = get("BESSAI_SOCKET"), get("SCHEDULE_FILE")
        return cls(
            site=site,
            data_dir=Path(get("DATA_DIR") or "data"),
            project=get("GCP_PROJECT_ID") or None,
            topic=get("GCP_PUBSUB_TOPIC") or None,
            emulator_host=get("PUBSUB_EMULATOR_HOST") or None,
            otlp_endpoint=get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel-collector:4317") or None,
            service_name=get("OTEL_SERVICE_NAME") or "bessai-edge-gateway",
            log_level=(get("LOG_LEVEL") or "INFO").upper(),
            publish=_publish(get("BESSAI_PUBLISH") or "all"),
            report=get("BESSAI_REPORT") or None,
            batch=get("PUBLISH_FORMAT") == "batch",
            socket=Path(socket) if socket else None,
            schedule=Path(schedule) if schedule else None,
        )


def _publish(text: str) -> Sequence[str] | None:
    kind, *devices = text.split()
    return None if kind == "all" else devices
