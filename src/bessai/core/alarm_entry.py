"""An alarm as people see it: its state in the sense of ISA-18.2 and IEC 62682, and what was done about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

from bessai.core.alarm_memory import AlarmMark
from bessai.model import Severity


class AlarmState(Enum):
    """Where an alarm is between its begin and the moment when nobody need care any more."""

    UNACKNOWLEDGED = "unacknowledged"
    """It is there, and nobody took note."""
    ACKNOWLEDGED = "acknowledged"
    """It is there, and somebody took note."""
    RETURNED = "returned"
    """It is over, and nobody took note."""
    SHELVED = "shelved"
    """A person put it at the end of the list for a time, whether it is there or not."""
    NORMAL = "normal"
    """It is over and needs nobody; not in the list."""


def state_of(mark: AlarmMark) -> AlarmState:
    """The state that a mark stands for. What is only information is normal: it needs nobody."""
    if mark.shelved_until is not None:
        return AlarmState.SHELVED
    if mark.announced and (mark.owed or mark.peak >= Severity.WARNING):
        return AlarmState.ACKNOWLEDGED if mark.acknowledged else AlarmState.UNACKNOWLEDGED
    return AlarmState.RETURNED if mark.owed else AlarmState.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmEntry:
    """One line of the alarm list."""

    code: str
    point: str | None
    severity: Severity
    """Now; of one that is over, the highest that it had."""
    message: str
    value: float | None
    state: AlarmState
    active: bool
    """True from its announced begin to its announced end."""
    began_wall_ns: int
    """UTC nanoseconds of its latest begin."""
    ended_wall_ns: int | None
    """UTC nanoseconds of its end; None while it is active."""
    first_out: bool
    """It began while no other alarm was active."""
    count: int
    """How often it came while it is in the list."""
    chattering: bool
    """It comes and goes: taken as active until it stands still."""
    acknowledged_by: str | None
    acknowledged_why: str | None
    acknowledged_wall_ns: int | None
    shelved_by: str | None
    shelved_why: str | None
    shelved_until_wall_ns: int | None
    """UTC nanoseconds at which it comes back; by the clock at the time of shelving."""

    @classmethod
    def of(cls, mark: AlarmMark) -> AlarmEntry:
        """What people see of a mark."""
        seen, shelved = mark.acknowledged, mark.shelved_until is not None
        return cls(
            code=mark.code,
            point=mark.point,
            severity=Severity(max(0, mark.severity if mark.announced else mark.peak)),
            message=mark.message,
            value=mark.value,
            state=state_of(mark),
            active=mark.announced,
            began_wall_ns=mark.began_wall_ns,
            ended_wall_ns=None if mark.announced else mark.ended_wall_ns,
            first_out=mark.first_out,
            count=mark.count,
            chattering=mark.chattering,
            acknowledged_by=mark.acknowledged_by if seen else None,
            acknowledged_why=mark.acknowledged_why if seen else None,
            acknowledged_wall_ns=mark.acknowledged_wall_ns if seen else None,
            shelved_by=mark.shelved_by if shelved else None,
            shelved_why=mark.shelved_why if shelved else None,
            shelved_until_wall_ns=mark.shelved_until_wall_ns if shelved else None,
        )

    @property
    def rank(self) -> tuple[bool, int, bool, bool, bool, int]:
        """Order of the list: shelved last, then most severe, active, first-out, unacknowledged and oldest first."""
        unseen = self.state in {AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED}
        shelved = self.state is AlarmState.SHELVED
        return shelved, -self.severity, not self.active, not self.first_out, not unseen, self.began_wall_ns

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        value = self.value
        plain["value"] = None if value is None or not math.isfinite(value) else float(value)
        return plain | {"severity": self.severity.label, "state": self.state.value}
