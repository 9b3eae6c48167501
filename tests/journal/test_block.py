from __future__ import annotations

import json
import math
import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from bessai.journal import Entry, JournalError
from bessai.journal.block import FORMAT, Block, pack, unpack
from bessai.journal.errors import DamagedRecordError
from bessai.journal.row import Row, row_of
from bessai.model import (
    Bounds,
    Considered,
    CycleRecord,
    Event,
    GuardState,
    Layout,
    Priority,
    Severity,
    Trip,
    UnitDecision,
    Write,
    WriteOutcome,
)
from support.plant_records import plant_records
from support.records import DEVICE, LAYOUT, make_event, make_record

events = st.builds(
    Event,
    code=st.text(),
    severity=st.sampled_from(Severity),
    message=st.text(),
    wall_ns=st.integers(-(2**63), 2**63 - 1),
    active=st.booleans(),
    point=st.none() | st.text(),
    value=st.none() | st.floats(allow_nan=False),
    first_out=st.booleans(),
    about=st.none() | st.text(),
    user=st.none() | st.text(),
)
# registers times gains, rounded numbers, small floats, and everything else
numbers = st.one_of(
    st.integers(-(2**15), 2**16).map(lambda n: n * 0.1),
    st.integers(-(2**31), 2**31).map(lambda n: n / 100),
    st.integers(-(2**54), 2**54).map(float),
    st.floats(width=32),
    st.floats(),
    st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308]),
)


def read(data: bytes, layout: Layout = LAYOUT, first_sequence: int = 1) -> Block:
    return unpack(data, first_sequence=first_sequence, epoch=3, layout=layout, device=DEVICE)


def through(items: Sequence[CycleRecord | Event], level: int = 1) -> list[Entry]:
    layout = next((item.image.layout for item in items if isinstance(item, CycleRecord)), LAYOUT)
    return read(pack([row_of(item) for item in items], level=level), layout).entries()


def assert_is(entry: Entry, item: CycleRecord | Event) -> None:
    assert entry.epoch == 3
    assert entry.device == DEVICE
    if isinstance(item, Event):
        assert (entry.kind, entry.events, len(entry.layout), len(entry.values)) == ("event", (item,), 0, 0)
        assert (entry.wall_ns, entry.cycle, entry.decision) == (item.wall_ns, 0, {})
        return
    image = item.image
    assert (entry.kind, entry.wall_ns, entry.cycle) == ("cycle", image.wall_ns, image.cycle)
    assert entry.layout is image.layout
    assert entry.values.tobytes() == image.values.tobytes()
    assert_array_equal(entry.quality, image.quality)
    assert (entry.verified, entry.fed, entry.events) == (item.verified, item.fed, item.events)
    assert entry.texts == item.texts


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 12), st.integers(1, 9), st.sampled_from([1, 6]))
def test_records_come_back(data: Any, columns: int, count: int, level: int) -> None:
    layout = Layout(tuple(map(str, range(columns))), (None,) * columns)

    def draw(elements: st.SearchStrategy[Any]) -> list[Any]:
        return data.draw(st.lists(elements, min_size=columns, max_size=columns))  # type: ignore[no-any-return]

    items: list[CycleRecord | Event] = []
    for n in range(count):
        if data.draw(st.integers(0, 4)) == 0:
            items.append(data.draw(events))
            continue
        record = make_record(
            n,
            layout=layout,
            values=np.array(draw(numbers), np.float64),
            quality=np.array(draw(st.integers(0, 255)), np.uint8),
            times=np.array(draw(st.sampled_from([99.5, 99.25, -math.inf, math.nan, 1e9])), np.float64),
            events=tuple(data.draw(st.lists(events, max_size=1))),
        )
        items.append(replace(record, verified=data.draw(st.booleans()), fed=data.draw(st.booleans())))
    block = read(pack([row_of(item) for item in items], level=level), layout, 41)
    again = read(pack(block.rows(), level=level), layout, 41)
    for found in (block, again):
        entries = found.entries()
        assert [entry.sequence for entry in entries] == list(range(41, 41 + count))
        assert [entry.sequence for entry in found.entries(after=42)] == list(range(43, 41 + count))
        for entry, item in zip(entries, items, strict=True):
            assert_is(entry, item)
    assert again.ages.tobytes() == block.ages.tobytes()
    assert [row.events for row in block.rows()] == [row_of(item).events for item in items]


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_a_day_of_a_plant_comes_back(count: int) -> None:
    records = plant_records(count)
    for entry, record in zip(through(records), records, strict=True):
        assert_is(entry, record)
        with np.errstate(all="ignore"):
            assert np.abs(entry.ages - record.image.ages()).max() < 1.1e-6
        assert entry.timing["total"] == pytest.approx(record.timing.total, abs=6e-7)
        for told, request in zip(entry.decision["considered"], record.decision.considered, strict=True):
            assert told["seconds_left"] == pytest.approx(request.seconds_left, abs=6e-7)


def test_decision_outcome_and_timing_are_plain_and_infinity_is_none() -> None:
    outcome = WriteOutcome(verified=False, written=(Write("power", 2.5),), error="no answer")
    record = replace(make_record(1), outcome=outcome)
    record = replace(record, decision=replace(record.decision, bounds=Bounds(-5.0, math.inf), asked=math.nan))
    (entry,) = through([record])
    told = entry.decision
    assert {key: told[key] for key in told if key not in {"considered", "trips", "units"}} == {
        "state": "normal", "setpoint": 2.5, "bounds": {"low": -5.0, "high": None}, "asked": None,
        "source": None, "request_id": None, "reason": "", "target": None, "offset": None,
        "reactive": None, "reactive_asked": None,
        "limited_by": [], "reasons": ["because"],
    }  # fmt: skip
    assert entry.outcome == {
        "verified": False,
        "written": [{"point": "power", "value": 2.5}],
        "error": "no answer",
    }
    assert entry.timing == {
        "late": 0.0, "read": 0.1, "decide": 0.2, "write": 0.3, "total": 0.6, "guard": 0.0, "record": 0.0,
    }  # fmt: skip


finite_or_not = st.none() | st.sampled_from([1.5, -2.25, 0.0, math.inf, math.nan])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_numbers_of_a_known_form_land_where_they_belong(data: Any) -> None:
    """The quick look at a decision and its plain data name the same numbers in the same order."""

    def one() -> float | None:
        return data.draw(finite_or_not)  # type: ignore[no-any-return]

    def bounds() -> Bounds:
        return Bounds(one() or 7.5, one() or -7.5)

    def record(n: int) -> CycleRecord:
        request = Considered(
            source="a", priority=Priority.OPERATOR, power=one(), bounds=bounds(), seconds_left=one() or 3.5,
            role="won", reactive=one(), soc_target=one(),
        )  # fmt: skip
        unit = UnitDecision(unit="u", state=GuardState.HOLD, setpoint=one(), bounds=bounds(), reactive=one())
        trip = Trip(code="soc_min", unit="u", value=one(), wall_ns=5)
        decision = replace(
            make_record(n).decision, setpoint=one(), bounds=bounds(), asked=one(), target=one(), reactive=one(),
            reactive_asked=one(), considered=(request,) * 2, units=(unit,), trips=(trip,),
        )  # fmt: skip
        return replace(make_record(n), decision=decision)

    def plain(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    records = [record(n) for n in range(4)]
    for entry, written in zip(through(records), records, strict=True):
        told, decision = entry.decision, written.decision
        for name in ("setpoint", "asked", "target", "offset", "reactive", "reactive_asked"):
            assert told[name] == plain(getattr(decision, name))
        pairs = (
            (told, decision.bounds),
            (told["considered"][1], decision.considered[1].bounds),
            (told["units"][0], decision.units[0].bounds),
        )
        for found, limits in pairs:
            assert found["bounds"] == {"low": plain(limits.low), "high": plain(limits.high)}
        for name in ("power", "seconds_left", "reactive", "soc_target"):
            assert told["considered"][0][name] == plain(getattr(decision.considered[0], name))
        assert told["units"][0]["setpoint"] == plain(decision.units[0].setpoint)
        assert told["units"][0]["reactive"] == plain(decision.units[0].reactive)
        assert told["trips"] == [
            {
                "code": "soc_min", "unit": "u", "plant_wide": False, "point": None, "message": "", "wall_ns": 5,
                "reset": "engineer", "value": plain(decision.trips[0].value),
            }
        ]  # fmt: skip


def test_event_values_that_are_no_finite_number_survive() -> None:
    for value in (math.nan, math.inf, -math.inf, np.float32(1.5)):
        (entry,) = through([make_event(value=value)])
        assert str(entry.events[0].value) == str(float(value))


def test_a_type_nobody_foresaw_does_not_cost_the_record() -> None:
    class Strange(Enum):
        REASON = "strange"
        NUMBER = math.nan

    strange: dict[str, Any] = {
        "setpoint": np.float32(2.5),
        "limited_by": (Strange.REASON, Strange.NUMBER, np.int16(4), np.float16(0.5), [object]),
    }
    decision = replace(make_record(1).decision, **strange)
    (entry,) = through([replace(make_record(1), decision=decision)])
    assert entry.decision["setpoint"] == 2.5
    told = entry.decision["limited_by"]
    assert told[0] == "strange"
    assert math.isnan(told[1])
    assert told[2:4] == [4, 0.5]


def test_what_cannot_be_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="layout has 3 names"):
        row_of(make_record(1, values=np.zeros(2)))
    with pytest.raises(ValueError, match="more than 64 bits"):
        row_of(make_event(wall_ns=2**63))
    narrow = make_record(1, layout=Layout(("a",), (None,)))
    with pytest.raises(ValueError, match="different numbers of columns"):
        pack([row_of(make_record(1)), row_of(narrow)])
    with pytest.raises(ValueError, match="cannot hold 0 records"):
        pack([])


def test_quality_that_changes_comes_back() -> None:
    records = [make_record(n, quality=np.array([n % 3, 0, 6], np.uint8)) for n in range(5)]
    assert [entry.quality.tolist() for entry in through(records)] == [[n % 3, 0, 6] for n in range(5)]


def test_very_wide_records_come_back() -> None:
    columns = 300_000
    layout = Layout(tuple(map(str, range(columns))), (None,) * columns)
    random_ = np.random.default_rng(3)
    raw = random_.integers(0, 65_536, columns)
    times = np.repeat(random_.random(columns // 100) + 98, 100)
    records = [
        make_record(
            n, layout=layout, values=(raw + n) * 0.1, quality=np.zeros(columns, np.uint8), times=times
        )
        for n in range(2)
    ]
    block = read(pack([row_of(record) for record in records]), layout)
    for i, record in enumerate(records):
        assert_array_equal(block.values[i], record.image.values)
        assert np.abs(block.ages[i] - record.image.ages()).max() < 1.1e-6


def test_a_newer_format_is_a_clear_error() -> None:
    data = pack([row_of(make_record(1))])
    with pytest.raises(JournalError, match=f"record 9 has format {FORMAT + 1}, this version reads {FORMAT}"):
        read(bytes([FORMAT + 1]) + data[1:], first_sequence=9)


def rows_of_every_kind() -> list[Row]:
    noise = np.random.default_rng(5).random((6, 3))
    records = [make_record(n, values=noise[n], quality=np.array([n, 0, 1], np.uint8)) for n in range(6)]
    records[2] = replace(records[2], events=(make_event(3, value=1.5),))
    return [*map(row_of, records), row_of(make_event(9, value=math.inf))]


def opened(data: bytes) -> None:
    """Damage is found, or what the block says can be read; nothing else happens."""
    try:
        block = read(data)
    except (DamagedRecordError, JournalError):
        return
    block.entries()
    pack(block.rows())


def test_a_shortened_block_is_damaged() -> None:
    data = pack(rows_of_every_kind())
    for length in range(len(data)):
        with pytest.raises(DamagedRecordError):
            read(data[:length])
    with pytest.raises(DamagedRecordError):
        read(data + b"\x00")


def test_no_changed_byte_does_more_than_damage() -> None:
    data = pack(rows_of_every_kind())
    chosen = random.Random(7)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= chosen.randrange(1, 256)
        opened(bytes(changed))


def test_no_changed_byte_of_the_content_does_more_than_damage() -> None:
    """What deflate would have noticed gets through to the columns."""
    data = pack(rows_of_every_kind())
    content = zlib.decompress(data[5:], -15)
    chosen = random.Random(11)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] = chosen.choice((0, 1, 0x7F, 0x80, 0xFF, changed[place] ^ 1 << chosen.randrange(8)))
        opened(repacked(bytes(changed)))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_damaged(content: bytes) -> None:
    for data in (content, bytes([FORMAT]) + content, repacked(content)):
        with pytest.raises((DamagedRecordError, JournalError)):
            read(data)


def test_counts_beyond_the_bytes_are_damaged_before_anything_is_allocated() -> None:
    head = struct.Struct("<IIIII")
    most = 2**32 - 1
    too_many = (most, most, 3, 1, 1), (1, 1, most, 1, 1), (60_000, 60_000, 3, 60_000, 300_000)
    for counts in too_many:
        with pytest.raises(DamagedRecordError):
            read(repacked(head.pack(*counts) + bytes(10_000)))
    with pytest.raises(DamagedRecordError):  # says that it is longer than deflate can make it
        read(struct.pack("<BI", FORMAT, 2**32 - 1) + zlib.compress(bytes(1000))[2:])


def repacked(content: bytes) -> bytes:
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    return struct.pack("<BI", FORMAT, len(content)) + deflate.compress(content) + deflate.flush()


def test_a_plant_of_sixty_points_takes_few_bytes() -> None:
    """A budget with room: 193 bytes a record are 0.5 GB in 30 days. The records are the same in every run."""
    rows = [row_of(record) for record in plant_records(256)]
    at_rest = (len(pack(rows[:128], level=6)) + len(pack(rows[128:], level=6))) / 256
    assert at_rest < 100, f"{at_rest:.0f} bytes a record"
    pairs = sum(len(pack(rows[i : i + 2])) for i in range(0, 256, 2)) / 256
    assert pairs < 500, f"{pairs:.0f} bytes a record in blocks of two"
    assert at_rest < len(json.dumps(rows[0].forms)) / 3, "the forms are stored once"


def test_the_later_records_of_a_block() -> None:
    rows = [row_of(item) for item in (make_record(1), make_event(2), make_record(3), make_event(4))]
    block = unpack(pack(rows), first_sequence=11, epoch=5, layout=LAYOUT, device={})
    later = block.since(13)
    assert (later.first_sequence, later.last_sequence, later.count) == (13, 14, 2)
    for one, other in zip(later.entries(), block.entries(12), strict=True):
        assert (one.sequence, one.kind, one.events, one.decision) == (
            other.sequence, other.kind, other.events, other.decision,
        )  # fmt: skip
        assert one.values.tolist() == other.values.tolist()
    assert block.since(11) is block


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.none() | numbers, st.none() | numbers, st.sampled_from(["", "a", "b"]), st.booleans()),
                min_size=1, max_size=12))  # fmt: skip
def test_numbers_of_decisions_and_events_by_columns(told: list[tuple[Any, Any, str, bool]]) -> None:
    items: list[CycleRecord | Event] = []
    for n, (setpoint, offset, reason, eventful) in enumerate(told):
        record = make_record(n, events=(make_event(n),) if eventful else ())
        decision = replace(record.decision, setpoint=setpoint, offset=offset, reason=reason)
        items += [replace(record, decision=decision), *([make_event(100 + n)] if reason == "b" else [])]
    block = read(pack([row_of(item) for item in items]))
    entries = block.entries()
    for name in ("setpoint", "offset", "asked", "considered", "nonsense"):
        values = [entry.decision.get(name) for entry in entries]
        expected = [value if isinstance(value, float) else math.nan for value in values]
        assert_array_equal(block.decided(name), np.array(expected))
    expected_events = [(i, event) for i, entry in enumerate(entries) for event in entry.events]
    assert block.events() == expected_events
    cut = block.since(block.first_sequence + len(items) // 2)
    assert_array_equal(cut.decided("setpoint"), block.decided("setpoint")[len(items) // 2 :])
