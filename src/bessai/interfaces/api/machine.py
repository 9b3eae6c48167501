"""What the kernel tells of the disk and the processes. What it does not tell is None, never a guess."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_SECTOR = 512
_DAY = 86_400
_END = {1: "normal", 2: "warning", 3: "urgent"}
"""Words of the eMMC standard for its reserved blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskState:
    """The disk of a directory; sizes in bytes."""

    free: int
    total: int
    device: str | None = None
    """The kernel's name of it; None: the directory is on no disk of its own, as in a container's layers."""
    written_per_day: float | None = None
    """All that was written to it since the machine started, a day."""
    wear: float | None = None
    """Share of the life that is used, 0 to 1, in steps of a tenth; only eMMC tells it in /sys."""
    end_of_life: str | None = None
    """`normal`, `warning` (80 % of the reserved blocks are used) or `urgent`; only eMMC tells it."""


def disk_of(directory: Path) -> DiskState:
    """Look at the disk of a directory. Raises OSError when there is no such directory."""
    room = os.statvfs(directory)
    number = directory.stat().st_dev
    whole = whole_disk(Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"))
    return DiskState(
        free=room.f_bavail * room.f_frsize,
        total=room.f_blocks * room.f_frsize,
        device=None if whole is None else whole.name,
        written_per_day=None if whole is None else written_per_day(whole),
        wear=None if whole is None else wear(whole),
        end_of_life=None if whole is None else end_of_life(whole),
    )


def whole_disk(block: Path) -> Path | None:
    """The directory in /sys of the disk that a partition, or a mapping onto a single disk, is on."""
    try:
        found = block.resolve(strict=True)
        for _ in range(8):  # encrypted, and in a volume, and in a partition
            below = sorted((found / "slaves").iterdir()) if (found / "slaves").is_dir() else []
            if len(below) != 1:
                break
            found = below[0].resolve(strict=True)
    except OSError:
        return None
    return found.parent if (found / "partition").exists() else found


def written_per_day(whole: Path) -> float | None:
    """Bytes, from what was written since the machine started."""
    try:
        sectors = int((whole / "stat").read_text().split()[6])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return sectors * _SECTOR * _DAY / uptime if uptime > 0 else None


def wear(whole: Path) -> float | None:
    """EMMC says by tenths how much of its life is used, for two kinds of memory; the worse counts."""
    try:
        tenths = [int(text, 16) for text in (whole / "device" / "life_time").read_text().split()]
    except (OSError, ValueError):
        return None
    known = [tenth for tenth in tenths if 1 <= tenth <= 11]
    return min(1.0, max(known) / 10) if known else None


def end_of_life(whole: Path) -> str | None:
    """What eMMC says of its reserved blocks."""
    try:
        return _END.get(int((whole / "device" / "pre_eol_info").read_text(), 16))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """One process."""

    pid: int
    rss: int | None = None
    """Bytes of memory."""
    cpu: float | None = None
    """Share of one core since it began."""
    written: int | None = None
    """Bytes that it caused to be written to disks since it began, as the kernel counts them."""


def process_of(pid: int) -> ProcessState:
    """Look at a process of this user."""
    if sys.platform != "linux":
        return ProcessState(pid=pid)
    rss = cpu = None
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        rss = pages * os.sysconf("SC_PAGE_SIZE")
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / ticks
        cpu = (int(fields[11]) + int(fields[12])) / ticks / age if age > 0 else None
    except (OSError, ValueError, IndexError):
        pass
    return ProcessState(pid=pid, rss=rss, cpu=cpu, written=_written(pid))


def _written(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
        counted = dict(line.split(": ", 1) for line in lines)
        return max(0, int(counted["write_bytes"]) - int(counted["cancelled_write_bytes"]))
    except (OSError, ValueError, KeyError):
        return None
