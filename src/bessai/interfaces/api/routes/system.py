"""The gateway's own condition: cycle, journal, history, sinks, disk and processes."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from bessai.history import History, HistoryError
from bessai.history.levels import LEVELS, SECOND
from bessai.interfaces.api.answers import Answer, time_text
from bessai.interfaces.api.archive import journal
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.machine import disk_of, process_of
from bessai.interfaces.api.publishers import Publisher, publisher, sinks_of
from bessai.interfaces.api.roles import Role, needs
from bessai.journal import JournalReader
from bessai.journal.outlook import outlook

router = APIRouter(tags=["system"], dependencies=[Depends(needs(Role.VIEWER))])

_DAY = 86_400
_LEAST = 600.0
"""Seconds of writing from which on a rate a day is told: less is no day's rate."""


class Disk(Answer):
    """The disk of the data directory; sizes in bytes. Null: the disk, or the kernel, does not tell."""

    free: int
    total: int
    device: str | None
    """The kernel's name of it; null: none of its own, as in a container's layers."""
    written_per_day: float | None
    """All that was written to this disk since the machine started, a day."""
    journal_per_day: float | None
    """What the journal takes; null: not known before its first 8 MB are full."""
    wear: float | None
    """Share of the life that is used, 0 to 1, in steps of a tenth; eMMC tells it, other disks are null."""
    end_of_life: str | None
    """What eMMC says of its reserved blocks: `normal`, `warning` or `urgent`; other disks are null."""


class Process(Answer):
    """One of the gateway's processes. Null: it cannot be read."""

    pid: int
    rss: int | None
    """Bytes of memory."""
    cpu: float | None
    """Share of one core since the process began."""
    written: int | None
    """Bytes that it caused to be written to disks since it began, as the kernel counts them."""


class Processes(Answer):
    """The planes."""

    control: Process | None
    service: Process | None
    api: Process


class Times(Answer):
    """Seconds."""

    p50: float
    p99: float
    max: float


class Recent(Answer):
    """The cycles of the last ten minutes, or fewer where a cycle is short."""

    cycles: int
    seconds: float
    """How long they took together."""
    late: Times | None
    """By how much they began late; null: there was no cycle yet."""
    duration: Times | None
    edges: list[float]
    """Seconds of lateness between the classes of the histogram."""
    counts: list[int]
    """Cycles by class: not beyond the first edge, then between two edges, at last beyond all."""


class Sync(Times):
    """How long the journal waited for the disk to say that its records are durable."""

    count: int
    """Syncs that this was measured on, the newest ones."""


class Written(Answer):
    """What the journal handed to the file system since the gateway started."""

    size: int
    """Bytes; the disk writes whole blocks, and so more."""
    seconds: float
    """Since then."""
    per_day: float | None
    """Null in the first ten minutes."""


class Journal(Answer):
    """What the journal holds and what it costs the disk."""

    oldest: str | None
    """Time of its oldest record; null: it is empty."""
    newest: str | None
    written: Written
    sync: Sync | None
    """Null: before the first."""


class Level(Answer):
    """One resolution of the history."""

    label: str
    step: float
    """Seconds of a value."""
    size: int
    """Bytes of what is packed; the newest values are in `fresh`."""
    oldest: str | None
    """Null: nothing is packed yet."""


class Stored(Answer):
    """The history."""

    size: int
    """Bytes."""
    points: int
    fresh: int
    """Bytes that are in no level yet."""
    levels: list[Level]
    behind: int
    """Records of the journal that it does not have yet."""
    problem: str | None


class System(Answer):
    """How the gateway itself is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "cycle": {"cycles": 17, "missed": 0, "late_p99": 0.0012},
                    "recent": {"cycles": 17, "seconds": 17.0, "late": {"p50": 0.0004, "p99": 0.0012, "max": 0.0013},
                               "duration": {"p50": 0.006, "p99": 0.012, "max": 0.02}, "edges": [0.0005, 0.001, 0.002],
                               "counts": [10, 5, 2, 0]},
                    "heartbeat": {"manager": False, "sent": 15}, "journal": {"records": 16, "size_bytes": 4201900},
                    "storage": {"oldest": "2026-11-29T06:41:39.402Z", "newest": "2026-11-29T06:41:56.402Z",
                                "written": {"size": 73728, "seconds": 17.0, "per_day": None},
                                "sync": {"p50": 0.004, "p99": 0.02, "max": 0.02, "count": 9}},
                    "history": {"size": 98304, "points": 71, "fresh": 512, "behind": 3, "problem": None,
                                "levels": [{"label": "10 s", "step": 10.0, "size": 0, "oldest": None}]},
                    "publishers": [{"name": "mqtt", "state": "ok"}],
                    "waiting": [{"name": "mqtt", "state": "ok", "connected": True, "backlog": 1,
                                 "oldest_waiting": 1.2, "delivered": "2026-11-29T06:41:55.402Z", "failed": None,
                                 "error": None}],
                    "black_box": {"files": 0},
                    "disk": {"free": 41875931136, "total": 105089261568, "device": "mmcblk0",
                             "written_per_day": 734003200.0, "journal_per_day": None, "wear": 0.1,
                             "end_of_life": "normal"},
                    "process": {"control": {"pid": 13334, "rss": 71303168, "cpu": 0.012, "written": 4300000},
                                "service": None, "api": {"pid": 13400, "rss": 81303168, "cpu": 0.01, "written": 4096}},
                    "uptime": 17.0, "version": "0.1.0", "python": "3.12.3",
                }
            ]
        }
    )  # fmt: skip

    cycle: dict[str, Any]
    recent: Recent
    heartbeat: dict[str, Any]
    journal: dict[str, Any]
    storage: Journal
    history: Stored
    publishers: list[dict[str, Any]]
    waiting: list[Publisher]
    """Of the publishers that are on."""
    black_box: dict[str, Any]
    disk: Disk
    process: Processes
    uptime: float
    """Seconds."""
    version: str
    python: str


@router.get("/system")
async def system(context: Annotated[Context, Depends(of)]) -> System:
    """Cycle times, journal, history, publishers, disk and processes."""
    status = await context.gateway.status()
    measured = (await context.gateway.ask({"op": "measures"}))["measures"]
    service = status["service_plane"]
    sinks = sinks_of(status)
    directory = context.settings.data_dir

    def look() -> tuple[Journal, Stored, list[Publisher], Disk]:
        with journal(directory) as reader:
            return (
                _storage(reader, measured["journal"]),
                _history(directory, reader.last_sequence()),
                [publisher(sink, reader) for sink in sinks if sink["state"] != "off"],
                _disk(directory),
            )

    storage, held, waiting, disk = await context.read(look)
    return System(
        cycle=status["cycle"],
        recent=Recent(**measured["cycle"]),
        heartbeat=status["heartbeat"],
        journal=status["journal"],
        storage=storage,
        history=held,
        publishers=sinks,
        waiting=waiting,
        black_box=status["black_box"],
        disk=disk,
        process=Processes(
            control=_process(status["pid"]),
            service=_process(service["pid"]) if service.get("pid") else None,
            api=_process(os.getpid()),
        ),
        uptime=status["uptime"],
        version=status["version"],
        python=platform.python_version(),
    )


def _storage(reader: JournalReader, measured: Mapping[str, Any]) -> Journal:
    held = reader.stats()
    size, seconds = measured["written_bytes"], measured["written_seconds"]
    return Journal(
        oldest=time_text(held.first_wall_ns) if held.records else None,
        newest=time_text(held.last_wall_ns) if held.records else None,
        written=Written(
            size=size, seconds=seconds, per_day=size * _DAY / seconds if seconds >= _LEAST else None
        ),
        sync=None if measured["sync"] is None else Sync(**measured["sync"]),
    )


def _history(directory: Path, newest: int) -> Stored:
    stored = History(directory)
    try:
        found = stored.stats()
    except HistoryError as error:
        return Stored(size=0, points=0, fresh=0, levels=[], behind=0, problem=str(error))
    finally:
        stored.close()
    steps = {level.label: level.step / SECOND for level in LEVELS}
    return Stored(
        size=found.size_bytes,
        points=found.points,
        fresh=found.fresh_bytes,
        levels=[
            Level(
                label=level.label,
                step=steps[level.label],
                size=level.size_bytes,
                oldest=None if level.first_ns is None else time_text(level.first_ns),
            )
            for level in found.levels
        ],
        behind=max(0, newest - found.sequence),
        problem=None,
    )


def _disk(directory: Path) -> Disk:
    try:
        journal_per_day = outlook(directory).bytes_a_day
    except OSError:
        journal_per_day = None
    return Disk(journal_per_day=journal_per_day, **asdict(disk_of(directory)))


def _process(pid: int) -> Process:
    return Process(**asdict(process_of(pid)))
