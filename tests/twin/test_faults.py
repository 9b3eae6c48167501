from __future__ import annotations

import math

import pytest

from bessai.twin import Faults
from bessai.twin.fault_table import KINDS, active, parse_fault


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("silence", "silent", True),
        ("refuse", "refuse", True),
        ("drop=20", "drop", 20),
        ("reboot=2.5", "reboot", 2.5),
        ("delay=0.5", "delay", 0.5),
        ("delay=0.1..0.5", "delay", (0.1, 0.5)),
        ("slow", "slow", (1, 0.02)),
        ("slow=3/0.1", "slow", (3, 0.1)),
        ("late", "late", math.inf),
        ("late=2*3", "late", 3),
        ("late=2*3", "late_by", 2.0),
        ("busy", "busy", math.inf),
        ("busy=3", "busy", 3),
        ("busy=10%", "busy", 0.1),
        ("garbage=100%", "garbage", math.inf),
        ("exception=6*3", "exceptions", {6: 3}),
        ("exception=11", "exceptions", {11: math.inf}),
        ("refuse_function=5+16", "refused_functions", {5, 16}),
        ("freeze", "freeze", True),
        ("spike=soc+frequency*20%", "spike_points", {"soc", "frequency"}),
        ("spike=soc*20%", "spike", 0.2),
        ("spike=soc", "spike", 0.05),
    ],
)
def test_a_text_sets_its_field_and_is_shown_again(text: str, field: str, value: object) -> None:
    faults = Faults()
    parse_fault(text).apply(faults)
    assert getattr(faults, field) == value
    again = Faults()
    (shown,) = active(faults)
    parse_fault(shown).apply(again)
    assert again == faults


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("silense", "did you mean 'silence'?"),
        ("xyzzy", "use one of silence, refuse"),
        ("silence=1", "takes no value; write silence"),
        ("drop", "write drop=N"),
        ("drop=0", "'0' is no number of requests"),
        ("delay=soon", "'soon' is no time"),
        ("delay=", "a value is missing"),
        ("delay=2..1", "the shorter time comes first"),
        ("delay=nan", "is no time"),
        ("busy=0%", "above 0 %"),
        ("busy=-1", "no number of requests"),
        ("exception=0", "1 … 255"),
        ("exception=six", "1 … 255"),
        ("refuse_function=3+x", "joined by +"),
        ("spike", "name the points"),
        ("silence@", "name the device after @"),
    ],
)
def test_a_wrong_text_is_one_clear_error(text: str, told: str) -> None:
    with pytest.raises(ValueError, match="fault ") as raised:
        parse_fault(text)
    assert told in str(raised.value)
    assert repr(text) in str(raised.value)


def test_a_device_may_be_named() -> None:
    assert parse_fault("busy=3@rack_3").device == "rack_3"
    assert parse_fault("busy=3@127.0.0.1:5020").device == "127.0.0.1:5020"
    assert parse_fault("busy=3").device is None


def test_every_field_has_a_name_and_every_name_a_meaning() -> None:
    covered = {field for kind in KINDS.values() for field in kind.fields}
    assert covered == set(Faults.__slots__) - {"random"}
    assert all(kind.meaning for kind in KINDS.values())


def test_how_often_counts_down_shares_or_lasts() -> None:
    faults = Faults(busy=2, failures=math.inf, garbage=0.25)
    assert [faults.take("busy") for _ in range(4)] == [True, True, False, False]
    assert all(faults.take("failures") for _ in range(100))
    assert 150 < sum(faults.take("garbage") for _ in range(1000)) < 350
    assert not faults.take("noise")


def test_exceptions_end_after_their_count() -> None:
    faults = Faults(exceptions={6: 1, 9: 2})
    assert [faults.take_exception() for _ in range(5)] == [6, 9, 9, None, None]
    assert faults == Faults()


def test_clear_ends_all_or_some() -> None:
    faults = Faults(silent=True, busy=3, spike=1, spike_points={"soc"})
    faults.clear("busy")
    assert faults == Faults(silent=True, spike=1, spike_points={"soc"})
    faults.clear()
    assert faults == Faults()
