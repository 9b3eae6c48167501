"""The certificate files that settings, site file and DATA_DIR name, and when each of them ends.

`bessai doctor` judges all of them; the metrics tell only of those that are in use.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bessai.site import Site

_log = logging.getLogger(__name__)

OWN: Final = "page"
"""The name of the page's certificate that the gateway makes itself."""
_NEEDS: Final = {"MQTT": "MQTT_URL", "KAFKA": "KAFKA_BROKERS", "NATS": "NATS_URL"}
"""Without it nobody is connected to, and the files are not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFile:
    """A PEM file."""

    name: str
    """Of the setting, or where it stands in the site file."""
    path: Path
    key: Path | None = None
    """None: the file holds authorities that are trusted, not a certificate of ours."""


def in_settings(environment: Mapping[str, str], data_dir: Path) -> Iterator[CertificateFile]:
    """Those of the settings, and the page's own where the settings give none."""
    for kind in ("HTTP", "MQTT", "KAFKA", "NATS"):
        cert, key, ca = (environment.get(f"{kind}_{what}_FILE") for what in ("CERT", "KEY", "CA"))
        if cert:
            yield CertificateFile(name=f"{kind}_CERT_FILE", path=Path(cert), key=Path(key or cert))
        if ca:
            yield CertificateFile(name=f"{kind}_CA_FILE", path=Path(ca))
    own = data_dir / "tls" / "page.pem"
    if not environment.get("HTTP_CERT_FILE") and _may_be(own):
        yield CertificateFile(name=OWN, path=own, key=own.with_suffix(".key"))


def in_site(site: Site) -> Iterator[CertificateFile]:
    """Those of devices and of the grid operator's link."""
    for device in site.devices:
        where = device.endpoint
        if where.cert is not None and where.ca is not None:
            yield CertificateFile(name=f"{device.name}: cert", path=where.cert, key=where.key or where.cert)
            yield CertificateFile(name=f"{device.name}: ca", path=where.ca)
    tls = site.scada.iec104.tls if site.scada is not None and site.scada.iec104 is not None else None
    if tls is not None:
        yield CertificateFile(name="scada.iec104.tls.cert", path=Path(tls.cert), key=Path(tls.key))
        yield CertificateFile(name="scada.iec104.tls.ca", path=Path(tls.ca))


class Certificates:
    """When the certificates end that a running gateway uses.

    Args:
        environment: the settings, as the gateway hands them to its processes.
        data_dir: where the page's own certificate is.
    """

    def __init__(self, environment: Mapping[str, str], data_dir: Path) -> None:
        self._environment = environment
        self._data_dir = data_dir
        self._of_site: list[CertificateFile] | None = None
        self._read: dict[CertificateFile, tuple[tuple[int, int], float]] = {}

    def ends(self) -> dict[str, float]:
        """UTC seconds by name; a file for several is told once. What cannot be read is left out. Blocks on the disk."""
        found: dict[str, float] = {}
        told: set[tuple[Path, bool]] = set()
        for file in self._files():
            place = (file.path, file.key is None)
            if place not in told and (end := self._end(file)) is not None:
                told.add(place)
                found[file.name] = end
        return found

    def _files(self) -> Iterator[CertificateFile]:
        for file in in_settings(self._environment, self._data_dir):
            if self._in_use(file):
                yield file
        if self._of_site is None:  # read once, as the gateway does
            self._of_site = list(self._read_site())
        yield from self._of_site

    def _in_use(self, file: CertificateFile) -> bool:
        get = self._environment.get
        kind = file.name.partition("_")[0]
        if kind in _NEEDS:
            return bool(get(_NEEDS[kind]))
        if get("HTTP_PORT") == "0":
            return False
        from bessai.interfaces.api.addresses import is_loopback  # noqa: PLC0415  of the page alone

        tls = get("HTTP_TLS") or "auto"
        return tls == "on" or (tls == "auto" and not is_loopback(get("HTTP_HOST") or "127.0.0.1"))

    def _read_site(self) -> Iterator[CertificateFile]:
        text = self._environment.get("SITE_FILE")
        if not text:
            return
        try:
            if "cert" not in Path(text).read_text(encoding="utf-8", errors="replace"):
                return  # most sites: no profile need be read for this
            from bessai.site import load_site  # noqa: PLC0415  as said

            yield from in_site(load_site(text))
        except (OSError, ValueError) as error:
            _log.warning("SITE_FILE=%s: nothing is told of its certificates: %s", text, error)

    def _end(self, file: CertificateFile) -> float | None:
        """Of certificates the first to end, which breaks the chain; of authorities the last, as others may stand in."""
        try:
            state = file.path.stat()
            seen = (state.st_mtime_ns, state.st_size)
            held = self._read.get(file)
            if held is not None and held[0] == seen:
                return held[1]
            from cryptography import x509  # noqa: PLC0415  large, and for encrypted links alone

            chain = x509.load_pem_x509_certificates(file.path.read_bytes())
        except (OSError, ValueError):
            return None
        ends = [one.not_valid_after_utc.timestamp() for one in chain]
        end = max(ends) if file.key is None else min(ends)
        self._read[file] = (seen, end)
        return end


def _may_be(path: Path) -> bool:
    """False when there is no such file; True also when this user may not see it."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True
