"""The bounded queue between the event loop and the writer thread."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from bessai.model import CycleRecord, Event

Item = CycleRecord | Event


def events_of(item: Item) -> int:
    """How many events an item carries."""
    return 1 if isinstance(item, Event) else len(item.events)


@dataclass(frozen=True, slots=True)
class Ticket:
    """An item and its place in the order of arrival."""

    place: int
    item: Item


class Backlog:
    """Two queues with one order: telemetry, and what carries events. Each holds at most `capacity` items.

    A flood of telemetry can therefore never push out an event. The lock is held for a few list operations
    only, never during I/O, so that the event loop does not wait for a disk.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.lost_records = 0
        """Items dropped and not yet recorded durably."""
        self.lost_events = 0
        """Events in them."""
        self._lock = threading.Lock()
        self._queues: tuple[deque[Ticket], deque[Ticket]] = (deque(), deque())
        self._next = 0
        self._taken = 0

    def __len__(self) -> int:
        """Items that are not durable yet, those that the writer has taken included."""
        return len(self._queues[0]) + len(self._queues[1]) + self._taken

    def put(self, item: Item) -> bool:
        """Add an item; drops the oldest of its kind when full. True when it carries events."""
        urgent = events_of(item) > 0
        with self._lock:
            self._queues[urgent].append(Ticket(self._next, item))
            self._next += 1
            self._enforce()
        return urgent

    def take(self, limit: int) -> list[Ticket]:
        """The oldest items in order. They stay counted until `settle`."""
        plain, urgent = self._queues
        with self._lock:
            taken: list[Ticket] = []
            while len(taken) < limit and (plain or urgent):
                first = plain if plain and (not urgent or plain[0].place < urgent[0].place) else urgent
                taken.append(first.popleft())
            self._taken = len(taken)
        return taken

    def settle(self, returned: list[Ticket]) -> None:
        """End a `take`: what is not returned is done, the rest goes back to its place."""
        with self._lock:
            for ticket in reversed(returned):
                self._queues[events_of(ticket.item) > 0].appendleft(ticket)
            self._taken = 0
            self._enforce()

    def confirm(self, tickets: list[Ticket]) -> None:
        """Take out returned tickets that turned out to be durable, and uncount those that were dropped since."""
        known = {id(ticket) for ticket in tickets}
        with self._lock:
            waiting = {id(ticket) for queue in self._queues for ticket in queue} & known
            for ticket in tickets:
                if id(ticket) not in waiting:
                    self.lost_records -= 1
                    self.lost_events -= events_of(ticket.item)
            for queue in self._queues:
                while queue and id(queue[0]) in waiting:
                    queue.popleft()

    def lose(self, *, records: int, events: int) -> None:
        """Count what was dropped after `take`; negative once that is recorded durably."""
        with self._lock:
            self.lost_records += records
            self.lost_events += events

    def _enforce(self) -> None:
        for queue in self._queues:
            while len(queue) > self.capacity:
                self.lost_records += 1
                self.lost_events += events_of(queue.popleft().item)
