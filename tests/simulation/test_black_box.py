"""What the black box kept of simulated hours replays bit for bit: the strongest test of determinism."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessai.core.black_box.reading import read_box
from bessai.core.replay import replay as replay_box
from simulation.seeds import base_seed, scale
from simulation.tally import PLANTS, replay, run

HOURS = {"three": 0.15}
"""Simulated, by plant; others 0.25."""


@pytest.mark.timeout(600 * scale())
@pytest.mark.parametrize("plant", PLANTS)
def test_every_record_replays_bit_for_bit(plant: str, tmp_path: Path) -> None:
    seed = base_seed()
    result = run(plant, seed, HOURS.get(plant, 0.25) * scale() * 3600, fault_every=40.0, box=tmp_path)
    assert not result.broken, replay(result, plant)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    cycles = 0
    for path in files:
        box = read_box(path)
        if not box.items:
            continue
        report = replay_box(box)
        cycles += report.cycles
        assert report.identical, f"BESSAI_SEED={seed}: {path.name}: {report.first}"
        assert not report.notes
        assert report.agree == report.cycles
    print(f"seed {seed}: {len(files)} records, {cycles} cycles replayed")
    assert cycles > 200, f"BESSAI_SEED={seed}: {files}"


def test_the_black_box_changes_nothing(tmp_path: Path) -> None:
    seed = base_seed()
    without, with_box = (run("pack", seed, 900.0, fault_every=30.0, box=box) for box in (None, tmp_path))
    assert without.writes == with_box.writes, f"BESSAI_SEED={seed}"
    assert without.trace == with_box.trace, f"BESSAI_SEED={seed}"
