"""Arriving at a state of charge, in front of a battery that tells it in steps and late."""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.core.approach import ApproachMemory, SocApproach
from bessai.model import Bounds

FREE = Bounds(-50, 50)


class Battery:
    """100 kWh that tell their state of charge in steps, some seconds late. One call of `run` is many cycles of 1 s."""

    def __init__(
        self, soc: float, *, resolution: float = 0.1, delay: int = 0, capacity: float = 100.0
    ) -> None:
        self.soc = soc
        self.resolution = resolution
        self.capacity = capacity
        self.told = deque([soc] * (delay + 1), maxlen=delay + 1)
        self.approach = SocApproach(resolution=resolution)
        self.powers: list[float] = []
        self.now = 0.0

    def run(
        self,
        target: float,
        seconds: int,
        *,
        power_max: float = 50.0,
        known: bool = True,
        least: float = 0.0,
        drain: float = 0.0,
    ) -> Battery:
        for _ in range(seconds):
            self.now += 1
            measured = math.floor(self.told[0] / self.resolution + 1e-9) * self.resolution
            capacity = self.capacity if known else None
            power = self.approach.step(measured, target, power_max, FREE, capacity, self.now, least=least)
            if abs(power) < least:
                power = 0.0
            self.powers.append(power)
            self.soc -= (power + drain) / 3600 / self.capacity * 100
            self.told.append(self.soc)
        return self

    @property
    def starts(self) -> int:
        return sum(a == 0 and b != 0 for a, b in zip([0.0, *self.powers], self.powers, strict=False))

    @property
    def directions(self) -> set[int]:
        return {(p > 0) - (p < 0) for p in self.powers} - {0}


@pytest.mark.parametrize("known", [True, False], ids=["capacity", "no capacity"])
@pytest.mark.parametrize("resolution", [0.1, 1.0])
@pytest.mark.parametrize("delay", [0, 10, 60])
@pytest.mark.parametrize(("begin", "target"), [(20, 80), (80, 20), (50, 51.3), (79.9, 77.7)])
@pytest.mark.parametrize("least", [0.0, 8.0])
def test_it_arrives_once_and_stays(
    begin: float, target: float, delay: int, resolution: float, known: bool, least: float
) -> None:
    battery = Battery(begin, resolution=resolution, delay=delay)
    battery.run(target, 4 * 3600, known=known, least=least)
    assert battery.starts == 1
    assert battery.directions == ({-1} if target > begin else {1})
    assert not any(battery.powers[-3600:])
    assert abs(battery.soc - target) <= 0.5 + resolution
    assert max(map(abs, battery.powers)) <= 50


def test_full_power_far_away_and_less_near_the_target() -> None:
    battery = Battery(20).run(80, 2 * 3600)
    assert battery.powers[0] == -50
    last = [p for p in battery.powers if p][-1]
    assert -8 < last < 0, "0.5 % of 100 kWh in five minutes are 6 kW"


def test_a_disturbance_beyond_the_band_starts_it_once() -> None:
    battery = Battery(50, resolution=1.0, delay=30).run(80, 2 * 3600)
    battery.run(80, 3600, drain=1.0)  # 1 %: not worth a start
    assert battery.starts == 1
    battery.soc -= 4
    battery.run(80, 3600)
    assert battery.starts == 2
    assert battery.directions == {-1}
    battery.soc += 6
    battery.run(80, 3600)
    assert battery.starts == 3
    assert abs(battery.soc - 80) <= 1.5


def test_a_new_target_is_a_new_wish_and_a_flickering_one_is_not() -> None:
    battery = Battery(50).run(60, 3600).run(61, 3600)
    assert (battery.starts, round(battery.soc)) == (2, 61)
    for i in range(100):
        battery.run(61 + 0.2 * (i % 2), 1)
    assert battery.starts == 2


@pytest.mark.parametrize(
    ("soc", "target", "power_max", "bounds", "capacity", "expected"),
    [
        (50, 80, 30, FREE, 100.0, -30),
        (50, 20, 30, FREE, 100.0, 30),
        (50, 80, math.inf, FREE, 100.0, -50),
        (50, 80, math.inf, FREE, None, -50),
        (50, 80, 30, Bounds(-10, 10), 100.0, -10),
        (50, 80, 30, Bounds(0, 10), 100.0, 0),
        (50, 52.5, 30, FREE, None, -15),
        (50, 51, 30, FREE, 100.0, -12),
        (50, 51, 30, FREE, math.nan, -6),
        (50, 50.4, 30, FREE, 100.0, 0),
        (None, 80, 30, FREE, 100.0, 0),
        (math.nan, 80, 30, FREE, 100.0, 0),
        (50, math.nan, 30, FREE, 100.0, 0),
        (50, 80, math.nan, FREE, 100.0, 0),
        (50, 80, 0, FREE, 100.0, 0),
        (50, 80, math.inf, Bounds(), None, 0),
        (50, 80, 30, Bounds(1, -1), 100.0, 0),
    ],
)
def test_the_first_step(
    soc: float | None,
    target: float,
    power_max: float,
    bounds: Bounds,
    capacity: float | None,
    expected: float,
) -> None:
    power = SocApproach().step(soc, target, power_max, bounds, capacity, 5.0)
    assert power == pytest.approx(expected)


def test_a_state_of_charge_that_is_lost_for_a_while_changes_nothing() -> None:
    approach = SocApproach()
    assert approach.step(50, 80, 30, FREE, 100.0, 0.0) == -30
    assert approach.step(None, 80, 30, FREE, 100.0, 1.0) == 0
    assert approach.step(50, 80, 30, FREE, 100.0, 2.0) == -30


def test_a_wish_that_was_away_is_a_new_one() -> None:
    approach = SocApproach()
    assert approach.step(80, 80, 30, FREE, 100.0, 0.0) == 0
    assert approach.step(79, 80, 30, FREE, 100.0, 30.0) == 0
    assert approach.step(79, 80, 30, FREE, 100.0, 100.0) < 0


@pytest.mark.parametrize(
    "bands", [{"dead_band": 0.0}, {"resolution": 0.0}, {"restart_band": 0.6}, {"resolution": math.nan}]
)
def test_bands_that_would_hunt_are_refused(bands: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="restart_band"):
        SocApproach(**bands)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(5, 95),
    st.floats(10, 90),
    st.sampled_from([0.1, 0.4, 1.0]),
    st.integers(0, 90),
    st.floats(5, 50),
    st.booleans(),
)
def test_no_hunting_wherever_it_begins(
    begin: float, target: float, resolution: float, delay: int, power_max: float, known: bool
) -> None:
    battery = Battery(begin, resolution=resolution, delay=delay)
    battery.run(target, 3600, known=known, power_max=power_max)
    assert len(battery.directions) <= 1
    assert battery.starts <= 1


@given(st.lists(st.tuples(st.none() | st.floats(0, 100), st.floats(0, 100)), max_size=30))
def test_the_memory_restores_it(steps: list[tuple[float | None, float]]) -> None:
    approach, twin = SocApproach(), SocApproach()
    for now, (soc, target) in enumerate(steps):
        twin.memory = ApproachMemory(**json.loads(json.dumps(asdict(approach.memory))))
        power = approach.step(soc, target, 20, FREE, 100.0, float(now))
        assert twin.step(soc, target, 20, FREE, 100.0, float(now)) == power
        assert abs(power) <= 20
