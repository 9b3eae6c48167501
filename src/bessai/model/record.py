"""What one cycle leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bessai.model.command import WriteOutcome
from bessai.model.control import Decision
from bessai.model.event import Event
from bessai.model.image import ProcessImage

LATENESS_EDGES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between the classes of lateness."""

DURATION_EDGES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between the classes of a cycle's duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleTiming:
    """How long the phases of a cycle took, in seconds, and how late it started."""

    late: float
    """Actual start minus planned start."""
    read: float
    """Start to frozen image."""
    decide: float
    """Control and guard."""
    write: float
    """Writes, read-back and dead-man, or the wait for them."""
    total: float
    """Start to recorded."""
    guard: float = 0.0
    """The guard's decision, which is the end of `decide`."""
    record: float = 0.0
    """What happened is gathered: alarms, black box, log. It follows `write`; older records count it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRecord:
    """One cycle: what was measured, what was decided and why, what was written, what came back."""

    image: ProcessImage
    decision: Decision
    outcome: WriteOutcome | None
    """None when nothing was written in this cycle."""
    verified: bool
    """True when the cycle was complete: fresh evidence in, a decision, every due write read back."""
    fed: bool
    """True when the dead-man was fed at the end of this cycle."""
    timing: CycleTiming
    events: tuple[Event, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    """Text points, such as the serial number."""
