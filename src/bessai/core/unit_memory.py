"""What is known of a unit between cycles, and what follows from its past alone."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from bessai.core.deadman import Memory as DeadManMemory
from bessai.core.effect import Effect, ReactiveMemory
from bessai.core.effect import Memory as EffectMemory
from bessai.core.envelope import Envelope
from bessai.core.envelope import Memory as EnvelopeMemory
from bessai.core.write_limit import WriteLimitMemory
from bessai.model import Condition, GuardState, ProcessImage, Quality, Severity, Trip

START_GRACE = 10.0
"""Seconds after the start in which a value that was never read yet is waited for, not alarmed."""

DISOBEYED = 3
"""Times within an hour that a device may do more than it was told before it is a trip."""

DISOBEYED_CODE = "command_disobeyed"

GRANTING = frozenset({GuardState.NORMAL, GuardState.DERATED})
SAFE_STATES = frozenset({GuardState.HOLD, GuardState.TRIPPED, GuardState.MAINTENANCE})
"""States in which zero is written again and again: no feed keeps the device from its own fallback."""

_HOUR = 3600.0


@dataclass(slots=True)
class Refusal:
    """Commands of one kind that the device did not take."""

    why: str
    times: int
    retry_at: float


@dataclass(slots=True)
class Issued:
    """A command under way."""

    kind: str
    setpoint: float | None
    reactive: float | None
    feed: bool


@dataclass(slots=True)
class Memory:
    """What is known of the unit between cycles."""

    state: GuardState = GuardState.STARTING
    valid: int = 0
    began: float | None = None
    first: float = 0.0
    kind: str | None = None
    """Of the command that the device verifiably has, None when there is none."""
    setpoint: float | None = None
    reactive: float | None = None
    touched: bool = False
    known: bool = False
    """True once any of its own evidence was good: it is our device."""
    refusals: dict[str, Refusal] = field(default_factory=dict)
    issued: Issued | None = None
    disobeying: bool = False
    disobeyed: list[float] = field(default_factory=list)
    withheld_until: float | None = None
    """A dead-man test: nothing is written until then."""
    dead_man: DeadManMemory = field(default_factory=DeadManMemory)
    effect: EffectMemory = field(default_factory=EffectMemory)
    reactive_effect: ReactiveMemory = field(default_factory=ReactiveMemory)
    envelope: EnvelopeMemory = field(default_factory=EnvelopeMemory)
    rises: WriteLimitMemory = field(default_factory=WriteLimitMemory)


def disobedience(memory: Memory, effect: Effect, image: ProcessImage, measured: str | None) -> list[Trip]:
    """A trip when the device did more than it was told again and again: a retry does not mend that."""
    began = effect.disobeys and not memory.disobeying
    memory.disobeying = effect.disobeys
    if not began:
        return []
    now = image.monotonic
    memory.disobeyed = [*(t for t in memory.disobeyed if t > now - _HOUR), now]
    if len(memory.disobeyed) < DISOBEYED:
        return []
    message = f"did more than it was told, or the opposite, {DISOBEYED} times within an hour"
    return [
        Trip(
            code=DISOBEYED_CODE,
            unit="",
            point=measured,
            value=image.good(measured or ""),
            message=message,
            wall_ns=image.wall_ns,
        )
    ]


def waits_for_first_values(
    memory: Memory, image: ProcessImage, envelope: Envelope, foreign: Container[str]
) -> bool:
    """True shortly after the start, while all that is wrong is that values were not read yet.

    A plant's first round may take some seconds, in which the first values already age. Until the evidence was
    whole for the first time no power is granted anyway.
    """
    if memory.began is None:
        memory.began = memory.first = image.monotonic
    if envelope.safe:
        memory.first = -START_GRACE
    if image.monotonic - memory.first >= START_GRACE:
        return False
    lost = [c for c in envelope.conditions if c.code == "evidence_lost"]
    return bool(lost) and all(
        c.severity < Severity.ALARM
        or (c.point is not None and _not_yet(c.point, image.quality_of(c.point), foreign))
        for c in envelope.conditions
    )


def may_come(memory: Memory, condition: Condition, image: ProcessImage) -> bool:
    """True for a power limit that is still on its way: slower classes are read after the fast one."""
    if condition.code != "power_limit_unknown" or memory.state in GRANTING:
        return False
    early = memory.began is not None and image.monotonic - memory.began < 2 * START_GRACE
    point = condition.point or ""
    return early and image.quality_of(point) is Quality.MISSING and point in image.layout.index


def _not_yet(point: str, quality: Quality, foreign: Container[str]) -> bool:
    return quality is Quality.MISSING or (quality is Quality.STALE and point in foreign)
