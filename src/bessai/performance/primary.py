"""How well active power answered the frequency in each hour: expected response against delivered response.

The definition is ours, and provisional: the Coordinator's formula for units was not available. Means of ten seconds are
compared, so delays of a few seconds do not count; the self-test measures those.

* expected: what the droop asks for at the measured frequency, within the authority of the response.
* delivered: measured power minus what was commanded without the grid's share, minus the hour's bias.
* bias: the mean of that difference while the frequency was inside the dead band, such as losses and the site's load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessai.performance.hours import COUNT, EXPECTED, HOUR_NS, OUTSIDE, RESIDUAL, SLOTS, Cells

_LEAST = 3
"""Slots outside the dead band that a correlation needs."""
_SLOT_H = 10 / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """One hour. Energies are in the direction of what was expected."""

    start_ns: int
    coverage: float
    """Share of the hour's slots in which both powers are known and the response was on, 0 … 1."""
    outside: float
    """Seconds outside the dead band, of what is known."""
    expected: float | None
    """kWh expected outside the dead band; None when the frequency never was."""
    delivered: float | None
    """kWh delivered meanwhile."""
    ratio: float | None
    """Delivered through expected; 1 is right."""
    correlation: float | None
    """Of the two powers, outside the dead band; None with too few slots, or no variation."""
    error: float | None
    """kW: mean absolute difference of the two, outside the dead band."""
    bias: float | None
    """kW taken off the delivered power; None, and 0 is taken, when the frequency never was inside the dead band."""
    law: Mapping[str, Any] | None
    """The parameters of the response that were in force last."""


def primary(hour: int, cells: Mapping[str, Cells], law: Mapping[str, Any] | None) -> Primary:
    """The performance of one hour, from its series."""
    count = cells[COUNT]
    known = count > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        expected, residual, out = (
            np.where(known, cells[name] / count, np.nan) for name in (EXPECTED, RESIDUAL, OUTSIDE)
        )
    inside = known & (out == 0)
    bias = float(residual[inside].mean()) if inside.any() else None
    active = known & (out > 0)
    delivered = residual - (bias or 0.0)
    told: dict[str, float | None] = dict.fromkeys(("expected", "delivered", "ratio", "correlation", "error"))
    if active.any():
        asked, given = expected[active], delivered[active]
        owed = float(np.abs(asked).sum()) * _SLOT_H
        came = float((given * np.sign(asked)).sum()) * _SLOT_H
        told = {
            "expected": owed,
            "delivered": came,
            "ratio": came / owed if owed > 0 else None,
            "correlation": _correlation(asked, given),
            "error": float(np.abs(given - asked).mean()),
        }
    return Primary(
        start_ns=hour * HOUR_NS,
        coverage=float(known.sum()) / SLOTS,
        outside=float(np.where(known, out, 0.0).sum()) * 10,
        bias=bias,
        law=law,
        **told,
    )


def _correlation(one: Cells, other: Cells) -> float | None:
    if len(one) < _LEAST or np.ptp(one) < 1e-9 or np.ptp(other) < 1e-9:
        return None
    return float(np.corrcoef(one, other)[0, 1])
