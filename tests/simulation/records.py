"""What each record of the gateway must say: a reason for every power, and one begin for every alarm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from bessai.model import Condition, CycleRecord, Request, Severity
from simulation.assembly import Config
from simulation.oracle import TOLERANCE

Key = tuple[str, str | None]
_SETTLED = 59.0
"""Seconds below its severity after which an alarm may be announced anew; one less than the gateway's rule."""
_LATE = 2
"""Cycles whose worth a ramp may move in one."""


def reasons_are_told(record: CycleRecord) -> str | None:
    """The units' setpoints add up to the plant's, of one sign, and a power has a live winner."""
    decision = record.decision
    told = [unit.setpoint for unit in decision.units if unit.setpoint is not None]
    if decision.setpoint is None or not told:
        return None
    if abs(math.fsum(told) - decision.setpoint) > 0.0011:
        return f"units {told} do not add up to {decision.setpoint}"
    if min(told) < 0 < max(told):
        return f"units charge and discharge at once: {told}"
    under_test = any(c == "dead_man_test" for c in _codes(record))
    if not decision.target or under_test:
        return None
    won = [request for request in decision.considered if request.role == "won"]
    if len(won) != 1 or won[0].source != decision.source or won[0].seconds_left <= 0:
        bounds = [decision.bounds]
        if decision.offset is not None:  # then the decision's are those of the sum
            bounds += [r.bounds for r in decision.considered if r.role != "impossible"]
        lost_zero = any(one.low > 0 or one.high < 0 for one in bounds)  # somebody's bounds exclude zero
        if won or not lost_zero:
            return f"{decision.target} kW decided, and nobody live asked: {decision.source}, {won}"
    low, high = decision.bounds.low - TOLERANCE, decision.bounds.high + TOLERANCE
    if not low <= decision.target <= high:
        return f"{decision.target} kW decided outside {decision.bounds}"
    return None


def verified_is_true(record: CycleRecord, unit: str, left: float | None) -> str | None:
    """A unit that a verified cycle gave a setpoint was left with it by the last write that took effect."""
    if not record.verified:
        return None
    for told in record.decision.units:
        if told.unit == unit and told.setpoint is not None and abs(told.setpoint - (left or 0.0)) > TOLERANCE:
            return f"{told.setpoint:g} kW called verified, and the device was left with {left}"
    return None


def _codes(record: CycleRecord) -> Iterable[str]:
    return [c for event in record.events for c in [event.code]]


class AlarmWatch:
    """Follows begins and ends."""

    def __init__(self) -> None:
        self._begun: dict[Key, float] = {}
        """When each alarm that has begun was last there."""
        self._free: set[Key] = set()
        """Nobody knows: the gateway started anew."""
        self._anew = True

    def restarted(self) -> None:
        """What was announced before may be announced again, or not."""
        self._anew = True

    def recorded(self, record: CycleRecord, active: Iterable[Condition], now: float) -> Iterator[str]:
        """Take a cycle's events and what is true in it."""
        there = {(c.code, c.point) for c in active if c.severity >= Severity.ALARM}
        if self._anew:
            self._free = there | self._begun.keys()
            self._anew = False
        for event in record.events:
            key = (event.code, event.point)
            if not event.active:
                self._begun.pop(key, None)
                self._free.discard(key)
            elif event.severity >= Severity.ALARM:
                last = self._begun.get(key)
                if last is not None and now - last < _SETTLED and key not in self._free:
                    yield f"one_begin_per_excursion: {key} began again without an end"
                self._begun[key] = now
                self._free.discard(key)
        for key in there:
            if key not in self._begun and key not in self._free:
                yield f"one_begin_per_excursion: {key} is there and never began"
            self._begun[key] = now


class RampWatch:
    """Follows the decided setpoints and those on the wire."""

    def __init__(self, config: Config, rated: float, least: float = 0.0) -> None:
        self._rate = math.inf if config.ramp is None else config.ramp / 6000.0 * rated
        self._config = config
        self._least = least
        """kW that a ramp must step over, where units cannot run at less."""
        self._decided = 0.0
        self._decided_at = -math.inf
        self._written = 0.0
        self._written_at = -math.inf
        self._offers: list[tuple[float, float]] = []
        """When each answer to the grid ended or will, and its kW: no ramp slows them."""

    def asked(self, request: Request) -> None:
        """Somebody asks for power, or answers the grid."""
        if request.offset is not None:
            self._offers.append((request.expires, abs(request.offset)))

    def restarted(self) -> None:
        """A new gateway begins at zero."""
        self._decided = 0.0

    def recorded(self, record: CycleRecord, under_test: bool) -> Iterator[str]:
        """Take a cycle's decision."""
        decision = record.decision
        now, setpoint = record.image.monotonic, (decision.setpoint or 0.0) - (decision.offset or 0.0)
        seconds = min(now - self._decided_at, _LATE * self._config.cycle)
        grown = _grown(self._decided, setpoint)
        if grown > self._rate * seconds + self._least + TOLERANCE and not under_test:
            yield f"ramp_is_kept: {self._decided:g} to {setpoint:g} kW in a cycle"
        self._decided, self._decided_at = setpoint, now

    def wrote(self, power: float, now: float, under_test: bool) -> Iterator[str]:
        """Take the power that the device is commanded to after the last write of a sequence."""
        longest = self._config.stale_after + 2 * _LATE * self._config.cycle
        seconds = min(now - self._written_at, longest) + _LATE * self._config.cycle
        grown = _grown(self._written, power)
        self._offers = [one for one in self._offers if one[0] > now - longest]
        grid = 2 * max((size for _, size in self._offers), default=0.0)
        if grown > self._rate * seconds + self._least + grid + TOLERANCE and not under_test:
            yield f"ramp_is_kept: {self._written:g} to {power:g} kW written within {now - self._written_at:.2f} s"
        self._written, self._written_at = power, now


def _grown(before: float, after: float) -> float:
    """kW by which a power grew away from zero; what brings it nearer to zero is a cut, and always may be."""
    return abs(after) - (abs(before) if before * after > 0 else 0.0)
