"""The judge of the plant: bounds of the requests, ramps, dwell times and the sum, from docs/control.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bessai.model import Decision, Request
from support.stateful.judge import GRANTS, UnitJudge
from support.stateful.setup import Setup

_WATT = 0.001
_LATE = 2.0
"""Cycles that one step may be worth."""


def request_bounds(
    requests: Sequence[Request], source: str | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The bounds in kW, and in kvar, that the winner must keep to for certain.

    Bounds that leave out zero may be impossible, and then count as none, and so may what they contradict: those are
    left out here, which makes the answer wider than the truth, never narrower.
    """
    winner = min((r.priority for r in requests if r.source == source), default=None)
    hard = max(
        (
            r.priority
            for r in requests
            if not (
                r.bounds.low <= 0 <= r.bounds.high and r.reactive_bounds.low <= 0 <= r.reactive_bounds.high
            )
        ),
        default=-1,
    )
    low, high, reactive_low, reactive_high = -math.inf, math.inf, -math.inf, math.inf
    for request in requests:
        if request.priority <= hard:
            continue
        reactive_low = max(reactive_low, request.reactive_bounds.low)
        reactive_high = min(reactive_high, request.reactive_bounds.high)
        if winner is not None and request.priority >= winner:
            low, high = max(low, request.bounds.low), min(high, request.bounds.high)
    return (low, high), (reactive_low, reactive_high)


class PlantJudge:
    """Judges the plant's setpoints one after the other."""

    def __init__(self, setup: Setup, units: Mapping[str, UnitJudge]) -> None:
        self._setup = setup
        self._units = units
        self._gap = max(unit.power_min for unit in setup.units)
        self.restarted()

    def restarted(self) -> None:
        """A new process."""
        self._last = 0.0
        self._at: float | None = None
        self._ran = False
        self._phase: str | None = "start"
        self._moved = False
        self._since: float | None = None

    def check(
        self, decision: Decision, requests: Sequence[Request], now: float, *, tested: bool
    ) -> str | None:
        """What is wrong with the plant's setpoint. `tested`: a dead-man test keeps a unit at what it has."""
        power, last = decision.setpoint or 0.0, self._last
        elapsed = math.inf if self._at is None else now - self._at
        since = now if self._since is None else self._since
        told = [unit.setpoint for unit in decision.units if unit.setpoint is not None]
        why = None
        if abs(sum(told) - power) > _WATT * len(told):
            why = f"the units add up to {sum(told):g} kW"
        elif not tested:
            why = self._of_requests(decision, requests, power)
            why = why or self._of_ramp(power, last, elapsed)
            why = why or self._of_dwell(decision, power, last, now - since)
        self._note(decision, power, now)
        return None if why is None else f"the plant is told {power:g} kW after {last:g} kW: {why}"

    def _of_requests(self, decision: Decision, requests: Sequence[Request], power: float) -> str | None:
        (low, high), reactive = request_bounds(requests, decision.source)
        low, high = min(low, 0.0), max(high, 0.0)  # a power that must flow is reached by the ramp
        if not low - _WATT <= power <= high + _WATT:
            return f"the requests' bounds are {low:g} … {high:g} kW"
        if power and not any(r.power is not None or r.soc_target is not None for r in requests):
            hard = any(not r.bounds.low <= 0 <= r.bounds.high for r in requests)
            ramped = self._setup.down is not None or self._setup.up is not None or self._setup.min_on > 0
            slow = ramped or self._setup.recovery is not None or self._setup.start is not None
            if not hard and not slow:
                return "nobody asked for it"
        given = decision.reactive or 0.0
        if given and not min(reactive[0], 0.0) - _WATT <= given <= max(reactive[1], 0.0) + _WATT:
            return f"{given:g} kvar is outside the requests' bounds {reactive[0]:g} … {reactive[1]:g} kvar"
        if given and not any(r.reactive is not None for r in requests):
            return f"nobody asked for {given:g} kvar"
        return self._of_target(decision, requests, power)

    def _of_target(self, decision: Decision, requests: Sequence[Request], power: float) -> str | None:
        """A state-of-charge target is approached, never left."""
        setup = self._setup
        winners = [r for r in requests if r.source == decision.source and r.soc_target is not None]
        slow = (setup.up, setup.down, setup.start, setup.recovery) != (None,) * 4 or setup.min_on
        if len(setup.units) > 1 or slow or not winners or not power:
            return None
        if any(not r.bounds.low <= 0 <= r.bounds.high for r in requests):
            return None
        soc, target = next(iter(self._units.values())).values.get("soc"), winners[0].soc_target or 0.0
        if soc is not None and (soc - target) * power < 0:
            return f"that leads away from the target {target:g} % at {soc:g} %"
        return None

    def _of_ramp(self, power: float, last: float, elapsed: float) -> str | None:
        if 0 <= power <= last or last <= power <= 0:
            return None  # less power in the same direction is never too fast: a limit may be behind it
        setup = self._setup
        rate = setup.up if power > last else setup.down
        first = (
            setup.start if self._phase == "start" else setup.recovery if self._phase == "recovery" else None
        )
        if first is not None and not self._gap:
            rate = first if rate is None else min(rate, first)
        if rate is None:
            return None
        rated = max(sum(unit.rated(sign) for unit in self._units.values()) for sign in (-1, 1))
        most = rate * rated * min(elapsed, _LATE * setup.cycle) + self._gap + _WATT * (len(self._units) + 1)
        if abs(power - last) > most + 1e-9:
            return f"the ramp allows {most:g} kW in {elapsed:g} s"
        return None

    def _of_dwell(self, decision: Decision, power: float, last: float, age: float) -> str | None:
        setup = self._setup
        if power and not last and age < setup.min_off - 1e-6:
            return f"it rested for {age:g} of {setup.min_off:g} s"
        if power * last < 0 and setup.min_off:
            return f"it has to rest {setup.min_off:g} s in between"
        if setup.min_on and last and age < setup.min_on - 1e-6 and power * last <= 0:
            unit = decision.units[0]
            free = decision.bounds.low <= math.copysign(_WATT, last) <= decision.bounds.high
            if len(setup.units) == 1 and not self._gap and free and unit.state in GRANTS and self._ran:
                taken = "refused" not in decision.limited_by
                return f"it has to flow for {setup.min_on:g} s, not {age:g}" if taken else None
        return None

    def _note(self, decision: Decision, power: float, now: float) -> None:
        running = any(unit.state in GRANTS for unit in decision.units)
        if self._ran and not running:
            self._phase, self._moved = self._phase or "recovery", False
        self._ran = running
        self._moved = self._moved or power != 0
        wanted, bounds = decision.target, decision.bounds
        arrived = power == wanted if wanted else self._moved and bounds.low < 0 < bounds.high
        held = {"refused", "write_interval"} & set(decision.limited_by)
        if running and arrived:
            self._phase, self._moved = None, False
        elif running and self._phase and (held or not wanted):
            self._phase = (
                "unknown"  # it may have ended: a bystander cannot say, and judges the usual ramp only
            )
        if self._since is None or (power > 0) - (power < 0) != (self._last > 0) - (self._last < 0):
            self._since = now
        self._last, self._at = power, now
