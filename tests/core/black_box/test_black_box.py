"""The black box: what is kept, when it is on disk, what survives, and what is given up first."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.core.black_box import BlackBox, Box, Call, RecordedGuard, Snapshot, UnreadableBoxError, read_box
from bessai.core.black_box import store as store_module
from bessai.core.black_box.calls import decode, encode
from bessai.core.black_box.frames import MARK, Kind, frame
from bessai.core.memory import to_plain
from bessai.core.replay import replay
from bessai.model import Event, Quality, Severity
from support.small_guard import LAYOUT, START_NS, Operation, Recorded, SmallGuard, make_image


def decided(box: Box) -> list[Call]:
    return [item for item in box.items if isinstance(item, Call) and item.kind == "decide"]


def alarm(code: str = "evidence_lost", **changes: Any) -> Event:
    event = Event(code=code, severity=Severity.ALARM, message="m", wall_ns=START_NS)
    return replace(event, **changes)


def small(header: dict[str, Any]) -> SmallGuard:
    return SmallGuard(header["description"]["units"])


@pytest.mark.parametrize(
    ("event", "recorded"),
    [
        (alarm(), True),
        (alarm(severity=Severity.WARNING), False),
        (alarm(severity=Severity.INFO), False),
        (alarm(active=False), False),
    ],
)
def test_an_alarm_that_begins_is_recorded(tmp_path: Path, event: Event, recorded: bool) -> None:
    scene = Recorded(tmp_path)
    scene.cycles(3)
    scene.box.notice([event], scene.now)

    assert bool(scene.files) is recorded


def test_a_trip_is_recorded_by_itself(tmp_path: Path) -> None:
    scene = Recorded(tmp_path)
    scene.cycles(3)
    scene.cycle(soc=95.0)

    box = read_box(scene.files[0])
    assert [(t.kind, t.code, t.message) for t in box.triggers] == [("trip", "soc_high", "too full")]
    assert "soc_high" in scene.files[0].name
    assert decided(box)[-1].result["trips"][0]["code"] == "soc_high"


def test_a_trip_that_stood_before_the_start_is_no_event(tmp_path: Path) -> None:
    first = Recorded(tmp_path / "first")
    first.cycle(soc=95.0)
    again = Recorded(tmp_path / "again")
    again.guard.remember(first.guard.memory)
    again.now = 2000.0
    again.cycles(30)

    assert len(first.files) == 1
    assert again.files == []


def test_before_and_after_are_kept_and_no_more(tmp_path: Path) -> None:
    scene = Recorded(tmp_path, before=20.0, after=10.0)
    scene.cycles(100)
    scene.box.notice([alarm()], scene.now)
    at = scene.now
    scene.cycles(100)

    box = read_box(scene.files[0])
    times = [call.arguments[0][""].monotonic for call in decided(box)]
    assert box.end == "complete"
    assert at - 26 <= times[0] <= at - 20
    assert at + 9 <= times[-1] <= at + 11
    assert times == [times[0] + i for i in range(len(times))]


def test_it_is_on_disk_at_once(tmp_path: Path) -> None:
    scene = Recorded(tmp_path)
    scene.cycles(7)
    scene.box.notice([alarm()], scene.now)

    box = read_box(scene.files[0])
    assert len(decided(box)) == 7
    assert box.end is None
    assert scene.box.take_begun() == [scene.files[0].name]
    assert scene.box.take_begun() == []


def test_each_second_after_it_is_on_disk_too(tmp_path: Path) -> None:
    scene = Recorded(tmp_path)
    scene.cycles(7)
    scene.box.notice([alarm()], scene.now)
    scene.cycles(4)

    assert len(decided(read_box(scene.files[0]))) >= 10


def test_an_event_while_recording_prolongs_it(tmp_path: Path) -> None:
    scene = Recorded(tmp_path, after=10.0)
    scene.cycles(5)
    scene.box.notice([alarm("first")], scene.now)
    scene.cycles(8)
    scene.box.notice([alarm("second")], scene.now)
    scene.cycles(20)

    (file,) = scene.files
    box = read_box(file)
    assert [t.code for t in box.triggers] == ["first", "second"]
    assert len(decided(box)) == 5 + 8 + 10
    assert box.end == "complete"


def test_a_storm_fills_neither_the_disk_nor_one_file_for_ever(tmp_path: Path) -> None:
    scene = Recorded(tmp_path, after=10.0)
    for _ in range(3000):
        scene.cycle()
        scene.box.notice([alarm(), alarm("another")], scene.now)

    assert len(scene.files) == 10  # six at once, then one in ten minutes
    longest = max(len(decided(read_box(file))) for file in scene.files)
    assert longest <= 26 + 10 * 10 + 1
    assert scene.box.status()["suppressed"] > 0


def test_a_trip_is_recorded_in_the_middle_of_a_storm(tmp_path: Path) -> None:
    scene = Recorded(tmp_path, after=10.0)
    for _ in range(1500):
        scene.cycle()
        scene.box.notice([alarm()], scene.now)
    scene.cycle(soc=95.0)
    scene.cycles(12)

    kinds = [t.kind for file in scene.files for t in read_box(file).triggers]
    assert kinds.count("trip") == 1


def test_a_person_can_freeze_it(tmp_path: Path) -> None:
    scene = Recorded(tmp_path)
    scene.cycles(3)

    assert scene.box.freeze("what was that noise", scene.now, START_NS) is None
    box = read_box(scene.files[0])
    assert [(t.kind, t.message) for t in box.triggers] == [("freeze", "what was that noise")]
    answers = []
    for _ in range(8):
        scene.now += 200
        answers.append(scene.box.freeze("again", scene.now, START_NS))
    assert any(answer is not None for answer in answers)


def test_every_call_is_there_as_it_was(tmp_path: Path) -> None:
    scene = Recorded(tmp_path, ("a", "b"))
    scene.recorded.connection_changed("a")
    scene.cycles(6, soc=Quality.STALE)
    scene.recorded.operate(Operation(kind="reset", user="eve"), scene.now, START_NS)
    with pytest.raises(RuntimeError, match="unlucky"):
        scene.cycle(soc=13.0)
    scene.box.freeze("test", scene.now, START_NS)

    box = read_box(scene.files[0])
    calls = [item for item in box.items if isinstance(item, Call)]
    assert [call.kind for call in calls[:4]] == ["connection_changed", "decide", "command", "wrote"]
    assert calls[-2].arguments[0] == {"kind": "reset", "user": "eve"}
    assert calls[-2].result == "who are you?"
    assert calls[-1].result == {"raised": "RuntimeError: unlucky"}
    image = decided(box)[0].arguments[0]["b"]
    assert image.values.tobytes() == make_image(1001.0, 1, soc=Quality.STALE).values.tobytes()
    assert image.layout.names == LAYOUT.names
    assert image.layout.meaning("device_status", 1.0) == "on"


def test_what_is_no_call_passes_through(tmp_path: Path) -> None:
    assert Recorded(tmp_path).recorded.active == ["passes through"]


def test_secrets_are_hidden(tmp_path: Path) -> None:
    described = {"settings": {"mqtt_password": "hunter2", "url": "tls://me:hunter2@host"}, "power": 5.0}
    box = BlackBox(tmp_path, described, threaded=False)
    RecordedGuard(SmallGuard(), box).connection_changed("")
    box.freeze("test", 1.0, START_NS)

    (file,) = tmp_path.glob("*.bbox")
    shown = read_box(file).header["description"]
    assert shown == {"settings": {"mqtt_password": "***", "url": "tls://***@host"}, "power": 5.0}


# --- format ---------------------------------------------------------------------------------------------------------


def test_cut_anywhere_it_gives_everything_before_the_cut(tmp_path: Path) -> None:
    scene = Recorded(tmp_path)
    scene.cycles(8)
    scene.box.notice([alarm()], scene.now)
    scene.cycles(3)
    data = scene.files[0].read_bytes()
    whole = read_box(scene.files[0])
    cut, held, readable = tmp_path / "cut", 0, False
    for length in range(len(data)):
        cut.write_bytes(data[:length])
        try:
            box = read_box(cut)
        except UnreadableBoxError:
            assert not readable  # only while the header is not whole
            continue
        readable = True
        assert len(box.items) >= held
        held = len(box.items)
        assert [type(item) for item in box.items] == [type(item) for item in whole.items[:held]]
        assert [item.result for item in box.items if isinstance(item, Call)] == [
            item.result for item in whole.items[:held] if isinstance(item, Call)
        ]
    assert len(whole.items) > held > 0.5 * len(whole.items)


@settings(max_examples=150)
@given(data=st.data())
def test_a_wrong_byte_is_noticed(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("box")
    scene = Recorded(directory)
    scene.cycles(8)
    scene.box.notice([alarm()], scene.now)
    raw = bytearray(scene.files[0].read_bytes())
    whole = read_box(scene.files[0])
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    scene.files[0].write_bytes(raw)
    try:
        box = read_box(scene.files[0])
    except UnreadableBoxError:
        return
    for read, written in zip(box.items, whole.items, strict=False):
        assert type(read) is type(written)
        if isinstance(read, Call) and isinstance(written, Call):
            assert (read.kind, read.result) == (written.kind, written.result)
    assert len(box.items) < len(whole.items)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no black-box record"),
        (b"SQLite format 3\0", "is no black-box record"),
        (MARK[:-1] + b"\x09", "has format 9, this version reads 1"),
        (MARK, "is cut within its header"),
        (MARK + frame(Kind.HEADER, b"[") + b"x", "is damaged"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "x.bbox"
    file.write_bytes(content)

    with pytest.raises(UnreadableBoxError, match=message):
        read_box(file)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "a", "b"]),
            st.floats(),
            st.floats(),
            st.sampled_from(Quality),
            st.integers(0, 9),
        ),
        max_size=12,
    )
)
def test_columns_come_back_bit_for_bit(rows: list[tuple[str, float, float, Quality, int]]) -> None:
    decision = SmallGuard().decide({}, [], fresh=frozenset())
    calls = []
    for n, (unit, soc, power, quality, cycle) in enumerate(rows):
        image = make_image(1000.0 + n, cycle, soc=soc, battery_power=power, device_status=quality)
        calls.append(("decide", {unit: image}, (), frozenset({unit}), decision))

    back = decode(encode(calls, lambda _: 0), {0: LAYOUT})

    for call, (unit, *_), (_, images, *_) in zip(back, rows, calls, strict=True):
        (read,) = call[1].values()
        assert list(call[1]) == [unit]
        for name in ("values", "quality", "times"):
            assert getattr(read, name).tobytes() == getattr(images[unit], name).tobytes()
        assert (read.cycle, read.monotonic, read.wall_ns) == (
            images[unit].cycle, images[unit].monotonic, images[unit].wall_ns,
        )  # fmt: skip


# --- disk -----------------------------------------------------------------------------------------------------------


class Disk:
    """Fails, or tears writes, while it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self.torn = 0
        self._real = store_module._write_all
        monkeypatch.setattr(store_module, "_write_all", self._write)

    def _write(self, file: Any, data: bytes) -> None:
        if self.error is not None:
            self._real(file, data[: self.torn])
            raise OSError(self.error, os.strerror(self.error))
        self._real(file, data)


@pytest.mark.parametrize("torn", [0, 100])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_at_the_event_gets_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, torn: int
) -> None:
    scene, disk = Recorded(tmp_path), Disk(monkeypatch)
    scene.cycles(8)
    disk.error, disk.torn = error, torn
    scene.box.notice([alarm()], scene.now)
    assert scene.files == []
    assert [c.code for c in scene.box.conditions()] == ["black_box_failed"]
    assert os.strerror(error) in next(scene.box.conditions()).message
    scene.cycles(4)
    disk.error = None
    scene.cycles(20)

    assert list(scene.box.conditions()) == []
    box = read_box(scene.files[0])
    assert len(decided(box)) == 8 + 10
    assert box.end == "complete"
    assert replay(box, small).identical


@pytest.mark.parametrize("torn", [0, 100])
def test_a_torn_append_leaves_no_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: int) -> None:
    scene, disk = Recorded(tmp_path), Disk(monkeypatch)
    scene.cycles(8)
    scene.box.notice([alarm()], scene.now)
    disk.error, disk.torn = errno.EIO, torn
    scene.cycles(30)
    assert len(decided(read_box(scene.files[0]))) == 8
    disk.error = None
    scene.cycles(6)

    assert len(decided(read_box(scene.files[0]))) == 8 + 10
    assert read_box(scene.files[0]).end == "complete"


def test_a_full_disk_takes_the_new_record_for_an_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "20200101T000000Z-old.bbox").write_bytes(MARK + b"x" * 1000)
    scene, disk = Recorded(tmp_path), Disk(monkeypatch)
    scene.cycles(8)
    full = store_module._write_all

    def full_while_old(file: Any, data: bytes) -> None:
        disk.error = errno.ENOSPC if (tmp_path / "20200101T000000Z-old.bbox").exists() else None
        full(file, data)

    monkeypatch.setattr(store_module, "_write_all", full_while_old)
    scene.box.notice([alarm()], scene.now)

    assert [file.name for file in scene.files] == ["20260101T000000Z-evidence_lost.bbox"]
    assert list(scene.box.conditions()) == []


def test_a_directory_that_cannot_be_made_is_a_condition(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    scene = Recorded(tmp_path / "file")
    scene.cycles(3)
    scene.box.notice([alarm()], scene.now)
    scene.cycles(3)

    assert [c.code for c in scene.box.conditions()] == ["black_box_failed"]


def test_too_many_bytes_cost_the_oldest_and_trips_last(tmp_path: Path) -> None:
    scene = Recorded(tmp_path, max_bytes=8 << 20)
    scene.cycles(3)
    scene.cycle(soc=95.0)  # the oldest of all, and a trip
    scene.cycles(12)
    (trip,) = scene.files
    for day in (1, 2, 3, 4):
        header = trip.read_bytes().split(b"\0", 1)[0]
        (tmp_path / f"2026020{day}T000000Z-alarm.bbox").write_bytes(header.ljust(3 << 20, b"\0"))
    scene.box.freeze("now", scene.now, START_NS + 90 * 86400 * 10**9)

    names = [file.name for file in scene.files]
    assert trip.name in names
    assert [name for name in names if name.endswith("alarm.bbox")] == [
        "20260203T000000Z-alarm.bbox",
        "20260204T000000Z-alarm.bbox",
    ]
    assert names[-1].endswith("freeze.bbox")


def test_a_file_never_takes_more_than_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Recorded(tmp_path, before=10.0, after=3600.0, max_bytes=60_000)
    scene.cycles(3)
    scene.box.freeze("long", scene.now, START_NS)
    scene.cycles(2000)

    assert read_box(scene.files[0]).end == "full"
    assert scene.files[0].stat().st_size < 33_000
    assert scene.box.status()["ring_bytes"] <= 15_000


def test_what_a_killed_gateway_left_unnamed_is_removed(tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"half")
    (tmp_path / "20200101T000000Z-old.bbox").write_bytes(b"whole")
    scene = Recorded(tmp_path)

    assert not (tmp_path / "x.part").exists()
    assert (scene.box.status()["files"], scene.box.status()["file_bytes"]) == (1, 5)


def test_a_result_that_is_not_plain_costs_its_calls_and_is_told(tmp_path: Path) -> None:
    scene = Recorded(tmp_path)
    scene.cycles(3)
    scene.recorded.operate(Operation(kind=b"no text", user="ana"), scene.now, START_NS)  # type: ignore[arg-type]
    scene.cycles(5)
    assert [c.code for c in scene.box.conditions()] == ["black_box_failed"]
    scene.cycles(20)
    assert list(scene.box.conditions()) == []
    scene.box.freeze("test", scene.now, START_NS)

    box = read_box(scene.files[0])
    assert any(item.gap for item in box.items if isinstance(item, Snapshot))
    assert replay(box, small).identical


def test_memory_that_is_not_plain_is_a_condition_not_an_error(tmp_path: Path) -> None:
    scene = Recorded(tmp_path)
    scene.guard.memory.units[""].history = [object()]  # type: ignore[list-item]
    scene.guard.memory.units[""].state = "normal"  # type: ignore[assignment]
    scene.cycles(3)

    assert [c.code for c in scene.box.conditions()] == ["black_box_failed"]


# --- threads and processes ------------------------------------------------------------------------------------------


def wait_until(condition: Any) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)


def test_a_thread_writes_it(tmp_path: Path) -> None:
    scene = Recorded(tmp_path, threaded=True)
    scene.cycles(30)
    scene.box.notice([alarm()], scene.now)
    wait_until(lambda: scene.files)
    scene.cycles(12)

    assert scene.box.close(timeout=30)
    box = read_box(scene.files[0])
    assert box.end == "complete"
    assert replay(box, small).identical


def test_a_stop_ends_the_record(tmp_path: Path) -> None:
    scene = Recorded(tmp_path, threaded=True)
    scene.cycles(5)
    scene.box.notice([alarm()], scene.now)
    scene.cycles(2)

    assert scene.box.close(timeout=30)
    box = read_box(scene.files[0])
    assert (box.end, len(decided(box))) == ("the gateway stopped", 7)


def test_a_disk_that_hangs_costs_calls_not_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    real = store_module._write_all
    monkeypatch.setattr(store_module, "_write_all", lambda *a: (hangs.wait(30), real(*a)))
    scene = Recorded(tmp_path, threaded=True)
    scene.cycles(5)
    scene.box.notice([alarm()], scene.now)
    for _ in range(20):  # until the thread has begun with what hangs
        scene.cycles(60)
        if list(scene.box.conditions()):
            break
    assert [c.code for c in scene.box.conditions()] == ["black_box_failed"]
    assert scene.box.status()["calls_dropped"] > 0
    hangs.set()
    wait_until(scene.box._jobs.empty)
    scene.cycles(8)
    scene.box.freeze("after", scene.now, START_NS + 10**12)
    assert scene.box.close(timeout=30)

    box = read_box(scene.files[-1])
    assert any(item.gap for item in box.items if isinstance(item, Snapshot))
    assert replay(box, small).identical  # memory is taken anew behind the gap


def test_killed_between_event_and_end_the_seconds_before_are_there(tmp_path: Path) -> None:
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        scene = Recorded(tmp_path, threaded=True)
        scene.cycles(30)
        scene.box.notice([alarm()], scene.now)
        wait_until(lambda: scene.files)
        os.write(tell, b"x")
        time.sleep(60)
        os._exit(1)
    os.read(ready, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(tell)

    (file,) = tmp_path.glob("*.bbox")
    box = read_box(file)
    assert box.end is None
    assert len(decided(box)) >= 20
    assert replay(box, small).identical


def test_being_recorded_changes_nothing(tmp_path: Path) -> None:
    recorded, plain = Recorded(tmp_path / "a", ("a", "b")), Recorded(tmp_path / "b", ("a", "b"))
    plain.recorded = plain.guard  # type: ignore[assignment]
    for soc in (50.0, 60.0, Quality.STALE, 70.0, 95.0, 50.0):
        for _ in range(7):
            assert recorded.cycle(soc=soc) == plain.cycle(soc=soc)

    assert to_plain(recorded.guard.memory) == to_plain(plain.guard.memory)
    assert (len(recorded.files), len(plain.files)) == (1, 0)


def test_the_file_has_its_name_only_once_it_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, name = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append("directory" if Path(f"/proc/self/fd/{handle}").resolve().is_dir() else "file")
        sync(handle)

    def named(path: Path, target: Path) -> Path:
        done.append("name")
        return name(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", named)
    scene = Recorded(tmp_path)
    scene.cycles(3)
    scene.box.notice([alarm()], scene.now)
    assert done == ["file", "name", "directory"]
    scene.cycles(3)
    assert done[3:] == ["file"] * len(done[3:])
    assert len(done) >= 5
