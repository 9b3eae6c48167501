"""What happened: events of the journal, newest first."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict

from bessai.interfaces.api.answers import Answer, finite, moment, through, time_text
from bessai.interfaces.api.archive import events_before, journal, sequence_at
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.roles import Role, needs
from bessai.interfaces.api.spoken import Tongue, spoken
from bessai.model import Event, Severity
from bessai.model.catalogue import catalogue

router = APIRouter(tags=["events"], dependencies=[Depends(needs(Role.VIEWER))])

_DAYS = 400
"""Looked back at most when nobody says from when on; the journal is shorter."""

Start = Annotated[
    str | None, Query(max_length=40, description="ISO 8601, ms since 1970, or -2h; default: all.")
]
End = Annotated[str | None, Query(max_length=40, description="The same, inclusive; default now.")]
Code = Annotated[str | None, Query(max_length=1000, description="Codes, comma between them.")]
Least = Annotated[
    Literal["info", "warning", "alarm"] | None, Query(description="This severity and higher ones.")
]
Limit = Annotated[int, Query(ge=1, le=1000, description="Events; those of one record stay together.")]
Before = Annotated[int | None, Query(ge=1, le=1 << 53, description="`next` of the answer before.")]


class Happened(Answer):
    """One event."""

    time: str
    sequence: int
    """Of the journal's record."""
    cycle: int | None
    """Null: outside a cycle."""
    code: str
    severity: str
    message: str
    active: bool
    """False: it ended."""
    point: str | None
    value: float | None
    user: str | None
    """Who did it."""
    about: str | None
    """The code of the alarm that this is about."""
    first_out: bool
    """The alarm that began while no other was there."""


class Events(Answer):
    """Some events, newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {"time": "2026-11-29T06:41:39.402Z", "sequence": 1, "cycle": 1, "code": "device_connected",
                         "severity": "info", "message": "connected to the device", "active": True, "point": None,
                         "value": None, "user": None, "about": None, "first_out": False}
                    ],
                    "next": None,
                }
            ]
        }
    )  # fmt: skip

    events: list[Happened]
    next: int | None
    """Give it as `before` to go on; null: there is nothing older. Also an empty answer can have one."""


@router.get("/events")
async def events(
    context: Annotated[Context, Depends(of)],
    tongue: Tongue,
    start: Start = None,
    end: End = None,
    code: Code = None,
    severity: Least = None,
    limit: Limit = 100,
    before: Before = None,
) -> Events:
    """Events of the journal, newest first. A long range is looked through bit by bit: follow `next`."""
    codes = None if code is None else {one.strip() for one in code.split(",")}
    least = Severity.INFO if severity is None else Severity[severity.upper()]
    return await look(
        context,
        tongue,
        start,
        end,
        limit,
        before,
        lambda e: (codes is None or e.code in codes) and e.severity >= least,
    )


@router.get("/alarms/history")
async def alarms_history(
    context: Annotated[Context, Depends(of)],
    tongue: Tongue,
    start: Start = None,
    end: End = None,
    code: Code = None,
    limit: Limit = 100,
    before: Before = None,
) -> Events:
    """Begins and ends of conditions of warning severity and above, and what people did about them."""
    codes = None if code is None else {one.strip() for one in code.split(",")}
    known = catalogue()

    def wanted(event: Event) -> bool:
        entry = known.get(event.code)
        severity = event.severity  # of an end it is always INFO
        if not event.active and entry is not None:
            severity = entry.severity
        alarm = event.about is not None or (
            severity >= Severity.WARNING and entry is not None and entry.condition
        )
        return alarm and (codes is None or event.code in codes or event.about in codes)

    return await look(context, tongue, start, end, limit, before, wanted)


async def look(
    context: Context,
    tongue: str,
    start: str | None,
    end: str | None,
    limit: int,
    before: int | None,
    wanted: Callable[[Event], bool],
) -> Events:
    """Events that are wanted, of a range."""
    now = time.time_ns()
    start_ns = moment("start", start, now - _DAYS * 86_400 * 10**9, now_ns=now)
    end_ns = through(moment("end", end, now + 3600 * 10**9, now_ns=now))

    def work() -> Events:
        with journal(context.settings.data_dir) as reader:
            top = (sequence_at(reader, end_ns) if end else reader.last_sequence()) + 1
            below = top if before is None else min(before, top)
            found, following = events_before(reader, below, start_ns, end_ns, limit, wanted)
        return Events(events=[_happened(*one, tongue) for one in found], next=following)

    return await context.read(work)


def _happened(sequence: int, cycle: int, event: Event, tongue: str) -> Happened:
    return Happened(
        time=time_text(event.wall_ns),
        sequence=sequence,
        cycle=cycle or None,
        code=event.code,
        severity=event.severity.label,
        message=spoken(event.message, tongue),
        active=event.active,
        point=event.point,
        value=finite(event.value),
        user=event.user,
        about=event.about,
        first_out=event.first_out,
    )
