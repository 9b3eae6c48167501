"""How much reactive power the plant has beside its active power: its P-Q curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bessai.grid.curves import Curve
from bessai.model import Bounds


class Capability:
    """Limits of reactive power at the point of connection.

    Args:
        rated_power: kW, Pn.
        rated_apparent_power: kVA, Sn.
        points: (kW, lowest kvar, highest kvar), kW ascending; empty: the circle of Sn.
    """

    def __init__(
        self, rated_power: float, rated_apparent_power: float, points: Sequence[tuple[float, float, float]]
    ) -> None:
        self._apparent = rated_apparent_power
        self._points = points
        self._low = Curve(tuple((power, low) for power, low, _ in points)) if points else None
        self._high = Curve(tuple((power, high) for power, _, high in points)) if points else None
        if points:  # what there is at every power
            self._worst = Bounds(max(low for _, low, _ in points), min(high for *_, high in points))
        else:
            self._worst = self._circle(rated_power)

    def at(self, power: float | None) -> Bounds:
        """Kvar beside an active power in kW; what there is at any power when it is not known."""
        if power is None:
            return self._worst
        circle = self._circle(power)
        if self._low is None or self._high is None:
            return circle
        if not self._points[0][0] <= power <= self._points[-1][0]:
            # a little beyond the ends is the meter's error or the plant's losses; further out nothing is promised
            ends = self._points[0][0], self._points[-1][0]
            if min(abs(power - end) for end in ends) > 0.05 * self._apparent:
                return Bounds(0.0, 0.0)
        return Bounds(self._low(power), self._high(power)) & circle

    def _circle(self, power: float) -> Bounds:
        room = math.sqrt(max(0.0, (self._apparent - power) * (self._apparent + power)))
        return Bounds(-room, room)
