"""Judges one limit or flag: shares, warning and trip, with what is remembered of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from bessai.core.limits.level import Curve, Directions, Flag, Limit
from bessai.core.limits.report import Memory
from bessai.model import Condition, Role, Severity, Trip

_ROUNDING = 1e-9
"""Seconds: monotonic times of a fixed cycle do not add up exactly."""


@dataclass(slots=True)
class Verdict:
    """What is gathered in one cycle."""

    now: float
    wall_ns: int
    memory: Memory
    charge: float = 1.0
    discharge: float = 1.0
    limited_by: list[str] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)

    def narrow(self, name: str, charge: float, discharge: float) -> None:
        """Allow no more than these shares."""
        if charge < 1.0 or discharge < 1.0:
            if name not in self.limited_by:
                self.limited_by.append(name)
            self.charge, self.discharge = min(self.charge, charge), min(self.discharge, discharge)

    def stop(self, name: str, directions: Directions) -> None:
        """Allow nothing in these directions."""
        if directions != "none":
            self.narrow(
                name, 1.0 if directions == "discharge" else 0.0, 1.0 if directions == "charge" else 0.0
            )

    def tell(self, code: str, severity: Severity, message: str, point: str, value: float | None) -> None:
        """Add a condition."""
        self.conditions.append(
            Condition(code=code, severity=severity, message=message, point=point, value=value)
        )

    def lasts(self, timer: str, delay: float) -> bool:
        """Start a timer, or see whether it has run for its delay."""
        return self.now - self.memory.since.setdefault(timer, self.now) >= delay - _ROUNDING

    def latch(
        self, code: str, point: str, value: float | None, message: str, reset: Role, *, wide: bool = False
    ) -> None:
        """Add a trip."""
        text = message if value is not None else f"{message}, and its value was lost since"
        self.trips.append(
            Trip(
                code=code, unit="", plant_wide=wide, point=point, value=value, message=text,
                wall_ns=self.wall_ns, reset=reset,
            )
        )  # fmt: skip


class Judge(Protocol):
    """One limit or flag."""

    code: str
    point: str
    optional: bool
    low: float
    high: float
    """Strictly between the two there is nothing to judge, unless something is remembered."""

    def judge(self, value: float | None, verdict: Verdict) -> None:
        """Judge a value; None when it is not known."""


class LevelJudge:
    """Judges a `Limit`."""

    def __init__(self, limit: Limit) -> None:
        self.code, self.point, self.optional = limit.code, limit.point, limit.optional
        self.low, self.high = float("-inf"), float("inf")
        for curve in (limit.charge, limit.discharge):
            if curve is not None:
                low, high = curve.plateau
                self.low, self.high = max(self.low, low), min(self.high, high)
        for level in (limit.warning, limit.trip):
            if level is not None and limit.side == "high":
                self.high = min(self.high, level.at)
            elif level is not None:
                self.low = max(self.low, level.at)
        self._limit = limit
        self._sign = 1.0 if limit.side == "high" else -1.0
        self._word = "above" if limit.side == "high" else "below"
        self._trip, self._warn, self._clear = (f"{limit.code}/{timer}" for timer in ("trip", "warn", "clear"))

    def judge(self, value: float | None, verdict: Verdict) -> None:
        """Judge a value; None when it is not known: what is remembered stands, and its timers run on."""
        limit, memory, code = self._limit, verdict.memory, self.code
        if value is not None:
            self._shares(value, verdict)
        beyond = limit.trip is not None and self._beyond(value, verdict)
        if limit.trip is not None and code in memory.held:
            verdict.stop(self.point, limit.stops)
            message = f"{self.point} {'is' if beyond else 'was'} {self._word} {limit.trip.at:g} {limit.unit}"
            if beyond and verdict.lasts(self._trip, limit.trip.delay):
                verdict.latch(code, self.point, value, message, limit.trip.reset)
            verdict.tell(code, Severity.ALARM, f"{message}: no power", self.point, value)
        warned = limit.warning is not None and self._warning(value, verdict)
        if limit.warning is not None and warned and code not in memory.held:
            message = f"{self.point} is {self._word} {limit.warning.at:g} {limit.unit}"
            verdict.tell(code, Severity.WARNING, message, self.point, value)
        if (
            code in memory.held
            or code in memory.warned
            or f"{code}/charge" in memory.blocked
            or f"{code}/discharge" in memory.blocked
            or self._warn in memory.since
        ):
            memory.busy[code] = True
        else:
            memory.busy.pop(code, None)

    def _shares(self, value: float, verdict: Verdict) -> None:
        limit, memory = self._limit, verdict.memory
        charge = self._share(f"{self.code}/charge", limit.charge, value, memory)
        discharge = self._share(f"{self.code}/discharge", limit.discharge, value, memory)
        verdict.narrow(self.point, charge, discharge)
        if charge <= 0.0 or discharge <= 0.0:
            both = charge <= 0.0 and discharge <= 0.0
            stopped = "charge and discharge" if both else "charge" if charge <= 0.0 else "discharge"
            verdict.tell(
                "limit_reached",
                Severity.ALARM if both else Severity.WARNING,
                f"{self.point} is beyond its limit: no {stopped}",
                self.point,
                value,
            )

    def _share(self, key: str, curve: Curve | None, value: float, memory: Memory) -> float:
        """The curve's share; a direction that is blocked opens again only beyond the hysteresis."""
        if curve is None:
            return 1.0
        share, margin = curve(value), self._limit.hysteresis
        if share <= 0.0 or (
            key in memory.blocked and min(curve(value - margin), curve(value + margin)) <= 0.0
        ):
            memory.blocked[key] = True
            return 0.0
        memory.blocked.pop(key, None)
        return share

    def _beyond(self, value: float | None, verdict: Verdict) -> bool:
        """Whether the trip's timer runs: the level is reached, or was when the value was last known."""
        memory, trip = verdict.memory, self._limit.trip
        if value is None or trip is None:
            return self._trip in memory.since
        x, at = self._sign * value, self._sign * trip.at
        if x >= at:
            memory.held[self.code] = True
            return True
        memory.since.pop(self._trip, None)
        if x < at - self._limit.hysteresis:
            memory.held.pop(self.code, None)
        return False

    def _warning(self, value: float | None, verdict: Verdict) -> bool:
        memory, level = verdict.memory, self._limit.warning
        if level is None:
            return False
        x = None if value is None else self._sign * value
        if x is None or x >= self._sign * level.at:
            memory.since.pop(self._clear, None)
            reached = x is not None or self._warn in memory.since
            if reached and verdict.lasts(self._warn, level.delay):
                memory.warned[self.code] = True
        else:
            memory.since.pop(self._warn, None)
            if self.code in memory.warned and x < self._sign * level.clear:
                if verdict.lasts(self._clear, level.delay):
                    del memory.warned[self.code], memory.since[self._clear]
            else:
                memory.since.pop(self._clear, None)
        return self.code in memory.warned


class FlagJudge:
    """Judges a `Flag`."""

    def __init__(self, flag: Flag) -> None:
        self.code, self.point, self.optional = flag.code, flag.point, flag.optional
        self.low, self.high = float("inf"), float("-inf")
        if flag.required is not None and len(flag.required) == 1:  # the usual case is one comparison away
            self.low, self.high = flag.required[0] - 0.5, flag.required[0] + 0.5
        elif flag.bits is not None:
            self.low, self.high = -0.5, 0.5
        self._flag = flag
        self._trip, self._clear = f"{flag.code}/trip", f"{flag.code}/clear"

    def judge(self, value: float | None, verdict: Verdict) -> None:
        """Judge a value; None when it is not known: what is remembered stands, and its timer runs on."""
        flag, memory, code = self._flag, verdict.memory, self.code
        if value is None:
            standing = self._trip in memory.since
            memory.since.pop(self._clear, None)
        elif flag.active(value):
            standing = True
            memory.held[code] = memory.busy[code] = True
            memory.since.pop(self._clear, None)
        else:
            standing = False
            memory.since.pop(self._trip, None)
            if code in memory.held and verdict.lasts(self._clear, flag.delay):
                memory.since.pop(self._clear, None)
                memory.held.pop(code)
                memory.busy.pop(code, None)
        if code not in memory.held:
            return
        verdict.stop(self.point, flag.stops)
        message = flag.message or f"{self.point} tells {code}"
        if flag.action == "trip" and standing and verdict.lasts(self._trip, flag.delay):
            verdict.latch(code, self.point, value, message, flag.reset, wide=flag.plant_wide)
        severity = Severity.WARNING if flag.stops == "none" and flag.action == "hold" else Severity.ALARM
        verdict.tell(code, severity, message, self.point, value)
