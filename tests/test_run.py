"""What fails among the others and passes alone is repeated and named; what is broken stays broken."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
UNSTABLE = """
from pathlib import Path
def test_race():
    seen = Path("seen")
    assert seen.exists() or seen.touch()
"""


def _run(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(tests)
    return subprocess.run(
        [sys.executable, RUN, "-q", "-p", "no:xdist"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_race_is_named_and_does_not_fail_the_run(tmp_path: Path) -> None:
    done = _run(tmp_path, UNSTABLE)
    assert done.returncode == 0, done.stdout
    assert "1 failed" in done.stdout
    assert done.stdout.rstrip().endswith("look for the race:\n   test_it.py::test_race"), done.stdout


@pytest.mark.parametrize(
    "tests",
    [
        "def test_broken(): assert 0",
        "".join(f"{UNSTABLE.replace('seen', f's{n}').replace('race', f'r{n}')}" for n in range(4)),
    ],
    ids=["broken", "many"],
)
def test_what_is_broken_fails_the_run(tmp_path: Path, tests: str) -> None:
    assert _run(tmp_path, tests).returncode == 1


def test_what_an_earlier_run_left_is_not_repeated(tmp_path: Path) -> None:
    _run(tmp_path, "def test_gone(): assert 0")
    done = _run(tmp_path, UNSTABLE)
    assert done.returncode == 0, done.stdout
    assert "test_gone" not in done.stdout


def test_a_wrong_run_is_not_repeated(tmp_path: Path) -> None:
    done = _run(tmp_path, "def broken(:")
    assert done.returncode == 2
    assert "alone" not in done.stdout
