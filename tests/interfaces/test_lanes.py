"""Which records go next: stepped by hand, in a time that the test makes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.interfaces.courier import Lane, Message
from bessai.interfaces.lanes import LanePace, Lanes
from bessai.interfaces.messages import RecordEncoder
from bessai.interfaces.rate import Meter, Rate, Sizer
from bessai.journal.entry import Entry
from bessai.journal.progress import MOST_RANGES, Progress
from support.entries import MemoryJournal, cycle_entry
from support.memory_courier import check_chains

PACE = LanePace(most=50, split_after=5.0)


class Scene:
    """Lanes over a journal, and what the far end got."""

    def __init__(self, progress: Progress | None = None, pace: LanePace = PACE) -> None:
        self.journal = MemoryJournal()
        self.now = 100.0
        self.pace = pace
        self.filters: type[Changed] | None = None
        self.got: list[Message] = []
        self.encode = RecordEncoder("plant-1")
        self.start(progress or Progress())

    def start(self, progress: Progress) -> None:
        """A process begins with what was saved."""
        self.saved = progress
        self.lanes = Lanes(progress, self.pace, self.filters, clock=lambda: self.now)

    def record(self, count: int, *, skip: int = 0) -> None:
        """The plant goes on; `skip` sequences are never written."""
        last = self.journal.last_sequence() + skip
        self.journal.append(*(cycle_entry(i) for i in range(last + 1, last + 1 + count)))

    def turn(self, *, works: bool = True, arrives: bool = True, most: int = 50) -> list[int]:
        """One batch, and what it carried: it is acknowledged, its acknowledgement is lost, or all of it."""
        track = self.lanes.next(self.journal)
        self.saved = self.lanes.progress
        if track is None:
            return []
        entries = track.batch(most)
        messages = self.encode(entries, lane=track.lane, previous=track.previous_of(entries))
        self.lanes.tried(track)
        if arrives:
            self.got += messages
        if works:
            self.lanes.done(track, len(entries))
            track.sizer.took(len(entries), 0.01)
            self.saved = self.lanes.progress
        return [entry.sequence for entry in entries]

    def drain(self) -> None:
        """Turns until nothing is to be sent."""
        for _ in range(100_000):
            if not self.turn() and not self.lanes.scanning:
                return
        raise AssertionError("it never ends")

    def sequences(self, lane: Lane | None = None) -> list[int]:
        return [m.sequence for m in self.got if lane is None or m.attributes["lane"] == lane.value]


class Changed:
    """Withholds what is like the record before; what is like is the tens digit of the sequence."""

    def __init__(self) -> None:
        self.last = -1

    def __call__(self, entry: Entry) -> Entry | None:
        before, self.last = self.last, entry.sequence // 10
        return None if before == self.last else entry


def test_in_normal_operation_there_is_one_lane() -> None:
    scene = Scene()
    for _ in range(10):
        scene.record(5)
        scene.now += 1.0
        scene.drain()
        assert scene.lanes.progress == Progress(scene.journal.last_sequence())
    assert scene.sequences(Lane.LIVE) == list(range(1, 51))
    assert [m.attributes["previous"] for m in scene.got] == [str(i) for i in range(50)]


def test_after_an_outage_the_newest_goes_first_and_the_backlog_beside_it() -> None:
    scene = Scene()
    for _ in range(10):
        scene.record(1)
        scene.drain()
    scene.record(100)
    assert scene.turn(works=False, arrives=False)[0] == 11
    scene.now += 6.0
    assert scene.turn(works=False, arrives=False)[0] == 11, "the backlog has its turn"
    assert scene.turn() == [110], "the newest goes first"
    scene.record(1)
    assert scene.turn() == list(range(11, 27)), "the backlog begins small"
    assert scene.turn() == [111]
    assert scene.lanes.progress == Progress(26, ((110, 111),))
    assert scene.lanes.left(scene.journal.last_sequence()) == 109 - 26
    scene.drain()
    assert scene.lanes.progress == Progress(111)
    check_chains(scene.got)
    by_sequence = {m.sequence: m for m in scene.got}
    assert by_sequence[110].attributes["previous"] == "10", "what the live lane sent before"
    assert by_sequence[11].attributes["previous"] == "10", "a lane that begins names what was done before"
    assert by_sequence[110].ordering_key == "plant-1"
    assert by_sequence[11].ordering_key == "plant-1/backlog"


def test_a_start_with_old_records_splits_at_once_and_one_with_recent_ones_does_not() -> None:
    old = Scene()
    old.record(100)
    assert old.turn() == [100]
    recent = Scene()
    recent.record(4)
    assert recent.turn() == [1, 2, 3, 4]


def test_strictly_in_order_when_asked_to() -> None:
    scene = Scene(Progress(10, ((50, 60),)), LanePace(most=50, split_after=None))
    scene.record(100)
    scene.now += 1000.0
    scene.drain()
    assert scene.sequences(Lane.LIVE) == list(range(11, 101))


def test_outages_without_end_never_make_more_gaps_than_are_kept() -> None:
    scene = Scene()
    for _ in range(3 * MOST_RANGES):
        scene.record(20)
        scene.now += 6.0
        while (track := scene.lanes.next(scene.journal)) is not None and track is scene.lanes.backlog:
            scene.turn(works=False, arrives=False)
        scene.turn()
        assert len(scene.lanes.progress.ranges) <= MOST_RANGES
    scene.drain()
    assert scene.lanes.progress == Progress(60 * MOST_RANGES)
    check_chains(scene.got)


def test_dropped_records_are_counted_once() -> None:
    scene = Scene()
    scene.record(1)
    scene.drain()
    scene.record(4)
    scene.record(5, skip=30)
    scene.turn(works=False, arrives=False)
    scene.now += 6.0
    scene.turn()
    scene.record(5, skip=3)
    scene.drain()
    assert scene.lanes.missed == 33
    assert len(set(scene.sequences())) == 15


def test_what_a_filter_withholds_is_done_with_and_a_lane_that_jumps_begins_complete() -> None:
    scene = Scene()
    scene.filters = Changed
    scene.start(Progress())
    scene.record(100)
    scene.drain()
    scene.record(3)
    scene.drain()
    assert scene.sequences(Lane.LIVE) == [100], "the newest, because the others are old"
    assert scene.sequences(Lane.BACKLOG) == [1, *range(10, 100, 10)]
    assert scene.lanes.withheld == 99 - 10
    assert scene.lanes.left(scene.journal.last_sequence()) == 0
    assert scene.saved == Progress(100), "a restart begins after the last one that was sent"
    scene.start(scene.saved)
    scene.drain()
    assert scene.sequences(Lane.LIVE) == [100, 101], "a new filter begins with a complete record"
    assert scene.got[-1].attributes["previous"] == "100"
    check_chains(scene.got)


def test_what_is_withheld_at_the_end_of_a_backlog_waits_for_the_live_lane() -> None:
    scene = Scene()
    scene.filters = Changed
    scene.start(Progress())
    scene.record(18)
    assert scene.turn(works=False, arrives=False) == [18]
    assert scene.turn() == [1, 10]
    assert scene.turn(works=False, arrives=False) == [18]
    assert scene.turn(works=False, arrives=False) == [18]
    scene.start(scene.saved)
    scene.drain()
    check_chains(scene.got)
    assert scene.lanes.progress == Progress(18)


STEP = st.one_of(
    st.tuples(st.just("record"), st.integers(1, 60)),
    st.tuples(st.just("drop"), st.integers(1, 9)),
    st.tuples(st.just("later"), st.integers(1, 12)),
    st.tuples(st.just("works"), st.integers(1, 20)),
    st.tuples(st.just("fails"), st.integers(1, 20)),
    st.tuples(st.just("ack lost"), st.integers(1, 20)),
    st.tuples(st.just("restart"), st.just(0)),
)


@given(st.lists(STEP, max_size=60), st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_happens_nothing_is_lost_and_each_lane_is_in_order(
    steps: list[tuple[str, int]], filtered: bool
) -> None:
    scene = Scene(pace=LanePace(most=20, split_after=5.0))
    scene.filters = Changed if filtered else None
    scene.start(Progress())
    seen: set[int] = set()
    checked = 0
    for what, size in [*steps, ("restart", 0), ("drain", 0)]:
        match what:
            case "record":
                scene.record(size)
            case "drop":
                scene.record(1, skip=size)
            case "later":
                scene.now += size
            case "restart":
                check_chains(scene.got[checked:], seen)
                checked = len(scene.got)
                scene.start(scene.saved)
            case "drain":
                scene.drain()
            case _:
                scene.turn(works=what == "works", arrives=what != "fails", most=size)
    check_chains(scene.got[checked:], seen)
    everything = {entry.sequence for entry in scene.journal.entries}
    assert seen <= everything
    assert {i // 10 for i in seen} == {i // 10 for i in everything}, "the filter loses no change"
    if not filtered:
        assert seen == everything
        assert scene.lanes.progress == Progress(scene.journal.last_sequence())
    assert scene.lanes.left(scene.journal.last_sequence()) == 0


def test_a_batch_size_settles_where_a_batch_takes_its_time() -> None:
    sizer = Sizer(first=16, most=200, aim=0.5)
    for _ in range(50):
        sizer.took(sizer.size, 0.01)
    assert sizer.size == 200
    for _ in range(50):
        sizer.took(sizer.size, sizer.size * 0.02)  # 25 records take the time
    assert 8 <= sizer.size <= 25 + 16
    for _ in range(5):
        sizer.failed()
    assert sizer.size == 1
    sizer.took(1, 2.0)
    assert sizer.size == 1, "a link on which one record takes long still carries it"
    sizer.took(1, 0.1)
    assert sizer.size == 17


def test_a_rate_is_paid_for_afterwards() -> None:
    now = 0.0
    rate = Rate(10.0, clock=lambda: now)
    assert rate.wait() == 0.0
    rate.take(5)
    assert rate.wait() == 0.5
    now = 2.0
    assert rate.wait() == 0.0
    rate.take(1)
    assert rate.wait() == pytest.approx(0.1), "what was not used is not saved up"
    assert rate.most(0.5, 99) == 5
    assert Rate(None).most(0.5, 99) == 99
    assert Rate(0.1).most(0.5, 99) == 1


def test_a_meter_forgets() -> None:
    now = 0.0
    meter = Meter(clock=lambda: now)
    for _ in range(600):
        now += 0.1
        meter.add(5)
    assert meter.rate == pytest.approx(50.0, rel=0.02)
    now += 100.0
    assert meter.rate < 0.01
