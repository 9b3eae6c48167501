"""What a record says beside its columns, as forms with blanks and the numbers for them.

The form of a decision, an outcome or of events is JSON in which every number with a fraction is left blank; the
numbers follow in the order of the text. Records mostly differ in their numbers alone, so a block keeps few forms.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from itertools import compress
from operator import attrgetter
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

_BLANK = math.nan  # written as `NaN`, which is no JSON and therefore in no form but here
_MOST_FORMS = 256
_DEEPEST = 20

_reader = json.JSONDecoder(parse_constant=lambda _: _BLANK)


@dataclass(frozen=True, slots=True)
class Template:
    """A form, parsed: filling it is several times as fast as reading its text again."""

    whole: Any
    """Plain data with something in the blanks."""
    holes: tuple[tuple[Any, Template | None], ...]
    """In order of the text: the keys or places of blanks (None) and of what is copied with blanks of its own."""
    blanks: int

    def filled(self, numbers: Iterator[float]) -> Any:
        """A copy with numbers in the blanks."""
        copy = self.whole.copy()
        for place, part in self.holes:
            copy[place] = next(numbers) if part is None else part.filled(numbers)
        return copy


def template(forms: Iterable[str]) -> Template:
    """A list of what the forms say. Raises ValueError or RecursionError when one is no form."""
    return _template([_reader.decode(form) for form in forms], 0)


def _template(whole: Any, depth: int) -> Template:
    if depth > _DEEPEST:
        raise ValueError("a form is too deep")
    holes: list[tuple[Any, Template | None]] = []
    for place, item in whole.items() if isinstance(whole, dict) else enumerate(whole):
        if item is _BLANK:
            holes.append((place, None))
        elif isinstance(item, dict | list):
            holes.append((place, _template(item, depth + 1)))
    return Template(whole, tuple(holes), sum(1 if part is None else part.blanks for _, part in holes))


def blank_of(parsed: Template, path: tuple[int | str, ...]) -> int | None:
    """Which of the numbers stands at a path into the whole, None when there is no blank."""
    before = 0
    for place, part in parsed.holes:
        if place == path[0]:
            if len(path) == 1:
                return before if part is None else None
            inner = None if part is None else blank_of(part, path[1:])
            return None if inner is None else before + inner
        before += 1 if part is None else part.blanks
    return None


_known: dict[Hashable, str] = {}


def _form(shape: Hashable, whole: Any, numbers: list[float], found: Iterable[float], plain: Any) -> str:
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


def form_of(tree: Any, numbers: list[float]) -> str:
    """The form of any plain data; its numbers are appended."""
    form, found = _split(tree)
    numbers += found
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


# Of a decision there is a quick look (what decides its form, and its numbers in the order of the text) and its plain
# data, from which a form is made the first time. Tests hold them against each other.
_DECISION_LOOK = attrgetter("state", "source", "request_id", "reason", "limited_by", "reasons", "trips")
_DECISION_NUMBERS = attrgetter(
    "setpoint", "bounds.low", "bounds.high", "asked", "target", "offset", "reactive", "reactive_asked"
)
_REQUEST_LOOK = attrgetter("source", "priority", "role", "reason", "id")
_REQUEST_NUMBERS = attrgetter("power", "bounds.low", "bounds.high")
_UNIT_LOOK = attrgetter("unit", "state", "limited_by")
_UNIT_NUMBERS = attrgetter("setpoint", "bounds.low", "bounds.high", "reactive")
_TIMES = attrgetter("late", "read", "decide", "write", "total", "guard", "record")


def decision_form(decision: Decision, numbers: list[float]) -> str:
    """The form of a decision; its numbers are appended."""
    some = [*_DECISION_NUMBERS(decision)]
    for request in decision.considered:
        some += _REQUEST_NUMBERS(request)
        some += (_micro(request.seconds_left), request.reactive, request.soc_target, request.offset)
    some += [trip.value for trip in decision.trips]
    for unit in decision.units:
        some += _UNIT_NUMBERS(unit)
    finite = _which_finite(some)
    shape = (
        *_DECISION_LOOK(decision),
        *map(_REQUEST_LOOK, decision.considered),
        *map(_UNIT_LOOK, decision.units),
        *finite,
    )
    return _form(shape, decision, numbers, compress(some, finite), _decision)


def timing_form(timing: CycleTiming, numbers: list[float]) -> str:
    """The form of the timing, to the microsecond; its numbers are appended."""
    numbers += map(_micro, _TIMES(timing))
    return _TIMING


def outcome_form(outcome: WriteOutcome, numbers: list[float]) -> str:
    """The form of what was written; its numbers are appended."""
    some = [write.value for write in outcome.written]
    finite = _which_finite(some)
    shape = (outcome.verified, outcome.error, *[write.point for write in outcome.written], *finite)
    return _form(shape, outcome, numbers, compress(some, finite), _outcome)


def texts_form(texts: Mapping[str, str]) -> str:
    """The form of text points, which has no blanks."""
    return _form(tuple(texts.items()), texts, [], (), dict) if texts else "{}"


def events_form(events: Iterable[Event], numbers: list[float]) -> str:
    """The form of events; their numbers are appended."""
    form, found = _split([_event(event) for event in events])
    numbers += found
    return form


def _which_finite(some: Iterable[float | None]) -> list[bool]:
    return [number is not None and -math.inf < number < math.inf for number in some]


def _micro(seconds: float) -> float:
    return round(seconds * 1e6) / 1e6 if -math.inf < seconds < math.inf else seconds


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
        "offset": _finite(decision.offset),
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
        "offset": _finite(request.offset),
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
