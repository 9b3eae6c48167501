"""What is counted of the control cycle."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT = 6000
"""Cycles whose lateness and duration are kept."""

LATE_EDGES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between the classes of lateness."""


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

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        late = np.array(self.late or [0.0])
        counted = {name: getattr(self, name) for name in self.__slots__ if name not in {"late", "durations"}}
        return counted | {"late_p50": float(np.median(late)), "late_p99": float(np.percentile(late, 99))}

    def recent(self, period: float, seconds: float) -> dict[str, Any]:
        """How the cycles of the last `seconds` came, as far as they are kept: percentiles, and a histogram of lateness.

        Class n of the histogram holds what is not beyond edge n; the last one what is beyond all edges.
        """
        most = max(1, min(KEPT, round(seconds / period)))
        late, durations = np.array(self.late)[-most:], np.array(self.durations)[-most:]
        classes = np.searchsorted(LATE_EDGES, late, side="left")
        return {
            "cycles": len(late),
            "seconds": len(late) * period,
            "late": _percentiles(late),
            "duration": _percentiles(durations),
            "edges": list(LATE_EDGES),
            "counts": np.bincount(classes, minlength=len(LATE_EDGES) + 1).tolist(),
        }


def _percentiles(values: NDArray[np.float64]) -> dict[str, float] | None:
    if not len(values):
        return None
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": float(p50), "p99": float(p99), "max": float(values.max())}
