"""What is no evidence is unsafe: within two cycles, beyond the time after which the operator calls a value old.

A value that says of itself that it is none is seen in the reading that brings it. Silence, delay and standing still
are seen when their configured time is over: `STALE_AFTER` (3 s here), or the profile's `alive.within` (3 s here).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from simulation.profiles import pack
from simulation.seeds import base_seed, replay
from simulation.trials import Case, Trials, between, fault, quantile, shown
from simulation.world import World

TRIALS = 40
"""Of each case."""
STALE = 3.0
ALIVE = 3.0


def _counter_stands(world: World, _: Random) -> Callable[[], None]:
    world.device.twin.freeze("alive")
    return lambda: world.device.twin.release("alive")


def _vanishes(name: str) -> Callable[[World, Random], Callable[[], None]]:
    def begin(world: World, _: Random) -> Callable[[], None]:
        world.device.twin.remove(name)
        return lambda: world.device.twin.release(name)

    return begin


def _gone(world: World, _: Random) -> Callable[[], None]:
    world.network.faults.refuse = True
    world.network.cut(ConnectionResetError(104, "Connection reset by peer"))

    def undo() -> None:
        world.network.faults.refuse = False

    return undo


def _late(world: World, _: Random) -> Callable[[], None]:
    world.network.faults.delay = (STALE + 1.0, STALE + 6.0)
    world.network.disturbed = True

    def undo() -> None:
        world.network.faults.delay = (0.0, 0.0)
        world.network.disturbed = False

    return undo


def _always_busy(world: World, _: Random) -> Callable[[], None]:
    world.device.faults.busy, world.device.disturbed = 1.0, True

    def undo() -> None:
        world.device.faults.busy, world.device.disturbed = 0.0, False

    return undo


CASES = (
    Case(name="NaN", begin=shown("internal_temperature", lambda _: None)),
    Case(name="sentinel of soc", begin=shown("soc", lambda _: None)),
    Case(name="sentinel of a cell voltage", begin=shown("cell_voltage_min", lambda _: None)),
    Case(name="sentinel of battery_power", begin=shown("battery_power", lambda _: None)),
    Case(name="absurd soc", begin=shown("soc", between(100.1, 6500))),
    Case(name="absurd temperature", begin=shown("cell_temperature_max", between(120.1, 3000))),
    Case(name="absurd cell voltage", begin=shown("cell_voltage_max", between(5.001, 65))),
    Case(name="sentinel of the insulation", begin=shown("insulation_resistance", lambda _: None)),
    Case(name="absurd insulation", begin=shown("insulation_resistance", between(10001, 60000))),
    Case(name="absurd DC voltage", begin=shown("battery_voltage", between(1000.2, 6500))),
    Case(name="the fire alarm vanishes", begin=_vanishes("fire_alarm")),
    Case(name="a point vanishes", begin=_vanishes("soc")),
    Case(name="everything frozen", begin=fault("frozen"), detect=ALIVE),
    Case(name="frozen counter", begin=_counter_stands, detect=ALIVE),
    Case(name="silent", begin=fault("silent"), detect=STALE, reachable=False),
    Case(name="unreachable", begin=fault("unreachable"), detect=STALE, reachable=False),
    Case(name="refused after a reset", begin=_gone, detect=STALE, reachable=False),
    Case(name="late", begin=_late, detect=STALE, reachable=False),
    Case(name="busy", begin=_always_busy, detect=STALE, reachable=False),
)


@pytest.mark.timeout(900)
def test_bad_evidence_is_unsafe_within_two_cycles() -> None:
    seed = base_seed()
    trials = Trials(pack(), CASES, seed)
    outcomes = trials.run(TRIALS * len(CASES))
    for case in CASES:
        outcome = outcomes[case.name]
        print(f"{case.name}: {outcome.trials} trials, max {max(outcome.seconds, default=-1):.3f} s")
        assert outcome.trials == TRIALS
        assert not outcome.misses, replay(seed, outcome.misses)
        assert quantile(outcome.seconds, 1.0) <= case.detect + 2 * trials.world.scenario.config.cycle
    assert not trials.world.violations, replay(seed, trials.world.violations)
