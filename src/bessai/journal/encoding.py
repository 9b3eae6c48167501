"""How a record becomes bytes and back.

A body is one byte of format, then a deflated block: a fixed header (kind, flags, columns, cycle), the columns
`values` (f8), `quality` (u1) and `ages` (f4), all little-endian, and a JSON tail with everything that has no
column. Names, units and meanings stand once in the table `layout`, not in every record.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any

import numpy as np

from bessai.journal.entry import Entry
from bessai.journal.errors import DamagedRecordError, JournalError
from bessai.model import (
    Bounds,
    Considered,
    CycleRecord,
    Decision,
    Event,
    Layout,
    Severity,
    UnitDecision,
    WriteOutcome,
)

FORMAT = 1
"""Format of a body, its first byte."""

_HEAD = struct.Struct("<BBIQ")
_EVENT, _CYCLE = 0, 1
_VERIFIED, _FED = 1, 2
_BYTES_PER_COLUMN = 8 + 1 + 4
_NO_COLUMNS = Layout((), ())


def encode_cycle(record: CycleRecord) -> bytes:
    """The body of a cycle. Raises ValueError when the image's columns do not fit its layout."""
    image = record.image
    columns = len(image.layout)
    parts = (
        np.ascontiguousarray(image.values, "<f8"),
        np.ascontiguousarray(image.quality, "u1"),
        np.ascontiguousarray(image.ages(), "<f4"),
    )
    if any(part.shape != (columns,) for part in parts):
        shapes = [part.shape for part in parts]
        raise ValueError(f"the image has columns of shapes {shapes}, its layout has {columns} names")
    tail = {
        "decision": _decision(record.decision),
        "outcome": _outcome(record.outcome),
        "timing": asdict(record.timing),
        "texts": dict(record.texts),
        "events": [_event(event) for event in record.events],
    }
    flags = _VERIFIED * record.verified | _FED * record.fed
    head = _HEAD.pack(_CYCLE, flags, columns, image.cycle)
    return _pack(head + b"".join(part.tobytes() for part in parts), tail)


def encode_event(event: Event) -> bytes:
    """The body of an event that belongs to no cycle."""
    return _pack(_HEAD.pack(_EVENT, 0, 0, 0), {"events": [_event(event)]})


def decode(sequence: int, wall_ns: int, body: bytes, layout: Layout, device: Mapping[str, str]) -> Entry:
    """The entry behind a body.

    Raises:
        JournalError: the body was written by a newer version.
        DamagedRecordError: the bytes are not what was written.
    """
    if body and body[0] != FORMAT:
        raise JournalError(
            f"record {sequence} has format {body[0]}, this version reads {FORMAT}: "
            "read the journal with the version that wrote it, or a newer one"
        )
    try:
        data = zlib.decompress(memoryview(body)[1:])
        kind, flags, columns, cycle = _HEAD.unpack_from(data)
        start = _HEAD.size
        values = np.frombuffer(data, "<f8", columns, start).astype(np.float64, copy=False)
        quality = np.frombuffer(data, "u1", columns, start + 8 * columns)
        ages = np.frombuffer(data, "<f4", columns, start + 9 * columns).astype(np.float32, copy=False)
        tail = json.loads(data[start + _BYTES_PER_COLUMN * columns :])
        events = tuple(Event(**{**item, "severity": Severity(item["severity"])}) for item in tail["events"])
    except (zlib.error, struct.error, ValueError, TypeError, LookupError) as error:
        raise DamagedRecordError(f"record {sequence} is damaged ({error})") from error
    if kind == _CYCLE and columns != len(layout):
        raise DamagedRecordError(f"record {sequence} has {columns} columns, its layout {len(layout)}")
    return Entry(
        sequence=sequence,
        kind="cycle" if kind == _CYCLE else "event",
        wall_ns=wall_ns,
        layout=layout if kind == _CYCLE else _NO_COLUMNS,
        values=values,
        quality=quality,
        ages=ages,
        texts=tail.get("texts", {}),
        device=device,
        cycle=cycle,
        decision=tail.get("decision", {}),
        outcome=tail.get("outcome"),
        timing=tail.get("timing", {}),
        verified=bool(flags & _VERIFIED),
        fed=bool(flags & _FED),
        events=events,
    )


def layout_to_json(layout: Layout, device: Mapping[str, str]) -> str:
    """What the table `layout` keeps of a layout and its device; equal layouts give equal texts."""
    return json.dumps(
        {
            "names": layout.names,
            "units": layout.units,
            "states": {name: dict(meanings) for name, meanings in layout.states.items()},
            "bits": {name: dict(meanings) for name, meanings in layout.bits.items()},
            "device": dict(device),
        },
        separators=(",", ":"),
    )


def layout_from_json(text: str) -> tuple[Layout, dict[str, str]]:
    """A layout and its device from `layout_to_json`. Raises DamagedRecordError."""
    try:
        body = json.loads(text)
        numbered = [
            {name: {int(k): v for k, v in meanings.items()} for name, meanings in body[key].items()}
            for key in ("states", "bits")
        ]
        return Layout(tuple(body["names"]), tuple(body["units"]), *numbered), body["device"]
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DamagedRecordError(f"a layout is damaged ({error})") from error


def _pack(columns: bytes, tail: Mapping[str, Any]) -> bytes:
    text = json.dumps(tail, separators=(",", ":"), default=_plain).encode()
    return bytes([FORMAT]) + zlib.compress(columns + text, 1)


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
        "seconds_left": _finite(request.seconds_left),
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


def _outcome(outcome: WriteOutcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {
        "verified": outcome.verified,
        "written": [{"point": write.point, "value": _finite(write.value)} for write in outcome.written],
        "error": outcome.error,
    }


def _event(event: Event) -> dict[str, Any]:
    return {**asdict(event), "severity": int(event.severity)}


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _plain(value: object) -> object:
    # A value of an unforeseen type must not cost the record it is in.
    if isinstance(value, np.generic):
        return value.item()
    return value.value if isinstance(value, Enum) else str(value)
