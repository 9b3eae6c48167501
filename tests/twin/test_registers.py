from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.registry import Profile, compile_profile
from bessai.registry.schema import REGISTERS, Point
from bessai.twin.registers import Registers, pack_raw, pack_text

from .conftest import MakeProfile

ORDERS = st.sampled_from(["big", "little"])


def _raw(kind: str, number: float) -> float:
    if kind[0] == "f":
        return number
    bits = int(kind[1:])
    low = 0 if kind[0] == "u" else -(2 ** (bits - 1))
    return low + (round(number) & ((1 << bits) - 1))


@settings(deadline=None)
@given(
    kind=st.sampled_from(sorted(REGISTERS)),
    number=st.floats(-(2.0**60), 2.0**60, width=32),
    byte_order=ORDERS,
    word_order=ORDERS,
)
def test_the_registry_decodes_what_the_twin_packs(
    kind: str, number: float, byte_order: str, word_order: str
) -> None:
    point = {"address": 9, "type": kind, "byte_order": byte_order, "word_order": word_order, "sentinel": []}
    if kind[0] == "f":
        del point["sentinel"]
    profile = Profile.model_validate(
        {
            "schema_version": 1, "id": "p", "manufacturer": "m", "model": "m", "kinds": ["meter"],
            "status": "documented", "points": {"x": point},
            "sources": {"s": {"title": "t", "kind": "project", "where": "w"}},
        }
    )  # fmt: skip
    registers = Registers(compile_profile(profile))
    raw = _raw(kind, number)
    registers.place("x", pack_raw(profile.points["x"], raw))
    assert registers.value_of("x") == float(raw)
    assert registers.span("holding", 9, REGISTERS[kind]) == registers.words_of("x")


@pytest.mark.parametrize(
    ("kind", "raw", "words"),
    [
        ("u16", 0xABCD, [0xABCD]),
        ("i16", -2, [0xFFFE]),
        ("u32", 0x01020304, [0x0102, 0x0304]),
        ("i32", -2, [0xFFFF, 0xFFFE]),
        ("u64", 2**64 - 1, [0xFFFF] * 4),
        ("f32", 1.0, [0x3F80, 0x0000]),
        ("f64", -2.0, [0xC000, 0, 0, 0]),
    ],
)
def test_words_of_known_numbers(kind: str, raw: float, words: list[int]) -> None:
    assert pack_raw(Point(address=0, type=kind), raw) == words  # type: ignore[arg-type]


def test_orders_of_known_numbers() -> None:
    def packed(byte_order: str, word_order: str) -> list[int]:
        point = Point(address=0, type="u32", byte_order=byte_order, word_order=word_order)  # type: ignore[arg-type]
        return pack_raw(point, 0x01020304)

    assert packed("big", "little") == [0x0304, 0x0102]
    assert packed("little", "big") == [0x0201, 0x0403]
    assert packed("little", "little") == [0x0403, 0x0201]


@pytest.mark.parametrize(("kind", "raw"), [("u16", -1), ("i16", 32768), ("u32", 2**32), ("f32", 1e300)])
def test_numbers_that_do_not_fit_are_refused(kind: str, raw: float) -> None:
    with pytest.raises(ValueError, match=f"does not fit type {kind}"):
        pack_raw(Point(address=0, type=kind), raw)  # type: ignore[arg-type]


def test_texts_are_cut_and_filled() -> None:
    assert pack_text(Point(address=0, type="text", count=2), "ABC") == [0x4142, 0x4300]
    assert pack_text(Point(address=0, type="text", count=1), "ABC") == [0x4142]


def test_points_that_share_registers_hold_the_same_words(make_profile: MakeProfile, mini: Profile) -> None:
    points = {name: point.model_dump(exclude_unset=True) for name, point in mini.points.items()}
    points["mode_again"] = {"address": 200, "type": "i16", "access": "rw", "sentinel": []}
    registers = Registers(compile_profile(make_profile(points=points)))
    registers.place("mode", [2])
    assert registers.names_in("holding", 199, 2) == ["mode", "mode_again"]
    assert registers.value_of("mode_again") == 2
    registers.absent.add("mode_again")
    assert registers.span("holding", 200, 1) == [2]
    registers.absent.add("mode")
    assert registers.span("holding", 200, 1) is None
    assert math.isnan(registers.value_of("mode"))
