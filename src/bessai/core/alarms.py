"""Conditions become events: one when a condition begins, one when it ends."""

from __future__ import annotations

from collections.abc import Iterable

from bessai.core.conditions import Condition
from bessai.model import Event, Severity


class Alarms:
    """The active conditions, and the events of their edges."""

    def __init__(self) -> None:
        self._active: dict[tuple[str, str | None], Condition] = {}

    @property
    def active(self) -> list[Condition]:
        """What is true now, most severe first."""
        return sorted(self._active.values(), key=lambda c: -c.severity)

    def update(self, conditions: Iterable[Condition], wall_ns: int) -> list[Event]:
        """Take this cycle's conditions; returns the events of what began, worsened or ended."""
        now = {(c.code, c.point): c for c in conditions}
        before = self._active
        began = [c for k, c in now.items() if k not in before or c.severity > before[k].severity]
        ended = [c for k, c in before.items() if k not in now]
        self._active = now
        return [_event(c, wall_ns, active=True) for c in began] + [
            _event(c, wall_ns, active=False) for c in ended
        ]


def _event(condition: Condition, wall_ns: int, *, active: bool) -> Event:
    return Event(
        code=condition.code,
        severity=condition.severity if active else Severity.INFO,
        message=condition.message if active else f"ended: {condition.message}",
        wall_ns=wall_ns,
        active=active,
        point=condition.point,
        value=condition.value,
    )
