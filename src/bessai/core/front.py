"""What people and the service plane may ask over the local socket, besides status and requests.

{"op": "reset", "code": "cell_voltage_high", "user": "ana", "role": "engineer", "reason": "cell replaced"}
{"op": "maintenance", "on": true, "user": "ana", "role": "operator", "reason": "fan"}
{"op": "deadman_test", "unit": "", "user": "ana", "role": "engineer", "reason": "commissioning"}
{"op": "deadman_test_end", "unit": "", "result": "passed", "user": …, "role": …, "reason": …, "evidence": {…}}
{"op": "alarms"}
{"op": "alarm_ack", "code": "soc_low", "point": "soc", "user": "ana", "reason": "known"}
{"op": "alarm_shelve", …, "for": 3600}
{"op": "alarm_unshelve", …}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from bessai.core.alarms import AlarmBook
from bessai.core.guard import SafetyGuard
from bessai.core.operations import operation_from
from bessai.model import Clock, Event

Handler = Callable[[dict[str, Any]], dict[str, Any]]


class Front:
    """Takes what people ask for to the guard and the alarm list.

    Args:
        guard: takes the operations.
        alarms: the alarm list.
        note: puts an event into the next record.
        clock: of everything.
    """

    def __init__(
        self, guard: SafetyGuard, alarms: AlarmBook, note: Callable[[Event], None], clock: Clock
    ) -> None:
        self._guard = guard
        self._alarms = alarms
        self._note = note
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By `op`. A handler answers, or raises ValueError with the mend."""
        return {
            **dict.fromkeys(("reset", "maintenance", "deadman_test", "deadman_test_end"), self._operate),
            "alarms": lambda _: {"alarms": self._alarms.as_plain()},
            **dict.fromkeys(("alarm_ack", "alarm_shelve", "alarm_unshelve"), self._alarm),
        }

    def _operate(self, message: dict[str, Any]) -> dict[str, Any]:
        operation = operation_from(message)
        objection = self._guard.operate(operation, self._clock.monotonic(), self._clock.wall_ns())
        if objection is not None:
            raise ValueError(objection)
        return {}

    def _alarm(self, message: dict[str, Any]) -> dict[str, Any]:
        code, point = message.get("code"), message.get("point")
        if not isinstance(code, str) or not (point is None or isinstance(point, str)):
            raise ValueError("code and point: give texts")
        user, reason = str(message.get("user") or ""), str(message.get("reason") or "")
        now, wall_ns = self._clock.monotonic(), self._clock.wall_ns()
        book = self._alarms
        if message["op"] == "alarm_shelve":
            seconds = message.get("for")
            if (
                isinstance(seconds, bool)
                or not isinstance(seconds, int | float)
                or not math.isfinite(seconds)
            ):
                raise ValueError(f"for={seconds!r}: give seconds")
            event = book.shelve(
                code, point, user=user, reason=reason, seconds=seconds, now=now, wall_ns=wall_ns
            )
        else:
            act = book.acknowledge if message["op"] == "alarm_ack" else book.unshelve
            event = act(code, point, user=user, reason=reason, now=now, wall_ns=wall_ns)
        self._note(event)
        return {}
