"""FECF: how well frequency was kept in each hour (AT "Desempeño del Control de Frecuencia", December 2019).

The frequency is sampled every 10 s and filtered with a moving average of 6 minutes; the index is
`1 - |mean of |f_filtered - f_nominal| over the hour / deviation that exhausts the reserve|`, at least 0.45.

It is an index of the system, published by the Coordinator; this one is computed from the local frequency. The ratio
was reconstructed from the definition in words: the printed formula was not available. That the average looks back
over the 36 samples that end with each one is our reading, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bessai.performance.hours import HOUR_NS, SLOTS, Cells

WINDOW = 36
"""Samples of the moving average."""
MINIMUM = 0.45
CLAUSE = "AT Desempeño del Control de Frecuencia (Dec-2019)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fecf:
    """One hour."""

    start_ns: int
    """UTC nanoseconds at which the hour begins."""
    coverage: float
    """Share of the hour's 360 filtered samples that are known, 0 … 1."""
    deviation: float | None
    """Hz: mean of |f_filtered - f_nominal| over what is known; None when nothing is."""
    index: float | None
    """None when too few samples are known, or the reserve is unknown."""
    reason: str
    """Why there is no index; empty when there is one."""

    @property
    def enough(self) -> bool | None:
        """Whether the index reaches the minimum; None without an index."""
        return None if self.index is None else self.index >= MINIMUM


def filtered(frequency: Cells, share: float) -> Cells:
    """Moving average over the samples known of the last 36; NaN where fewer than a share of them are known."""
    known = ~np.isnan(frequency)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, frequency, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    first = np.maximum(np.arange(len(frequency)) + 1 - WINDOW, 0)
    count = counts[1:] - counts[first]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (sums[1:] - sums[first]) / count
    return np.where(count >= np.ceil(share * WINDOW - 1e-9), mean, np.nan)


def fecf(
    hour: int, before: Cells, cells: Cells, *, nominal: float, reserve: float | None, share: float
) -> Fecf:
    """The index of one hour.

    Args:
        hour: its number since 1970 UTC.
        before: frequency in Hz of the slots of the hour before; NaN where unknown.
        cells: the same of this hour.
        nominal: Hz.
        reserve: deviation in Hz that exhausts all reserve; None when unknown.
        share: share of samples that the filter, and the hour, need.
    """
    smooth = filtered(np.concatenate([before, cells]) - nominal, share)[-SLOTS:]
    known = ~np.isnan(smooth)
    coverage = float(known.mean())
    deviation = float(np.abs(smooth[known]).mean()) if known.any() else None
    if deviation is None or coverage < share:
        index, reason = None, f"only {coverage:.1%} of the samples are known"
    elif reserve is None:
        index, reason = (
            None,
            "the deviation that exhausts the reserve is not known (records.reserve_deviation)",
        )
    else:
        index, reason = 1 - abs(deviation / reserve), ""
    return Fecf(start_ns=hour * HOUR_NS, coverage=coverage, deviation=deviation, index=index, reason=reason)
