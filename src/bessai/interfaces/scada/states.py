"""Single and double points: how a source's number becomes a state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bessai.site.scada import MonitorPoint

INTERMEDIATE: Final = 0
OFF: Final = 1
ON: Final = 2
INDETERMINATE: Final = 3


class Discrete:
    """Computes the states; only those whose source has changed since the last time.

    Args:
        points: the whole list.
        index: position of each source.
    """

    def __init__(self, points: Sequence[MonitorPoint], index: Mapping[str, int]) -> None:
        chosen = [(i, point) for i, point in enumerate(points) if point.kind in ("single", "double")]
        self._points = [point for _, point in chosen]
        self._at = np.array([i for i, _ in chosen], dtype=np.intp)
        self._first = np.array([index[point.name] for point in self._points], dtype=np.intp)
        self._second = np.array([index[point.sources[-1]] for point in self._points], dtype=np.intp)
        self._seen = np.full((2, len(chosen)), np.nan)
        self._states = np.full(len(chosen), np.nan)

    def fill(self, shown: NDArray[np.float64], raw: NDArray[np.float64]) -> None:
        """Put the states into `shown`; NaN where the source is unknown."""
        now = np.stack((raw[self._first], raw[self._second]))
        for i in np.flatnonzero((now != self._seen).any(axis=0)):
            self._states[i] = state_of(self._points[i], float(now[0, i]), float(now[1, i]))
        self._seen = now
        shown[self._at] = self._states


def state_of(point: MonitorPoint, first: float, second: float) -> float:
    """The state that a point's sources tell: 0 or 1, of a double point 0 … 3; NaN when it is unknown."""
    if not math.isfinite(first) or not math.isfinite(second):
        return math.nan
    if point.kind == "single":
        return float(_on(point, first))
    if point.second is not None:
        return float((ON if first else 0) | (OFF if second else 0))
    if point.off_when is not None and first in point.off_when:
        return float(OFF)
    if _on(point, first):
        return float(ON)
    return float(OFF if point.off_when is None else INTERMEDIATE)


def _on(point: MonitorPoint, value: float) -> bool:
    if point.bit is not None:
        return bool(int(value) >> point.bit & 1)
    if point.on_when is not None:
        return value in point.on_when
    return value != 0.0
