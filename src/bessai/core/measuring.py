"""What is measured all the time, and summed up only when somebody asks.

{"op": "measures"}
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bessai.core.cycle_stats import CycleStats
from bessai.journal import Journal

RECENT = 600.0
"""Seconds of cycles that are summed up."""


def measures(cycle: CycleStats, journal: Journal, period: float) -> dict[str, Any]:
    """Plain data: the latest cycles, and what the journal does to the disk. Times in seconds, sizes in bytes."""
    written, seconds = journal.written
    syncs = journal.sync_times
    return {
        "cycle": cycle.recent(period, RECENT),
        "journal": {
            "written_bytes": written,
            "written_seconds": round(seconds, 1),
            "sync": None if syncs is None else asdict(syncs),
        },
    }
