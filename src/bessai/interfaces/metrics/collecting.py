"""Collects the figures of one moment: asks the control plane, looks at the machine."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bessai.interfaces.certificates import Certificates
from bessai.interfaces.metrics import kernel
from bessai.interfaces.metrics.figures import Exemplar, Figures, PageFigures
from bessai.journal import JournalError, JournalReader

_TIMEOUT = 1.0
_MOST_DEVICES = 2000
"""Devices that are told one by one."""


def ask(path: Path | None, message: Mapping[str, Any], timeout: float = _TIMEOUT) -> dict[str, Any] | None:
    """What the control plane answers; None when it is silent, refuses, or has no socket."""
    if path is None:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(json.dumps(message).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline())
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) and answer.get("ok") else None


def collect(
    path: Path | None,
    data_dir: Path,
    sinks: Sequence[Mapping[str, Any]] | None = None,
    certificates: Certificates | None = None,
) -> Figures:
    """Everything that the service plane can know. Takes a few milliseconds; blocks.

    Args:
        path: the control plane's socket; None: there is none.
        data_dir: journal and state.
        sinks: of this process, as plain data; None: what the control plane was told of them.
        certificates: that are in use.
    """
    said = ask(path, {"op": "figures"})
    control = None if said is None else said["figures"]
    devices: list[dict[str, Any]] = []
    if control is not None:
        for message in device_pages(control):
            page = ask(path, message)
            devices += page["devices"] if page is not None else []
    return assembled(control, devices, data_dir, sinks=sinks, certificates=certificates)


def device_pages(control: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The questions for all devices."""
    total = min(int(control["devices"]["total"]), _MOST_DEVICES)
    for first in range(0, total, 50):
        yield {"op": "device_figures", "from": first, "count": 50}


def assembled(
    control: Mapping[str, Any] | None,
    devices: Sequence[Mapping[str, Any]],
    data_dir: Path,
    *,
    sinks: Sequence[Mapping[str, Any]] | None = None,
    pids: Mapping[str, int | None] | None = None,
    page: PageFigures | None = None,
    certificates: Certificates | None = None,
) -> Figures:
    """The figures, with what the machine and the journal tell. Blocks on the disk."""
    told = sinks if sinks is not None else (control or {}).get("sinks")
    known = [
        dict(sink)
        for sink in (told if isinstance(told, Sequence) else ())
        if isinstance(sink, Mapping) and {"name", "state"} <= sink.keys()
    ]
    _add_ages(known, data_dir)
    return Figures(
        control=control,
        devices=devices,
        sinks=known,
        exemplars=_exemplars(known),
        processes=kernel.processes({**((control or {}).get("pids") or {}), **(pids or {})}),
        disk=kernel.disk(data_dir),
        clock=kernel.clock(),
        certificates={} if certificates is None else certificates.ends(),
        page=page,
    )


def made_ns(reader: JournalReader, after: int) -> int | None:
    """UTC nanoseconds of the first record behind a sequence; None: there is none."""
    for block in reader.blocks(after, 1):
        return int(block.wall_ns[max(0, after + 1 - block.first_sequence)])
    return None


def _add_ages(sinks: Sequence[dict[str, Any]], data_dir: Path) -> None:
    """The age of the oldest record that waits, as the journal has it: 0 when none waits."""
    waiting = [sink for sink in sinks if sink["state"] != "off" and isinstance(sink.get("backlog"), int)]
    for sink in waiting:
        if not sink["backlog"]:
            sink["oldest_age"] = 0.0
    waiting = [sink for sink in waiting if sink["backlog"]]
    if not waiting:
        return
    reader = JournalReader(data_dir)
    try:
        for sink in waiting:
            made = made_ns(reader, int(sink.get("cursor") or 0))
            sink["oldest_age"] = None if made is None else max(0.0, (time.time_ns() - made) / 1e9)
    except JournalError:
        return
    finally:
        reader.close()


def _exemplars(sinks: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, Exemplar]]:
    """What the sink `otel` has traced lately, by metric and class."""
    for sink in sinks:
        details = sink.get("details")
        if sink["name"] == "otel" and isinstance(details, Mapping):
            told = details.get("exemplars") or {}
            return {
                name: {int(place): Exemplar(**one) for place, one in by_class.items()}
                for name, by_class in told.items()
            }
    return {}
