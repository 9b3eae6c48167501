"""The split of one power over several units, against tables and against brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.core.split import Offer, Split, least_power, split
from bessai.model import Bounds

WATT = 0.001


def unit(
    high: float = 20.0,
    *,
    low: float | None = None,
    least: float = 0.0,
    energy: float | None = None,
    previous: float = 0.0,
) -> Offer:
    return Offer(
        unit="u",
        bounds=Bounds(-high if low is None else low, high),
        least_charge=least,
        least_discharge=least,
        energy_charge=energy,
        energy_discharge=energy,
        previous=previous,
    )


def powers(power: float, *offers: Offer) -> tuple[float, ...]:
    return split(power, offers).powers


A, B = unit(energy=40), unit(energy=20)


@pytest.mark.parametrize(
    ("power", "offers", "expected", "left"),
    [
        # by energy, limited by power
        (15, (A, B), (10, 5), 0),
        (-15, (A, B), (-10, -5), 0),
        (36, (A, B), (20, 16), 0),
        (50, (A, B), (20, 20), 10),
        (-50, (A, B), (-20, -20), -10),
        (0, (A, B), (0, 0), 0),
        (math.nan, (A, B), (0, 0), 0),
        (10, (), (), 10),
        # an energy that is not known: by power
        (15, (unit(20), unit(10)), (10, 5), 0),
        (15, (unit(20, energy=5), unit(10)), (10, 5), 0),
        (15, (unit(20, energy=5), unit(10, energy=math.nan)), (10, 5), 0),
        (12, (unit(high=0), A, B), (0, 8, 4), 0),
        # nothing left to give, no bounds, bounds that exclude the direction or are no numbers
        (15, (unit(energy=0), A), (0, 15), 0),
        (15, (unit(high=0), A), (0, 15), 0),
        (15, (unit(20, low=5, energy=40), A), (7.5, 7.5), 0),
        (15, (unit(20, low=5, energy=10), A), (0, 15), 0),
        (21, (unit(20, low=5, energy=5), A), (5, 16), 0),
        (15, (unit(-5, low=-20), A), (0, 15), 0),
        (15, (unit(math.nan), A), (0, 15), 0),
        (15, (unit(math.inf), A), (0, 15), 0),
        (15, (unit(20, low=math.nan), A), (0, 15), 0),
        (15, (unit(least=math.nan), A), (0, 15), 0),
        # exclusion zones: a small share is not taken at all, or taken where it is needed
        (25, (unit(30, least=10, energy=90), unit(30, least=10, energy=10)), (25, 0), 0),
        (32, (unit(30, least=10, energy=90), unit(30, least=10, energy=10)), (22, 10), 0),
        (12, (unit(least=10), unit(least=10)), (12, 0), 0),
        (22, (unit(least=10), unit(least=10)), (11, 11), 0),
        (5, (unit(least=10), unit(least=10)), (0, 0), 5),
        (-5, (unit(least=10), unit(least=10)), (0, 0), -5),
        (25, (unit(20, least=15), unit(20, least=15)), (20, 0), 5),
        (5, (unit(least=10, energy=100), unit(least=5, energy=1)), (0, 5), 0),
        (6, (unit(least=10, energy=100), unit(5, energy=1)), (0, 5), 1),
        # whole watts, none lost
        (0.001, (A, A, A), (0.001, 0, 0), 0),
        (0.01, (A, A, A), (0.004, 0.003, 0.003), 0),
        (12.3456, (A,), (12.345,), 0),
    ],
)
def test_who_does_what(
    power: float, offers: Sequence[Offer], expected: tuple[float, ...], left: float
) -> None:
    result = split(power, offers)
    assert (result.powers, result.left) == (expected, left)
    assert bool(result.limited_by) == (left != 0)


def test_it_says_what_left_something() -> None:
    assert split(50, (A, B)).limited_by == ("unit_bounds",)
    assert split(5, (unit(least=10),)).limited_by == ("exclusion_zone",)


def test_the_unit_that_runs_is_kept() -> None:
    first, second = unit(least=10, energy=50), unit(least=10, energy=50, previous=12)
    assert powers(12, first, second) == (0, 12)
    assert powers(12, unit(least=10, energy=60), second) == (0, 12)
    assert powers(12, unit(least=10, energy=80), second) == (12, 0), "much more energy takes over"
    assert powers(-12, first, second) == (-12, 0), "running the other way is not running"


def test_the_unit_that_runs_is_kept_when_only_a_part_can_be_made() -> None:
    idle = unit(least=15, energy=50)
    assert powers(25, idle, idle, unit(least=15, energy=10, previous=20)) == (0, 0, 20)
    assert powers(25, idle, unit(least=15, energy=60), idle) == (0, 20, 0)


def test_a_second_unit_joins_later_than_it_leaves() -> None:
    alone = (unit(least=10, previous=19), unit(least=10))
    both = (unit(least=10, previous=10), unit(least=10, previous=10))
    assert powers(19, *alone) == (19, 0)
    assert powers(20, *alone) == (10, 10)
    assert powers(20, *both) == (10, 10)
    assert powers(19, *both) == (19, 0), "both cannot run at it"


def test_what_the_plant_can_run_at() -> None:
    offers = (unit(20, least=15), unit(20, least=12, energy=0))
    assert least_power(offers, 1) == 15
    assert least_power((A, *offers), -1) == WATT
    assert math.isinf(least_power((), 1))
    assert [p for p in range(-45, 46, 5) if split(p, (offers[0], offers[0])).left == 0] == [
        -40, -35, -30, -20, -15, 0, 15, 20, 30, 35, 40,
    ]  # fmt: skip


_KW = st.integers(0, 30).map(float) | st.floats(0, 30)


@st.composite
def offers_of(draw: st.DrawFn, most: int = 4) -> list[Offer]:
    result = []
    for i in range(draw(st.integers(1, most))):
        bounds = Bounds(-draw(_KW), draw(_KW))
        if draw(st.integers(0, 9)) == 0:
            bounds = Bounds(*sorted((draw(st.floats(-30, 30)), draw(st.floats(-30, 30)))))
        energy = st.none() | st.just(0.0) | st.floats(0.001, 500) | st.floats(0.001, 500)
        result.append(
            Offer(
                unit=str(i),
                bounds=bounds,
                least_charge=draw(st.just(0.0) | _KW),
                least_discharge=draw(st.just(0.0) | _KW),
                energy_charge=draw(energy),
                energy_discharge=draw(energy),
                previous=draw(st.just(0.0) | st.floats(-30, 30)),
            )
        )
    return result


def zone(offer: Offer, sign: int) -> tuple[float, float] | None:
    """The magnitudes it can run at, other than 0."""
    low, high = (offer.bounds.low, offer.bounds.high) if sign > 0 else (-offer.bounds.high, -offer.bounds.low)
    low = max(low, offer.least_discharge if sign > 0 else offer.least_charge, 0.0)
    energy = offer.energy_discharge if sign > 0 else offer.energy_charge
    return (low, high) if low <= high and high > 0 and energy != 0 else None


def best(power: float, offers: Sequence[Offer]) -> float:
    """The largest magnitude up to |power| that some combination of units makes."""
    found = 0.0
    options = [z for offer in offers if (z := zone(offer, 1 if power > 0 else -1))]
    for count in range(len(options) + 1):
        for chosen in itertools.combinations(options, count):
            if sum(low for low, _ in chosen) <= abs(power):
                found = max(found, min(abs(power), sum(high for _, high in chosen)))
    return found


def check(power: float, offers: Sequence[Offer], result: Split) -> None:
    assert abs(sum(result.powers)) <= abs(power) + 1e-9
    assert math.isclose(sum(result.powers) + result.left, power, abs_tol=WATT)
    for offer, part in zip(offers, result.powers, strict=True):
        if part == 0:
            continue
        assert part * power > 0
        limits = zone(offer, 1 if part > 0 else -1)
        assert limits is not None
        assert limits[0] - 1e-9 <= abs(part) <= limits[1] + 1e-9


@settings(max_examples=300)
@given(st.floats(-130, 130) | st.integers(-130, 130).map(float), offers_of())
def test_it_makes_as_much_as_any_combination_could(power: float, offers: list[Offer]) -> None:
    result = split(power, offers)
    check(power, offers, result)
    # a limit of a fraction of a watt is a whole watt for whoever is told in whole watts
    whole = [
        Offer(
            unit=o.unit,
            bounds=Bounds(math.ceil(o.bounds.low * 1000) / 1000, math.floor(o.bounds.high * 1000) / 1000),
            least_charge=math.ceil(o.least_charge * 1000) / 1000,
            least_discharge=math.ceil(o.least_discharge * 1000) / 1000,
            energy_charge=o.energy_charge,
            energy_discharge=o.energy_discharge,
        )
        for o in offers
    ]
    assert abs(sum(result.powers)) >= best(power, whole) - WATT - 1e-9


@given(st.floats(-3000, 3000), offers_of(most=40))
def test_many_units_keep_every_rule_too(power: float, offers: list[Offer]) -> None:
    check(power, offers, split(power, offers))


@given(st.floats(-130, 130), offers_of())
def test_the_same_question_has_the_same_answer(power: float, offers: list[Offer]) -> None:
    assert split(power, offers) == split(power, list(offers))


@given(st.floats(-200, 200), st.integers(1, 20), st.floats(0, 15))
def test_equal_units_differ_by_their_order_alone(power: float, count: int, least: float) -> None:
    result = [abs(p) for p in powers(power, *(unit(least=least, energy=30) for _ in range(count)))]
    assert result == sorted(result, reverse=True)
    assert len({round(p, 3) for p in result if p}) <= 2, "they share alike, to the watt"


@given(
    st.floats(5, 90),
    st.lists(st.tuples(st.floats(10, 100), st.floats(0, 15)), min_size=2, max_size=6),
    st.lists(st.floats(-0.05, 0.05), min_size=60, max_size=60),
)
def test_noise_of_the_energy_makes_no_units_take_turns(
    power: float, plant: list[tuple[float, float]], noise: list[float]
) -> None:
    previous = [0.0] * len(plant)
    changes = [0] * len(plant)
    for turn in range(10):
        offers = [
            unit(least=least, energy=energy * (1 + noise[turn * len(plant) + i]), previous=previous[i])
            for i, (energy, least) in enumerate(plant)
        ]
        now = list(powers(power, *offers))
        if turn:
            for i, (before, after) in enumerate(zip(previous, now, strict=True)):
                changes[i] += (before != 0) != (after != 0) and plant[i][1] > 0.1
        previous = now
    assert max(changes) <= 1


def test_batteries_arrive_empty_together() -> None:
    energy = [60.0, 20.0, 40.0]
    while sum(energy) > 1:
        parts = powers(45, *(unit(30, least=2, energy=e, previous=0) for e in energy))
        energy = [max(e - p / 60, 0.0) for e, p in zip(energy, parts, strict=True)]
    assert max(energy) < 1
