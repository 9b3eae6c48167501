"""Memory to plain data and back: what comes back is what was there, bit for bit."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, IntEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.core.memory import MemoryFormatError, from_plain, to_plain


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Rank(IntEnum):
    LOW = 10
    HIGH = 20


@dataclass(frozen=True, slots=True)
class Inner:
    value: float
    colour: Colour = Colour.RED
    pair: tuple[str, float | None] = ("", None)


@dataclass(slots=True)
class Memory:
    number: float = 0.0
    count: int = 0
    yes: bool = False
    text: str = ""
    nothing: None = None
    maybe: float | None = None
    either: float | str | None = None
    colour: Colour = Colour.RED
    rank: Rank | None = None
    inner: Inner | None = None
    values: list[float] = field(default_factory=list)
    pairs: tuple[tuple[str, int], ...] = ()
    inners: list[Inner] = field(default_factory=list)
    by_name: dict[str, Inner] = field(default_factory=dict)
    by_key: dict[tuple[str, int], float] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    evidence: Mapping[str, float | bool | None] = field(default_factory=dict)
    anything: Any = None


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit and in every type; every NaN is one."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or struct.pack("d", a) == struct.pack("d", b)
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    return bool(a == b)


floats = st.floats(allow_nan=True, allow_infinity=True)
inner = st.builds(Inner, floats, st.sampled_from(Colour), st.tuples(st.text(), st.none() | floats))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | st.text(),
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.text(), deeper, max_size=3),
    max_leaves=6,
)
memories = st.builds(
    Memory,
    floats,
    st.integers(),
    st.booleans(),
    st.text(),
    st.none(),
    st.none() | floats,
    st.none() | floats | st.text(),
    st.sampled_from(Colour),
    st.none() | st.sampled_from(Rank),
    st.none() | inner,
    st.lists(floats, max_size=4),
    st.lists(st.tuples(st.text(), st.integers()), max_size=3).map(tuple),
    st.lists(inner, max_size=3),
    st.dictionaries(st.text(), inner, max_size=3),
    st.dictionaries(st.tuples(st.text(), st.integers()), floats, max_size=3),
    st.frozensets(st.text(), max_size=3),
    st.dictionaries(st.text(), st.none() | st.booleans() | floats, max_size=3),
    plain,
)


@given(memories)
def test_a_memory_comes_back_through_json(memory: Memory) -> None:
    text = json.dumps(to_plain(memory))

    assert same(from_plain(Memory, json.loads(text)), memory)


@given(memories)
def test_without_json_too(memory: Memory) -> None:
    assert same(from_plain(Memory, to_plain(memory)), memory)


@pytest.mark.parametrize(
    "value", [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 0.1]
)
def test_a_float_is_itself(value: float) -> None:
    back = from_plain(Memory, json.loads(json.dumps(to_plain(Memory(number=value))))).number

    assert struct.pack("d", back) == struct.pack("d", value)


def test_a_copy_does_not_follow_the_memory() -> None:
    memory = Memory(values=[1.0], by_name={"a": Inner(1.0)})
    plain = to_plain(memory)
    memory.values.append(2.0)
    memory.by_name["b"] = Inner(2.0)

    assert plain["values"] == [1.0]
    assert list(plain["by_name"]) == ["a"]


def test_numbers_of_numpy_become_plain() -> None:
    assert type(to_plain({"x": np.float64(0.1)})["x"]) is float


@dataclass
class WithObject:
    thing: object = None


@pytest.mark.parametrize("thing", [object(), b"bytes", {1: "key is no text"}, 1j, np.float32(1)])
def test_what_is_not_plain_is_refused(thing: object) -> None:
    with pytest.raises(TypeError):
        to_plain(WithObject(thing))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": "1"}, "Memory.number: '1' is no float"),
        ({"count": 1.5}, "Memory.count: 1.5 is no int"),
        ({"yes": 1}, "Memory.yes: 1 is no bool"),
        ({"colour": "green"}, "Memory.colour: 'green' is no Colour"),
        ({"pairs": [["a"]]}, r"Memory.pairs\[0\]: \['a'\] is no list of 2"),
        ({"inner": {"value": 1.0, "colour": "red"}}, "Memory.inner: pair is missing"),
        ({"by_name": []}, r"Memory.by_name: \[\] is no dict"),
        ({"by_key": [[1]]}, "Memory.by_key.* is no list of pairs"),
        ({"speed": 1}, "Memory: speed is unknown"),
    ],
)
def test_wrong_data_names_its_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MemoryFormatError, match=message):
        from_plain(Memory, to_plain(Memory()) | change)


def test_another_version_is_read_with_notes() -> None:
    data = to_plain(Memory(count=3)) | {"speed": 1}
    del data["text"]
    notes: list[str] = []

    memory = from_plain(Memory, data, notes)

    assert (memory.count, memory.text) == (3, "")
    assert notes == ["Memory.speed is not known today", "Memory.text was not recorded"]


def test_what_has_no_default_must_be_there_whatever_the_version() -> None:
    with pytest.raises(MemoryFormatError, match="Inner: value is missing"):
        from_plain(Inner, {"colour": "red"}, [])
