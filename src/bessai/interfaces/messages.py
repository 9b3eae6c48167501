"""Records as messages: the data, the identity and what a subscriber needs to see that none is missing."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Protocol

from bessai.interfaces.courier import Lane, Message
from bessai.interfaces.envelope import SCHEMA_ID, encode, from_entry, unreadable
from bessai.journal.entry import Entry

_log = logging.getLogger(__name__)


class Encoder(Protocol):
    """Makes the messages of one batch."""

    def __call__(self, entries: Sequence[Entry], *, lane: Lane, previous: int) -> Sequence[Message]:
        """`previous` is the sequence of the record before the first one in the same lane. Never raises."""
        ...


class RecordEncoder:
    """One `bessai.telemetry/1` message a record.

    `publish` names the devices whose points go with the plant's own; None stands for every point.
    """

    def __init__(self, site: str, publish: Sequence[str] | None = None) -> None:
        self._site = site
        self._publish = publish

    def __call__(self, entries: Sequence[Entry], *, lane: Lane, previous: int) -> list[Message]:
        """See `Encoder`."""
        messages = []
        for entry in entries:
            messages.append(
                message_of(
                    site=self._site, epoch=entry.epoch, sequence=entry.sequence, previous=previous, lane=lane,
                    schema=SCHEMA_ID, kind=entry.kind, data=self._data(entry),
                )
            )  # fmt: skip
            previous = entry.sequence
        return messages

    def _data(self, entry: Entry) -> bytes:
        try:
            return encode(from_entry(entry, self._site, self._publish))
        except Exception as error:  # noqa: BLE001  one odd record must not hold up all that follow it
            _log.exception("record %d cannot be expressed, an event takes its place", entry.sequence)
            return encode(unreadable(entry, self._site, error))


def message_of(
    *, site: str, epoch: int, sequence: int, previous: int, lane: Lane, schema: str, kind: str, data: bytes
) -> Message:
    """A message with the attributes that every destination gets."""
    name = f"{site}/{epoch}/{sequence}"
    return Message(
        id=name,
        sequence=sequence,
        data=data,
        attributes={
            "id": name,
            "site": site,
            "epoch": str(epoch),
            "sequence": str(sequence),
            "previous": str(previous),
            "lane": lane.value,
            "schema": schema,
            "kind": kind,
        },
        ordering_key=site if lane is Lane.LIVE else f"{site}/backlog",
    )


def fitting(
    entries: Sequence[Entry], encode: Callable[[Sequence[Entry]], Sequence[Message]], most_bytes: int
) -> tuple[Sequence[Entry], Sequence[Message], int]:
    """The longest run of entries, at least one, whose messages fit; with the messages and their bytes."""
    messages = encode(entries)
    size = sum(weights := weight(messages))
    while size > most_bytes and len(entries) > 1:
        if len(messages) == len(entries):
            count = max(1, bisect_right(list(accumulate(weights)), most_bytes))
            entries, messages = entries[:count], messages[:count]
        else:
            entries = entries[: max(1, int(len(entries) * min(0.9, most_bytes / size)))]
            messages = encode(entries)
        size = sum(weights := weight(messages))
    return entries, messages, size


def weight(messages: Sequence[Message]) -> list[int]:
    """Bytes that each takes on the wire, about, before compression."""
    if not messages:
        return []
    first = messages[0]
    around = len(first.ordering_key) + sum(len(k) + len(v) + 8 for k, v in first.attributes.items())
    return [len(message.data) + around for message in messages]
