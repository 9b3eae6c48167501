"""The power of a real file system is cut; see `support.crash_rounds`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulation.seeds import base_seed, replay

TESTS = Path(__file__).parents[1]
MEGABYTES = 64


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A directory with an ext4 file system that is mounted from an image, and the image."""
    missing = [tool for tool in ("mkfs.ext4", "losetup", "mount", "umount") if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"cutting the power needs root and {', '.join(missing) or 'no other tool'}")
    image, directory = tmp_path / "image", tmp_path / "disk"
    directory.mkdir()
    with image.open("wb") as file:
        file.truncate(MEGABYTES << 20)
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)], check=True
    )
    done = subprocess.run(
        ["mount", "-o", "loop,commit=300,noatime", str(image), str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"cutting the power needs the right to mount an image: {done.stderr.strip()}")
    yield directory, image
    subprocess.run(["umount", str(directory)], check=True)


def cuts(
    mounted: tuple[Path, Path], count: int, seed: int, **options: Any
) -> subprocess.CompletedProcess[str]:
    directory, image = mounted
    work = {"directory": str(directory), "image": str(image), "rounds": count, "seed": seed} | options
    return subprocess.run(
        [sys.executable, "-m", "support.crash_rounds", json.dumps(work)],
        cwd=TESTS,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [200, pytest.param(2_000, marks=pytest.mark.soak)])
def test_nothing_acknowledged_is_lost_and_at_most_a_batch_comes_twice(
    mounted: tuple[Path, Path], count: int
) -> None:
    seed = base_seed()
    result = cuts(mounted, count, seed)
    assert result.returncode == 0, replay(seed, [result.stdout, result.stderr])
    counts = json.loads(result.stdout)
    assert counts["rounds"] == count
    assert counts["records"] >= counts["acknowledgements"] > count / 2


def test_negative_control_a_disk_that_does_not_sync_is_caught(mounted: tuple[Path, Path]) -> None:
    result = cuts(mounted, 50, base_seed(), honest=False)
    assert result.returncode == 1
    assert "Violation" in result.stderr
