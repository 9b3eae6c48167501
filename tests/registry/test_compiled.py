"""A compiled profile: reading by blocks is reading one by one, and what is written is what is read back."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bessai.model import Quality
from bessai.registry import CompiledProfile, Profile, compile_profile

SIZES = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "u64": 4, "i64": 4, "f32": 2, "f64": 4}
INTEGERS = ("u16", "i16", "u32", "i32", "u64", "i64")
ORDERS = st.sampled_from(["big", "little"])
GAINS = st.sampled_from([1.0, 0.1, 0.01, 0.001, 10.0, -1.0, -0.1, -0.001, -10.0, 2.5])

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine must not fail a test."""


def _compile(points: dict[str, dict[str, Any]], **profile: Any) -> CompiledProfile:
    document = {
        "schema_version": 1,
        "id": "device",
        "manufacturer": "Maker",
        "model": "Model",
        "kinds": ["battery"],
        "status": "documented",
        "points": points,
        "sources": {"list": {"title": "List", "kind": "maker", "where": "here"}},
        **profile,
    }
    return compile_profile(Profile.model_validate(json.loads(json.dumps(document))))


def _limits(kind: str) -> tuple[int, int]:
    bits = int(kind[1:])
    return (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


# Writing and reading back


@patient
@given(data=st.data(), kind=st.sampled_from(INTEGERS), gain=GAINS, offset=st.sampled_from([0.0, -40.0, 7.5]))
def test_an_integer_comes_back_as_it_was_written(
    data: st.DataObject, kind: str, gain: float, offset: float
) -> None:
    low, high = _limits(kind)
    # a float holds 53 bits
    raw = data.draw(st.integers(max(low, -(2**50)), min(high, 2**50)))
    point = {
        "address": 0,
        "type": kind,
        "gain": gain,
        "offset": offset,
        "byte_order": data.draw(ORDERS),
        "word_order": data.draw(ORDERS),
    }
    compiled = _compile({"x": point})
    value = raw * gain + offset
    # far from zero an offset costs the last digits
    assume(round((value - offset) / gain) == raw)
    encoded = compiled.encode("x", value)
    assert len(encoded) == 2 * SIZES[kind]
    assert compiled.decode("x", encoded) == value
    (block,) = compiled.plans["normal"].blocks
    assert block.unpack(encoded) == (raw,)


@patient
@given(
    kind=st.sampled_from(["f32", "f64"]),
    value=st.floats(-(2.0**99), 2.0**99, width=32),
    gain=st.sampled_from([1.0, -1.0, 0.5, -4.0]),
    byte_order=ORDERS,
    word_order=ORDERS,
)
def test_a_float_comes_back_as_it_was_written(
    kind: str, value: float, gain: float, byte_order: str, word_order: str
) -> None:
    point = {
        "address": 0,
        "type": kind,
        "gain": gain,
        "byte_order": byte_order,
        "word_order": word_order,
    }
    compiled = _compile({"x": point})
    assert compiled.decode("x", compiled.encode("x", value)) == pytest.approx(value, rel=1e-6, abs=1e-37)


@pytest.mark.parametrize(
    ("byte_order", "word_order", "wire"),
    [
        ("big", "big", "11223344"),
        ("big", "little", "33441122"),
        ("little", "big", "22114433"),
        ("little", "little", "44332211"),
    ],
)
def test_the_orders_on_the_wire(byte_order: str, word_order: str, wire: str) -> None:
    point = {"address": 0, "type": "u32", "byte_order": byte_order, "word_order": word_order}
    compiled = _compile({"x": point})
    assert compiled.encode("x", 0x11223344) == bytes.fromhex(wire)
    assert compiled.decode("x", bytes.fromhex(wire)) == 0x11223344


def test_the_word_order_of_four_registers() -> None:
    compiled = _compile({"x": {"address": 0, "type": "u64", "word_order": "little"}})
    assert compiled.encode("x", 0x0001_0002_0003_0004).hex() == "0004000300020001"


def test_a_value_between_two_steps_is_rounded() -> None:
    compiled = _compile({"x": {"address": 0, "type": "i16", "gain": -0.1}})
    assert compiled.encode("x", 1.26) == struct.pack(">h", -13)


@pytest.mark.parametrize(
    ("point", "value", "says"),
    [
        ({"type": "u16"}, -1.0, "does not fit"),
        ({"type": "u16"}, 65536.0, "does not fit"),
        ({"type": "i16", "gain": -1}, 32769.0, "does not fit"),
        ({"type": "f32"}, 1e39, "does not fit"),
        ({"type": "u16", "valid": [0, 5], "unit": "kW"}, 5.01, "outside 0 … 5 kW"),
        ({"type": "u16", "valid": [0, 5]}, -0.01, "outside"),
        ({"type": "u16", "sentinel": 65535}, 65535.0, "not available"),
        ({"type": "u16", "sentinel": 65535, "gain": 0.1}, 6553.5, "not available"),
        ({"type": "u16"}, math.nan, "not a number"),
        ({"type": "f32"}, math.inf, "not a number"),
        ({"type": "f32"}, -math.inf, "not a number"),
        ({"type": "bool", "table": "coil"}, 2.0, "neither 0 nor 1"),
        ({"type": "text", "count": 2}, 1.0, "read-only"),
    ],
)
def test_what_cannot_be_written(point: dict[str, Any], value: float, says: str) -> None:
    compiled = _compile({"x": {"address": 0, **point}})
    with pytest.raises(ValueError, match=says):
        compiled.encode("x", value)


def test_a_point_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="nothing"):
        _compile({"x": {"address": 0, "type": "u16"}}).encode("nothing", 1)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_coil(value: float) -> None:
    compiled = _compile({"x": {"address": 3, "type": "bool", "table": "coil", "access": "rw"}})
    assert compiled.encode("x", value) == bytes([int(value)])
    assert compiled.decode("x", compiled.encode("x", value)) == value


# Blocks


@st.composite
def layouts(draw: st.DrawFn) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """Points of every type at random places of two tables, some with a second name, and random limits."""
    points: dict[str, dict[str, Any]] = {}
    for table in ("holding", "input"):
        address = draw(st.integers(0, 60000))
        for i in range(draw(st.integers(0, 12))):
            address += draw(st.integers(0, 30))
            kind = draw(st.sampled_from([*SIZES, "text"]))
            point: dict[str, Any] = {
                "address": address,
                "table": table,
                "type": kind,
                "byte_order": draw(ORDERS),
                "poll": draw(st.sampled_from(["fast", "normal", "slow", "once", "never"])),
            }
            if kind == "text":
                point["count"] = draw(st.integers(1, 8))
            else:
                point |= {
                    "word_order": draw(ORDERS),
                    "gain": draw(GAINS),
                    "offset": draw(st.sampled_from([0, 1.5])),
                }
            points[f"{table}_{i}"] = point
            if kind in INTEGERS and draw(st.booleans()):
                other = draw(st.sampled_from([name for name in SIZES if SIZES[name] == SIZES[kind]]))
                points[f"{table}_{i}_again"] = point | {"type": other, "word_order": draw(ORDERS)}
            address += point.get("count", SIZES.get(kind, 1))
    assume(points)
    shuffled = draw(st.permutations(list(points)))
    connection = {"max_registers": draw(st.integers(8, 125)), "max_gap": draw(st.integers(0, 40))}
    return {name: points[name] for name in shuffled}, connection


@patient
@given(layout=layouts(), seed=st.integers(0, 2**32 - 1))
def test_reading_by_blocks_is_reading_one_by_one(
    layout: tuple[dict[str, dict[str, Any]], dict[str, int]], seed: int
) -> None:
    points, connection = layout
    compiled = _compile(points, connection=connection)
    memory = np.random.default_rng(seed).bytes(2 * 65536)
    read: dict[str, float | str] = {}
    for poll, plan in compiled.plans.items():
        raw = np.full(len(plan.columns), np.nan)
        for block in plan.blocks:
            assert block.count <= connection["max_registers"]
            data = memory[2 * block.address : 2 * (block.address + block.count)]
            numbers = block.unpack(data)
            assert len(numbers) == len(block.names) == block.columns.stop - block.columns.start
            raw[block.columns] = numbers
            for name, text in block.unpack_texts(data).items():
                assert points[name]["poll"] == poll
                read[name] = text
        names = [name for block in plan.blocks for name in block.names]
        assert [compiled.layout.index[name] for name in names] == list(plan.columns)
        assert all(points[name]["poll"] == poll for name in names)
        values, quality = plan.scale(raw)
        read |= dict(zip(names, values, strict=True))
        assert set(quality) <= {Quality.GOOD, Quality.INVALID}

    assert set(read) == {name for name, point in points.items() if point["poll"] != "never"}
    for name, point in points.items():
        if point["poll"] == "never":
            continue
        size = 2 * point.get("count", SIZES.get(point["type"], 1))
        own = memory[2 * point["address"] : 2 * point["address"] + size]
        if point["type"] == "text":
            assert read[name] == _text(own, point["byte_order"])
            continue
        alone = compiled.decode(name, own)
        if math.isfinite(alone):
            assert read[name] == alone
        else:
            assert math.isnan(float(read[name]))


def _text(data: bytes, byte_order: str) -> str:
    if byte_order == "little":
        data = b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
    return data.split(b"\0")[0].decode("utf-8", "replace").strip()


@patient
@given(layout=layouts())
def test_a_block_spans_no_wide_gap_and_ends_with_its_points(
    layout: tuple[dict[str, dict[str, Any]], dict[str, int]],
) -> None:
    points, connection = layout
    compiled = _compile(points, connection=connection)
    for plan in compiled.plans.values():
        for block in plan.blocks:
            names = [*block.names, *(name for name, _, _ in block.texts)]
            spans = sorted(
                (points[n]["address"], points[n]["address"] + compiled.points[n].registers) for n in names
            )
            end = spans[0][0]
            for start, stop in spans:
                assert start - end <= connection["max_gap"]
                end = max(end, stop)
            assert (block.address, block.address + block.count) == (spans[0][0], end)
            assert {points[name]["table"] for name in names} == {block.table}


def test_neighbours_share_a_read_up_to_the_gap() -> None:
    points = {f"p{a}": {"address": a, "type": "u16"} for a in (100, 104, 109)}
    (narrow, alone) = _compile(points, connection={"max_gap": 3}).plans["normal"].blocks
    assert (narrow.address, narrow.count, alone.address, alone.count) == (100, 5, 109, 1)
    (wide,) = _compile(points, connection={"max_gap": 4}).plans["normal"].blocks
    assert (wide.address, wide.count) == (100, 10)


def test_a_read_is_not_longer_than_allowed() -> None:
    points = {f"p{a}": {"address": a, "type": "u32"} for a in range(0, 40, 2)}
    blocks = _compile(points, connection={"max_registers": 11}).plans["normal"].blocks
    assert [block.count for block in blocks] == [10, 10, 10, 10]


def test_bits_of_the_wire() -> None:
    points = {f"c{a}": {"address": a, "type": "bool", "table": "coil"} for a in (5, 7, 20, 13)}
    (block,) = _compile(points).plans["normal"].blocks
    assert (block.table, block.address, block.count) == ("coil", 5, 16)
    # bit i of the reply is coil 5 + i, the lowest bit of the first byte first
    assert dict(zip(block.names, block.unpack(bytes([0b0000_0101, 0b1000_0000])), strict=True)) == {
        "c5": 1,
        "c7": 1,
        "c13": 0,
        "c20": 1,
    }


@patient
@given(seed=st.integers(0, 2**32 - 1), wanted=st.sets(st.integers(0, 1999), min_size=1))
def test_a_table_of_bits(seed: int, wanted: set[int]) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, 2000, np.uint8)
    points = {f"c{a}": {"address": a, "type": "bool", "table": "discrete"} for a in wanted}
    plan = _compile(points, connection={"max_gap": 124}).plans["normal"]
    for block in plan.blocks:
        assert block.count <= 2000
        data = np.packbits(bits[block.address : block.address + block.count], bitorder="little").tobytes()
        assert block.unpack(data) == tuple(bits[int(name[1:])] for name in block.names)


def test_each_table_has_reads_of_its_own() -> None:
    points: dict[str, dict[str, Any]] = {
        "h": {"address": 1, "type": "u16"},
        "i": {"address": 1, "type": "u16", "table": "input"},
        "c": {"address": 1, "type": "bool", "table": "coil"},
        "d": {"address": 1, "type": "bool", "table": "discrete"},
    }
    blocks = _compile(points).plans["normal"].blocks
    assert sorted((block.table, block.names) for block in blocks) == [
        ("coil", ("c",)),
        ("discrete", ("d",)),
        ("holding", ("h",)),
        ("input", ("i",)),
    ]


def test_two_names_for_the_same_registers() -> None:
    points = {
        "before": {"address": 9, "type": "u16"},
        "signed": {"address": 10, "type": "i32"},
        "bits": {"address": 10, "type": "u32", "word_order": "little"},
        "after": {"address": 12, "type": "u16"},
    }
    (block,) = _compile(points).plans["normal"].blocks
    data = bytes.fromhex("0007 FFFFFFFE 0008")
    assert dict(zip(block.names, block.unpack(data), strict=True)) == {
        "before": 7,
        "signed": -2,
        "bits": 0xFFFE_FFFF,
        "after": 8,
    }


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"SUN2000\0", "SUN2000"),
        (b"AB\0\xff\xff\xff\xff\xff", "AB"),
        (b"  padded", "padded"),
        (b"\0\0\0\0\0\0\0\0", ""),
        (b"caf\xc3\xa9   ", "café"),
        (b"\xff\xfeABCDEF", "\ufffd\ufffdABCDEF"),
    ],
)
@pytest.mark.parametrize("byte_order", ["big", "little"])
def test_a_text(wire: bytes, text: str, byte_order: str) -> None:
    compiled = _compile({"t": {"address": 0, "type": "text", "count": 4, "byte_order": byte_order}})
    assert compiled.text_names == ("t",)
    assert len(compiled.layout) == 0
    (block,) = compiled.plans["normal"].blocks
    if byte_order == "little":
        wire = b"".join(wire[i : i + 2][::-1] for i in range(0, 8, 2))
    assert block.unpack(wire) == ()
    assert block.unpack_texts(wire) == {"t": text}


# Values and qualities


def _scaled(
    points: dict[str, dict[str, Any]], raw: list[float], **profile: Any
) -> list[tuple[float, Quality]]:
    (plan,) = _compile(points, **profile).plans.values()
    values, quality = plan.scale(np.array(raw, np.float64))
    return [(float(v), Quality(int(q))) for v, q in zip(values, quality, strict=True)]


def test_sentinels_by_type_by_point_and_none() -> None:
    points: dict[str, dict[str, Any]] = {
        "default": {"address": 0, "type": "u16"},
        "own": {"address": 1, "type": "u16", "sentinel": [65534, 32768]},
        "single": {"address": 2, "type": "u16", "sentinel": 0},
        "none": {"address": 3, "type": "u16", "sentinel": []},
        "signed": {"address": 4, "type": "i16"},
    }
    sentinels = {"u16": [65535], "i16": [-32768]}
    names = list(points)

    def missing(raw: list[float]) -> set[str]:
        scaled = _scaled(points, raw, sentinels=sentinels)
        assert all(math.isnan(value) == (quality == Quality.NOT_AVAILABLE) for value, quality in scaled)
        return {name for name, (_, q) in zip(names, scaled, strict=True) if q == Quality.NOT_AVAILABLE}

    assert missing([65535, 65535, 65535, 65535, -1]) == {"default"}
    assert missing([0, 65534, 0, 0, -32768]) == {"own", "single", "signed"}
    assert missing([32768, 32768, 1, 1, 0]) == {"own"}


@pytest.mark.parametrize(("kind", "sentinel"), [("u64", 2**64 - 1), ("i64", -(2**63)), ("i64", 2**63 - 1)])
def test_a_sentinel_of_64_bits_is_seen_on_the_short_way_too(kind: str, sentinel: int) -> None:
    """One less than it is the same floating-point number."""
    (plan,) = _compile({"x": {"address": 0, "type": kind, "sentinel": sentinel}}).plans.values()
    values, quality = np.zeros(1), np.zeros(1, np.uint8)
    plan.place(np.array([sentinel], np.float64), values, quality)
    assert (math.isnan(values[0]), quality[0]) == (True, Quality.NOT_AVAILABLE)
    plan.place(np.array([5.0]), values, quality)
    assert (values[0], quality[0]) == (5.0, Quality.GOOD)


def test_a_sentinel_is_not_available_even_where_it_is_out_of_range() -> None:
    ((_, quality),) = _scaled(
        {"x": {"address": 0, "type": "u16", "sentinel": 65535, "valid": [0, 10]}}, [65535]
    )
    assert quality == Quality.NOT_AVAILABLE


@pytest.mark.parametrize(
    ("raw", "value", "quality"),
    [
        (0, 0.0, Quality.GOOD),
        (1000, 100.0, Quality.GOOD),
        (1001, 100.1, Quality.OUT_OF_RANGE),
        (-1, -0.1, Quality.OUT_OF_RANGE),
    ],
)
def test_a_value_out_of_range_is_kept_and_marked(raw: float, value: float, quality: Quality) -> None:
    point = {"address": 0, "type": "i16", "gain": 0.1, "valid": [0, 100]}
    ((read, marked),) = _scaled({"x": point}, [raw])
    assert read == pytest.approx(value)
    assert marked == quality


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_invalid(raw: float) -> None:
    ((value, quality),) = _scaled({"x": {"address": 0, "type": "f32", "valid": [0, 1]}}, [raw])
    assert math.isnan(value)
    assert quality == Quality.INVALID


@patient
@given(raw=st.integers(0, 65535), gain=GAINS, offset=st.sampled_from([0.0, -273.0]))
def test_value_is_raw_times_gain_plus_offset(raw: int, gain: float, offset: float) -> None:
    point = {"address": 0, "type": "u16", "gain": gain, "offset": offset}
    assert _scaled({"x": point}, [raw]) == [(raw * gain + offset, Quality.GOOD)]


def test_states_and_bits_reach_the_layout() -> None:
    points: dict[str, dict[str, Any]] = {
        "state": {"address": 0, "type": "u16", "enum": {"0x0200": "on", "3": "off"}, "unit": None},
        "flags": {"address": 1, "type": "u16", "bits": {"0": "low", "0xF": "high"}},
        "plain": {"address": 2, "type": "u16", "unit": "V"},
    }
    layout = _compile(points).layout
    assert layout.names == ("state", "flags", "plain")
    assert layout.units == (None, None, "V")
    assert layout.meaning("state", 512) == "on"
    assert layout.meaning("state", 4) is None
    assert layout.meaning("flags", 0x8003) == ["low", "bit_1", "high"]
    assert layout.meaning("plain", 1) is None


def test_only_polled_points_are_planned() -> None:
    points: dict[str, dict[str, Any]] = {
        "fast": {"address": 0, "type": "u16", "poll": "fast"},
        "written": {"address": 1, "type": "u16", "poll": "never", "access": "w"},
        "fast_2": {"address": 2, "type": "u16", "poll": "fast"},
    }
    compiled = _compile(points)
    assert list(compiled.plans) == ["fast"]
    assert compiled.plans["fast"].blocks[0].names == ("fast", "fast_2")
    assert list(compiled.plans["fast"].columns) == [0, 2]
    assert compiled.layout.names == ("fast", "written", "fast_2")
    assert compiled.encode("written", 3) == b"\0\x03"
