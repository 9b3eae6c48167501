"""The disk of DATA_DIR: room, kind, options, wear, and how long it takes to be sure of a write."""

from __future__ import annotations

import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, unknown, warn
from bessai.interfaces.api.audit import FILE_BYTES, FILES
from bessai.interfaces.api.machine import DiskState, disk_of

_LEAST_FREE = 0.05
_LEAST_INODES = 0.05
_LOCAL = frozenset({"ext4", "xfs", "btrfs", "f2fs", "zfs", "ext3", "bcachefs", "ubifs"})
_GONE = frozenset({"tmpfs", "ramfs", "rootfs", "overlay", "aufs"})
"""What they hold is gone with the machine's power, or with the container."""
_PLAIN = frozenset({"vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk"})
"""No owners and no order of writes that survives a power cut."""
_FAR = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "glusterfs", "fuse.sshfs", "fuse.gcsfuse"}
)
_SLOW, _STUCK = 0.1, 1.0
"""Seconds of a sync: journal and trips wait for it, the control cycle never does."""
_TRIES = 5
_WORN, _WORN_OUT = 0.8, 0.95


@dataclass(frozen=True, slots=True)
class Mount:
    """What a directory is mounted from."""

    point: str
    kind: str
    options: frozenset[str]


def mount_of(table: str, directory: Path) -> Mount | None:
    """The line of `/proc/self/mountinfo` that a directory stands under; a later one hides an earlier one."""
    best: Mount | None = None
    path = os.path.realpath(directory)
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        cells, more = left.split(), right.split()
        if len(cells) < 6 or len(more) < 3:
            continue
        point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), cells[4])
        under = point in {"/", path} or path.startswith(f"{point}/")
        if under and (best is None or len(point) >= len(best.point)):
            best = Mount(point, more[0], frozenset(cells[5].split(",") + more[2].split(",")))
    return best


def space(look: Look) -> Iterator[Finding]:
    """What is free, against what journal, history, black box and audit log may still grow to."""
    disk = _disk(look)
    if disk is None:
        yield skipped("no_directory", directory=str(look.data_dir))
        return
    held = _size(look.data_dir)
    caps = _caps(look)
    growth = max(0, caps - held)
    facts = {
        "free_mb": disk.free / 1e6, "total_mb": disk.total / 1e6, "held_mb": held / 1e6, "caps_mb": caps / 1e6,
        "growth_mb": growth / 1e6,
    }  # fmt: skip
    if disk.free < max(_LEAST_FREE * disk.total, 64e6):
        yield bad("full", **facts)
    elif disk.free < growth:
        yield warn("short", **facts)
    else:
        yield ok(**facts)
    settings = look.settings
    if settings is not None and settings.parquet_dir is not None and settings.parquet_keep_days is None:
        yield warn("parquet", directory=str(settings.parquet_dir))


def _caps(look: Look) -> int:
    settings = look.settings
    if settings is None:
        return FILE_BYTES * FILES
    megabytes = settings.journal_max_mb + settings.history_max_mb + settings.black_box_max_mb
    return (megabytes << 20) + FILE_BYTES * FILES


def _size(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += (Path(folder) / name).lstat().st_blocks * 512
    return total


def inodes(look: Look) -> Iterator[Finding]:
    """A disk may be full of names before it is full of bytes."""
    try:
        told = os.statvfs(look.data_dir)
    except OSError:
        yield skipped("no_directory", directory=str(look.data_dir))
        return
    if not told.f_files:
        yield skipped()
        return
    facts = {"free": told.f_favail, "total": told.f_files, "percent": 100 * told.f_favail / told.f_files}
    yield ok(**facts) if told.f_favail > _LEAST_INODES * told.f_files else bad("few", **facts)


def file_system(look: Look) -> Iterator[Finding]:
    """Whether it keeps what it was told to keep, and how it is mounted."""
    found = mount_of(look.read("proc/self/mountinfo") or "", _existing(look.data_dir))
    if found is None:
        yield unknown()
        return
    facts = {"kind": found.kind, "point": found.point}
    if "ro" in found.options:
        yield bad("read_only", **facts)
    if found.kind in _GONE:
        yield bad("gone", **facts)
    elif found.kind in _PLAIN:
        yield bad("plain", **facts)
    elif found.kind in _FAR or found.kind.startswith("fuse."):
        yield bad("far", **facts)
    elif found.kind not in _LOCAL:
        yield warn("strange", **facts)
    else:
        yield ok(**facts)
    for option in sorted({"nobarrier", "barrier=0", "data=writeback"} & found.options):
        yield bad("unsafe", **facts, option=option)
    for option in sorted({"sync", "strictatime"} & found.options):
        yield warn("wearing", **facts, option=option)


def _existing(directory: Path) -> Path:
    """The directory, or the nearest one above it that is there."""
    directory = directory.absolute()
    while not os.access(directory, os.F_OK) and directory != directory.parent:
        directory = directory.parent
    return directory


def wear(look: Look) -> Iterator[Finding]:
    """How much of a flash disk's life is used, by its own word: eMMC in /sys, others by smartctl."""
    disk = _disk(look)
    if disk is None or disk.device is None:
        yield skipped()
        return
    facts: dict[str, Any] = {"device": disk.device, "written_gb": (disk.written_per_day or 0.0) / 1e9}
    if disk.wear is not None:
        yield from _judged(
            disk.wear, {**facts, "source": "eMMC"}, late=disk.end_of_life in {"warning", "urgent"}
        )
        return
    yield from smart(look, disk.device, facts)


def smart(look: Look, device: str, facts: dict[str, Any]) -> Iterator[Finding]:
    """By smartctl, which needs root and is not on every machine."""
    if look.read(f"sys/block/{device}/device/type") == "SD":
        yield warn("card", **facts)
        return
    if device.startswith(("vd", "xvd", "loop", "zram", "dm-", "md")):
        yield skipped("virtual", **facts)
        return
    text = look.run(["smartctl", "-j", "-a", f"/dev/{device}"])
    if text is None:
        yield unknown("no_smartctl", **facts)
        return
    try:
        told = json.loads(text)
    except ValueError:
        told = {}
    health = told.get("smart_status", {}).get("passed") if isinstance(told, dict) else None
    if health is None:
        yield unknown("not_told", **facts)
        return
    used = _used(told)
    if health is False:
        yield bad("failing", **facts, percent=100 * (used or 0.0))
    elif used is None:
        yield ok("healthy", **facts)
    else:
        yield from _judged(used, {**facts, "source": "SMART"})


def _used(told: dict[str, Any]) -> float | None:
    """Share of the life: NVMe counts up in per cent, SATA disks count a normalised value down from 100."""
    nvme = told.get("nvme_smart_health_information_log")
    if isinstance(nvme, dict) and "percentage_used" in nvme:
        return float(nvme["percentage_used"]) / 100
    rows = told.get("ata_smart_attributes", {}).get("table", [])
    left = [float(row["value"]) for row in rows if row.get("id") in {177, 202, 231, 233} and "value" in row]
    return max(0.0, 1 - min(left) / 100) if left else None


def _judged(used: float, facts: dict[str, Any], *, late: bool = False) -> Iterator[Finding]:
    facts["percent"] = 100 * used
    if used >= _WORN_OUT:
        yield bad("worn_out", **facts)
    elif used >= _WORN or late:
        yield warn("worn", **facts)
    else:
        yield ok(**facts)


def sync(look: Look) -> Iterator[Finding]:
    """Writes 4 KiB a few times and waits for the disk each time; the file has no name and is gone afterwards."""
    try:
        times = sync_times(look.data_dir)
    except OSError as error:
        yield skipped(directory=str(look.data_dir), error=error.strerror or str(error))
        return
    facts = {"median_ms": statistics.median(times) * 1e3, "worst_ms": max(times) * 1e3, "tries": len(times)}
    if statistics.median(times) > _STUCK:
        yield bad("stuck", **facts)
    elif statistics.median(times) > _SLOW:
        yield warn("slow", **facts)
    else:
        yield ok(**facts)


def sync_times(directory: Path, tries: int = _TRIES) -> list[float]:
    """Seconds of each write and sync. Raises OSError when the directory cannot be written."""
    with tempfile.TemporaryFile(dir=directory) as file:
        times = []
        for _ in range(tries):
            before = time.perf_counter()
            os.pwrite(file.fileno(), os.urandom(4096), file.tell())
            os.fsync(file.fileno())
            times.append(time.perf_counter() - before)
            file.seek(4096, os.SEEK_CUR)
    return times


def _disk(look: Look) -> DiskState | None:
    try:
        return disk_of(look.data_dir)
    except OSError:
        return None
