"""What steps are made of: wishes, samples, findings, and a watch that ends a step when something is wrong."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bessai.commissioning.device import Device
from bessai.commissioning.results import Check, Mark, Verdict
from bessai.commissioning.samples import Sample

SOURCE = "commissioning"
LEASE = 5.0
"""Seconds of every lease: a wizard that is gone has no power for longer."""
SETTLE = 3.0
"""Seconds until the bounds of an earlier request no longer show: three cycles of a second. Judgement."""
GRANTED = frozenset({"normal", "derated"})

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
            code = alarm.code.removeprefix("trip:")
            brought = expected is not None and (code in expected or code.startswith("dead_man"))
            if alarm.code not in self._known and not brought:
                raise AbortedError(f"alarm {alarm.code}: {alarm.message}")
        if expected is None and sample.state not in GRANTED:
            raise AbortedError(f"the gateway went to {sample.state}{because(sample)}")
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
            raise not_possible(f"the gateway grants no power: its state is {sample.state}{because(sample)}")


def pinned(power: float) -> Ask:
    """Exactly this power: bounds keep everybody of lower priority to it as well."""
    return Ask(power=power, low=power, high=power)


def because(sample: Sample) -> str:
    """The alarms that stand, in brackets."""
    why = "; ".join(alarm.message for alarm in sample.alarms)
    return f" ({why})" if why else ""
