"""Where the page is served, as the gateway that starts it says in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bessai.interfaces.tracing import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Validated by the gateway before."""

    site: str
    data_dir: Path
    socket: Path
    """Of the control plane."""
    host: str = "127.0.0.1"
    """HTTP_HOST. It counts once somebody has set the page up."""
    setup_host: str = "127.0.0.1"
    """HTTP_SETUP_HOST: until then it is served there only."""
    port: int = 8080
    """HTTP_PORT; 0 takes a free one."""
    tls: Literal["auto", "on", "off"] = "auto"
    """HTTP_TLS. auto: encrypted unless the address is a loopback one."""
    cert_file: Path | None = None
    """HTTP_CERT_FILE. None: a certificate of our own, DATA_DIR/tls."""
    key_file: Path | None = None
    """HTTP_KEY_FILE."""
    name: str | None = None
    """HTTP_NAME: the name or address that people type, for the certificate and the link."""
    log_level: str = "INFO"
    log_format: str = "auto"
    """One of `bessai.logs.FORMATS`."""
    otlp_endpoint: str | None = None
    """OTEL_EXPORTER_OTLP_ENDPOINT; None: no telemetry."""
    service_name: str = "bessai-edge-gateway"
    """OTEL_SERVICE_NAME."""
    sampler: Sampler = field(default_factory=Sampler)
    """OTEL_TRACES_SAMPLER and its argument."""

    @property
    def own_certificate(self) -> bool:
        """True: the gateway makes the page's certificate itself, as the site has given none."""
        return self.cert_file is None or self.key_file is None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ApiSettings:
        """The settings.

        Raises:
            ValueError: a value cannot be used; it names the variable, the value and the mend.
        """
        get = environment.get
        tls = get("HTTP_TLS") or "auto"
        if tls not in {"auto", "on", "off"}:
            raise ValueError(f"HTTP_TLS={tls}: set it to auto, on or off")
        socket = get("BESSAI_SOCKET")
        if not socket:
            raise ValueError("BESSAI_SOCKET is unset: the gateway starts this process")
        certificate, key = get("HTTP_CERT_FILE"), get("HTTP_KEY_FILE")
        return cls(
            site=get("SITE_ID") or "",
            data_dir=Path(get("DATA_DIR") or "data"),
            socket=Path(socket),
            host=get("HTTP_HOST") or "127.0.0.1",
            setup_host=get("HTTP_SETUP_HOST") or "127.0.0.1",
            port=int(get("HTTP_PORT") or 8080),
            tls="on" if tls == "on" else "off" if tls == "off" else "auto",
            cert_file=Path(certificate) if certificate else None,
            key_file=Path(key) if key else None,
            name=get("HTTP_NAME") or None,
            log_level=get("LOG_LEVEL") or "INFO",
            log_format=get("LOG_FORMAT") or "auto",
            otlp_endpoint=get("OTEL_EXPORTER_OTLP_ENDPOINT") or None,
            service_name=get("OTEL_SERVICE_NAME") or "bessai-edge-gateway",
            sampler=Sampler.from_environment(environment),
        )
