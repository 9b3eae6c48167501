"""What steps are made of: wishes, samples, and a drive to a power that is watched all the way."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, TypeVar

from bessai.commissioning.device import Device
from bessai.commissioning.results import Check, Mark, Verdict
from bessai.commissioning.samples import Sample

SOURCE = "commissioning"
LEASE = 5.0
"""Seconds of every lease: a wizard that is gone has no power for longer."""
HOLD = 3.0
"""Seconds that a power must stay where it belongs to count as reached: three cycles of a second. Judgement."""
SETTLE = 3.0
"""Seconds until the bounds of an earlier request no longer show: three cycles of a second. Judgement."""
STUCK = 15.0
"""Seconds without any movement after which a setpoint is not waited for any longer. Judgement."""
LONGEST = 600.0
"""Seconds that a ramp may take altogether."""
GRANTED = frozenset({"normal", "derated"})
_WATT = 0.002
"""kW: the gateway settles in whole watts."""

T = TypeVar("T")
Steps = Generator["Wish", Sample, T]


class AbortedError(Exception):
    """A step ends here; everything that it asked for is taken back at once."""

    def __init__(self, why: str, verdict: Verdict = Verdict.FAILED) -> None:
        super().__init__(why)
        self.verdict = verdict


def not_possible(why: str) -> AbortedError:
    """The step cannot be tried here."""
    return AbortedError(why, Verdict.NOT_POSSIBLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A lease that the step wants to hold."""

    power: float | None
    """kW for the whole plant; None to set bounds only."""
    low: float | None = None
    high: float | None = None
    source: str = SOURCE
    priority: str = "operator"
    lease: float = LEASE
    renew: bool = True
    """False: asked for once, to see it expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the gateway should be asked before the next sample."""

    phase: str
    """What is going on, in words for people."""
    asks: tuple[Ask, ...] = ()
    """Every lease that is wanted now; any other one of the step's is cancelled."""
    operations: tuple[Mapping[str, Any], ...] = ()
    """Sent once."""
    undo: tuple[Mapping[str, Any], ...] = ()
    """Sent if the step ends before its next wish, whatever the cause."""
    question: str = ""
    """For the person at the plant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was agreed before the first step."""

    device: Device
    power: float
    """kW of the tests on this unit, positive."""
    units: int = 1
    """Commanded units of the plant: what it is asked for is shared among them."""
    wait: float = 75.0
    """Seconds that a power is held at most until values that are read seldom were read again: a little more than the
    minute of the slowest poll class."""
    full_power: bool = False
    """True when somebody agreed to run at full power."""
    user: str = ""
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a step has found so far; survives its abort."""

    checks: list[Check] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    """Times are monotonic seconds."""
    missing: list[str] = field(default_factory=list)
    """Parts of the step that were not possible, and without which it is incomplete."""

    def check(
        self,
        name: str,
        good: bool | Verdict,
        text: str,
        limits: Mapping[str, Any] | None = None,
        **values: float | str | bool | None,
    ) -> None:
        """Add a check: passed or failed, or a verdict of its own."""
        verdict = good if isinstance(good, Verdict) else Verdict.PASSED if good else Verdict.FAILED
        self.checks.append(
            Check(name=name, verdict=verdict, text=text, limits=dict(limits or {}), values=values)
        )

    def mark(self, time: float, text: str) -> None:
        """Remember a moment for the chart."""
        self.marks.append(Mark(time=time, text=text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How a unit came to a power."""

    target: float
    """kW that the unit was told."""
    granted_after: float
    """Seconds from the request until the gateway's setpoint was there."""
    reached_after: float
    """Seconds from then until the measured power was and stayed within the tolerance."""
    overshoot: float
    """kW beyond the target at most."""
    mean: float
    """kW, mean of the measured power in the second half of the time that it was held."""
    last: Sample


class Watch:
    """Looks at every sample of a step: a new alarm, or power that is no longer allowed, ends the step."""

    def __init__(self, first: Sample) -> None:
        self.low, self.high = first.low, first.high
        """kW that the gateway allowed the unit when the step began and asked for nothing."""
        self._known = {alarm.code for alarm in first.alarms}
        self._counters: dict[str, float] = {}
        self.fallen: dict[str, tuple[float, float]] = {}
        """Energy counters that fell: what they were and became, in kWh."""

    def allowed(self, power: float) -> bool:
        """True when the unit may have this power in kW."""
        return self.low <= power <= self.high

    @property
    def room(self) -> str:
        """What the gateway allows, in words."""
        return f"the gateway allows {self.low:+.2f} … {self.high:+.2f} kW"

    @property
    def counters(self) -> list[str]:
        """Energy counters that were seen."""
        return sorted(self._counters)

    def tick(self, wish: Wish, *, expected: frozenset[str] | None = None) -> Steps[Sample]:
        """One sample. `expected`: alarm codes that this phase brings about; any state is then accepted."""
        sample = yield wish
        for name in (n for n in sample.points if n.startswith("energy_") and n.endswith("_total")):
            if (value := sample.good(name)) is not None:
                if (before := self._counters.get(name)) is not None and value < before:
                    self.fallen.setdefault(name, (before, value))
                self._counters[name] = value
        for alarm in sample.alarms:
            brought = expected is not None and (alarm.code in expected or alarm.code.startswith("dead_man"))
            if alarm.code not in self._known and not brought:
                raise AbortedError(f"alarm {alarm.code}: {alarm.message}")
        if expected is None and sample.state not in GRANTED:
            raise AbortedError(f"the gateway went to {sample.state}{_because(sample)}")
        return sample


def ready() -> Steps[Watch]:
    """Wait for a gateway that grants power, at most for 30 s, and begin to watch it.

    It is asked for zero without bounds meanwhile, so that the bounds it tells are its own.
    """
    began: float | None = None
    while True:
        sample = yield Wish(phase="wait until the gateway grants power", asks=(Ask(power=0.0),))
        began = sample.time if began is None else began
        if sample.state in GRANTED and sample.time - began >= SETTLE:
            return Watch(sample)
        if sample.time - began > 30.0 or sample.state in {"tripped", "maintenance", "monitor"}:
            raise not_possible(f"the gateway grants no power: its state is {sample.state}{_because(sample)}")


def pinned(power: float) -> Ask:
    """Exactly this power: bounds keep everybody of lower priority to it as well."""
    return Ask(power=power, low=power, high=power)


def drive(watch: Watch, plan: Plan, power: float, phase: str, *, hold: float = HOLD) -> Steps[Arrival]:
    """Bring the unit to a power in kW and hold it there; the caller starts from rest.

    Raises:
        AbortedError: an alarm, a wrong sign, too much power, or it is not granted or not reached in time.
    """
    device, asked = plan.device, power * plan.units
    wish = Wish(phase=phase, asks=(pinned(asked),))
    began = moved = granted = inside = None
    before: float | None = None
    target, overshoot, held = 0.0, 0.0, [0.0]
    while True:
        sample = yield from watch.tick(wish)
        now = sample.time
        if sample.objections:
            raise AbortedError(f"the gateway refuses the request: {'; '.join(sample.objections)}")
        began = now if began is None else began
        moved = now if moved is None or sample.plant_setpoint != before else moved
        before = sample.plant_setpoint
        measured = sample.measured
        if measured is None:
            raise AbortedError(f"the measured power ({device.measured}) is {sample.quality}")
        beyond = check_direction(device, power, measured)
        if granted is None:
            if sample.source == SOURCE and _is(sample.plant_setpoint, asked):
                granted, target = now, sample.setpoint or 0.0
                if power and not target:
                    raise not_possible(
                        "the gateway gives this unit no part of the power; ask for more (--power)"
                    )
            elif now - moved > STUCK or now - began > LONGEST:
                raise not_possible(_not_granted(sample, asked))
            else:
                continue
        elif not _is(sample.plant_setpoint, asked):
            raise AbortedError(f"the gateway took the power back: {_not_granted(sample, asked)}")
        overshoot = max(overshoot, beyond - abs(target)) if power else 0.0
        if abs(measured - target) > device.tolerance:
            inside = None
            if now - granted > device.response_time + 2.0:
                raise AbortedError(
                    f"{now - granted:.1f} s after the setpoint was {target:+.2f} kW the measured power is "
                    f"{measured:+.2f} kW; wanted: within {device.tolerance:.2f} kW after {device.response_time:g} s"
                )
            continue
        if inside is None:
            inside, held = now, []
        held.append(measured)
        if now - inside >= hold:
            return Arrival(
                target=target,
                granted_after=granted - began,
                reached_after=inside - granted,
                overshoot=max(0.0, overshoot),
                mean=fmean(held[len(held) // 2 :]),
                last=sample,
            )


def hold_until_read(
    watch: Watch, plan: Plan, power: float, arrival: Arrival, names: tuple[str, ...]
) -> Steps[Sample]:
    """Hold a power until these points were read since the unit arrived there, at most for the plan's `wait`.

    Returns the last sample.
    """
    sample, since = arrival.last, arrival.last.time
    wish = Wish(phase="hold until slower values are read", asks=(pinned(power * plan.units),))
    while sample.time - since < plan.wait and not all(fresh(sample, name, since) for name in names):
        sample = yield from watch.tick(wish)
        if sample.measured is None:
            raise AbortedError(f"the measured power ({plan.device.measured}) is {sample.quality}")
        check_direction(plan.device, power, sample.measured)
        if not _is(sample.plant_setpoint, power * plan.units):
            raise AbortedError(f"the gateway took the power back: {_not_granted(sample, power * plan.units)}")
    return sample


def fresh(sample: Sample, name: str, since: float) -> bool:
    """True when a point was read after `since`, or is not there to be read."""
    point = sample.points.get(name)
    if point is None or point.quality != "good":
        return True
    return point.age is not None and sample.time - point.age >= since - HOLD


def check_direction(device: Device, power: float, measured: float) -> float:
    """The measured power in the direction of `power`, kW.

    Raises:
        AbortedError: it flows the other way, or far more than was asked for flows.
    """
    if power == 0:
        return 0.0
    along = measured if power > 0 else -measured
    if along < -device.tolerance:
        asked, seen = ("discharge", "charges") if power > 0 else ("charge", "discharges")
        raise AbortedError(
            f"wrong sign: asked to {asked} ({power:+.2f} kW) it {seen}: {measured:+.2f} kW measured"
        )
    if along > abs(power) + max(2 * device.tolerance, abs(power)):
        raise AbortedError(f"far too much power: {measured:+.2f} kW measured, {power:+.2f} kW asked for")
    return along


def _is(setpoint: float | None, asked: float) -> bool:
    return setpoint is not None and abs(setpoint - asked) <= _WATT


def _because(sample: Sample) -> str:
    why = "; ".join(alarm.message for alarm in sample.alarms)
    return f" ({why})" if why else ""


def _not_granted(sample: Sample, asked: float) -> str:
    setpoint = "nothing" if sample.plant_setpoint is None else f"{sample.plant_setpoint:+.2f} kW"
    why = f", limited by {', '.join(sample.limited_by)}" if sample.limited_by else ""
    who = f"; {sample.source} decides" if sample.source not in {None, SOURCE} else ""
    return f"{asked:+.2f} kW asked for, {setpoint} granted{why}{who}{_because(sample)}"
