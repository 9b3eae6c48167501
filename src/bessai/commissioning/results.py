"""What a step found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum


class Verdict(Enum):
    """The result of a check, of a step, or of all of them."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_POSSIBLE = "not possible"
    """It could not be tried here, and nothing is claimed."""
    SKIPPED = "skipped"
    """A person decided not to try it."""
    NOTED = "noted"
    """Worth knowing; neither right nor wrong by itself."""
    INCOMPLETE = "incomplete"
    """Nothing failed, and not everything was possible or tried."""


Plain = float | int | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    text: str
    """One sentence for people, with the values."""
    limits: Mapping[str, Plain] = field(default_factory=dict)
    """What it was judged by, with units in the names."""
    values: Mapping[str, Plain] = field(default_factory=dict)
    """What was measured, with units in the names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One sample as evidence."""

    time: float
    """Seconds since the step began."""
    setpoint: float | None
    measured: float | None
    quality: str
    remaining: float | None
    """Seconds left of the dead-man, where the device shows them."""
    current: float | None
    soc: float | None
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment worth showing in a chart."""

    time: float
    """Seconds since the step began."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One step with its evidence."""

    key: str
    title: str
    verdict: Verdict
    why: str = ""
    """Why it was skipped, not possible or failed."""
    by: str = ""
    """Who skipped it."""
    started_ns: int = 0
    """UTC nanoseconds."""
    ended_ns: int = 0
    checks: tuple[Check, ...] = ()
    rows: tuple[Row, ...] = ()
    marks: tuple[Mark, ...] = ()


def verdict_of(checks: Iterable[Check]) -> Verdict:
    """Of one step: failed when anything failed, passed when something was shown and nothing failed."""
    found = {check.verdict for check in checks}
    for verdict in (Verdict.FAILED, Verdict.PASSED):
        if verdict in found:
            return verdict
    return Verdict.NOT_POSSIBLE


def overall(steps: Iterable[StepResult]) -> Verdict:
    """Of all steps: passed only when every one of them passed."""
    found = {step.verdict for step in steps}
    if Verdict.FAILED in found:
        return Verdict.FAILED
    return Verdict.PASSED if found == {Verdict.PASSED} else Verdict.INCOMPLETE
