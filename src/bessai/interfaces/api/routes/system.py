"""The gateway's own condition: cycle, journal, sinks, disk and processes."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from bessai.history import History, HistoryError
from bessai.interfaces.api.answers import Answer
from bessai.interfaces.api.archive import journal
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.roles import Role, needs
from bessai.journal.outlook import outlook

router = APIRouter(tags=["system"], dependencies=[Depends(needs(Role.VIEWER))])

_SECTOR = 512


class Disk(Answer):
    """The disk of the data directory; sizes in bytes."""

    free: int
    total: int
    written_per_day: float | None
    """All that was written to this disk since the machine started, a day; null: the disk does not tell."""
    journal_per_day: float | None
    """What the journal takes; null: not known before its first 8 MB are full."""
    wear: float | None
    """Share of the life that is used, 0 to 1, in steps of a tenth; eMMC tells it, other disks are null."""


class Process(Answer):
    """One of the gateway's processes."""

    pid: int
    rss: int | None
    """Bytes of memory; null: it cannot be read."""
    cpu: float | None
    """Share of one core since the process began."""


class Processes(Answer):
    """The planes."""

    control: Process | None
    service: Process | None
    api: Process


class Stored(Answer):
    """The history."""

    size: int
    """Bytes."""
    points: int
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
                    "heartbeat": {"manager": False, "sent": 15}, "journal": {"records": 16, "size_bytes": 4201900},
                    "history": {"size": 98304, "points": 71, "behind": 3, "problem": None},
                    "publishers": [{"name": "history", "state": "ok"}], "black_box": {"files": 0},
                    "disk": {"free": 41875931136, "total": 105089261568, "written_per_day": None,
                             "journal_per_day": None, "wear": None},
                    "process": {"control": {"pid": 13334, "rss": 71303168, "cpu": 0.012}, "service": None,
                                "api": {"pid": 13400, "rss": 81303168, "cpu": 0.01}},
                    "uptime": 17.0, "version": "0.1.0", "python": "3.12.3",
                }
            ]
        }
    )  # fmt: skip

    cycle: dict[str, Any]
    heartbeat: dict[str, Any]
    journal: dict[str, Any]
    history: Stored
    publishers: list[dict[str, Any]]
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
    service = status["service_plane"]
    directory = context.settings.data_dir
    held, disk = await context.read(lambda: (_history(directory), _disk(directory)))
    return System(
        cycle=status["cycle"],
        heartbeat=status["heartbeat"],
        journal=status["journal"],
        history=held,
        publishers=[sink for sink in service.get("sinks") or [] if isinstance(sink, dict)],
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


def _history(directory: Path) -> Stored:
    stored = History(directory)
    try:
        found = stored.stats()
        with journal(directory) as reader:
            behind = max(0, reader.last_sequence() - found.sequence)
        return Stored(size=found.size_bytes, points=found.points, behind=behind, problem=None)
    except HistoryError as error:
        return Stored(size=0, points=0, behind=0, problem=str(error))
    finally:
        stored.close()


def _disk(directory: Path) -> Disk:
    room = os.statvfs(directory)
    try:
        journal_per_day = outlook(directory).bytes_a_day
    except OSError:
        journal_per_day = None
    number = directory.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return Disk(
        free=room.f_bavail * room.f_frsize,
        total=room.f_blocks * room.f_frsize,
        written_per_day=_written_per_day(block),
        journal_per_day=journal_per_day,
        wear=_wear(block),
    )


def _written_per_day(block: Path) -> float | None:
    try:
        whole = block.resolve()
        whole = whole.parent if (whole / "partition").exists() else whole
        sectors = int((whole / "stat").read_text().split()[6])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return sectors * _SECTOR * 86_400 / uptime if uptime > 0 else None


def _wear(block: Path) -> float | None:
    """EMMC says by tenths how much of its life is used, for two kinds of memory; the worse counts."""
    try:
        whole = block.resolve()
        whole = whole.parent if (whole / "partition").exists() else whole
        tenths = [int(text, 16) for text in (whole / "device" / "life_time").read_text().split()]
    except (OSError, ValueError):
        return None
    known = [tenth for tenth in tenths if 1 <= tenth <= 11]
    return min(1.0, max(known) / 10) if known else None


def _process(pid: int) -> Process:
    rss = cpu = None
    if sys.platform == "linux":
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            rss = pages * os.sysconf("SC_PAGE_SIZE")
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks = os.sysconf("SC_CLK_TCK")
            age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / ticks
            cpu = (int(fields[11]) + int(fields[12])) / ticks / age if age > 0 else None
        except (OSError, ValueError, IndexError):
            pass
    return Process(pid=pid, rss=rss, cpu=cpu)
