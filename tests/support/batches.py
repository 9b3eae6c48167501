"""Batches for couriers, and where a courier is tried again as the delivery does."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bessai.interfaces.courier import Batch, Courier, Lane, Message
from bessai.interfaces.envelope import SCHEMA_ID, encode, from_entry
from bessai.journal.entry import Entry
from support.entries import cycle_entry

SITE = "plänt 1.a"


def message(entry: Entry, lane: Lane = Lane.LIVE, padding: int = 0) -> Message:
    """`padding` makes it longer by so many bytes."""
    name = f"{SITE}/{entry.epoch}/{entry.sequence}"
    return Message(
        id=name,
        sequence=entry.sequence,
        data=encode(from_entry(entry, SITE)) + b" " * padding,
        attributes={
            "id": name, "site": SITE, "epoch": str(entry.epoch), "sequence": str(entry.sequence),
            "previous": str(entry.sequence - 1), "lane": lane.value, "schema": SCHEMA_ID, "kind": entry.kind,
        },
        ordering_key=SITE if lane is Lane.LIVE else f"{SITE}/backlog",
    )  # fmt: skip


def batch(first: int, last: int, lane: Lane = Lane.LIVE, padding: int = 0) -> Batch:
    """Records `first` to `last`."""

    def messages(entries: Sequence[Entry]) -> Sequence[Message]:
        return [message(entry, lane, padding) for entry in entries]

    return Batch(lane, [cycle_entry(sequence) for sequence in range(first, last + 1)], messages)


def send_until_taken(courier: Courier, records: Batch, patience: float = 60.0) -> int:
    """How many attempts failed before the batch was acknowledged."""
    deadline = time.monotonic() + patience
    failed = 0
    while True:
        try:
            courier.send(records, 10.0)
        except Exception as error:
            if time.monotonic() > deadline:
                raise
            failed += 1
            courier.explain(error)
            time.sleep(0.05)
        else:
            return failed
