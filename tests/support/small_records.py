"""A recorder that keeps what the cycle leaves behind in memory."""

from __future__ import annotations

from bessai.model import CycleRecord, Event


class Records:
    """See `bessai.core.cycle.Recorder`."""

    def __init__(self) -> None:
        self.records: list[CycleRecord] = []
        self.events: list[Event] = []

    def append(self, record: CycleRecord) -> None:
        """Take one record."""
        self.records.append(record)
        self.events += record.events

    def append_event(self, event: Event) -> None:
        """Take an event that belongs to no record."""
        self.events.append(event)
