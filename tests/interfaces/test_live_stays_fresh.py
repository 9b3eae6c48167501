"""After an outage: live records arrive while the backlog drains. In batches, not in seconds: no clock decides."""

from __future__ import annotations

from collections.abc import Sequence

from bessai.interfaces.courier import Lane, Message
from bessai.interfaces.delivery import Delivery, Pace
from bessai.interfaces.messages import message_of
from bessai.journal.entry import Entry
from bessai.journal.progress import Progress
from support.entries import MemoryJournal, cycle_entry
from support.memory_courier import MemoryCourier, check_chains, running, wait_until

BACKLOG = 20_000
LIVE = 300


def small(entries: Sequence[Entry], *, lane: Lane, previous: int) -> list[Message]:
    """Messages without content: this is about the order."""
    before = [previous, *(entry.sequence for entry in entries)]
    return [
        message_of(
            site="p", epoch=0, sequence=entry.sequence, previous=last, lane=lane, schema="s", kind=entry.kind,
            data=b"",
        )
        for last, entry in zip(before, entries, strict=False)
    ]  # fmt: skip


def test_every_live_record_arrives_in_the_next_live_batch_while_20000_drain() -> None:
    journal = MemoryJournal([cycle_entry(i) for i in range(1, BACKLOG + 1)])
    written_at: dict[int, int] = {}
    """Number of the batch during which a live record was written."""
    arrived_at: dict[int, int] = {}
    batches: list[str] = []

    def script(messages: Sequence[Message]) -> None:
        batches.append(messages[0].attributes["lane"])
        for message in messages:
            arrived_at[message.sequence] = len(batches)
        if len(written_at) < LIVE:  # the plant goes on while the batch is under way
            sequence = journal.last_sequence() + 1
            written_at[sequence] = len(batches)
            journal.append(cycle_entry(sequence))

    courier = MemoryCourier(script)
    sink = Delivery(
        "far", courier, encode=small, open_reader=lambda: journal,
        open_cursors=lambda: journal, pace=Pace(poll=0.01, batch_records=100, split_after=5.0),
    )  # fmt: skip
    with running(sink):
        wait_until(lambda: journal.progress("far") == Progress(BACKLOG + LIVE), "all is done")
    assert courier.sequences("live") == list(range(BACKLOG, BACKLOG + LIVE + 1))
    assert courier.sequences("backlog") == list(range(1, BACKLOG))
    check_chains(courier.accepted)
    waited = [arrived_at[sequence] - batch for sequence, batch in written_at.items()]
    assert max(waited) <= 2, "one batch of the backlog at most lies between"
    done = max(i for i, lane in enumerate(batches) if lane == "backlog")
    assert batches[:done].count("live") >= 100, "most of it while the backlog drained"
