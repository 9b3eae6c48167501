"""A far end in memory, scripted by a function, for tests that are not about a protocol."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from bessai.interfaces.courier import Batch, Message, Trouble
from bessai.interfaces.sink import Sink, keep_running


class FarEndError(Exception):
    """What the far end answers instead of an acknowledgement."""

    def __init__(self, sentence: str, *, passing: bool = True, poison: bool = False) -> None:
        super().__init__(sentence)
        self.trouble = Trouble(sentence=sentence, passing=passing, poison=poison)


class MemoryCourier:
    """Accepts every batch unless `script` raises. A `Courier`."""

    def __init__(self, script: Callable[[Sequence[Message]], None] | None = None) -> None:
        self.script = script
        """Called with each batch before it is accepted; raises to refuse it."""
        self.tried: list[tuple[str, list[int]]] = []
        """Every attempt: its lane and its sequences."""
        self.accepted: list[Message] = []
        self.closed = 0

    def send(self, batch: Batch, timeout: float) -> None:
        self.tried.append((batch.lane.value, [message.sequence for message in batch.messages]))
        if self.script is not None:
            self.script(batch.messages)
        self.accepted.extend(batch.messages)

    def explain(self, error: Exception) -> Trouble:
        return (
            error.trouble if isinstance(error, FarEndError) else Trouble(sentence=repr(error), passing=True)
        )

    def close(self) -> None:
        self.closed += 1

    def sequences(self, lane: str | None = None) -> list[int]:
        """What was accepted, of one lane or of both."""
        return [m.sequence for m in self.accepted if lane in {None, m.attributes["lane"]}]


class Attributed(Protocol):
    """A message as it was sent or as it arrived."""

    @property
    def attributes(self) -> Mapping[str, str]: ...


def check_chains(messages: Iterable[Attributed], seen: set[int] | None = None) -> None:
    """Each lane in order, and everything that a message names as its predecessor came before it.

    `seen` is what came before, and is added to.
    """
    seen = set() if seen is None else seen
    newest: dict[str, int] = {}
    for message in messages:
        sequence, previous = int(message.attributes["sequence"]), int(message.attributes["previous"])
        lane = message.attributes["lane"]
        assert previous == 0 or previous in seen, f"{sequence} follows {previous}, which never came"
        assert previous < sequence
        if sequence not in seen:
            assert sequence > newest.get(lane, 0), f"{sequence} is late in the lane {lane}"
            newest[lane] = sequence
        seen.add(sequence)


@contextmanager
def running(sink: Sink) -> Iterator[threading.Event]:
    """The sink in its thread; the event stops it, as the end of the block does."""
    stop = threading.Event()
    thread = threading.Thread(target=keep_running, args=(sink, stop), daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        sink.abort()
        thread.join(30)
        assert not thread.is_alive()


def wait_until(true: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
    """Returns as soon as it is true."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"not reached: {what}"
        time.sleep(0.005)
