"""How much room records take, and for how long it lasts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bessai.journal.disk import Disk, RealDisk
from bessai.journal.segment import COLD, firsts, name_of, read_summary

_NEWEST = 8
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Measured on the newest full segments; None while there are none."""

    bytes_a_record: float | None = None
    bytes_a_day: float | None = None


def outlook(directory: Path, *, disk: Disk | None = None) -> Outlook:
    """What the journal of a data directory takes at its present rate. Raises OSError."""
    disk = disk or RealDisk()
    path = directory / "journal"
    sealed = []
    for first in reversed(firsts(disk.names(path), COLD)):
        try:
            file = disk.open(path / name_of(COLD, first))
        except FileNotFoundError:  # dropped meanwhile
            continue
        try:
            summary = read_summary(file, first)
        finally:
            file.close()
        if summary.sealed:
            sealed.append(summary)
        if len(sealed) == _NEWEST:
            break
    records = sum(summary.records for summary in sealed)
    if not records:
        return Outlook()
    size = sum(summary.size for summary in sealed)
    span = max(s.wall_max for s in sealed) - min(s.wall_min for s in sealed)
    return Outlook(bytes_a_record=size / records, bytes_a_day=size * _DAY_NS / span if span > 0 else None)
