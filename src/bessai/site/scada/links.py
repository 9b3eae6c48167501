"""How the outstations talk: from what the site file says to what they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bessai.site.scada.link_schema import Dnp3Entry, Iec104Entry, TlsEntry
from bessai.site.scada.points import Dnp3, Iec104, LinkLoss, Tls


def iec104_link(entry: Iec104Entry | None, folder: Path) -> Iec104 | None:
    """How the IEC 60870-5-104 station talks; files of TLS are relative to the folder."""
    if entry is None:
        return None
    return Iec104(**{**_given(entry), "command": tuple(entry.command), "tls": _tls(entry.tls, folder)})


def dnp3_link(entry: Dnp3Entry | None) -> Dnp3 | None:
    """How the DNP3 outstation talks."""
    return None if entry is None else Dnp3(**_given(entry))


def _given(entry: Iec104Entry | Dnp3Entry) -> dict[str, Any]:
    loss = entry.link_loss
    return {
        **{name: getattr(entry, name) for name in type(entry).model_fields},
        "masters": tuple(entry.masters),
        "link_loss": LinkLoss(after=loss.after, fallback=loss.fallback, power=loss.power or 0.0),
    }


def _tls(entry: TlsEntry | None, folder: Path) -> Tls | None:
    if entry is None:
        return None
    files = {name: str(folder / getattr(entry, name)) for name in ("ca", "cert", "key")}
    return Tls(port=entry.port, **files)
