"""Characteristic curves of grid codes: piecewise linear, flat beyond their ends; and the droop law.

The IEEE 1547-2018 numbers are the defaults (Category B, III) that OpenDER v2.2 codes; the standard itself was not
read. Those of the British services are from general knowledge (their times are NESO's): provisional.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bessai.grid.parameters import Confidence


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points, x ascending; flat beyond the ends."""

    points: tuple[tuple[float, float], ...]

    def __call__(self, x: float) -> float:
        """Y at x."""
        points = self.points
        i = bisect_right(points, x, key=_x)
        if i == 0:
            return points[0][1]
        if i == len(points):
            return points[-1][1]
        (x0, y0), (x1, y1) = points[i - 1], points[i]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _x(point: tuple[float, float]) -> float:
    return point[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A named curve and how fast it is followed."""

    curve: Curve
    open_loop_time: float
    """Seconds to 90 % of a step; 0 follows at once."""
    confidence: Confidence
    source: str


VOLT_VAR = Preset(
    curve=Curve(((0.92, 0.44), (0.98, 0.0), (1.02, 0.0), (1.08, -0.44))), open_loop_time=5.0,
    confidence="A", source="IEEE 1547-2018 Category B default, as coded by OpenDER v2.2",
)  # fmt: skip
"""Voltage as a share of nominal to reactive power as a share of Sn."""
WATT_VAR = Preset(
    curve=Curve(((0.2, 0.0), (0.5, 0.0), (1.0, -0.44))), open_loop_time=0.0,
    confidence="A", source="IEEE 1547-2018 Category B default, as coded by OpenDER v2.2",
)  # fmt: skip
"""Discharge power as a share of Pn to reactive power as a share of Sn; none while charging."""
VOLT_WATT = Preset(
    curve=Curve(((1.06, 1.0), (1.10, 0.0))), open_loop_time=10.0,
    confidence="A", source="IEEE 1547-2018 Category B default, as coded by OpenDER v2.2",
)  # fmt: skip
"""Voltage as a share of nominal to the highest active power as a share of Pn."""


def droop_response(deviation: float, dead_band: float, droop: float, *, step: bool = False) -> float:
    """Active power as a share of Pn that a deviation asks for; low frequency asks for more power.

    The droop divides: a deviation as large as the droop (both as shares of nominal) asks for all of Pn.

    Args:
        deviation: of the frequency, as a share of nominal.
        dead_band: to either side, as a share of nominal.
        droop: as a share, greater than 0.
        step: beyond the dead band count from nominal, not from its edge.
    """
    # the meter's number and the limit's are made by different divisions: an edge is inside by a billionth
    beyond = abs(deviation) - dead_band
    if beyond <= 1e-9:
        return 0.0
    share = (abs(deviation) if step else beyond) / droop
    return share if deviation < 0 else -share


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyWatt:
    """A frequency response of another country."""

    dead_band: float
    """Share of nominal, to either side."""
    droop: float = 0.0
    """Share; 0: by the curve."""
    curve: Curve | None = None
    """Deviation in Hz to a share of the contracted power, which is the authority."""
    open_loop_time: float = 0.0
    """Seconds to 90 % of a step."""
    confidence: Confidence
    source: str

    def response(self, deviation: float, nominal: float) -> float:
        """Share that a deviation in Hz asks for: of Pn by a droop, of the authority by a curve."""
        if self.curve is None:
            return droop_response(deviation / nominal, self.dead_band, self.droop)
        share = self.curve(abs(deviation))
        return share if deviation < 0 else -share


_GB = "curve from general knowledge; its times are NESO's"

FREQUENCY_WATT: Mapping[str, FrequencyWatt] = MappingProxyType({
    "ieee1547_freq_watt": FrequencyWatt(
        dead_band=0.036 / 60, droop=0.05, open_loop_time=5.0, confidence="A",
        source="IEEE 1547-2018 default at 60 Hz, as coded by OpenDER v2.2; scaled to the nominal frequency",
    ),
    "uk_dc": FrequencyWatt(
        dead_band=0.015 / 50, curve=Curve(((0.015, 0.0), (0.2, 0.05), (0.5, 1.0))), confidence="C",
        source=f"Dynamic Containment, {_GB}",
    ),
    "uk_dm": FrequencyWatt(
        dead_band=0.015 / 50, curve=Curve(((0.015, 0.0), (0.1, 0.05), (0.2, 1.0))), confidence="C",
        source=f"Dynamic Moderation, {_GB}",
    ),
    # within 10 s all of it: 4 s to 90 % leave 0.3 % at 10 s
    "uk_dr": FrequencyWatt(
        dead_band=0.015 / 50, curve=Curve(((0.015, 0.0), (0.2, 1.0))), open_loop_time=4.0, confidence="C",
        source=f"Dynamic Regulation, {_GB}",
    ),
})  # fmt: skip
"""By the choice of `frequency.curve`."""
