"""What people and the service plane may ask over the local socket, besides status and requests.

{"op": "reset", "code": "cell_voltage_high", "user": "ana", "role": "engineer", "reason": "cell replaced"}
{"op": "maintenance", "on": true, "user": "ana", "role": "operator", "reason": "fan"}
{"op": "deadman_test", "unit": "", "user": "ana", "role": "engineer", "reason": "commissioning"}
{"op": "deadman_test_end", "unit": "", "result": "passed", "user": …, "role": …, "reason": …, "evidence": {…}}
{"op": "alarms"}
{"op": "alarm_ack", "code": "soc_low", "point": "soc", "user": "ana", "reason": "known"}
{"op": "alarm_shelve", …, "for": 3600}
{"op": "alarm_unshelve", …}
{"op": "update", "result": "updated", "from": "0.1.0", "to": "0.2.0", "user": "ana", "reason": "release 0.2.0"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bessai.core.alarm_messages import handle_alarm
from bessai.core.alarms import AlarmBook
from bessai.core.black_box import BlackBox, RecordedGuard
from bessai.core.guard import SafetyGuard
from bessai.core.operations import operation_from
from bessai.model import Clock, Event, Severity

_TEXT = 128
Handler = Callable[[dict[str, Any]], dict[str, Any]]


class Front:
    """Takes what people ask for to the guard and the alarm list.

    Args:
        guard: takes the operations.
        alarms: the alarm list.
        box: may be told to keep what was just now.
        note: puts an event into the next record.
        clock: of everything.
        keep: hands over what must survive a restart; before the answer.
    """

    def __init__(
        self,
        guard: SafetyGuard | RecordedGuard,
        alarms: AlarmBook,
        box: BlackBox,
        note: Callable[[Event], None],
        clock: Clock,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self._guard = guard
        self._alarms = alarms
        self._box = box
        self._note = note
        self._clock = clock
        self._keep = keep

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By `op`. A handler answers, or raises ValueError with the mend."""
        return {
            **dict.fromkeys(("reset", "maintenance", "deadman_test", "deadman_test_end"), self._operate),
            "alarms": lambda _: {"alarms": self._alarms.as_plain()},
            **dict.fromkeys(("alarm_ack", "alarm_shelve", "alarm_unshelve"), self._alarm),
            "freeze": self._freeze,
            "update": self._update,
        }

    def _operate(self, message: dict[str, Any]) -> dict[str, Any]:
        operation = operation_from(message)
        objection = self._guard.operate(operation, self._clock.monotonic(), self._clock.wall_ns())
        if objection is not None:
            raise ValueError(objection)
        self._keep()
        return {}

    def _alarm(self, message: dict[str, Any]) -> dict[str, Any]:
        now, wall_ns = self._clock.monotonic(), self._clock.wall_ns()
        self._note(handle_alarm(self._alarms, message, now=now, wall_ns=wall_ns))
        self._keep()
        return {}

    def _freeze(self, message: dict[str, Any]) -> dict[str, Any]:
        reason = message.get("reason")
        if not isinstance(reason, str) or not reason.strip() or len(reason) > _TEXT:
            raise ValueError(f"reason: say why, in at most {_TEXT} characters")
        objection = self._box.freeze(reason.strip(), self._clock.monotonic(), self._clock.wall_ns())
        if objection is not None:
            raise ValueError(objection)
        return {}

    def _update(self, message: dict[str, Any]) -> dict[str, Any]:
        """What `bessai update` did, for the record: it may have been somebody who cannot be asked later."""
        words = {name: _text(message, name) for name in ("from", "to", "user", "reason")}
        wall_ns, why, user = self._clock.wall_ns(), words["reason"], words["user"]
        match message.get("result"):
            case "updated":
                text = f"gateway {words['to']} replaced {words['from']}, and was watched; {why}"
                self._note(
                    Event(
                        code="gateway_updated",
                        severity=Severity.INFO,
                        message=text,
                        wall_ns=wall_ns,
                        user=user,
                    )
                )
            case "rolled_back":
                text = f"gateway {words['from']} runs again: the update to {words['to']} failed; {why}"
                self._note(
                    Event(
                        code="update_rolled_back",
                        severity=Severity.WARNING,
                        message=text,
                        wall_ns=wall_ns,
                        user=user,
                    )
                )
            case _:
                raise ValueError("result: give updated or rolled_back")
        return {}


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _TEXT:
        raise ValueError(f"{name}: give printable text of at most {_TEXT} characters")
    return value.strip()
