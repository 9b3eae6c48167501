"""The guard through random states, requests and people: nothing that it writes leaves the envelope."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from bessai.core.limits import Limits
from bessai.model import GuardState
from support.stateful import (
    CURVES,
    QUIET,
    TRIPS,
    Devices,
    Episode,
    GuardUnderTest,
    Mix,
    PresentGuard,
    Setup,
    UnitJudge,
    UnitSetup,
    run,
)

CYCLES = 400
"""Of one episode: long enough for leases, dead-mans and refusals to run out."""


def drive(states: int, first: int, devices: Devices, make: Callable[[Setup], GuardUnderTest]) -> Episode:
    """Episodes of consecutive seeds, every fourth one long quiet; the sum of what came of them."""
    total, seed = Episode(), first
    while total.states < states:
        total.add(run(seed, CYCLES, make, devices, Mix() if seed % 4 else QUIET))
        seed += 1
    print(f"seeds {first} … {seed - 1}: {total}")
    return total


def test_20_000_states(tmp_path: Path) -> None:
    total = drive(20_000, 0, Devices.of(tmp_path), PresentGuard)
    # it must have been somewhere: power granted, power denied, every state that this guard has
    assert total.powered > total.states / 50
    assert total.denied > total.states / 20
    assert total.seen == set(GuardState) - {GuardState.MONITOR}
    assert total.tripped > total.states / 100
    assert total.ramped > total.states / 100
    assert total.reactive > total.states / 100
    assert min(total.resets, total.restarts, total.tests) >= 5
    assert total.second_looks == 0, "the envelope and the second look differ"


@pytest.mark.soak
@pytest.mark.timeout(14_400)
def test_a_million_states(tmp_path: Path) -> None:
    """A new seed each run. SEED repeats or goes on with one, STATES makes it longer or shorter: parts add up."""
    first = int(os.environ.get("SEED", random.SystemRandom().randrange(10**9)))
    print(f"SEED={first}")
    total = drive(int(os.environ.get("STATES", "1_000_000")), first, Devices.of(tmp_path), PresentGuard)
    assert total.second_looks == 0, "the envelope and the second look differ"


def test_the_judge_has_the_limits_of_the_documentation(tmp_path: Path) -> None:
    """Those typed anew from docs/limits.md, and those that the judge takes from the data, are the same."""
    judge = UnitJudge(UnitSetup(name="", device=Devices.of(tmp_path).plain, limits=Limits()))
    found = {point: (tuple(charge), tuple(discharge)) for point, charge, discharge in judge.curves}
    assert {point: (tuple(c), tuple(d)) for point, c, d in CURVES} == {
        point: curves for point, curves in found.items() if point != "soc"
    }
    delays = {limit.point: limit.trip.delay for limit in judge.levels if limit.trip is not None}
    assert {(*trip, delays[trip[0]]) for trip in judge.trips} == set(TRIPS)
