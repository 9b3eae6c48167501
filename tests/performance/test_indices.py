from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest

from bessai.grid import GridFunctions
from bessai.grid.parameters import PARAMETERS, Value
from bessai.grid.store import Change
from bessai.grid.telling import event_of
from bessai.model import Event
from bessai.performance.fecf import fecf
from bessai.performance.hours import FREQUENCY, HOUR_NS, blank
from bessai.performance.law import Law
from performance import oracle
from performance.conftest import START_NS, Course, Write, course, fold, near, plant
from support.grid_plant import image_of, plant_config

EVER = (0, 1 << 62)


def wandering(count: int, spacing: float, seed: int, begin: float = 0.0) -> Course:
    """A frequency that wanders, a plant that answers it with noise, and gaps."""
    chance = np.random.default_rng(seed)
    t = begin + np.arange(count) * spacing + chance.uniform(0, spacing / 3, count)
    frequency = np.empty(count)
    state = 0.0
    for n, push in enumerate(chance.normal(0, 0.02, count)):
        state = 0.97 * state + push
        frequency[n] = 50 + state
    law = Law(enabled=True)
    setpoint = np.where(t % 3600 < 1800, 200.0, -100.0)
    answer = np.array([oracle.owed(f, law, 1000.0) for f in frequency])
    power = setpoint + 0.9 * answer + chance.normal(0, 5, count) - 12
    frequency[(chance.random(count) < 0.02) | ((t > begin + 5000) & (t < begin + 5400))] = np.nan
    power[chance.random(count) < 0.02] = np.nan
    return course(
        t, frequency=frequency, active_power=power, setpoint=setpoint + answer, offset=answer,
        age=chance.uniform(0, 0.5, count),
    )  # fmt: skip


@pytest.fixture(scope="module")
def hours() -> list[Course]:
    """Three hours, a gap of half an hour, and an hour more."""
    return [wandering(2700, 4.0, 1), wandering(900, 4.0, 2, begin=3 * 3600 + 1800)]


@pytest.mark.parametrize("share", [0.9, 0.5])
def test_fecf_is_that_of_all_samples(write: Write, tmp_path: Path, hours: list[Course], share: float) -> None:
    write(*hours)
    found = fold(tmp_path, plant(reserve_deviation=0.15, coverage=share)).fecf(*EVER)
    expected = oracle.fecf(oracle.frame(*hours), 0.15, share)
    assert [pd.Timestamp(one.start_ns, tz="UTC") for one in found] == list(expected.index)
    for one, (_, want) in zip(found, expected.iterrows(), strict=True):
        assert one.coverage == near(want["coverage"])
        assert one.deviation == near(want["mean"], abs=1e-5)
        assert one.index == (None if np.isnan(want["index_"]) else near(want["index_"], abs=1e-4))
    assert len({one.index is None for one in found}) == (2 if share == 0.9 else 1)


def test_fecf_at_its_ends() -> None:
    """1 at nominal, 0 when the reserve is exhausted, 0.55 of it gone is the minimum."""
    for deviation, index, enough in (
        (0.0, 1.0, True),
        (0.2, 0.0, False),
        (0.11, 0.45, True),
        (-0.2, 0.0, False),
    ):
        cells = np.full(360, 50 + deviation)
        one = fecf(0, cells, cells, nominal=50, reserve=0.2, share=0.9)
        assert one.index == near(index)
        assert one.enough is enough or deviation == 0.11
        assert one.coverage == 1.0


def test_without_the_reserve_the_index_is_unknown_and_the_deviation_is_told(
    write: Write, tmp_path: Path
) -> None:
    write(course(np.arange(0, 7200, 5.0), frequency=50.05))
    first, second = fold(tmp_path, plant()).fecf(*EVER)
    assert (first.index, second.index) == (None, None)
    assert second.deviation == near(0.05, abs=1e-5)
    assert "reserve_deviation" in second.reason


def test_the_average_of_an_hour_begins_in_the_hour_before() -> None:
    cells = np.full(360, 50.1)
    one = fecf(7, cells, cells, nominal=50, reserve=None, share=1.0)
    other = fecf(7, blank(FREQUENCY), cells, nominal=50, reserve=None, share=1.0)
    assert (one.coverage, other.coverage) == (1.0, 325 / 360)
    assert one.start_ns == 7 * HOUR_NS


def test_primary_control_is_that_of_all_samples(write: Write, tmp_path: Path, hours: list[Course]) -> None:
    write(*hours)
    law = Law(enabled=True)
    found = fold(tmp_path, plant(law)).primary(*EVER)
    expected = oracle.primary(oracle.frame(*hours), law, 1000.0)
    assert [pd.Timestamp(one.start_ns, tz="UTC") for one in found] == list(expected.index)
    for one, (_, want) in zip(found, expected.iterrows(), strict=True):
        for name in expected.columns:
            assert getattr(one, name) == near(want[name], rel=1e-6, abs=1e-9), name
        assert one.ratio == near(want["delivered"] / want["expected"])
        assert one.ratio == near(0.9, abs=0.05), "the plant gave 90 % of what it owed"
        assert one.law is not None
        assert one.law["droop"] == 5.0


@pytest.mark.parametrize(
    ("law", "frequency", "power"),
    [
        (Law(droop=2.0), 49.8, 170.0),
        (Law(droop=3.0), 49.8, 113.333),
        (Law(droop=5.0), 49.8, 68.0),
        (Law(droop=5.0), 50.2, -68.0),
        (Law(droop=5.0, shape="step"), 49.8, 80.0),
        (Law(droop=5.0), 50.03, 0.0),
        (Law(droop=5.0, shape="step"), 49.97, 0.0),
        (Law(droop=2.0, authority_up=10.0), 49.0, 100.0),
        (Law(droop=2.0, authority_down=20.0), 51.0, -200.0),
    ],
)
def test_the_law_gives_the_vectors_of_the_annex(law: Law, frequency: float, power: float) -> None:
    assert law.power(np.array([frequency]), 50.0, 1000.0)[0] == near(power, abs=1e-3)


def test_changes_of_parameters_count_from_their_record_on(write: Write, tmp_path: Path) -> None:
    def changed(what: str, name: str, old: Value, new: Value) -> tuple[Event, ...]:
        asked: dict[str, Any] = {
            "user": "Ana",
            "role": "engineer",
            "reason": "order → 4, by letter",
            "authorisation": "CEN-1",
        }
        return (event_of(Change(what=what, wall_ns=START_NS, name=name, old=old, new=new, **asked)),)

    t = np.arange(0, 10_800, 5.0)
    events = {
        720: changed("set", "frequency.droop", 5.0, 2.0),
        730: changed("refused", "frequency.droop", 2.0, 3.0),
        740: changed("set", "voltage.droop", 2.0, 3.0),
        1440: changed("command", "frequency.enabled", True, False),
    }
    write(course(t, frequency=49.8, active_power=50.0, events=events))
    first, second = fold(tmp_path, plant(), every=100).primary(*EVER)
    assert (first.expected, second.expected) == (near(68.0), near(170.0))
    assert (first.bias, first.delivered) == (None, near(50.0))
    assert second.law is not None
    assert second.law["droop"] == 2.0


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("frequency.enabled", True), ("frequency.enabled", False), ("frequency.curve", "uk_dc"),
        ("frequency.shape", "step"), ("frequency.dead_band", 12.5), ("frequency.authority_up", 40.0),
    ],
)  # fmt: skip
def test_every_change_of_the_law_is_understood(name: str, new: Value) -> None:
    """As the change desk tells it."""
    event = event_of(
        Change(what="set", wall_ns=0, name=name, old=PARAMETERS[name].default, new=new, user="Ana")
    )
    law = Law(enabled=new is False).after(event, Law())
    assert getattr(law, name.removeprefix("frequency.")) == new


def test_a_fallback_that_switches_the_response_is_understood() -> None:
    """As the grid functions tell it."""
    grid = plant_config(fallback={"active.agc": False, "frequency.enabled": True}, fallback_after=5.0)
    functions = GridFunctions(grid, values={"active.agc": True}, cycle=0.1)
    for now in (10.0, 15.2):
        functions.propose(image_of(now))
    (event,) = functions.take_events()
    assert Law(droop=2.0).after(event, Law()) == Law(droop=2.0, enabled=True)


def test_after_the_record_was_lost_the_file_counts() -> None:
    begun = event_of(Change(what="start", wall_ns=0, detail="first start"))
    assert Law(droop=2.0).after(begun, Law(droop=4.0)) == Law(droop=4.0)


def test_what_answers_a_test_signal_does_not_count(write: Write, tmp_path: Path) -> None:
    def told(what: str, after: float) -> tuple[Event, ...]:
        return (event_of(Change(what=what, wall_ns=START_NS + int(after * 1e9), user="Ana", detail="step")),)

    t = np.arange(0, 3600, 5.0)
    power = np.where((t >= 600) & (t < 1100), 500.0, 0.0)
    events = {120: told("test", 600), 220: told("test_end", 1100), 600: told("test", 3000)}
    write(course(t, frequency=50.0, active_power=power, events=events))
    (one,) = fold(tmp_path, plant(), every=10).primary(*EVER)
    assert one.bias == 0.0
    assert one.coverage == near(1 - (500 + 600) / 3600, abs=0.01), (
        "a test without an end lasts as long as one may"
    )


def test_nothing_is_owed_while_nobody_commands(write: Write, tmp_path: Path) -> None:
    write(course(np.arange(0, 3600, 5.0), frequency=49.8, setpoint=np.nan))
    assert [one.coverage for one in fold(tmp_path, plant()).primary(*EVER)] in ([], [0.0])


def test_for_other_curves_the_gateways_own_answer_is_expected(write: Write, tmp_path: Path) -> None:
    law = replace(Law(enabled=True), curve="uk_dc")
    write(course(np.arange(0, 3600, 5.0), frequency=49.8, active_power=90.0, setpoint=100.0, offset=100.0))
    (one,) = fold(tmp_path, plant(law)).primary(*EVER)
    assert (one.expected, one.delivered, one.error) == (
        near(100),
        near(90),
        near(10),
    )
