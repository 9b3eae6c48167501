"""Messages of the local socket that do something to an alarm.

{"op": "alarm_ack", "code": "evidence_lost", "point": "soc", "user": "ana", "reason": "…"}
{"op": "alarm_shelve", "code": "soc_high", "point": null, "user": "ana", "reason": "…", "for": 3600}
{"op": "alarm_unshelve", "code": "soc_high", "point": null, "user": "ana", "reason": "…"}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bessai.core.alarm_list import AlarmList
from bessai.model import Event

ALARM_OPS: Final = ("alarm_ack", "alarm_shelve", "alarm_unshelve")
"""The values of `op` that this module understands."""

_TEXT = 128
_FIELDS = {"op", "code", "point", "user", "reason"}


def handle_alarm(book: AlarmList, message: Mapping[str, Any], *, now: float, wall_ns: int) -> Event:
    """Do what a message asks for; returns the event to record.

    Raises:
        ValueError: the message is wrong, with everything that is, or the book does not allow it.
    """
    op = message.get("op")
    if op not in ALARM_OPS:
        raise ValueError(f"op={op!r} is unknown: use {', '.join(ALARM_OPS)}")
    allowed = _FIELDS | ({"for"} if op == "alarm_shelve" else set())
    problems = [f"{name}: {op} has no such field" for name in sorted(set(message) - allowed)]
    for name in ("code", "user", "reason"):
        value = message.get(name)
        if not isinstance(value, str) or not value.strip() or len(value) > _TEXT:
            problems.append(f"{name}={value!r:.40}: give a text of at most {_TEXT} characters, not empty")
    point = message.get("point")
    if point is not None and (not isinstance(point, str) or len(point) > _TEXT):
        problems.append(f"point={point!r:.40}: give a text of at most {_TEXT} characters, or null")
    seconds = message.get("for")
    if op == "alarm_shelve" and (not _is_time(seconds)):
        problems.append(f"for={seconds!r:.40}: give seconds")
    if problems:
        raise ValueError("; ".join(problems))
    code, user, reason = (str(message[name]) for name in ("code", "user", "reason"))
    if op == "alarm_shelve":
        return book.shelve(
            code, point, user=user, reason=reason, seconds=float(message["for"]), now=now, wall_ns=wall_ns
        )
    act = book.acknowledge if op == "alarm_ack" else book.unshelve
    return act(code, point, user=user, reason=reason, now=now, wall_ns=wall_ns)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
