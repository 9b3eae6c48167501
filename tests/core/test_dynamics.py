"""Ramps and dwell times as a truth table: one cycle of one second a line, rated at 100 kW."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.core.dynamics import Dynamics, DynamicsMemory, RampLimits, Step
from bessai.model import Bounds

RATED = Bounds(-100, 80)


class Plant:
    """A plant that does what it is told, in whole watts, one cycle a call."""

    def __init__(
        self,
        *,
        min_on: float = 0.0,
        min_off: float = 0.0,
        least: float = 0.0,
        up: float | None = None,
        down: float | None = None,
        start: float | None = None,
        recovery: float | None = None,
    ) -> None:
        limits = RampLimits(up=up, down=down, start=start, recovery=recovery)
        self.dynamics = Dynamics(limits, min_on=min_on, min_off=min_off)
        self.least = least
        self.now = 1000.0

    def ask(
        self,
        target: float,
        expected: float | None = None,
        *why: str,
        bounds: tuple[float, float] = (-100, 80),
        running: bool = True,
        after: float = 1.0,
        takes: bool = True,
    ) -> Step:
        self.now += after
        step = self.dynamics.step(target, Bounds(*bounds), RATED, self.now, running=running, least=self.least)
        if expected is not None:
            assert (round(step.power, 9), step.limited_by) == (expected, why)
        watts = math.trunc(round(step.power * 1000, 6)) / 1000
        power = 0.0 if abs(watts) < self.least else watts
        if takes:
            self.dynamics.commanded(power, self.now, left=watts - power)
        return step


def begun(**limits: float) -> Plant:
    """A plant whose start is over and that stands at 0, long since."""
    plant = Plant(**limits)
    plant.dynamics.memory = DynamicsMemory(phase="", time=plant.now, since=-math.inf, ran=True)
    return plant


def test_without_limits_the_target_is_the_power() -> None:
    plant = Plant()
    for target in (33.3333333, -100.0, 80.0, 0.1 + 0.2, 0.0):
        step = plant.ask(target)
        assert (step.power, step.limited_by) == (target, ())


def test_up_is_towards_export_and_down_towards_import() -> None:
    plant = begun(up=0.1, down=0.2)
    plant.ask(25, 10, "ramp_up")
    plant.ask(25, 20, "ramp_up")
    plant.ask(25, 25)
    plant.ask(-35, 5, "ramp_down")
    plant.ask(-35, -15, "ramp_down")  # through zero without a stop
    plant.ask(-35, -35)
    plant.ask(0, -25, "ramp_up")


def test_one_direction_alone_may_be_limited() -> None:
    plant = begun(up=0.1)
    plant.ask(25, 10, "ramp_up")
    plant.ask(-80, -80)


def test_a_late_cycle_moves_by_the_worth_of_two() -> None:
    plant = begun(up=0.1)
    plant.ask(80, 15, "ramp_up", after=1.5)
    plant.ask(80, 35, "ramp_up", after=30)
    plant.ask(80, 40, "ramp_up", after=0.5)
    plant.ask(80, 40, "ramp_up", after=-5)


def test_bounds_narrow_at_once_and_the_ramp_goes_on_from_there() -> None:
    plant = begun(up=0.5, down=0.01)
    plant.ask(80, 50, "ramp_up")
    plant.ask(80, 80)
    plant.ask(30, 30, bounds=(-100, 30))
    plant.ask(0, 0, bounds=(0, 0))
    plant.ask(80, 50, "ramp_up")
    plant.ask(0, 49, "ramp_down")
    plant.ask(0, 20, "ramp_down", bounds=(-100, 20))


def test_the_ramp_starts_from_what_was_commanded_and_not_from_what_was_wished() -> None:
    plant = begun(up=0.1)
    for _ in range(5):
        plant.ask(80, 10, "ramp_up", takes=False)  # a device that takes nothing
    plant.ask(80, 10, "ramp_up")
    plant.ask(80, 20, "ramp_up")
    plant.dynamics.commanded(0.0, plant.now)  # cut to the safe state
    plant.ask(80, 10, "ramp_up")


def test_a_ramp_of_less_than_a_watt_a_cycle_moves() -> None:
    plant = begun(up=4e-6)  # 0.4 W a cycle
    for _ in range(100):
        plant.ask(80)
    assert plant.dynamics.memory.told == pytest.approx(0.040, abs=0.001)


def test_a_ramp_gets_through_an_exclusion_zone() -> None:
    plant = begun(up=0.01, down=0.01, least=5)
    for _ in range(10):
        plant.ask(10)
    assert plant.dynamics.memory.told == 10
    for _ in range(20):
        plant.ask(-10)
    assert plant.dynamics.memory.told == -10


def test_the_start_ramp_ends_when_the_target_is_reached() -> None:
    plant = Plant(up=0.1, start=0.05)
    plant.ask(0, 0, running=False)
    plant.ask(0, 0)  # nobody asks: the start is still to come
    plant.ask(12, 5, "ramp_start")
    plant.ask(12, 10, "ramp_start")
    plant.ask(12, 12)
    plant.ask(80, 22, "ramp_up")


def test_the_start_ramp_ends_when_nothing_is_wanted_any_more() -> None:
    plant = Plant(up=0.1, start=0.05)
    plant.ask(0, 0)
    plant.ask(80, 5, "ramp_start")
    plant.ask(80, 10, "ramp_start")
    plant.ask(0, 0, bounds=(-100, 0))  # cut, not wanted
    plant.ask(80, 5, "ramp_start")
    plant.ask(80, 10, "ramp_start")
    plant.ask(0, 0)
    plant.ask(80, 10, "ramp_up")


def test_the_recovery_ramp_follows_a_hold() -> None:
    plant = begun(up=0.1, recovery=0.02)
    plant.ask(80, 10, "ramp_up")
    plant.ask(80, 0, running=False)
    plant.ask(80, 0, running=False)
    plant.ask(80, 2, "ramp_recovery")
    plant.ask(4, 4)
    plant.ask(80, 14, "ramp_up")


def test_a_hold_during_the_start_does_not_end_it() -> None:
    plant = Plant(start=0.05, recovery=0.5)
    plant.ask(80, 0, "ramp_start")  # no time has passed that is known
    plant.ask(80, 5, "ramp_start")
    plant.ask(80, 0, running=False)
    plant.ask(80, 5, "ramp_start")


def test_a_start_is_never_faster_than_usual() -> None:
    plant = Plant(up=0.1, start=0.5)
    plant.ask(0, 0)
    plant.ask(80, 10, "ramp_up")


def test_power_flows_for_the_minimum_time() -> None:
    plant = begun(min_on=3.0, least=5)
    plant.ask(20, 20)
    plant.ask(0, 5, "min_on")  # 1 s
    plant.ask(-50, 5, "min_on")  # 2 s
    plant.ask(-50, -50)
    plant.ask(0, -5, "min_on")
    plant.ask(-30, -30)
    plant.ask(0, 0)


def test_power_stays_off_for_the_minimum_time() -> None:
    plant = begun(min_off=3.0)
    plant.ask(20, 20)
    plant.ask(0, 0)
    plant.ask(20, 0, "min_off")
    plant.ask(20, 0, "min_off")
    plant.ask(20, 20)
    plant.ask(-20, 0, "min_off")  # a change of direction stops in between
    plant.ask(-20, 0, "min_off")
    plant.ask(-20, 0, "min_off")
    plant.ask(-20, -20)


def test_nobody_knows_for_how_long_a_plant_was_off_before_the_start() -> None:
    plant = Plant(min_off=2.0)
    plant.ask(20, 0, "min_off")
    plant.ask(20, 0, "min_off")
    plant.ask(20, 20)


def test_safety_wins_over_every_dwell_time() -> None:
    plant = begun(min_on=60.0, min_off=60.0, least=5)
    plant.ask(20, 20)
    plant.ask(0, 0, bounds=(-100, 4))  # less than it could run at
    plant = begun(min_on=60.0, min_off=60.0)
    plant.ask(20, 20)
    plant.ask(20, 0, bounds=(0, 0))
    plant.ask(20, 0, "min_off")
    plant.ask(20, 5, "min_off", bounds=(5, 30))


def test_a_minimum_time_never_raises_the_power() -> None:
    plant = begun(min_on=60.0)
    plant.ask(5, 5)
    plant.least = 10  # the small units are gone
    plant.ask(0, 0)


def test_the_ramp_holds_at_the_least_power_until_the_minimum_time_is_over() -> None:
    plant = begun(down=0.1, min_on=4.0, least=5)
    plant.ask(20, 20)
    plant.ask(0, 10, "ramp_down")
    plant.ask(0, 5, "min_on")
    plant.ask(0, 5, "min_on")
    plant.ask(0, 0)


@pytest.mark.parametrize(
    ("target", "bounds", "rated", "expected"),
    [
        (math.nan, Bounds(-10, 10), RATED, 0),
        (math.inf, Bounds(-10, 10), RATED, 0),
        (50, Bounds(-10, 10), Bounds(-1e9, 1e9), 10),
        (50, Bounds(10, -10), RATED, 0),
        (50, Bounds(math.nan, 10), RATED, 0),
        (50, Bounds(-10, 10), Bounds(math.nan, math.nan), 0),
        (50, Bounds(-10, 10), Bounds(), 0),
    ],
)
def test_what_is_no_number_moves_nothing(
    target: float, bounds: Bounds, rated: Bounds, expected: float
) -> None:
    dynamics = begun(up=0.1, down=0.1).dynamics
    assert dynamics.step(target, bounds, rated, 1001.0, running=True).power == expected


@pytest.mark.parametrize("name", ["up", "down", "start", "recovery"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_ramp_that_is_no_rate_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        RampLimits(**{name: value})


@pytest.mark.parametrize("times", [{"min_on": -1.0}, {"min_off": math.nan}, {"cycle": 0.0}])
def test_a_time_that_is_none_is_refused(times: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(times))):
        Dynamics(RampLimits(), **times)


_POWER = st.integers(-120, 120).map(float) | st.floats(-120, 120)
_RATE = st.none() | st.floats(0.001, 0.5)
_CYCLE = st.tuples(
    _POWER,
    st.tuples(st.floats(0, 100), st.floats(0, 80)) | st.just((0.0, 0.0)) | st.just((100.0, 80.0)),
    st.sampled_from([True, True, True, True, False]),
    st.floats(0.1, 5),
    st.sampled_from(["takes", "takes", "takes", "fails", "cut"]),
)


@settings(max_examples=200)
@given(
    st.builds(RampLimits, up=_RATE, down=_RATE, start=_RATE, recovery=_RATE),
    st.sampled_from([0.0, 3.0]),
    st.sampled_from([0.0, 4.0]),
    st.sampled_from([0.0, 10.0]),
    st.lists(_CYCLE, max_size=40),
)
def test_whatever_is_asked(
    limits: RampLimits,
    min_on: float,
    min_off: float,
    least: float,
    cycles: list[tuple[float, tuple[float, float], bool, float, str]],
) -> None:
    dynamics = Dynamics(limits, min_on=min_on, min_off=min_off)
    twin = Dynamics(limits, min_on=min_on, min_off=min_off)
    now, told, since = 0.0, 0.0, None
    for target, (charge, discharge), running, after, fate in cycles:
        now += after
        bounds = Bounds(-charge, discharge)
        twin.memory = DynamicsMemory(**json.loads(json.dumps(asdict(dynamics.memory))))
        step = dynamics.step(target, bounds, RATED, now, running=running, least=least)
        assert twin.step(target, bounds, RATED, now, running=running, least=least) == step
        assert bounds.low <= step.power <= bounds.high
        if not running:
            assert step.power == 0
        wish, seconds = bounds.clip(target), min(after, 2.0)
        since = now if since is None else since
        # no faster than the ramp, save where bounds or the edge of the exclusion zone moved it
        for rate, move in ((limits.up, step.power - told), (limits.down, told - step.power)):
            if running and rate is not None and move > 0 and bounds.clip(told) == told:
                assert move <= rate * 100 * seconds + least + 0.0011
        if not step.limited_by and running:
            assert step.power == wish
        if told == 0 and step.power != 0 and running:
            assert now - since >= min_off
        watts = math.trunc(round(step.power * 1000, 6)) / 1000
        power = 0.0 if abs(watts) < least else watts
        if fate == "cut":
            power, watts = 0.0, 0.0
        if fate != "fails":
            dynamics.commanded(power, now, left=watts - power)
            since = since if (power > 0) - (power < 0) == (told > 0) - (told < 0) else now
            told = power
