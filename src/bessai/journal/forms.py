"""What a record says beside its columns, as forms with blanks and the numbers for them.

The form of a decision, an outcome or of events is JSON in which every number with a fraction is left blank; the
numbers follow in the order of the text. Records mostly differ in their numbers alone, so a block keeps few forms.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from typing import Any

import numpy as np

from bessai.model import (
    Bounds,
    Considered,
    CycleTiming,
    Decision,
    Event,
    UnitDecision,
    WriteOutcome,
)

PARTS = ("decision", "timing", "outcome", "texts", "events")
"""What the forms of a record stand for, in order."""

Forms = tuple[str, str, str, str, str]

_BLANK = math.nan  # JSON text `NaN`, which is the only constant that `filled` can meet
_MOST_FORMS = 4096


def blanks(form: str) -> tuple[Any, int]:
    """What a form says, with NaN in its blanks, and how many there are. Raises ValueError or RecursionError."""
    count = 0

    def blank(_: str) -> float:
        nonlocal count
        count += 1
        return _BLANK

    return json.loads(form, parse_constant=blank), count


def filled(form: str, numbers: Iterator[float]) -> Any:
    """What a form says, with numbers in its blanks."""
    return json.loads(form, parse_constant=lambda _: next(numbers))


_known: dict[Hashable, str] = {}


def _form(shape: Hashable, whole: Any, numbers: list[float], found: Sequence[float], plain: Any) -> str:
    """The form of a part whose look is `shape`; made from `plain(whole)` the first time."""
    try:
        form = _known.get(shape)
        if form is not None:
            numbers += found
            return form
    except TypeError:  # something in it has no hash: make it every time
        shape = None
    form, found = _split(plain(whole))
    numbers += found
    if shape is not None:
        if len(_known) >= _MOST_FORMS:
            _known.clear()
        _known[shape] = form
    return form


def _split(tree: Any) -> tuple[str, list[float]]:
    """The form of plain data, and its numbers."""
    numbers: list[float] = []

    def blanked(item: Any) -> Any:
        if isinstance(item, float | np.floating):
            numbers.append(float(item))
            return _BLANK
        if item is None or isinstance(item, str | int):
            return item
        if isinstance(item, Mapping):
            return {str(key): blanked(value) for key, value in item.items()}
        if isinstance(item, list | tuple):
            return [blanked(value) for value in item]
        # A value of an unforeseen type must not cost the record it is in.
        if isinstance(item, np.generic):
            return blanked(item.item())
        return blanked(item.value) if isinstance(item, Enum) else str(item)

    return json.dumps(blanked(tree), separators=(",", ":")), numbers


# Of each part there is a quick look (what decides its form, and its numbers in the order of the text) and its plain
# data. Both are tested against each other.


def _take(value: float | None, found: list[float]) -> bool:
    if value is None or not math.isfinite(value):
        return False
    found.append(float(value))
    return True


def decision_form(decision: Decision, numbers: list[float]) -> str:
    """The form of a decision; its numbers are appended."""
    found: list[float] = []
    shape = (
        "decision",
        decision.state,
        _take(decision.setpoint, found),
        _take(decision.bounds.low, found),
        _take(decision.bounds.high, found),
        _take(decision.asked, found),
        decision.source,
        decision.request_id,
        decision.reason,
        _take(decision.target, found),
        _take(decision.reactive, found),
        _take(decision.reactive_asked, found),
        decision.limited_by,
        decision.reasons,
        tuple([_considered_look(request, found) for request in decision.considered]),
        tuple([(trip, _take(trip.value, found)) for trip in decision.trips]),
        tuple([_unit_look(unit, found) for unit in decision.units]),
    )
    return _form(shape, decision, numbers, found, _decision)


def _considered_look(request: Considered, found: list[float]) -> Hashable:
    return (
        request.source,
        request.priority,
        _take(request.power, found),
        _take(request.bounds.low, found),
        _take(request.bounds.high, found),
        _take(_micro(request.seconds_left), found),
        request.role,
        request.reason,
        request.id,
        _take(request.reactive, found),
        _take(request.soc_target, found),
    )


def _unit_look(unit: UnitDecision, found: list[float]) -> Hashable:
    return (
        unit.unit,
        unit.state,
        _take(unit.setpoint, found),
        _take(unit.bounds.low, found),
        _take(unit.bounds.high, found),
        _take(unit.reactive, found),
        unit.limited_by,
    )


def timing_form(timing: CycleTiming, numbers: list[float]) -> str:
    """The form of the timing, to the microsecond; its numbers are appended."""
    numbers += [
        _micro(seconds) for seconds in (timing.late, timing.read, timing.decide, timing.write, timing.total)
    ]
    return _TIMING


def outcome_form(outcome: WriteOutcome, numbers: list[float]) -> str:
    """The form of what was written; its numbers are appended."""
    found: list[float] = []
    written = tuple([(write.point, _take(write.value, found)) for write in outcome.written])
    return _form(("outcome", outcome.verified, written, outcome.error), outcome, numbers, found, _outcome)


def texts_form(texts: Mapping[str, str]) -> str:
    """The form of text points, which has no blanks."""
    return _form(("texts", *texts.items()), texts, [], (), dict) if texts else "{}"


def events_form(events: Iterable[Event], numbers: list[float]) -> str:
    """The form of events; their numbers are appended."""
    form, found = _split([_event(event) for event in events])
    numbers += found
    return form


def _micro(seconds: float) -> float:
    return round(seconds * 1e6) / 1e6 if math.isfinite(seconds) else float(seconds)


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "state": decision.state.value,
        "setpoint": _finite(decision.setpoint),
        "bounds": _bounds(decision.bounds),
        "asked": _finite(decision.asked),
        "source": decision.source,
        "request_id": decision.request_id,
        "reason": decision.reason,
        "target": _finite(decision.target),
        "reactive": _finite(decision.reactive),
        "reactive_asked": _finite(decision.reactive_asked),
        "limited_by": list(decision.limited_by),
        "reasons": list(decision.reasons),
        "considered": [_considered(request) for request in decision.considered],
        "trips": [
            {**asdict(trip), "value": _finite(trip.value), "reset": trip.reset.label}
            for trip in decision.trips
        ],
        "units": [_unit(unit) for unit in decision.units],
    }


def _considered(request: Considered) -> dict[str, Any]:
    return {
        "source": request.source,
        "priority": request.priority.name.lower(),
        "power": _finite(request.power),
        "bounds": _bounds(request.bounds),
        "seconds_left": _finite(_micro(request.seconds_left)),
        "role": request.role,
        "reason": request.reason,
        "id": request.id,
        "reactive": _finite(request.reactive),
        "soc_target": _finite(request.soc_target),
    }


def _unit(unit: UnitDecision) -> dict[str, Any]:
    return {
        "unit": unit.unit,
        "state": unit.state.value,
        "setpoint": _finite(unit.setpoint),
        "bounds": _bounds(unit.bounds),
        "reactive": _finite(unit.reactive),
        "limited_by": list(unit.limited_by),
    }


def _bounds(bounds: Bounds) -> dict[str, float | None]:
    return {"low": _finite(bounds.low), "high": _finite(bounds.high)}


def _outcome(outcome: WriteOutcome) -> dict[str, Any]:
    return {
        "verified": outcome.verified,
        "written": [{"point": write.point, "value": _finite(write.value)} for write in outcome.written],
        "error": outcome.error,
    }


def _event(event: Event) -> dict[str, Any]:
    return {**asdict(event), "severity": int(event.severity)}


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


_TIMING, _ = _split(asdict(CycleTiming(late=0.0, read=0.0, decide=0.0, write=0.0, total=0.0)))
