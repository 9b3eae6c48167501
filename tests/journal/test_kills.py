"""SIGKILL of real writers and consumers at random moments; see `support.crash_rounds`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulation.seeds import base_seed, replay, scale

TESTS = Path(__file__).parents[1]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """In memory when there is such a place: what a kill can lose is not what a disk can lose."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    directory = Path(tempfile.mkdtemp(prefix="journal-kills-", dir=memory))
    yield directory
    shutil.rmtree(directory)


def rounds(directory: Path, count: int, seed: int, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run them in a process of its own, which forks without threads."""
    work = {"directory": str(directory), "rounds": count, "seed": seed} | options
    return subprocess.run(
        [sys.executable, "-m", "support.crash_rounds", json.dumps(work)],
        cwd=TESTS,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def nothing_lost(place: Path, count: int, part: int) -> None:
    seed = base_seed() + part
    done = 0
    while done < count:
        directory = place / str(done)
        directory.mkdir()
        some = min(100, count - done)
        result = rounds(directory, some, seed + done, every=5, threaded=done % 500 == 0)
        assert result.returncode == 0, replay(seed, [result.stdout, result.stderr])
        counts = json.loads(result.stdout)
        assert counts["rounds"] == some
        assert counts["records"] >= counts["acknowledgements"] > some / 2
        shutil.rmtree(directory)
        done += some


@pytest.mark.timeout(600 * scale())
@pytest.mark.parametrize("part", range(2))
def test_nothing_acknowledged_is_lost_and_at_most_a_batch_comes_twice(place: Path, part: int) -> None:
    nothing_lost(place, 150 * scale(), part * 10**6)  # a writer and a consumer die in each round


@pytest.mark.soak
def test_ten_thousand_kills_of_a_writer_and_as_many_of_a_consumer(place: Path) -> None:
    nothing_lost(place, 10_000, 10**7)


def test_negative_control_a_writer_that_acknowledges_too_early_is_caught(place: Path) -> None:
    result = rounds(place, 500, base_seed(), early=True)
    assert result.returncode == 1
    assert "Violation" in result.stderr
