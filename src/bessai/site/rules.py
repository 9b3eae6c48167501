"""Points of the plant: sums, weighted means, extremes and formulas over the devices' columns.

Evidence, not absence: a result is good only when every input is, unless the rule says that the others are enough.
Only when every input is absent (or not available) is the result; where one device of several has no such point,
the result is missing, because control excuses what no device ever had. Its time is that of its oldest input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bessai.model import Quality

Kind = Literal["sum", "mean", "min", "max"]

# plain numbers: numpy takes a member of the enumeration several times as slowly
_GOOD, _INVALID, _MISSING = int(Quality.GOOD), int(Quality.INVALID), int(Quality.MISSING)
_ABSENT, _NOT_AVAILABLE = int(Quality.ABSENT), int(Quality.NOT_AVAILABLE)

_EXCUSED = (_ABSENT, _NOT_AVAILABLE)
"""What control excuses in a point that never had a value."""

_REDUCE: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "sum": lambda values: float(values.sum()),
    "mean": lambda values: float(values.mean()),
    "min": lambda values: float(values.min()),
    "max": lambda values: float(values.max()),
}


class Rule(Protocol):
    """Fills one column from others."""

    @property
    def column(self) -> int:
        """The column that it fills."""
        ...

    @property
    def inputs(self) -> frozenset[int]:
        """The columns that it looks at."""
        ...

    def moved(self, place: NDArray[np.intp]) -> Rule:
        """The same rule over other columns: `place` holds the new column of each old one."""
        ...

    def apply(
        self, values: NDArray[np.float64], quality: NDArray[np.uint8], times: NDArray[np.float64]
    ) -> None:
        """Compute the column in place."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Aggregation:
    """One value from the same point of several devices."""

    column: int
    kind: Kind
    sources: NDArray[np.intp]
    """Columns of the inputs; at least one."""
    weights: NDArray[np.intp] | None = None
    """Columns of the weights, one an input; for `mean`."""
    shares: NDArray[np.float64] | None = None
    """Constant weights instead."""
    skip: bool = False
    """True when inputs that are not good are left out, as long as one is left."""

    @property
    def inputs(self) -> frozenset[int]:
        """The columns that it looks at."""
        return frozenset(self.sources.tolist() + ([] if self.weights is None else self.weights.tolist()))

    def moved(self, place: NDArray[np.intp]) -> Aggregation:
        """The same rule over other columns."""
        weights = None if self.weights is None else place[self.weights]
        return replace(self, column=int(place[self.column]), sources=place[self.sources], weights=weights)

    def apply(
        self, values: NDArray[np.float64], quality: NDArray[np.uint8], times: NDArray[np.float64]
    ) -> None:
        """Compute the column in place."""
        sources, weights, shares = self.sources, self.weights, self.shares
        marks = quality[sources] if weights is None else np.maximum(quality[sources], quality[weights])
        if marks.any():
            good = marks == _GOOD
            if not (self.skip and good.any()):
                _place(self.column, math.nan, _worst(marks), _oldest(times, sources), values, quality, times)
                return
            sources = sources[good]
            weights = None if weights is None else weights[good]
            shares = None if shares is None else shares[good]
        if weights is not None:
            shares = values[weights]
        if shares is None:
            result = _REDUCE[self.kind](values[sources])
        else:
            total = float(shares.sum())
            result = float((values[sources] * shares).sum()) / total if total > 0 else math.nan
        mark = _GOOD if math.isfinite(result) else _INVALID
        _place(self.column, result, mark, _oldest(times, sources), values, quality, times)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Computation:
    """One value by a formula."""

    column: int
    sources: NDArray[np.intp]
    """Columns of the inputs, in the order that the formula takes them; may be empty."""
    evaluate: Callable[[Sequence[float]], float]

    @property
    def inputs(self) -> frozenset[int]:
        """The columns that it looks at."""
        return frozenset(self.sources.tolist())

    def moved(self, place: NDArray[np.intp]) -> Computation:
        """The same rule over other columns."""
        return replace(self, column=int(place[self.column]), sources=place[self.sources])

    def apply(
        self, values: NDArray[np.float64], quality: NDArray[np.uint8], times: NDArray[np.float64]
    ) -> None:
        """Compute the column in place."""
        marks = quality[self.sources]
        oldest = _oldest(times, self.sources)
        if marks.any():
            _place(self.column, math.nan, _worst(marks), oldest, values, quality, times)
            return
        result = self.evaluate(values[self.sources].tolist())
        mark = _GOOD if math.isfinite(result) else _INVALID
        result = result if math.isfinite(result) else math.nan
        _place(self.column, result, mark, oldest, values, quality, times)


def _worst(marks: NDArray[np.uint8]) -> int:
    """The quality of a result whose inputs are not all good."""
    for mark in _EXCUSED:
        if (marks == mark).all():
            return mark
    telling = marks[(marks != _GOOD) & (marks != _ABSENT) & (marks != _NOT_AVAILABLE)]
    return int(telling[0]) if len(telling) else _MISSING


def _oldest(times: NDArray[np.float64], sources: NDArray[np.intp]) -> float:
    return float(times[sources].min()) if len(sources) else math.nan


def _place(
    column: int,
    value: float,
    mark: int,
    time: float,
    values: NDArray[np.float64],
    quality: NDArray[np.uint8],
    times: NDArray[np.float64],
) -> None:
    values[column], quality[column], times[column] = value, mark, time
