"""Simulated days with every fault on: nothing that is promised is broken.

A new seed each run. A failure names the command that shows the same run again, bit for bit.
"""

from __future__ import annotations

import gc
import itertools

import pytest

from simulation.faults import FAULTS
from simulation.seeds import base_seed, scale
from simulation.tally import DAY, PLANTS, Tally, replay, run

PARTS = {0: ("huawei_sun2000", 3.0), 3: ("pack", 3.0), 6: ("reactive_pack", 1.0), 7: ("three", 1.0)}
"""Plants and simulated hours by what is added to the seed: 8 hours, three days at the scale of GitHub's CI."""
SOAK_DAYS = 60


@pytest.mark.timeout(600 * scale())
@pytest.mark.parametrize("part", PARTS)
def test_promises_hold_for_days(part: int) -> None:
    seed = base_seed() + part
    plant, hours = PARTS[part]
    result = run(plant, seed, hours * scale() * 3600)
    tally = Tally()
    tally.add(result)
    print(f"seed {seed}", *tally.lines(), sep="\n")
    assert not result.broken, replay(result, plant)
    # Something happened: power flowed, faults of most kinds came in a long run, commands were given and taken back.
    assert result.powered > 0.1 * result.simulated
    if result.simulated > 3 * 3600:
        assert len(result.faults) > len(FAULTS) / 2
    assert result.cycles > 0.8 * result.simulated
    assert min(result.writes[kind] for kind in ("charge", "discharge", "zero", "feed")) > 10


@pytest.mark.parametrize("profile", PLANTS)
def test_a_seed_replays_bit_for_bit(profile: str) -> None:
    seed = base_seed()
    first, second, other = (run(profile, s, 900, fault_every=20) for s in (seed, seed, seed + 1))
    assert first.trace == second.trace, f"BESSAI_SEED={seed}"
    assert (first.faults, first.writes) == (second.faults, second.writes)
    assert first.trace != other.trace


def test_memory_does_not_grow() -> None:
    """Of the gateway, over restarts and faults: what an hour leaves behind."""
    seed = base_seed()
    counts = []
    for hours in (0.5, 1.5):
        run("pack", seed, hours * 3600, fault_every=30)
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert counts[1] - counts[0] < 500, f"BESSAI_SEED={seed}: {counts}"


@pytest.mark.soak
@pytest.mark.timeout(36_000)
def test_promises_hold_for_sixty_days() -> None:
    base = base_seed()
    tally = Tally()
    for seed in itertools.count(base):
        if tally.simulated >= SOAK_DAYS * DAY:
            break
        profile = PLANTS[seed % len(PLANTS)]
        result = run(profile, seed, DAY)
        tally.add(result)
        print(
            f"seed {seed} {profile}: {tally.simulated / DAY:.1f} days, violations {result.broken}", flush=True
        )
        assert not result.broken, replay(result, profile)
    print(*tally.lines(), sep="\n")
