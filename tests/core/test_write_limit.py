"""How often a device is told, as a truth table."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.core.write_limit import WriteLimit, WriteLimitMemory


def told(limit: WriteLimit, *writes: tuple[float, str, bool]) -> list[bool]:
    return [limit.allows(kind, rises, now) for now, kind, rises in writes]


def test_more_power_waits_for_the_interval_and_less_does_not() -> None:
    assert told(
        WriteLimit(2.0, 60),
        (0, "discharge", True),
        (1, "discharge", True),
        (1.5, "discharge", False),
        (2.5, "discharge", True),
        (3.5, "charge", True),
    ) == [True, False, True, False, True]


def test_the_safe_state_and_the_feed_never_wait() -> None:
    limit = WriteLimit(10.0, 1)
    assert (
        told(
            limit,
            (0, "charge", True),
            (0, "zero", True),
            (0, "stop", True),
            (0, "feed", True),
            (1, "zero", False),
        )
        == [True] * 5
    )
    assert (limit.memory.passed, limit.memory.held) == (4, 0)


def test_a_minute_holds_so_many_and_no_more() -> None:
    limit = WriteLimit(0.0, 3)
    assert told(limit, *((float(t), "charge", True) for t in range(5))) == [True, True, True, False, False]
    assert (limit.memory.passed, limit.memory.held) == (3, 2)
    assert told(limit, (59.9, "charge", True), (60.0, "charge", True), (60.5, "charge", True)) == [
        False,
        True,
        False,
    ]


def test_reductions_use_the_minute_up() -> None:
    limit = WriteLimit(0.0, 3)
    assert told(limit, *((0.0, "charge", False) for _ in range(9))) == [True] * 9
    assert len(limit.memory.recent) == 3
    assert told(limit, (1, "charge", True)) == [False]


def test_a_feed_uses_nothing_up() -> None:
    assert told(WriteLimit(0.0, 1), (0, "feed", False), (1, "charge", True)) == [True, True]


@pytest.mark.parametrize(("interval", "count"), [(-1.0, 1), (math.nan, 1), (math.inf, 1), (1.0, 0)])
def test_a_limit_that_is_none_is_refused(interval: float, count: int) -> None:
    with pytest.raises(ValueError, match="give"):
        WriteLimit(interval, count)


@given(
    st.floats(0, 5),
    st.integers(1, 10),
    st.lists(
        st.tuples(st.floats(0, 30), st.sampled_from(["zero", "charge", "discharge"]), st.booleans()),
        max_size=60,
    ),
)
def test_rises_are_rare_and_nothing_else_waits(
    interval: float, count: int, writes: list[tuple[float, str, bool]]
) -> None:
    limit = WriteLimit(interval, count)
    now, past, rises = 0.0, -math.inf, []
    for after, kind, rise in writes:
        now += after
        limit.memory = WriteLimitMemory(**json.loads(json.dumps(asdict(limit.memory))))
        allowed = limit.allows(kind, rise, now)
        assert allowed or (rise and kind != "zero")
        if allowed and rise and kind != "zero":
            assert now - past >= interval - 0.0011
            rises.append(now)
        past = now if allowed else past
    for begin in rises:
        assert sum(begin <= time < begin + 60 for time in rises) <= count
