from __future__ import annotations

import math
import zlib
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from bessai.journal import JournalError
from bessai.journal.encoding import (
    _HEAD,
    _pack,
    decode,
    encode_cycle,
    encode_event,
    layout_from_json,
    layout_to_json,
)
from bessai.journal.errors import DamagedRecordError
from bessai.model import Bounds, Event, Layout, Severity, Write, WriteOutcome
from support.records import DEVICE, LAYOUT, make_event, make_record

names = st.lists(st.text(min_size=1), min_size=0, max_size=20, unique=True)
events = st.builds(
    Event,
    code=st.text(),
    severity=st.sampled_from(Severity),
    message=st.text(),
    wall_ns=st.integers(-(2**62), 2**62),
    active=st.booleans(),
    point=st.none() | st.text(),
    value=st.none() | st.floats(allow_nan=False),
    first_out=st.booleans(),
    about=st.none() | st.text(),
    user=st.none() | st.text(),
)


@given(names, st.data(), st.lists(events, max_size=3), st.booleans(), st.booleans())
def test_cycle_comes_back(
    columns: list[str], data: Any, happened: list[Event], verified: bool, fed: bool
) -> None:
    layout = Layout(tuple(columns), (None,) * len(columns))

    def draw(elements: st.SearchStrategy[Any]) -> list[Any]:
        return data.draw(st.lists(elements, min_size=len(columns), max_size=len(columns)))  # type: ignore[no-any-return]

    values = np.array(draw(st.floats()), np.float64)
    quality = np.array(draw(st.integers(0, 255)), np.uint8)
    times = np.array(draw(st.floats(width=32)), np.float64)
    with np.errstate(all="ignore"):
        record = make_record(
            7, layout=layout, values=values, quality=quality, times=times, events=tuple(happened)
        )
        entry = decode(3, 4, encode_cycle(replace(record, verified=verified, fed=fed)), layout, DEVICE)
        assert_array_equal(entry.ages, record.image.ages())
    assert entry.values.tobytes() == values.tobytes()
    assert_array_equal(entry.quality, quality)
    assert (entry.sequence, entry.wall_ns, entry.cycle, entry.kind) == (3, 4, 7, "cycle")
    assert (entry.verified, entry.fed, entry.events) == (verified, fed, tuple(happened))
    assert entry.texts == {"serial_number": "HV1"}
    assert entry.device == DEVICE


def test_decision_outcome_and_timing_are_plain_and_infinity_is_none() -> None:
    outcome = WriteOutcome(verified=False, written=(Write("power", 2.5),), error="no answer")
    record = replace(make_record(1), outcome=outcome)
    record = replace(record, decision=replace(record.decision, bounds=Bounds(-5.0, math.inf), asked=math.nan))
    entry = decode(1, 2, encode_cycle(record), LAYOUT, DEVICE)
    told = entry.decision
    assert {key: told[key] for key in told if key not in {"considered", "trips", "units"}} == {
        "state": "normal", "setpoint": 2.5, "bounds": {"low": -5.0, "high": None}, "asked": None,
        "source": None, "request_id": None, "reason": "", "target": None, "reactive": None, "reactive_asked": None,
        "limited_by": [], "reasons": ["because"],
    }  # fmt: skip
    assert entry.outcome == {
        "verified": False,
        "written": [{"point": "power", "value": 2.5}],
        "error": "no answer",
    }
    assert entry.timing == {"late": 0.0, "read": 0.1, "decide": 0.2, "write": 0.3, "total": 0.6}


@given(events)
def test_event_comes_back_with_an_empty_layout(event: Event) -> None:
    entry = decode(1, event.wall_ns, encode_event(event), LAYOUT, DEVICE)
    assert (entry.kind, entry.events, len(entry.layout), len(entry.values)) == ("event", (event,), 0, 0)
    assert entry.device == DEVICE


def test_event_values_that_are_no_finite_number_survive() -> None:
    for value in (math.nan, math.inf, -math.inf, np.float32(1.5)):
        body = encode_event(make_event(value=value))
        assert str(decode(1, 1, body, LAYOUT, {}).events[0].value) == str(float(value))


def test_layout_comes_back() -> None:
    layout = Layout(("a", "b"), ("kW", None), {"a": {5: "on"}}, {"b": {0: "fan", 15: "trip"}})
    again, device = layout_from_json(layout_to_json(layout, DEVICE))
    assert (again.names, again.units, again.states, again.bits) == (
        layout.names,
        layout.units,
        layout.states,
        layout.bits,
    )
    assert device == DEVICE


def test_columns_that_do_not_fit_the_layout_are_refused() -> None:
    with pytest.raises(ValueError, match="layout has 3 names"):
        encode_cycle(make_record(1, values=np.zeros(2)))


def test_unknown_format_is_a_clear_error() -> None:
    body = encode_cycle(make_record(1))
    with pytest.raises(JournalError, match="record 9 has format 2, this version reads 1"):
        decode(9, 1, b"\x02" + body[1:], LAYOUT, DEVICE)


@given(st.data())
def test_any_changed_byte_is_noticed(data: Any) -> None:
    body = bytearray(encode_cycle(make_record(1)))
    place = data.draw(st.integers(1, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    try:
        entry = decode(1, 1, bytes(body), LAYOUT, DEVICE)
    except DamagedRecordError:
        return
    # Deflate has a few bits that mean nothing; then the content must be what was written.
    assert entry.values.tolist() == [1.0, 2.0, 3.0]
    assert entry.texts == {"serial_number": "HV1"}


def test_truncated_bodies_are_damaged() -> None:
    body = encode_cycle(make_record(1))
    for length in range(len(body)):
        with pytest.raises(DamagedRecordError):
            decode(1, 1, body[:length], LAYOUT, DEVICE)


def test_an_event_of_an_earlier_version_is_read() -> None:
    event = make_event(1)
    old = {name: value for name, value in asdict(event).items() if name not in {"first_out", "about", "user"}}
    data = zlib.decompress(encode_event(event)[1:])
    body = _pack(data[: _HEAD.size], {"events": [{**old, "severity": int(event.severity)}]})
    assert decode(1, event.wall_ns, body, LAYOUT, DEVICE).events == (event,)
