"""The settings: what each is, its bounds and its default."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from bessai.core.destinations import Destinations
from bessai.model.masking import masked

_HOST_LABEL = re.compile(r"^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$")


class Settings(Destinations):
    """Every setting is one environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True)

    site_id: str = Field(description="Unique id of the site.", min_length=1, max_length=128)
    site_file: Path | None = Field(
        default=None, description="Site file (YAML) of a plant of many devices, instead of INVERTER_IP."
    )
    inverter_ip: str | None = Field(
        default=None, description="Address of the inverter: IPv4, IPv6 or a host name."
    )
    inverter_port: int = Field(default=502, ge=1, le=65535, description="Modbus TCP port.")
    inverter_unit: int | None = Field(
        default=None, ge=0, le=255, description="Modbus unit id, when it is not the profile's."
    )
    driver_profile_path: str = Field(
        default="registry/huawei_sun2000.json",
        description="Device profile: a file, or a name of the registry.",
    )
    watchdog_timeout: float = Field(
        default=5.0, gt=0, le=3600, description="Seconds between heartbeats to the device's dead-man."
    )
    cycle_time: float = Field(default=1.0, ge=0.1, le=60, description="Seconds of one control cycle.")
    realtime_priority: int = Field(
        default=0,
        ge=0,
        le=49,
        description="Real-time priority (SCHED_FIFO) of the control loop, where the machine grants it; 0: none.",
    )
    stale_after: float = Field(
        default=3.0,
        gt=0,
        le=300,
        description="Seconds after which a safety-relevant value is too old to trust.",
    )
    control_mode: Literal["control", "monitor"] = Field(
        default="control",
        description="control: the gateway owns the setpoint, zero unless asked. monitor: it never writes.",
    )
    soc_min: float = Field(default=10.0, ge=0, le=100, description="No discharge at or below this SOC, %.")
    soc_max: float = Field(default=95.0, ge=0, le=100, description="No charge at or above this SOC, %.")
    charge_power_max: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Highest charge power in kW; unset: what the device reports.",
    )
    discharge_power_max: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Highest discharge power in kW; unset: what the device reports.",
    )
    limits_file: Path | None = Field(
        default=None, description="The battery's limits (YAML); unset: those of an LFP battery."
    )
    ramp_up: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Fastest rise of the setpoint, % of rated power per minute; unset: none.",
    )
    ramp_down: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Fastest fall of the setpoint, % of rated power per minute; unset: none.",
    )
    ramp_start: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Fastest change after a start, % of rated power per minute; unset: as usual.",
    )
    ramp_recovery: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Fastest change after a hold or trip, % of rated power per minute; unset: as usual.",
    )
    min_on_time: float = Field(
        default=0.0, ge=0, le=3600, description="Seconds that power flows at least once it flows."
    )
    min_off_time: float = Field(
        default=0.0, ge=0, le=3600, description="Seconds of zero power before power flows again."
    )
    report_file: Path | None = Field(
        default=None,
        description="Which points leave the site when (YAML); unset: every point in every record.",
    )
    publish_every: float = Field(
        default=0.2,
        ge=0.05,
        le=3600,
        description="Seconds between messages: a batch holds what came meanwhile.",
    )
    grid_file: Path | None = Field(
        default=None, description="Grid-code functions of the plant (YAML); unset: none."
    )
    schedule_file: Path | None = Field(default=None, description="Schedule of power (CSV or JSON).")
    notify_file: Path | None = Field(
        default=None, description="Who hears of alarms (YAML); unset: nobody is notified."
    )
    black_box_before: float = Field(
        default=120.0, ge=10, le=3600, description="Seconds kept before an event, at full rate."
    )
    black_box_after: float = Field(default=60.0, ge=5, le=3600, description="Seconds kept after an event.")
    black_box_max_mb: int = Field(
        default=256, ge=8, description="Largest size of all black-box records in MB."
    )
    data_dir: Path = Field(default=Path("data"), description="Journal and state.")
    journal_max_mb: int = Field(default=1024, ge=16, description="Largest size of the journal in MB.")
    journal_window: float = Field(
        default=2.0,
        ge=0.1,
        le=60,
        description="Seconds of telemetry that a power cut may cost; longer spares the disk. Events never wait.",
    )
    gcp_project_id: str | None = Field(default=None, description="Google Cloud project of the topic.")
    gcp_pubsub_topic: str | None = Field(default=None, description="Pub/Sub topic, its short name.")
    google_application_credentials: Path | None = Field(
        default=None, description="Credentials file; unset: the machine's own identity."
    )
    pubsub_emulator_host: str | None = Field(
        default=None, description="host:port of a Pub/Sub emulator, for tests."
    )
    pubsub_compression: Literal["gzip", "none"] = Field(
        default="gzip", description="Compression of what is published to Pub/Sub."
    )
    pubsub_max_records_per_second: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Most records a second to Pub/Sub; unset: as fast as it takes them.",
    )
    pubsub_max_bytes_per_second: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Most bytes a second to Pub/Sub, before compression; unset: as fast as it takes them.",
    )
    http_host: str = Field(
        default="127.0.0.1",
        description="Address of the page and the API; this machine alone until they are set up.",
    )
    http_port: int = Field(default=8080, ge=0, le=65535, description="Port of the page; 0: no page.")
    http_tls: Literal["auto", "on", "off"] = Field(
        default="auto", description="auto: encrypted, unless HTTP_HOST is this machine alone."
    )
    http_cert_file: Path | None = Field(
        default=None, description="Certificate (PEM, with its chain); unset: one of the gateway's own."
    )
    http_key_file: Path | None = Field(default=None, description="Private key of HTTP_CERT_FILE (PEM).")
    http_name: str | None = Field(
        default=None, description="Name or address that people type, for the certificate and the link."
    )
    http_setup_host: str = Field(
        default="127.0.0.1",
        description="Where the page may be set up; another address than this machine's only in a container.",
    )
    otel_exporter_otlp_endpoint: str = Field(
        default="http://otel-collector:4317", description="OTLP (gRPC) endpoint of the collector."
    )
    otel_sdk_disabled: bool = Field(default=False, description="true: no traces and metrics at all.")
    otel_service_name: str = Field(
        default="bessai-edge-gateway", min_length=1, description="Service name in traces and metrics."
    )
    otel_traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = Field(
        default="parentbased_traceidratio",
        description="Which traces are kept; errors and unsafe cycles always are.",
    )
    otel_traces_sampler_arg: float = Field(
        default=0.1, ge=0, le=1, description="Share of traces that a ratio sampler keeps."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Logging level; `bessai log-level` changes it while the gateway runs."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto", description="auto: text on a terminal, else JSON, an object a line."
    )

    @field_validator("site_id")
    @classmethod
    def _site(cls, value: str) -> str:
        if not value.strip() or not value.isprintable():
            raise ValueError("give a name of printable characters")
        return value.strip()

    @field_validator("inverter_ip", "http_host", "http_name", "http_setup_host")
    @classmethod
    def _host(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.strip().removeprefix("[").removesuffix("]")
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            pass
        numeric = re.fullmatch(r"[\d.]+", value)
        if numeric or len(value) > 253 or not all(_HOST_LABEL.match(p) for p in value.rstrip(".").split(".")):
            raise ValueError("give an IPv4 or IPv6 address or a host name, without port or scheme")
        return value

    @field_validator("http_cert_file", "http_key_file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        try:
            text = value.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from None
        if "-----BEGIN" not in text:
            raise ValueError("is no PEM file: it has no line -----BEGIN …")
        return value.absolute()

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("give a URL such as http://otel-collector:4317")
        return value

    @field_validator("google_application_credentials")
    @classmethod
    def _credentials(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        try:
            document = json.loads(value.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from None
        except ValueError:
            raise ValueError("is not a JSON credentials file") from None
        if not isinstance(document, dict) or "type" not in document:
            raise ValueError("is not a credentials file: it has no `type`")
        return value

    def masked(self) -> dict[str, Any]:
        """All settings for printing, by variable name, destinations last; passwords inside addresses are hidden."""
        values = self.model_dump(mode="json")
        order = sorted(values, key=lambda name: name in Destinations.model_fields)
        return {name.upper(): masked(name, values[name], "***") for name in order}

    def environment(self) -> dict[str, str]:
        """All set values as environment variables, to hand to the service plane."""
        values = {
            name.upper(): str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in self.model_dump(mode="json").items()
            if value is not None
        }
        if self.otel_sdk_disabled:
            values["OTEL_EXPORTER_OTLP_ENDPOINT"] = ""
        return values
