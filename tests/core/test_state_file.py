"""The record of trips on disk: kills, power cuts, damage, full and failing disks."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bessai.core import sealed_file, state_file
from bessai.core.keeping import RECORD_LOST, Keeper, recovered
from bessai.core.latch import Latch, to_state
from bessai.core.sealed_file import sealed
from bessai.core.state_file import COPIES, JOURNALS, DiskState, MemoryState, StateFile, StateLost
from bessai.model import Trip
from support.small_disk import occupy, small_disk_of

TESTS = Path(__file__).parents[1]
TRIP = Trip(
    code="cell_voltage_high",
    unit="rack_1",
    point="cell_voltage_max",
    value=3.71,
    wall_ns=1_700_000_000 * 10**9,
)


@pytest.fixture
def opened() -> Iterator[Callable[[Path], DiskState]]:
    states: list[DiskState] = []

    def open_state(directory: Path) -> DiskState:
        states.append(DiskState(directory))
        return states[-1]

    yield open_state
    for state in states:
        state.close(0.0)


Open = Callable[[Path], DiskState]


def written(directory: Path, *states: dict[str, Any]) -> None:
    """Make states durable, one after the other, then end."""
    file = DiskState(directory)
    file.load()
    for state in states:
        file.save(state)
        assert file.wait(30)
    assert file.close(30)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_state_survives(tmp_path: Path) -> None:
    assert DiskState(tmp_path).load() is None
    written(tmp_path, {"a": 1}, {"a": 2, "unit": "ñ", "x": 1e-9})
    file = DiskState(tmp_path)
    assert file.load() == {"a": 2, "unit": "ñ", "x": 1e-9}
    assert file.notice is None
    assert {path.name for path in tmp_path.iterdir()} == {f"{c}{end}" for c in COPIES for end in ("", ".new")}
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("make", [MemoryState, None])
def test_versions_become_durable_in_order_and_the_newest_wins(
    tmp_path: Path, make: Callable[[], StateFile] | None, opened: Open
) -> None:
    file = opened(tmp_path) if make is None else make()
    file.load()
    versions = [file.save({"n": n}) for n in range(50)]
    assert versions == sorted(set(versions))
    assert asyncio.run(file.flush(30))
    assert all(map(file.is_durable, versions))
    assert not file.is_durable(versions[-1] + 1)
    assert file.problem is None
    assert file.load() == {"n": 49}


def test_saving_before_loading_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="load"):
        DiskState(tmp_path).save({})


def test_what_is_saved_is_a_copy(tmp_path: Path, opened: Open) -> None:
    file = opened(tmp_path)
    file.load()
    state = {"trips": ["a"]}
    file.save(state)
    state["trips"].clear()
    assert file.wait(30)
    assert file.load() == {"trips": ["a"]}


def test_a_disk_that_hangs_blocks_nobody_and_is_named(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, real = threading.Event(), os.fsync

    def hanging(handle: int) -> None:
        answer.wait(30)
        real(handle)

    monkeypatch.setattr(os, "fsync", hanging)
    file = opened(tmp_path)
    file.load()
    versions = [file.save({"n": n}) for n in range(100)]  # returns, though no fsync ever does
    assert not file.is_durable(versions[0])
    assert not asyncio.run(file.flush(0.01))
    assert file.problem is None
    file._waiting_since -= 7
    assert "has not taken the record for 7 s" in str(file.problem)
    answer.set()
    assert file.wait(30)
    assert file.problem is None
    assert DiskState(tmp_path).load() == {"n": 99}


@pytest.mark.parametrize("present", [set(), {JOURNALS[0]}, {"state.json.lost"}, {"state.json.new"}])
def test_a_missing_record_is_a_loss_where_the_gateway_has_lived(tmp_path: Path, present: set[str]) -> None:
    for name in present:
        (tmp_path / name).touch()
    if present <= {"state.json.new"}:  # the very first write never came to its end
        assert DiskState(tmp_path).load() is None
        return
    with pytest.raises(StateLost, match=r"state\.json is missing, though"):
        DiskState(tmp_path).load()


@pytest.mark.parametrize("bad", COPIES)
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "newer", "directory"])
def test_one_copy_is_enough(tmp_path: Path, bad: str, how: str) -> None:
    written(tmp_path, {"n": 1}, {"n": 2})
    (tmp_path / JOURNALS[0]).touch()
    path = tmp_path / bad
    data = path.read_bytes()
    path.unlink()
    if how == "directory":
        path.mkdir()
    elif how != "missing":
        path.write_bytes(
            {"empty": b"", "cut": data[:-9], "newer": data.replace(b'"format": 1', b'"format": 9')}[how]
        )
    file = DiskState(tmp_path)
    assert file.load() == {"n": 2}
    assert bad in str(file.notice)
    if how != "directory":
        written(tmp_path, {"n": 3})
        repaired = DiskState(tmp_path)
        assert (repaired.load(), repaired.notice) == ({"n": 3}, None)


def test_both_copies_damaged_is_a_loss_and_they_are_kept_for_analysis(tmp_path: Path) -> None:
    written(tmp_path, {"n": 1})
    for name in COPIES:
        (tmp_path / name).write_text("half a rec")
    file = DiskState(tmp_path)
    with pytest.raises(StateLost, match=r"state\.json: damaged.*state\.json\.1: damaged"):
        file.load()
    file.save({"n": 2})
    assert file.close(30)
    assert (tmp_path / "state.json.lost").read_text() == "half a rec"
    assert DiskState(tmp_path).load() == {"n": 2}


def test_the_newer_generation_counts(tmp_path: Path) -> None:
    for name, generation in zip(COPIES, (7, 8), strict=True):
        (tmp_path / name).write_bytes(sealed(generation, {"n": generation}))
    assert DiskState(tmp_path).load() == {"n": 8}
    written(tmp_path, {"n": 9})
    assert DiskState(tmp_path).load() == {"n": 9}
    assert json.loads((tmp_path / "state.json").read_bytes())["generation"] == 9


def tripped_record() -> bytes:
    latch = Latch()
    latch.trip(TRIP)
    return sealed(3, to_state(latch.memory))


def test_damage_is_never_an_absence_of_trips(tmp_path: Path) -> None:
    """1,000 damages of one copy and 1,000 of both: the trip stands, or the loss of the record does."""
    chance = random.Random(11)
    good = tripped_record()
    outcomes = {TRIP.code: 0, RECORD_LOST: 0}
    for number in range(2000):
        damaged = []
        for _ in COPIES:
            data = bytearray(good)
            match chance.randrange(4):
                case 0:
                    del data[chance.randrange(len(data)) :]
                case 1:
                    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
                case 2:
                    data[chance.randrange(len(data))] = chance.randrange(256)
                case _:
                    start = chance.randrange(len(data))
                    data[start : start + 512] = bytes(len(data[start : start + 512]))
            damaged.append(bytes(data))
        if number < 1000:
            damaged[number % 2] = good
        for name, content in zip(COPIES, damaged, strict=True):
            (tmp_path / name).write_bytes(content)
        latch = recovered(DiskState(tmp_path), 0)
        assert latch.tripped("rack_1")
        (trip,) = latch.standing
        if number < 1000 or trip.code != RECORD_LOST:
            assert trip == TRIP
        outcomes[trip.code] += 1
    assert outcomes[TRIP.code] >= 1000
    assert outcomes[RECORD_LOST] > 900, "the damages must do damage"


def kill(directory: Path, rounds: int, mode: str) -> dict[str, int]:
    command = [
        sys.executable,
        str(TESTS / "support" / "latch_process.py"),
        str(directory),
        str(rounds),
        "1",
        mode,
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment)
    result: dict[str, int] = json.loads(done.stdout)
    return result


def test_a_hundred_kills_lose_no_trip_and_bring_none_back(tmp_path: Path) -> None:
    result = kill(tmp_path, 100, "honest")
    assert (result["lost"], result["came_back"], result["unreadable"]) == (0, 0, 0)
    assert min(result["trips"], result["resets"], result["midway"]) >= 10, "nothing was put to the test"


def test_negative_control_a_promise_before_the_disk_has_it_is_caught(tmp_path: Path) -> None:
    assert kill(tmp_path, 20, "lie")["lost"] > 0


class PowerCut:
    """Records what is asked of the disk, and lays out what a power cut may leave of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[str, str, str]] = []
        fsync, replace, pwrite = os.fsync, os.replace, os.pwrite

        def name(handle: int) -> str:
            return Path(f"/proc/self/fd/{handle}").readlink().name

        def on_fsync(handle: int) -> None:
            self.steps.append(("sync", name(handle), ""))
            fsync(handle)

        def on_pwrite(handle: int, data: bytes, offset: int) -> int:
            self.steps.append(("write", name(handle), ""))
            return pwrite(handle, data, offset)

        def on_replace(source: Path, target: Path) -> None:
            self.steps.append(("rename", Path(source).name, Path(target).name))
            replace(source, target)

        monkeypatch.setattr(os, "fsync", on_fsync)
        monkeypatch.setattr(os, "pwrite", on_pwrite)
        monkeypatch.setattr(os, "replace", on_replace)

    def remains(self, count: int, before: bytes, after: bytes) -> Iterator[dict[str, bytes]]:
        """What the disk may hold when the power fails after `count` steps: names and contents."""
        content: dict[str, list[bytes]] = {}
        renames: list[tuple[str, str]] = []
        names = {name: [before] for name in COPIES}
        for act, name, target in self.steps[:count]:
            match act:
                case "write":
                    content[name] = [after, after[: len(after) // 2], bytes(len(after)), b""]
                case "sync" if name in content:
                    content[name] = [after]
                case "rename":
                    renames.append((name, target))
                case "sync":  # the directory: every rename so far is there to stay
                    for source, aim in renames:
                        names[aim] = content[source]
                    renames = []
        for kept in itertools.product((False, True), repeat=len(renames)):
            final = dict(names)
            for (source, aim), done in zip(renames, kept, strict=True):
                if done:
                    final[aim] = content[source]
            for choice in itertools.product(*final.values()):
                yield dict(zip(final, choice, strict=True))


def cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """Save a trip over a state without; how many remains of a power cut were tried, and what went wrong."""
    data, remains = tmp_path / "data", tmp_path / "remains"
    data.mkdir()
    remains.mkdir()
    (remains / JOURNALS[0]).touch()
    empty = to_state(Latch().memory)
    written(data, empty)
    before = (data / COPIES[0]).read_bytes()
    with monkeypatch.context() as patch:
        disk = PowerCut(patch)
        latch = Latch()
        latch.trip(TRIP)
        written(data, to_state(latch.memory))
    after = (data / COPIES[0]).read_bytes()
    wrong: list[str] = []
    tried = 0
    for count in range(len(disk.steps) + 1):
        for files in disk.remains(count, before, after):
            tried += 1
            for name, content in files.items():
                (remains / name).write_bytes(content)
            codes = [trip.code for trip in recovered(DiskState(remains), 0).standing]
            allowed = ([TRIP.code],) if count == len(disk.steps) else ([], [TRIP.code])
            if codes not in allowed:
                wrong.append(f"after {disk.steps[:count]}: {codes}")
    return tried, wrong


def test_a_power_cut_at_any_step_leaves_the_old_or_the_new_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, wrong = cuts(tmp_path, monkeypatch)
    assert not wrong
    assert tried >= 12


@pytest.mark.parametrize("skipped", ["file", "directory"])
def test_negative_control_a_missing_fsync_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skipped: str
) -> None:
    if skipped == "directory":
        monkeypatch.setattr(state_file, "sync_directory", lambda _: None)
    else:
        source = Path(sealed_file.__file__).read_text()
        assert source.count("os.fsync(handle)") == 1
        changed: dict[str, Any] = {"__name__": "changed"}
        exec(source.replace("os.fsync(handle)", "pass"), changed)
        monkeypatch.setattr(state_file, "write_durably", changed["write_durably"])
    assert cuts(tmp_path, monkeypatch)[1]


def test_a_disk_error_is_named_and_tried_again_until_it_works(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_file, "RETRY", 0.01)
    file = opened(tmp_path)
    file.load()
    file.save({"n": 1})
    assert file.wait(30)
    real, failures = os.fsync, itertools.count()

    def failing(handle: int) -> None:
        next(failures)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        version = file.save({"n": 2})
        until(lambda: next(failures) > 10)
        assert file.problem is not None
        assert "state.json cannot be written: Input/output error" in file.problem
        assert not file.is_durable(version)
        assert DiskState(tmp_path).load() == {"n": 1}, "what was durable stays readable"
    assert os.fsync is real
    assert file.wait(30)
    until(lambda: file.problem is None)
    assert file.is_durable(version)
    assert DiskState(tmp_path).load() == {"n": 2}


def test_whatever_fails_the_thread_goes_on(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_file, "RETRY", 0.01)
    file = opened(tmp_path)
    file.load()
    with monkeypatch.context() as patch:
        patch.setattr(state_file, "sealed", lambda *_: 1 / 0)
        file.save({"n": 1})
        until(lambda: "ZeroDivisionError" in str(file.problem))
    assert file.wait(30)
    assert DiskState(tmp_path).load() == {"n": 1}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    with small_disk_of(1, tmp_path) as disk:
        yield disk


def test_a_full_disk_keeps_no_trip_from_the_record(small_disk: Path, opened: Open) -> None:
    file = opened(small_disk)
    latch = recovered(file, 0)
    keeper = Keeper(latch, file)
    keeper.tick()
    assert file.wait(30)
    until(lambda: sum(path.stat().st_size >= 16384 for path in small_disk.iterdir()) == 2)
    occupy(small_disk / "ballast")
    for number in range(20):  # the disk stays full; each write gives back what the one before took
        latch.trip(Trip(code=f"code_{number}", unit=""))
        keeper.tick()
        assert file.wait(30), file.problem
        assert len(recovered(DiskState(small_disk), 0).standing) == number + 1


def test_a_full_disk_from_the_start_is_named_and_recovers(
    small_disk: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_file, "RETRY", 0.01)
    occupy(small_disk / "ballast")
    file = opened(small_disk)
    file.load()
    version = file.save({"n": 1})
    until(lambda: file.problem is not None)
    assert "No space left on device" in str(file.problem)
    assert not file.is_durable(version)
    (small_disk / "ballast").unlink()
    assert file.wait(30)
    assert DiskState(small_disk).load() == {"n": 1}
