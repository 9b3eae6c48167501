"""What the dialogues of one station have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from bessai.interfaces.scada.authority import Authority
from bessai.interfaces.scada.commands import Commander
from bessai.interfaces.scada.encoder import Encoder
from bessai.model import Clock
from bessai.site.scada import CommandPoint, Iec104


@dataclass(slots=True, kw_only=True)
class ClockSync:
    """The newest clock synchronization."""

    master: str
    offset: float
    """Seconds by which the master's clock is ahead of the gateway's."""


@dataclass(slots=True, kw_only=True)
class Shared:
    """What the dialogues of a station have in common."""

    settings: Iec104
    encoder: Encoder
    commands: dict[int, CommandPoint]
    """By IOA."""
    commander: Commander
    authority: Authority
    clock: Clock
    clock_sync: ClockSync | None = None
    executed: dict[int, int] = field(default_factory=dict)
    """By IOA: time tag of the newest command that was executed; one that is not newer is a replay."""
    malformed: int = 0
    """ASDUs that could not be understood at all."""
