"""One power for the plant, split over its units.

Units share in proportion to the energy that they can still give or take, so that they arrive empty or full
together; where that is more than a unit can, the others carry it. A unit that cannot run at its small share is
left out, and the more it would be needed the sooner it is taken in.

    split(30.0, [Offer(unit="a", bounds=Bounds(-20, 20), energy_discharge=40.0),
                 Offer(unit="b", bounds=Bounds(-20, 20), energy_discharge=20.0)]).powers      # (20.0, 10.0)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bessai.core.shares import Vector, shares
from bessai.model import Bounds

KEEP = 1.5
"""A running unit counts that many times its energy when it is decided who runs, so no small change of energy makes
units take turns. Judgement: above any error of an estimated state of charge, and units still swap in time."""

EXACT = 12
"""Units with an exclusion zone up to which every combination is tried when the usual order cannot make the power."""

_TINY = 1e-6
"""W, by which a limit in kW may miss a whole watt through rounding alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one unit can do now."""

    unit: str
    bounds: Bounds
    """kW that it is allowed."""
    least_charge: float = 0.0
    """kW, magnitude: it cannot run strictly between 0 and this."""
    least_discharge: float = 0.0
    energy_charge: float | None = None
    """kWh that it can still take; None when that is not known, 0 when it is full."""
    energy_discharge: float | None = None
    """kWh that it can still give."""
    previous: float = 0.0
    """kW that it was commanded last."""


@dataclass(frozen=True, slots=True)
class Split:
    """Who does what."""

    powers: tuple[float, ...]
    """kW in whole watts, in the order of the offers; all of one sign."""
    left: float
    """kW, signed, that the units cannot make."""
    limited_by: tuple[str, ...] = ()
    """`unit_bounds`: more than all together can; `exclusion_zone`: no combination of units can run at it."""


@dataclass(frozen=True, slots=True)
class _Units:
    """The usable units in one direction: magnitudes in whole watts."""

    index: NDArray[np.intp]
    low: Vector
    high: Vector
    weight: Vector
    runs: NDArray[np.bool_]


def split(power: float, offers: Sequence[Offer]) -> Split:
    """Split a power in kW over the units: never more than it, and all of it where the units can.

    The power is taken in whole watts towards zero, and so is every limit of a unit. No number means 0.
    """
    asked = math.floor(abs(power) * 1000 + _TINY) if math.isfinite(power) else 0
    powers = [0.0] * len(offers)
    if asked == 0:
        return Split(tuple(powers), 0.0)
    sign = 1 if power > 0 else -1
    units = _usable(offers, sign)
    chosen = _choose(units, asked)
    low, high = units.low[chosen], units.high[chosen]
    served = min(float(asked), float(high.sum()))
    for i, watts in zip(units.index[chosen], shares(units.weight[chosen], low, high, served), strict=True):
        powers[i] = sign * float(watts) / 1000 + 0.0
    left = asked - served
    if left <= 0:
        return Split(tuple(powers), 0.0)
    why = "unit_bounds" if asked > units.high.sum() else "exclusion_zone"
    return Split(tuple(powers), sign * left / 1000, (why,))


def least_power(offers: Sequence[Offer], sign: int) -> float:
    """The smallest magnitude in kW that the units can run at; inf when none can. `sign`: +1 discharge, -1 charge."""
    low = _usable(offers, sign).low
    return max(float(low.min()), 1.0) / 1000 if len(low) else math.inf


def _usable(offers: Sequence[Offer], sign: int) -> _Units:
    """Who can run in this direction at all. Bounds that exclude zero are met or the unit stands still."""
    rows = (
        [(o.bounds.low, o.bounds.high, o.least_discharge, o.energy_discharge, o.previous) for o in offers]
        if sign > 0
        else [(-o.bounds.high, -o.bounds.low, o.least_charge, o.energy_charge, -o.previous) for o in offers]
    )
    lowest, highest, least, energy, previous = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    low = np.ceil(np.maximum(np.maximum(lowest, least), 0.0) * 1000 - _TINY)
    high = np.floor(highest * 1000 + _TINY)
    usable = np.isfinite(high) & (high > 0) & (low <= high) & ~(energy <= 0)  # None is NaN here: not known
    energy, high = energy[usable], high[usable]
    weight = energy if np.isfinite(energy).all() else high
    if len(weight):
        weight = np.maximum(weight / weight.max(), 1e-9)
    return _Units(np.flatnonzero(usable), low[usable], high, weight, previous[usable] > 0)


def _choose(units: _Units, asked: float) -> NDArray[np.intp]:
    """Positions of the units that run.

    Units without an exclusion zone always may. The others are ordered by how soon their share leaves their zone;
    the longest row of them whose every share does, or that is needed, runs.
    """
    zoned = np.flatnonzero(units.low > 0)
    free = np.flatnonzero(units.low <= 0)
    if len(zoned) == 0:
        return free
    score = units.weight[zoned] / units.low[zoned] * np.where(units.runs[zoned], KEEP, 1.0)
    order = zoned[np.argsort(-score, kind="stable")]
    score = np.sort(score)[::-1]
    most = units.high[free].sum() + np.concatenate(([0.0], np.cumsum(units.high[order])))
    fits = int(np.searchsorted(np.cumsum(units.low[order]), asked, side="right"))
    needed = int(np.searchsorted(most, asked, side="left"))
    if needed > fits:  # also when it is more than all together can
        return np.sort(np.concatenate((free, _combination(units, zoned, asked, float(most[0])))))
    row = np.concatenate((free, order))
    weight, high = units.weight[row], units.high[row]
    first, last = needed, fits  # a longer row leaves each unit less, so halve the interval
    while first < last:
        count = (first + last + 1) // 2
        members = len(free) + count
        edge = np.minimum(weight[:members] / score[count - 1], high[:members]).sum()
        if edge <= asked + _TINY:  # at least the power at which the last of them is at its edge
            first = count
        else:
            last = count - 1
    return np.sort(row[: len(free) + first])


@functools.lru_cache(maxsize=EXACT + 1)
def _masks(count: int) -> NDArray[np.bool_]:
    """Every combination of so many units, one a row."""
    return (np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(np.bool_)


def _combination(units: _Units, zoned: NDArray[np.intp], asked: float, free: float) -> NDArray[np.intp]:
    """The combination that makes most of the power; among equals the one nearest to what runs already.

    Exact for few units. For many, each of some orders is walked and every unit taken that still fits.
    """
    low, high, runs = units.low[zoned], units.high[zoned], units.runs[zoned]
    if len(zoned) <= EXACT:
        masks = _masks(len(zoned))
    else:
        orders = (
            np.lexsort((-high, ~runs)),
            *(np.argsort(key, kind="stable") for key in (-high, low, high - low)),
        )
        masks = np.array([_walk(order, low, high, asked - free, asked) for order in orders])
    floor, most = masks @ low, free + masks @ high
    served = np.where(floor <= asked, np.minimum(most, asked), -1.0)
    changes = (masks != runs).sum(axis=1)
    weight = masks @ units.weight[zoned]
    best: NDArray[np.bool_] = masks[np.lexsort((-weight, changes, -served))[0]]
    return zoned[best]


def _walk(
    order: NDArray[np.intp], low: Vector, high: Vector, wanted: float, asked: float
) -> NDArray[np.bool_]:
    """Units in this order as long as the power is not made, each one that still fits."""
    taken = np.zeros(len(low), dtype=np.bool_)
    floor = most = 0.0
    for i in order:
        if most < wanted and floor + low[i] <= asked:
            taken[i] = True
            floor, most = floor + low[i], most + high[i]
    return taken
