"""What the schedule asks for from now on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict

from bessai.interfaces.api.answers import Answer, time_text
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.roles import Role, needs
from bessai.interfaces.schedule import Part, Schedule, ScheduleError, load_schedule

router = APIRouter(tags=["schedule"], dependencies=[Depends(needs(Role.VIEWER))])

_MOST = 500


class Entry(Answer):
    """A stretch of time and what is asked for in it."""

    start: str
    end: str
    power: float | None
    """kW; with soc_target the highest on the way there."""
    soc_target: float | None
    """%."""
    low: float | None
    """kW, bounds for those of lower priority, as is high."""
    high: float | None
    reactive: float | None
    """kvar."""
    reason: str
    where: str
    """Its place in the file."""


class ScheduleAnswer(Answer):
    """The schedule from now on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "file": "config/schedule.csv", "problem": None, "timezone": "America/Santiago",
                    "entries": [
                        {"start": "2026-11-29T21:00:00.000Z", "end": "2026-11-30T01:00:00.000Z", "power": 40.0,
                         "soc_target": None, "low": None, "high": None, "reactive": None, "reason": "evening peak",
                         "where": "line 2"}
                    ],
                }
            ]
        }
    )  # fmt: skip

    file: str | None
    """Null: there is no schedule."""
    problem: str | None
    """Why the file cannot be used; the schedule that was read before may still be in force."""
    timezone: str | None
    entries: list[Entry]


@router.get("/schedule")
async def schedule(
    context: Annotated[Context, Depends(of)],
    days: Annotated[int, Query(ge=1, le=31, description="Days to look ahead.")] = 7,
) -> ScheduleAnswer:
    """What the schedule's file asks for from now on, as it is on the disk now."""
    settings = {one["name"]: one["value"] for one in (await context.gateway.configuration())["settings"]}
    file = settings.get("SCHEDULE_FILE")
    if file is None:
        return ScheduleAnswer(file=None, problem=None, timezone=None, entries=[])

    def work() -> ScheduleAnswer:
        try:
            found = load_schedule(Path(file))
        except ScheduleError as error:
            return ScheduleAnswer(file=file, problem=str(error), timezone=None, entries=[])
        parts = itertools.islice(_until(found, time.time(), days), _MOST)
        return ScheduleAnswer(
            file=file,
            problem=None,
            timezone=None if found.zone is None else found.zone.key,
            entries=[_entry(part) for part in parts],
        )

    return await context.read(work)


def _until(found: Schedule, now: float, days: int) -> Iterator[Part]:
    return itertools.takewhile(lambda part: part.start < now + 86_400 * days, found.parts(now))


def _entry(part: Part) -> Entry:
    wish = part.entry.wish
    return Entry(
        start=time_text(round(part.start * 1e3) * 10**6),
        end=time_text(round(part.end * 1e3) * 10**6),
        power=wish.power,
        soc_target=wish.soc_target,
        low=wish.low,
        high=wish.high,
        reactive=wish.reactive,
        reason=wish.reason,
        where=part.entry.where,
    )
