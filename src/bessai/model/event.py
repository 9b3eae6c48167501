"""Events: things that happened and that somebody must be able to find later."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How urgent an event is. The numbers are part of the journal's format."""

    INFO = 0
    """Worth keeping."""
    WARNING = 1
    """Something works less well than it should."""
    ALARM = 2
    """A person must look: the plant was brought to its safe state or cannot be controlled."""

    @property
    def label(self) -> str:
        """The name used in messages."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened."""

    code: str
    """A stable snake_case identifier, for example `evidence_lost`."""
    severity: Severity
    message: str
    """One sentence in English for people."""
    wall_ns: int
    """UTC nanoseconds when it happened."""
    active: bool = True
    """True when the condition begins (or is momentary), False when it ends."""
    point: str | None = None
    """The point that it is about."""
    value: float | None = None
    """The value that caused it, when one was measured."""
    first_out: bool = False
    """True for the alarm that began while no other was active: most likely the cause of those that follow."""
    about: str | None = None
    """The code of the alarm that this event is about, when somebody did something to it."""
    user: str | None = None
    """Who did it."""
