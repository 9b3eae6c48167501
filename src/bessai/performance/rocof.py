"""Rate of change of frequency: the slope of a straight line through the measurements of a sliding window.

Honest about what it cannot see: a slope needs three measurements that span half of the window; with slower ones it
is not measurable. A phase jump between half cycles (AT-IBR Art. 6-1) needs a recorder with microseconds, and is never
taken from these samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bessai.performance.samples import SAME_NS, SECOND

LEAST = 3
"""Measurements in the window."""
SPAN = 0.5
"""Share of the window that they span at least."""
_WORST = 1.5
"""A single step of height q, at its worst place in the window w, has the slope 1.5 q / w."""


def slopes(times: NDArray[np.int64], values: NDArray[np.float64], window: float) -> NDArray[np.float64]:
    """Slope in units per second over the window that ends with each measurement; NaN where it is not measurable.

    Args:
        times: nanoseconds, ascending, each a measurement of its own.
        values: finite.
        window: seconds.
    """
    if not len(times):
        return np.zeros(0)
    first = np.searchsorted(times, times - int(window * SECOND) - SAME_NS)
    count = np.arange(len(times)) - first + 1
    n, st, sv, stt, stv = np.zeros((5, len(times)))
    for back in range(int(count.max())):
        # relative to the newest: sums of large numbers would lose what they differ by
        here = np.flatnonzero(count > back)
        t = (times[here - back] - times[here]) / SECOND
        v = values[here - back] - values[here]
        for total, term in zip((n, st, sv, stt, stv), (np.ones_like(t), t, v, t * t, t * v), strict=True):
            total[here] += term
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (n * stv - st * sv) / (n * stt - st * st)
    seen = (count >= LEAST) & (times - times[first] >= SPAN * window * SECOND)
    return np.where(seen, slope, np.nan)


def resolution(quantum: float, window: float) -> float:
    """Smallest slope that is more than one step of the measurement, in units per second."""
    return _WORST * quantum / window
