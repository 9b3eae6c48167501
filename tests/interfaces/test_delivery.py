"""The delivery before a far end in memory: dead letters, the breaker, the limits, and what goes wrong here."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from bessai.interfaces.breaker import FAILURES_TO_OPEN, Breaker
from bessai.interfaces.courier import Lane, Message
from bessai.interfaces.dead_letter import DeadLetters
from bessai.interfaces.delivery import Delivery, Pace
from bessai.interfaces.envelope import Envelope
from bessai.interfaces.messages import RecordEncoder
from bessai.journal.progress import Progress
from support.entries import MemoryJournal, cycle_entry
from support.memory_courier import FarEndError, MemoryCourier, check_chains, running, wait_until

ONE_LANE = Pace(
    batch_records=50, poll=0.01, retry_first=0.001, retry_passing=0.01, retry_refused=0.01, split_after=1e9
)
TWO_LANES = Pace(
    batch_records=50, poll=0.01, retry_first=0.001, retry_passing=0.01, retry_refused=0.01, split_after=5.0
)


def journal_of(count: int, first: int = 1) -> MemoryJournal:
    return MemoryJournal([cycle_entry(i) for i in range(first, first + count)])


def delivery(
    journal: MemoryJournal, courier: MemoryCourier, letters: DeadLetters | None = None, pace: Pace = ONE_LANE
) -> Delivery:
    return Delivery(
        "far", courier, encode=RecordEncoder("plant-1"), open_reader=lambda: journal,
        open_cursors=lambda: journal, dead_letters=letters, pace=pace,
    )  # fmt: skip


def refusing(*poison: int) -> MemoryCourier:
    """Refuses every batch that holds one of these records, for its content."""

    def script(messages: Sequence[Message]) -> None:
        if bad := [m.sequence for m in messages if m.sequence in poison]:
            raise FarEndError(f"too odd: {bad[0]}", passing=False, poison=True)

    return MemoryCourier(script)


def letters_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("poison", [(37,), (1,), (50, 51), (1, 2, 3), (7, 99)])
def test_what_is_refused_for_its_content_is_set_aside_and_the_rest_goes_on(
    poison: tuple[int, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal, courier = journal_of(100), refusing(*poison)
    letters = DeadLetters(tmp_path / "dead-letter" / "far.jsonl")
    sink = delivery(journal, courier, letters)
    with running(sink):
        wait_until(lambda: journal.progress("far") == Progress(100), "all is done")
        wait_until(lambda: sink.status().state == "ok", "all is well")
    assert courier.sequences() == [i for i in range(1, 101) if i not in poison]
    found = letters_of(letters.path)
    assert [letter["id"] for letter in found] == [f"plant-1/0/{i}" for i in poison]
    for letter, sequence in zip(found, poison, strict=True):
        assert Envelope.model_validate_json(str(letter["data"])).sequence == sequence
        assert "too odd" in str(letter["error"])
        alone = sum(sequences == [sequence] for _, sequences in courier.tried)
        assert alone >= 3, "refused alone three times before it counts as its own fault"
    assert sink.status().dead_letters == len(poison)
    assert len([r for r in caplog.records if "is set aside" in r.message]) == len(poison)


def test_while_every_message_is_refused_none_is_set_aside(tmp_path: Path) -> None:
    mended = False

    def script(messages: Sequence[Message]) -> None:
        nonlocal mended
        mended = mended or (len(courier.tried) > 100 and messages[0].sequence == 1)
        if not mended:
            raise FarEndError("another schema", passing=False, poison=True)

    journal, courier = journal_of(30), MemoryCourier(script)
    letters = DeadLetters(tmp_path / "far.jsonl")
    sink = delivery(journal, courier, letters)
    with running(sink):
        wait_until(lambda: len(courier.tried) > 50, "many attempts")
        assert (sink.status().state, sink.status().last_error) == ("retrying", "another schema")
        wait_until(lambda: journal.progress("far") == Progress(30), "all is done")
    assert courier.sequences() == list(range(1, 31))
    assert not letters.path.exists()


def test_a_refusal_that_is_not_about_the_content_sets_nothing_aside(tmp_path: Path) -> None:
    def script(messages: Sequence[Message]) -> None:
        if len(courier.tried) < 40 and any(m.sequence == 5 for m in messages):
            raise FarEndError("no permission", passing=False)

    courier = MemoryCourier(script)
    journal, letters = journal_of(10), DeadLetters(tmp_path / "far.jsonl")
    with running(delivery(journal, courier, letters)):
        wait_until(lambda: journal.progress("far") == Progress(10), "all is done")
    assert courier.sequences() == list(range(1, 11))
    assert letters.count == 0


def test_the_last_of_a_backlog_is_set_aside_when_the_live_lane_goes_on(tmp_path: Path) -> None:
    journal, courier = journal_of(100), refusing(98, 99)
    letters = DeadLetters(tmp_path / "far.jsonl")
    with running(delivery(journal, courier, letters, TWO_LANES)):
        wait_until(lambda: courier.sequences("live") == [100], "the newest went first")
        while journal.progress("far").ranges or journal.progress("far").floor < 100:
            last = journal.last_sequence() + 1
            journal.append(cycle_entry(last))
            wait_until(lambda last=last: journal.progress("far").newest >= last, "live goes on")  # type: ignore[misc]
    assert [letter["id"] for letter in letters_of(letters.path)] == ["plant-1/0/98", "plant-1/0/99"]
    assert courier.sequences("backlog") == list(range(1, 98))
    assert courier.sequences("live") == list(range(100, journal.last_sequence() + 1))


def test_without_room_for_dead_letters_everything_waits(tmp_path: Path) -> None:
    (tmp_path / "dead-letter").write_text("a file where the directory should be")
    journal, courier = journal_of(20), refusing(10)
    letters = DeadLetters(tmp_path / "dead-letter" / "far.jsonl")
    sink = delivery(journal, courier, letters)
    with running(sink):
        wait_until(lambda: "cannot be set aside" in (sink.status().last_error or ""), "it says so")
        assert journal.progress("far") == Progress(9)
        (tmp_path / "dead-letter").unlink()
        wait_until(lambda: journal.progress("far") == Progress(20), "all is done")
    assert [letter["id"] for letter in letters_of(letters.path)] == ["plant-1/0/10"]
    assert sorted(set(courier.sequences())) == [i for i in range(1, 21) if i != 10]


def test_the_dead_letter_file_is_bounded_and_survives_a_power_cut(tmp_path: Path) -> None:
    path = tmp_path / "far.jsonl"
    letters = DeadLetters(path, most_bytes=20_000)
    encode = RecordEncoder("plant-1")
    for i in range(1, 101):
        letters.put(encode([cycle_entry(i)], lane=Lane.LIVE, previous=i - 1), "why")
        assert path.stat().st_size <= 20_000
    held = [str(letter["id"]) for letter in letters_of(path)]
    assert held == [f"plant-1/0/{i}" for i in range(101 - len(held), 101)], "the newest are kept"
    assert letters.count == len(held) > 3
    assert letters.dropped == 100 - len(held)
    with path.open("ab") as file:
        file.write(b'{"time": "2026-')
    again = DeadLetters(path, most_bytes=20_000)
    again.look()
    assert again.count == len(held)
    again.put(encode([cycle_entry(101)], lane=Lane.LIVE, previous=100), "why")
    assert letters_of(path)[-1]["id"] == "plant-1/0/101"


def test_the_breaker_opens_after_failures_in_a_row_and_probes_with_one_record() -> None:
    broken = True

    def script(messages: Sequence[Message]) -> None:
        if broken:
            states.append((sink.status().breaker, len(messages)))
            raise FarEndError("down")

    states: list[tuple[str, int]] = []
    journal, courier = journal_of(60), MemoryCourier(script)
    sink = delivery(journal, courier)
    with running(sink):
        wait_until(lambda: len(states) > FAILURES_TO_OPEN + 3, "many failures")
        broken = False
        wait_until(lambda: journal.progress("far") == Progress(60), "all is done")
    assert [state for state, _ in states[:FAILURES_TO_OPEN]] == ["closed"] * FAILURES_TO_OPEN
    assert set(states[FAILURES_TO_OPEN:]) == {("half_open", 1)}
    assert sink.status().breaker == "closed"
    assert sink.status().doubtful >= 60
    assert courier.sequences() == list(range(1, 61))


def test_pauses_grow_apart_for_what_passes_and_what_somebody_must_mend() -> None:
    breaker = Breaker(first=0.1, passing=1.0, refused=10.0)
    passing = [breaker.failed(passing=True) for _ in range(10)]
    assert passing[0] <= 0.1
    assert 0.5 <= passing[-1] <= 1.0
    breaker.attempt()
    refused = [breaker.failed(passing=False) for _ in range(10)]
    assert 5.0 <= refused[-1] <= 10.0
    breaker.succeeded()
    assert breaker.failed(passing=True) <= 0.1


def test_batches_keep_to_the_limits_of_bytes_and_of_the_rate() -> None:
    pace = Pace(poll=0.01, batch_bytes=20_000, records_per_second=2000.0, split_after=1e9)
    journal, courier = journal_of(300), MemoryCourier()
    sink = delivery(journal, courier, pace=pace)
    with running(sink):
        wait_until(lambda: journal.progress("far") == Progress(300), "all is done")
    sizes = [len(sequences) for _, sequences in courier.tried]
    one = len(courier.accepted[0].data)
    assert 1 < max(sizes) <= 20_000 // one
    assert sink.status().sent_bytes > 300 * one
    assert sink.status().batches == len(sizes)
    slow = Pace(poll=0.01, records_per_second=40.0, split_after=1e9)
    limited = MemoryCourier()
    with running(delivery(journal_of(30), limited, pace=slow)):
        wait_until(lambda: len(limited.accepted) == 30, "all is done")
    assert max(len(sequences) for _, sequences in limited.tried) == 20, "half a second's worth"


def test_a_cursor_that_cannot_be_saved_stops_nothing_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    class FullDisk(MemoryJournal):
        full = True

        def save(self, consumer: str, progress: Progress, *, durable: bool = True) -> None:
            if self.full:
                raise OSError(28, "No space left on device")
            super().save(consumer, progress, durable=durable)

    journal, courier = FullDisk([cycle_entry(i) for i in range(1, 41)]), MemoryCourier()
    sink = delivery(journal, courier)
    with running(sink):
        wait_until(lambda: len(courier.accepted) == 40, "it goes on")
        wait_until(lambda: "cannot be saved" in (sink.status().last_error or ""), "it says so")
        journal.full = False
        wait_until(lambda: journal.progress("far") == Progress(40), "it is saved as soon as there is room")
        wait_until(lambda: sink.status().state == "ok", "all is well")
    assert courier.sequences() == list(range(1, 41))


def test_the_lag_and_what_waits_are_told(caplog: pytest.LogCaptureFixture) -> None:
    def script(messages: Sequence[Message]) -> None:
        if down:
            raise FarEndError("down")

    down = False
    journal, courier = journal_of(1), MemoryCourier(script)
    sink = delivery(journal, courier)
    with running(sink):
        wait_until(lambda: sink.status().delivered == 1, "the first")
        wait_until(lambda: sink.status().lag == 0.0, "up to date")
        down = True
        journal.append(*(cycle_entry(i) for i in range(2, 92)))
        wait_until(lambda: sink.status().lag == 90.0, "a second a record")
        assert sink.status().backlog == 90
        down = False
        wait_until(lambda: sink.status().lag == 0.0 and sink.status().backlog == 0, "up to date again")
    check_chains(courier.accepted)
    assert sink.status().rate > 0
    assert sink.status().cursor == 91


def test_a_filter_withholds_what_need_not_be_sent() -> None:
    journal, courier = journal_of(100), MemoryCourier()
    sink = Delivery(
        "far", courier, encode=RecordEncoder("plant-1"), open_reader=lambda: journal,
        open_cursors=lambda: journal, pace=ONE_LANE,
        filters=lambda: lambda entry: entry if entry.sequence % 10 == 1 else None,
    )  # fmt: skip
    with running(sink):
        wait_until(lambda: sink.status().backlog == 0, "all is done")
        journal.append(cycle_entry(101))
        wait_until(lambda: journal.progress("far") == Progress(101), "what was withheld is done with")
        wait_until(lambda: sink.status().withheld == 90, "it is counted")
    assert courier.sequences() == list(range(1, 102, 10))
    check_chains(courier.accepted)
    assert sink.status().missed == 0


def test_the_cursor_is_synced_by_the_batch_and_not_by_the_record() -> None:
    class Counting(MemoryJournal):
        synced: ClassVar[list[int]] = []
        passing: ClassVar[list[int]] = []

        def save(self, consumer: str, progress: Progress, *, durable: bool = True) -> None:
            (self.synced if durable else self.passing).append(progress.floor)
            super().save(consumer, progress)

    journal, courier = Counting([cycle_entry(1)]), MemoryCourier()
    with running(delivery(journal, courier, pace=Pace(poll=0.01, batch_records=20))):
        for sequence in range(2, 62):
            journal.append(cycle_entry(sequence))
            wait_until(lambda s=sequence: journal.get("far") == s, "one by one")  # type: ignore[misc]
    assert journal.passing
    assert journal.synced[0] == 1, "the first at once"
    for before, after in itertools.pairwise(journal.synced):
        assert after - before >= 20
    assert 61 - journal.synced[-1] < 20, "at most a batch comes twice after a power cut"
