"""How much reactive power the plant has beside its active power: its P-Q curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bessai.grid.curves import Curve


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
            self._worst = max(low for _, low, _ in points), min(high for *_, high in points)
        else:
            self._worst = self._circle(rated_power)

    def at(self, power: float | None) -> tuple[float, float]:
        """Lowest and highest kvar beside an active power in kW; what there is at any power when it is not known."""
        if power is None:
            return self._worst
        low, high = self._circle(power)
        if self._low is None or self._high is None:
            return low, high
        # a little beyond the ends is the meter's error or the plant's losses; further out nothing is promised
        beyond = max(self._points[0][0] - power, power - self._points[-1][0])
        if beyond > 0.05 * self._apparent:
            return 0.0, 0.0
        return max(low, self._low(power)), min(high, self._high(power))

    def _circle(self, power: float) -> tuple[float, float]:
        room = math.sqrt(max(0.0, (self._apparent - power) * (self._apparent + power)))
        return -room, room
