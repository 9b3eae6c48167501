"""The guard through random states and requests: nothing that it writes leaves the envelope."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bessai.core.deadman import DeadMan
from bessai.core.guard import SafetyGuard
from bessai.core.latch import Latch as TripLatch
from bessai.core.limits import Limits
from bessai.core.unit import Unit
from bessai.model import (
    Bounds,
    Decision,
    GuardState,
    ProcessImage,
    Quality,
    Request,
    Role,
    Trip,
    WriteOutcome,
)
from bessai.registry import CompiledProfile
from support.stateful import (
    Episode,
    Expectations,
    GuardUnderTest,
    Latch,
    Mix,
    PresentGuard,
    Violation,
    profile,
    run,
)
from support.stateful.oracle import Readings
from support.stateful.world import HOME

CYCLES = 400
"""Of one episode: long enough for leases, dead-mans and refusals to run out."""


def present(device: CompiledProfile, latch: TripLatch) -> SafetyGuard:
    limits = Limits(charge_power_max=48.0, discharge_power_max=44.0)
    return SafetyGuard([Unit(device, limits, DeadMan(device, 5.0, 1.0))], latch=latch)


def guard(device: CompiledProfile) -> GuardUnderTest:
    """The guard under test; here a new one is connected."""
    return PresentGuard(lambda latch: present(device, latch))


# as in `present`
TRIPS = (
    ("battery_temperature", "high", 60.0),
    ("cell_voltage_max", "high", 3.65),
    ("cell_voltage_min", "low", 2.4),
)
"""Of LFP, docs/limits.md: each latches after 5 s."""
EXPECTED = Expectations(
    charge_power_max=48.0,
    discharge_power_max=44.0,
    trips=TRIPS,
    must_trip=[(*trip, 5.0) for trip in TRIPS],
)


def drive(
    states: int, first: int, device: CompiledProfile, make: Callable[[], GuardUnderTest] | None = None
) -> Episode:
    total, seed = Episode(), first
    while total.states < states:
        mix = Mix() if seed % 4 else Mix(wild=0.002, disobey=0.0, restart=0.0)  # also long quiet ones
        total.add(run(seed, CYCLES, make or (lambda: guard(device)), device, EXPECTED, mix))
        seed += 1
    return total


def test_20_000_states(tmp_path: Path) -> None:
    total = drive(20_000, 0, profile(tmp_path))
    print(total)
    # it must have been somewhere: power granted, power denied, every state that this guard has
    assert total.powered > total.states / 50
    assert total.denied > total.states / 20
    assert total.seen == set(GuardState) - {GuardState.MONITOR}
    assert total.tripped > total.states / 100


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_million_states(tmp_path: Path) -> None:
    """A new seed each run; SEED repeats one, STATES makes it longer or shorter."""
    first = int(os.environ.get("SEED", random.SystemRandom().randrange(10**9)))
    print(f"SEED={first}")
    print(drive(int(os.environ.get("STATES", "1_000_000")), first, profile(tmp_path)))


class Blind(PresentGuard):
    """Sees some points always as they were at home: a check that is switched off."""

    def __init__(self, make: Callable[[TripLatch], SafetyGuard], *hidden: str) -> None:
        self.hidden = hidden
        super().__init__(make)

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        image = images[""]
        values, quality = image.values.copy(), image.quality.copy()
        for name in self.hidden:
            i = image.layout.index[name]
            values[i], quality[i] = HOME[name], Quality.GOOD
        seen = ProcessImage(
            image.layout, image.cycle, image.monotonic, image.wall_ns, values, quality, image.times
        )
        return super().decide({"": seen}, requests, fresh=fresh)


class Credulous(PresentGuard):
    """Takes what is lost for what was last known: the stale check is switched off."""

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        image = images[""]
        values, quality = image.values.copy(), image.quality.copy()
        for name, home in HOME.items():
            i = image.layout.index[name]
            if quality[i] != Quality.GOOD:
                values[i], quality[i] = home, Quality.GOOD
        seen = ProcessImage(
            image.layout, image.cycle, image.monotonic, image.wall_ns, values, quality, image.times
        )
        return super().decide({"": seen}, requests, fresh=fresh)


class Unproved(PresentGuard):
    """Believes that a new connection is the old one: the dead-man is not proved again."""

    def connection_changed(self, unit: str) -> None:
        pass


class Forgiving(PresentGuard):
    """Believes that every write arrived: the read-back is switched off."""

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        super().wrote(unit, WriteOutcome(verified=True, written=outcome.written), now)


class Stubborn(PresentGuard):
    """Keeps to requests after they have expired."""

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        self._kept: Sequence[Request] = requests or getattr(self, "_kept", ())
        image = images[""]
        later = [replace(request, expires=image.monotonic + 9, bounds=Bounds()) for request in self._kept]
        return super().decide(images, later, fresh=fresh)


@pytest.mark.parametrize(
    ("kind", "hidden"),
    [(Blind, (name,)) for name in HOME] + [(kind, ()) for kind in (Credulous, Unproved, Forgiving, Stubborn)],
)
def test_a_guard_without_one_check_is_found_out(
    tmp_path: Path, kind: Callable[..., GuardUnderTest], hidden: tuple[str, ...]
) -> None:
    """Negative control: the judge sees what this guard does not."""
    device = profile(tmp_path)
    with pytest.raises(Violation, match="seed"):
        drive(40_000, 0, device, lambda: kind(lambda latch: present(device, latch), *hidden))


def trip(code: str, unit: str = "", reset: Role = Role.ENGINEER) -> Trip:
    return Trip(code=code, unit=unit, reset=reset)


def told(*trips: Trip) -> Decision:
    return Decision(state=GuardState.TRIPPED, setpoint=0.0, bounds=Bounds(0, 0), trips=trips)


def test_the_latch_is_watched() -> None:
    hot = Expectations(must_trip=[("battery_temperature", "high", 60.0, 2.0)])
    cool: dict[str, Readings] = {"": {"battery_temperature": 25.0}}
    over: dict[str, Readings] = {"": {"battery_temperature": 61.0}}
    watch = Latch(hot, [""])
    assert watch.check(cool, told(), 0.0) is None
    assert watch.check(over, told(), 1.0) is None
    assert watch.check(over, told(), 3.0) is None
    assert "nothing tripped" in str(watch.check(over, told(), 4.0))
    assert watch.check(over, told(trip("hot")), 4.0) is None
    assert watch.against("", 5.0) == "a trip stands"
    assert watch.against("", 0.0) is None
    assert "nobody reset it" in str(watch.check(cool, told(), 5.0))
    watch.reset("hot", Role.OPERATOR)
    assert "nobody reset it" in str(watch.check(cool, told(), 6.0))
    watch.reset("hot", Role.ENGINEER)
    assert watch.check(cool, told(), 7.0) is None
    assert watch.against("", 5.0) is None


@pytest.mark.parametrize("way", ["rise", "fall"])
def test_steps_faster_than_the_ramp_are_found_out(tmp_path: Path, way: str) -> None:
    """Negative control: this guard is told of no ramp, the judge is."""
    device = profile(tmp_path)
    slow = replace(EXPECTED, rise=1.0) if way == "rise" else replace(EXPECTED, fall=1.0)
    with pytest.raises(Violation, match="the ramp allows 1 kW"):
        run(1, 4000, lambda: guard(device), device, slow, Mix())
