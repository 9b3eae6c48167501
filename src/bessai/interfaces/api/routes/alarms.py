"""The alarm list, with what each code means and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from bessai.interfaces.api.answers import Answer, finite, time_text
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.roles import Role, needs
from bessai.interfaces.api.routes.status import Text, code_text
from bessai.interfaces.api.spoken import Tongue, spoken
from bessai.model.catalogue import catalogue

router = APIRouter(tags=["alarms"], dependencies=[Depends(needs(Role.VIEWER))])


class Alarm(Answer):
    """One line of the list."""

    code: str
    point: str | None
    severity: str
    state: str
    """`unacknowledged`, `acknowledged`, `returned` (over, and nobody took note) or `shelved`."""
    active: bool
    acknowledged: bool
    acknowledged_by: str | None
    acknowledged_why: str | None
    shelved_until: str | None
    shelved_by: str | None
    shelved_why: str | None
    shelvable: bool
    """Only a warning can be shelved."""
    first: str
    """Its latest begin; the list does not keep earlier ones."""
    last: str | None
    """Its end; null: it is there."""
    count: int
    """How often it came while it is in the list."""
    chattering: bool
    first_out: bool
    """It began while no other alarm was there: most likely the cause."""
    message: str
    value: float | None
    latches: bool
    """It can trip the plant, until somebody resets it."""
    title: Text
    cause: Text
    action: Text


class Alarms(Answer):
    """The list in its order: what is severe and new first, what is shelved last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "alarms": [
                        {"code": "device_unavailable", "point": "meter", "severity": "warning",
                         "state": "unacknowledged", "active": True, "acknowledged": False, "acknowledged_by": None,
                         "acknowledged_why": None, "shelved_until": None, "shelved_by": None, "shelved_why": None,
                         "shelvable": True, "first": "2026-11-29T06:41:39.402Z", "last": None, "count": 1,
                         "chattering": False, "first_out": False, "message": "meter: no answer", "value": None,
                         "latches": False, "title": {"en": "A device does not answer", "es": "Un equipo no responde"},
                         "cause": {"en": "…", "es": "…"}, "action": {"en": "…", "es": "…"}}
                    ],
                    "counts": {"warning": 1, "unacknowledged": 1},
                }
            ]
        }
    )  # fmt: skip

    alarms: list[Alarm]
    counts: dict[str, int]
    """By severity (without shelved ones) and by state."""


@router.get("/alarms")
async def alarms(context: Annotated[Context, Depends(of)], tongue: Tongue) -> Alarms:
    """What stands, what waits to be acknowledged, and last what is shelved."""
    told = spoken((await context.gateway.ask({"op": "alarms"}))["alarms"], tongue)
    found = [_alarm(one) for one in told]
    counts = Counter(alarm.severity for alarm in found if alarm.state != "shelved")
    counts.update(alarm.state for alarm in found)
    return Alarms(alarms=found, counts=dict(counts))


def _alarm(one: Mapping[str, Any]) -> Alarm:
    code = str(one["code"])
    entry = catalogue().get(code)
    words = {}
    for name in ("title", "cause", "action"):
        texts = {
            language: str(getattr(code_text(code, language), name)) if entry is not None else ""
            for language in ("en", "es")
        }
        words[name] = Text(**texts)
    return Alarm(
        code=code,
        point=one["point"],
        severity=one["severity"],
        state=one["state"],
        active=one["active"],
        acknowledged=one["acknowledged_wall_ns"] is not None,
        acknowledged_by=one["acknowledged_by"],
        acknowledged_why=one["acknowledged_why"],
        shelved_until=_time(one["shelved_until_wall_ns"]),
        shelved_by=one["shelved_by"],
        shelved_why=one["shelved_why"],
        shelvable=one["severity"] == "warning",
        first=time_text(one["began_wall_ns"]),
        last=_time(one["ended_wall_ns"]),
        count=one["count"],
        chattering=one["chattering"],
        first_out=one["first_out"],
        message=one["message"],
        value=finite(one["value"]),
        latches=entry is not None and entry.latches,
        **words,
    )


def _time(wall_ns: int | None) -> str | None:
    return None if wall_ns is None else time_text(wall_ns)
