"""Requests as a truth table: who asked what, and what came of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.core.requests import RequestBook, resolve
from bessai.model import Bounds, Priority, Request


class Book:
    """One scenario a line."""

    def __init__(self, low: float = -50, high: float = 50) -> None:
        self.book = RequestBook()
        self.envelope = Bounds(low, high)
        self.now = 100.0

    def ask(
        self,
        source: str,
        priority: Priority,
        power: float | None = None,
        bounds: tuple[float, float] = (-math.inf, math.inf),
        lease: float = 60,
    ) -> Book:
        self.book.put(
            Request(
                source=source,
                priority=priority,
                power=power,
                bounds=Bounds(*bounds),
                expires=self.now + lease,
            )
        )
        return self

    def expect(self, power: float, limited_by: tuple[str, ...] = ()) -> Book:
        result = resolve(self.book.live(self.now), self.envelope, self.now)
        assert (result.power, result.limited_by) == (power, limited_by)
        return self

    def later(self, seconds: float) -> Book:
        self.now += seconds
        return self


def test_nobody_asks_means_zero() -> None:
    Book().expect(0)


def test_the_lowest_priority_wins_inside_the_bounds_of_the_higher() -> None:
    Book().ask("optimiser", Priority.OPTIMISER, 30).expect(30).ask("operator", Priority.OPERATOR, 10).expect(
        30
    ).ask("tso", Priority.GRID_OPERATOR, bounds=(-5, 20)).expect(20, ("request:tso",))


def test_bounds_of_a_lower_priority_bind_no_higher_wish() -> None:
    operator = Book().ask("operator", Priority.OPERATOR, 30)
    operator.ask("optimiser", Priority.OPTIMISER, bounds=(-5, 5)).expect(30)
    operator.ask("peer", Priority.OPERATOR, bounds=(-20, 20)).expect(20, ("request:peer",))
    operator.ask("schedule", Priority.SCHEDULE, 10).expect(10)


def test_leases_end() -> None:
    Book().ask("operator", Priority.OPERATOR, 10, lease=5).expect(10).later(4.9).expect(10).later(0.2).expect(
        0
    )


def test_a_source_has_one_request() -> None:
    Book().ask("a", Priority.OPERATOR, 10).ask("a", Priority.OPERATOR, -10).expect(-10)


def test_an_impossible_request_counts_as_none() -> None:
    Book(-10, 10).ask("a", Priority.GRID_OPERATOR, 20, (15, 25)).expect(0, ("impossible:a",))
    Book().ask("tso", Priority.GRID_OPERATOR, bounds=(0, 5)).ask("b", Priority.SCHEDULE, -8, (-9, -7)).expect(
        0, ("impossible:b",)
    )


def test_bounds_that_exclude_zero_hold_without_a_wish() -> None:
    Book().ask("tso", Priority.GRID_OPERATOR, bounds=(5, 8)).expect(5, ("request:tso",))


def test_a_closed_envelope_is_zero_whatever_is_asked() -> None:
    Book(0, 0).ask("a", Priority.GRID_OPERATOR, 20).expect(0)


@pytest.mark.parametrize("power", [math.nan, math.inf])
def test_no_number_is_refused(power: float) -> None:
    with pytest.raises(ValueError, match="not a number"):
        Book().ask("a", Priority.OPERATOR, power)


def test_empty_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="allow no power"):
        Book().ask("a", Priority.OPERATOR, 1, (5, 4))


_POWERS = st.floats(-100, 100)
_ASKS = st.lists(
    st.tuples(st.sampled_from(list(Priority)), st.none() | _POWERS, st.tuples(_POWERS, _POWERS)), max_size=6
)


@given(st.floats(0, 80), st.floats(0, 80), _ASKS)
def test_the_power_never_leaves_the_envelope(
    charge: float, discharge: float, asks: list[tuple[Priority, float | None, tuple[float, float]]]
) -> None:
    book = Book(-charge, discharge)
    for i, (priority, power, bounds) in enumerate(asks):
        book.ask(str(i), priority, power, (min(bounds), max(bounds)))
    result = resolve(book.book.live(book.now), book.envelope, book.now)
    assert -charge <= result.power <= discharge
    assert not result.bounds.empty


def test_more_kvar_than_the_devices_have_is_met_as_nearly_as_they_can() -> None:
    book = RequestBook()
    now = 100.0
    order = Request(
        source="iec104", priority=Priority.GRID_OPERATOR, power=None, reactive=200.0,
        reactive_bounds=Bounds(200, 200), expires=now + 5,
    )  # fmt: skip
    book.put(order)
    book.put(
        Request(
            source="grid.reactive",
            priority=Priority.GRID_SUPPORT,
            power=None,
            reactive=-80.0,
            expires=now + 5,
        )
    )
    found = resolve(book.live(now), Bounds(-50, 50), now, Bounds(-150, 150))
    assert (found.reactive, found.reactive_asked) == (150.0, -80.0)
    assert found.limited_by == ("request:iec104",)
    book.put(replace(order, reactive=None, reactive_bounds=Bounds(high=-170)))
    assert resolve(book.live(now), Bounds(-50, 50), now, Bounds(-150, 150)).reactive == -150.0
    assert resolve(book.live(now), Bounds(-50, 50), now).reactive == 0.0
