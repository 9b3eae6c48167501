"""Why the set-point was what it was: the course for a scrubber, and one cycle in steps and words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict

from bessai.interfaces.api.answers import Answer, errors, finite, moment, through, time_text
from bessai.interfaces.api.archive import NEAR, cycle_after, cycle_before, journal, row, sequence_at
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.deciding import decision_as_plain, sentences, steps
from bessai.interfaces.api.problems import Problem, field_problem
from bessai.interfaces.api.roles import Role, needs
from bessai.interfaces.api.routes.status import Text
from bessai.interfaces.api.spoken import decided
from bessai.journal import Entry, JournalReader
from bessai.model import Quality

router = APIRouter(tags=["decisions"], dependencies=[Depends(needs(Role.VIEWER))])

_MEASURED = (
    "battery_power", "active_power", "grid_power", "reactive_power", "soc", "frequency", "grid_frequency",
    "charge_power_max", "discharge_power_max",
)  # fmt: skip
_PATIENCE = 3.0
"""Seconds that a course may take."""


class Course(Answer):
    """A column each; a row is one recorded cycle, the first of its bucket."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"times": [1795934500000], "setpoint": [-2.5], "asked": [-2.5], "low": [-10.0], "high": [10.0],
                 "state": ["normal"], "source": ["demo schedule"], "step": 1, "complete": True}
            ]
        }
    )  # fmt: skip

    times: list[int]
    """Milliseconds since 1970."""
    setpoint: list[float | None]
    """kW, as are asked, low and high."""
    asked: list[float | None]
    low: list[float | None]
    high: list[float | None]
    state: list[str]
    source: list[str | None]
    """Who won; null: nobody asked."""
    step: int
    """Every how many records one is shown; what happened between is not in it."""
    complete: bool
    """False: it took too long, and the end of the range is missing."""


class Asked(Answer):
    """A live request."""

    source: str
    priority: str
    power: float | None
    bounds: list[float | None]
    role: str
    """What became of it: `won`, `narrowed`, `outranked`, `bounds_only` or `impossible`."""
    reason: str
    seconds_left: float | None
    soc_target: float | None
    offset: float | None
    reactive: float | None
    id: str


class StandingTrip(Answer):
    """A trip that stands."""

    code: str
    unit: str
    plant_wide: bool
    point: str | None
    value: float | None
    message: str
    time: str | None


class Decided(Answer):
    """The decision of a cycle; powers in kW."""

    state: str | None
    asked: float | None
    setpoint: float | None
    """Null: the gateway does not control."""
    target: float | None
    """Before ramps and dwell times."""
    offset: float | None
    """What of the set-point answers the grid."""
    bounds: list[float | None]
    reactive: float | None
    reactive_asked: float | None
    source: str | None
    reason: str
    limited_by: list[str]
    reasons: list[str]
    requests: list[Asked]
    trips: list[StandingTrip]


class Step(Answer):
    """A step on the way to the set-point, in the order in which the guard narrows."""

    kind: Literal["bounds", "limit", "request", "result"]
    name: str
    """Of a limit or the source of a request; of bounds `reported`, `guard` or `left`; of the result `setpoint`."""
    low: float | None
    """kW left after the step; null: open, or the record does not say."""
    high: float | None
    power: float | None
    """kW that are asked for, preferred or commanded."""
    text: Text
    priority: str | None = None
    """Of a request, as what follows."""
    role: str | None = None
    asks: list[float | None] | None = None
    """Its own bounds."""
    offset: float | None = None
    soc_target: float | None = None


class Told(Answer):
    """One cycle."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "time": "2026-11-29T06:41:53.401Z", "cycle": 17, "sequence": 17, "verified": True,
                    "decision": {
                        "state": "normal", "asked": -2.5, "setpoint": -2.5, "target": -2.5, "offset": None,
                        "bounds": [-10.0, 10.0], "reactive": None, "reactive_asked": None, "source": "demo schedule",
                        "reason": "valley", "limited_by": [], "reasons": [], "trips": [], "requests": [],
                    },
                    "steps": [
                        {"kind": "result", "name": "setpoint", "low": -10.0, "high": 10.0, "power": -2.5,
                         "text": {"en": "what the plant is commanded to", "es": "lo que se ordena a la planta"}}
                    ],
                    "words": ["demo schedule asks for -2.5 kW: valley", "the plant is commanded to -2.5 kW"],
                    "previous": 1795934512401, "next": None,
                    "measured": {"battery_power": 0.0, "soc": 50.0},
                }
            ]
        }
    )  # fmt: skip

    time: str
    cycle: int
    sequence: int
    verified: bool
    """The cycle was complete: fresh evidence, a decision, every write read back."""
    decision: Decided
    steps: list[Step]
    words: list[str]
    previous: int | None
    """Milliseconds since 1970 of the cycle before; null: there is none."""
    next: int | None
    measured: dict[str, float | None]
    """What was measured then; null: not known. A point that the plant does not have is left out."""


@router.get("/decisions")
async def course(
    context: Annotated[Context, Depends(of)],
    start: Annotated[
        str | None, Query(max_length=40, description="ISO 8601, ms since 1970, or -2h; default -1h.")
    ] = None,
    end: Annotated[str | None, Query(max_length=40, description="The same, inclusive; default now.")] = None,
    max_points: Annotated[int, Query(ge=1, le=2000, description="Most rows.")] = 400,
) -> Course:
    """Set-point, what was asked, bounds and state over a range, for choosing a cycle."""
    now = time.time_ns()
    end_ns = through(moment("end", end, now, now_ns=now))
    start_ns = moment("start", start, end_ns - NEAR, now_ns=now)
    if start_ns > end_ns:
        raise field_problem("start", start, "the range ends before it begins: swap start and end")

    def work() -> Course:
        with journal(context.settings.data_dir) as reader:
            first = max(reader.first_sequence(), sequence_at(reader, start_ns - 1) + 1)
            last = sequence_at(reader, end_ns)
            stride = max(1, -(-(last - first + 1) // max_points))
            deadline = time.monotonic() + _PATIENCE
            found = list(_sampled(reader, first, last, stride, deadline))
        entries = [entry for entry in found if entry is not None and start_ns <= entry.wall_ns <= end_ns]
        return _course(entries, stride, complete=None not in found)

    return await context.read(work)


@router.get("/decisions/{when}", responses=errors(404))
async def decision(
    when: str,
    context: Annotated[Context, Depends(of)],
    lang: Annotated[Literal["en", "es"], Query(description="Of all sentences.")] = "en",
) -> Told:
    """The cycle at a time, or the last before it within an hour. `when`: `latest`, ISO 8601, ms since 1970, or -5m."""
    at = None if when == "latest" else through(moment("when", when, 0))

    def work() -> Told:
        with journal(context.settings.data_dir) as reader:
            before = (reader.last_sequence() if at is None else sequence_at(reader, at)) + 1
            entry = cycle_before(reader, before, None if at is None else at - NEAR)
            if entry is None:
                held = reader.stats()
                span = (
                    f"the journal holds {time_text(held.first_wall_ns)} to {time_text(held.last_wall_ns)}"
                    if held.records
                    else "the journal is empty"
                )
                raise Problem(
                    404, "no_record", f"no cycle is recorded in the hour before {when[:40]}; {span}"
                )
            earlier = cycle_before(reader, entry.sequence)
            later = cycle_after(reader, entry.sequence)
        return _told(
            entry,
            lang,
            None if earlier is None else earlier.wall_ns // 1_000_000,
            None if later is None else later // 1_000_000,
        )

    return await context.read(work)


def _told(entry: Entry, language: str, previous: int | None, following: int | None) -> Told:
    measured = {name: _good(entry, name) for name in _MEASURED if name in entry.layout.index}
    charge, discharge = measured.get("charge_power_max"), measured.get("discharge_power_max")
    reported = (None if charge is None else -charge + 0.0, discharge)
    plain = decision_as_plain(entry.decision)
    return Told(
        time=time_text(entry.wall_ns),
        cycle=entry.cycle,
        sequence=entry.sequence,
        verified=entry.verified,
        decision=Decided(**decided(plain, language)),
        steps=[Step(**step) for step in steps(entry.decision, reported)],
        words=sentences(entry.decision, language),
        previous=previous,
        next=following,
        measured=measured,
    )


def _good(entry: Entry, name: str) -> float | None:
    i = entry.layout.index[name]
    return finite(float(entry.values[i])) if entry.quality[i] == Quality.GOOD else None


def _sampled(
    reader: JournalReader, first: int, last: int, stride: int, deadline: float
) -> Iterator[Entry | None]:
    """The first cycle of every `stride` records; None at the end when the time is up."""
    block = None
    sequence = first
    while sequence <= last:
        if time.monotonic() > deadline:
            yield None
            return
        if block is None or sequence > block.last_sequence:
            blocks = reader.blocks(sequence - 1, 1)
            if not blocks:
                return
            block = blocks[0]
        begin = max(0, sequence - block.first_sequence)
        cycles = np.flatnonzero(block.kinds[begin : begin + stride] == 1)
        if len(cycles) and block.first_sequence + begin + int(cycles[0]) <= last:
            yield row(block, begin + int(cycles[0]))
        reached = max(sequence, block.first_sequence)
        sequence += stride * max(1, -(-(reached - sequence + 1) // stride))


def _course(entries: list[Entry], stride: int, *, complete: bool) -> Course:
    told: list[dict[str, Any]] = [dict(entry.decision) for entry in entries]
    bounds = [one.get("bounds") or {} for one in told]
    return Course(
        times=[entry.wall_ns // 1_000_000 for entry in entries],
        setpoint=[finite(one.get("setpoint")) for one in told],
        asked=[finite(one.get("asked")) for one in told],
        low=[finite(one.get("low")) for one in bounds],
        high=[finite(one.get("high")) for one in bounds],
        state=[str(one.get("state")) for one in told],
        source=[one.get("source") for one in told],
        step=stride,
        complete=complete,
    )
