"""Arriving at a state of charge, once, and staying there.

Full power far away, less the nearer the target, nothing inside a dead band. After arrival it starts again only
beyond a wider band, so neither the steps nor the delay of the measured state of charge make it hunt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bessai.model import Bounds

TIME_CONSTANT = 300.0
"""Seconds in which the missing energy would be moved at the present power. A first-order loop with a delay does
not overshoot while the delay is below 1/e of its time constant: here 110 s, more than any battery needs to tell
a new state of charge."""

TAPER = 5.0
"""% from the target at which power starts to fall when the capacity is not known. Judgement: at one full
charge an hour that is a time constant of 180 s."""

_NEW_AFTER = 60.0
"""Seconds without a step after which the wish counts as a new one. Judgement."""


@dataclass(slots=True, kw_only=True)
class ApproachMemory:
    """All that persists between cycles."""

    target: float | None = None
    """%, the wish that `arrived` and `direction` belong to."""
    direction: int = 0
    """+1 discharging towards it, -1 charging, 0 at rest."""
    arrived: bool = False
    time: float | None = None
    """Monotonic seconds of the last step."""


class SocApproach:
    """The power that brings a battery to a state of charge.

    Args:
        resolution: % between two values that the battery can tell.
        dead_band: % around the target that count as arrived.
        restart_band: % from the target beyond which it starts again; None: the wider of 2 % and the dead band
            with two steps of the resolution more. Judgement: a battery at rest corrects its estimate by about
            that much.

    Raises:
        ValueError: bands that would hunt.
    """

    def __init__(
        self, *, resolution: float = 0.1, dead_band: float = 0.5, restart_band: float | None = None
    ) -> None:
        least = dead_band + 2 * resolution
        self._dead = dead_band
        self._restart = max(2.0, least) if restart_band is None else restart_band
        if not (resolution > 0 and dead_band > 0 and least <= self._restart < math.inf):
            raise ValueError(
                f"restart_band={self._restart:g} with dead_band={dead_band:g} and resolution={resolution:g}:"
                f" give at least {least:g}, the dead band and two steps"
            )
        self.memory = ApproachMemory()

    def step(
        self,
        soc: float | None,
        target: float,
        power_max: float,
        bounds: Bounds,
        capacity: float | None,
        now: float,
        *,
        least: float = 0.0,
    ) -> float:
        """The power of this cycle in kW, + = discharge, inside the bounds; 0 when something is not known.

        Args:
            soc: measured state of charge in %; None when it is not known.
            target: wanted state of charge in %.
            power_max: kW, the largest magnitude on the way.
            bounds: kW that are allowed now.
            capacity: kWh of the battery; None when it is not known.
            now: monotonic seconds.
            least: kW, the smallest magnitude the plant can run at: a smaller power would never arrive.
        """
        memory = self.memory
        if memory.time is None or now - memory.time > _NEW_AFTER:
            memory.target = None
        memory.time = now
        known = soc is not None and math.isfinite(soc) and math.isfinite(target) and power_max > 0
        if soc is None or not known or bounds.empty:
            return 0.0
        if memory.target is None or abs(target - memory.target) > self._dead:
            memory.target, memory.direction, memory.arrived = target, 0, False
        away = soc - target  # positive: discharge
        if memory.direction * away <= self._dead:  # there, or past it, or at rest
            arrives = memory.direction != 0 or abs(away) <= self._dead
            memory.arrived = memory.arrived or arrives
            far = self._restart if memory.arrived else self._dead
            memory.direction = 0 if abs(away) <= far else 1 if away > 0 else -1
            memory.arrived = memory.arrived and memory.direction == 0
        if memory.direction == 0:
            return bounds.clip(0.0)
        room = bounds.high if memory.direction > 0 else -bounds.low
        most = min(power_max, room) if math.isinf(power_max) else power_max
        if capacity is not None and 0 < capacity < math.inf:
            power = abs(away) / 100 * capacity / (TIME_CONSTANT / 3600)
        else:
            power = most * abs(away) / TAPER
        power = min(max(power, least), most)
        return bounds.clip(memory.direction * power) if 0 < power < math.inf else bounds.clip(0.0)
