"""What is counted of the control cycle."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessai.model import CycleRecord, Severity
from bessai.model.record import DURATION_EDGES, LATENESS_EDGES

KEPT = 6000
"""Cycles whose lateness and duration are kept."""

PHASES = ("read", "decide", "guard", "write", "record")
"""Of a cycle, one after the other."""

_LISTED = frozenset({"late", "durations", "lateness", "duration", "phases", "events"})
"""What the status leaves out."""


@dataclass(slots=True)
class Classes:
    """How many values were how large, since the start. Cheap: two additions a value."""

    edges: tuple[float, ...]
    counts: list[int] = field(init=False)
    """Class n holds what is not beyond edge n; the last one what is beyond all."""
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.edges) + 1)

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.sum += value

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"edges": list(self.edges), "counts": list(self.counts), "sum": self.sum}


@dataclass(slots=True)
class CycleStats:
    """Counters since the start."""

    cycles: int = 0
    missed: int = 0
    """Ticks at which no cycle began, because the one before had not ended."""
    verified: int = 0
    fed: int = 0
    late_max: float = 0.0
    """Seconds of the latest start."""
    duration_max: float = 0.0
    late: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    """Seconds by which the latest cycles started late."""
    durations: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    """Seconds that the latest cycles took."""
    lateness: Classes = field(default_factory=lambda: Classes(LATENESS_EDGES))
    """Of all cycles, in seconds. One that began early, by the clock's grain, is not late."""
    duration: Classes = field(default_factory=lambda: Classes(DURATION_EDGES))
    """Of all cycles, in seconds."""
    phases: list[float] = field(default_factory=lambda: [0.0] * len(PHASES))
    """Seconds that all cycles took together, by phase."""
    events: list[int] = field(default_factory=lambda: [0] * len(Severity))
    """By severity."""

    def count(self, record: CycleRecord) -> None:
        """A cycle came to its end."""
        timing = record.timing
        self.cycles += 1
        self.verified += record.verified
        self.fed += record.fed
        self.late_max = max(self.late_max, timing.late)
        self.late.append(timing.late)
        self.durations.append(timing.total)
        self.duration_max = max(self.duration_max, timing.total)
        self.lateness.add(max(0.0, timing.late))
        self.duration.add(timing.total)
        took = (timing.read, timing.decide - timing.guard, timing.guard, timing.write, timing.record)
        for i, seconds in enumerate(took):
            self.phases[i] += seconds
        for event in record.events:
            self.events[event.severity] += 1

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        late = np.array(self.late or [0.0])
        counted = {name: getattr(self, name) for name in self.__slots__ if name not in _LISTED}
        return counted | {"late_p50": float(np.median(late)), "late_p99": float(np.percentile(late, 99))}

    def recent(self, period: float, seconds: float) -> dict[str, Any]:
        """How the cycles of the last `seconds` came, as far as they are kept: percentiles, and a histogram of lateness.

        Class n of the histogram holds what is not beyond edge n; the last one what is beyond all edges.
        """
        most = max(1, min(KEPT, round(seconds / period)))
        late, durations = np.array(self.late)[-most:], np.array(self.durations)[-most:]
        classes = np.searchsorted(LATENESS_EDGES, late, side="left")
        return {
            "cycles": len(late),
            "seconds": len(late) * period,
            "late": _percentiles(late),
            "duration": _percentiles(durations),
            "edges": list(LATENESS_EDGES),
            "counts": np.bincount(classes, minlength=len(LATENESS_EDGES) + 1).tolist(),
        }


def _percentiles(values: NDArray[np.float64]) -> dict[str, float] | None:
    if not len(values):
        return None
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": float(p50), "p99": float(p99), "max": float(values.max())}
