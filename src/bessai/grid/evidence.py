"""A measured value that may be lost, and outputs that do not follow noise."""

from __future__ import annotations

import math

HOLD = 1.0
"""Seconds for which a response stands after its measurement was lost."""
RELEASE = 3.0
"""Seconds over which it then goes to nothing."""


class Evidence:
    """The last sound value of a measurement, and how much of a response it still carries.

    Args:
        low: lowest plausible value.
        high: highest plausible value.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high
        self.value: float | None = None
        """None before the first sound one."""
        self.known = False
        """True when the value is of this cycle."""
        self.weight = 0.0
        """1 while known and for `HOLD` seconds after, then falling to 0 within `RELEASE` seconds."""
        self.lost = False
        """True when it has not been known for `HOLD` seconds, also at the start."""
        self._seen: float | None = None

    def take(self, value: float | None, now: float) -> None:
        """Note what was measured at a monotonic time; None when it is no evidence."""
        self.known = value is not None and self.low <= value <= self.high
        if self.known:
            self.value, self._seen, self.weight, self.lost = value, now, 1.0, False
            return
        if self._seen is None:
            self._seen = now
        gone = now - self._seen - HOLD
        self.lost = gone >= 0
        if self.value is not None:
            self.weight = clip(1.0 - gone / RELEASE, 0.0, 1.0)

    @property
    def held(self) -> float | None:
        """The value, while it is known or its loss is shorter than `HOLD`."""
        return None if self.lost else self.value

    @property
    def present(self) -> float | None:
        """The value, when it is of this cycle."""
        return self.value if self.known else None


class Steady:
    """An output that moves only when the wish has moved by a step, so that noise does not rewrite the device."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.value = 0.0

    def follow(self, wish: float) -> float:
        """The output: the wish, or the last one while they differ by less than a step. Next to zero it is zero."""
        if abs(wish) < self.step / 2:
            self.value = 0.0
        elif abs(wish - self.value) >= self.step:
            self.value = wish
        return self.value


def share_of(dt: float, time_constant: float) -> float:
    """How much of the way a first-order lag goes in `dt` seconds; all of it without a time constant."""
    return 1.0 if time_constant <= 0 else -math.expm1(-dt / time_constant)


def clip(value: float, low: float, high: float) -> float:
    """The value inside the limits."""
    return low if value < low else min(value, high)


RISE = math.log(9)
"""Rise time from 10 to 90 % of a first-order lag, in time constants."""
OPEN_LOOP = math.log(10)
"""Open-loop response time (to 90 %) of a first-order lag, in time constants."""
