"""What every sink has in common: where it reads from, what it says about itself, how it is kept running."""

from __future__ import annotations

import logging
import random
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from bessai.journal.entry import Entry
from bessai.journal.progress import Progress
from bessai.journal.stats import ReaderStats

_log = logging.getLogger(__name__)

State = Literal["ok", "retrying", "off"]


class Reader(Protocol):
    """What a sink needs of the journal's reader. Used by the thread that opened it only."""

    def read(self, after: int, limit: int) -> list[Entry]:
        """At most `limit` records with a sequence greater than `after`, in order; may be empty."""
        ...

    def last_sequence(self) -> int:
        """Sequence of the newest record, 0 when the journal is empty."""
        ...

    def stats(self) -> ReaderStats:
        """What the journal holds. Cheap."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


class CursorStore(Protocol):
    """How far each consumer of the journal has come, durably."""

    def get(self, consumer: str) -> int:
        """The last sequence that the consumer has finished with, 0 for a new one."""
        ...

    def set(self, consumer: str, sequence: int, *, force: bool = False) -> None:
        """Returns when the cursor is on disk. A lower one than before counts only with `force`."""
        ...

    def progress(self, consumer: str) -> Progress:
        """What the consumer has finished with: the cursor, and ranges beyond it."""
        ...

    def save(self, consumer: str, progress: Progress, *, durable: bool = True) -> None:
        """Returns when it is on disk; without `durable`, when it survives the death of the process."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStatus:
    """What a sink says about itself."""

    name: str
    state: State
    """`ok`: delivering or waiting for records; `retrying`: the last attempt failed; `off`: not configured."""
    cursor: int = 0
    """Done with every record up to this sequence."""
    backlog: int = 0
    """Records in the journal that wait for this sink."""
    delivered: int = 0
    """Records since the start."""
    missed: int = 0
    """Sequence numbers without a readable record: dropped by the journal, damaged or skipped by it."""
    failures: int = 0
    """Failed attempts since the start."""
    last_error: str | None = None
    """What is wrong now and what to do about it; None while all is well."""
    lag: float | None = None
    """Seconds by which the newest delivered record is older than the newest of the journal; 0 when none waits
    in the live lane, None before the first delivery."""
    breaker: Literal["closed", "open", "half_open"] = "closed"
    """`open`: so many attempts have failed that nothing is sent for a while; `half_open`: one small batch probes."""
    rate: float = 0.0
    """Records a second, over about the last ten seconds."""
    batches: int = 0
    """Batches that were acknowledged since the start."""
    sent_bytes: int = 0
    """Bytes of what was acknowledged since the start, before compression."""
    withheld: int = 0
    """Records since the start that the report rules found not worth sending."""
    doubtful: int = 0
    """Records since the start in attempts whose outcome is unknown: each may have arrived, and was sent again."""
    dead_letters: int = 0
    """Messages in the dead-letter file: refused for what they contain."""
    dead_letters_dropped: int = 0
    """Messages that made room for newer ones in the dead-letter file, since the start."""
    details: dict[str, Any] = field(default_factory=dict)
    """What only this sink has to say, as plain data."""
    connected: bool | None = None
    """It holds a connection that it has not seen end; None: it keeps none, or cannot tell."""
    delivered_ns: int | None = None
    """UTC nanoseconds of the newest delivery since the start; None: there was none."""
    newest_error: str | None = None
    """The newest error since the start, which may be over; `last_error` is what is wrong now."""
    newest_error_ns: int | None = None
    """UTC nanoseconds at which it came last."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


class Backoff:
    """Growing pauses between attempts, jittered so that a fleet does not come back in step."""

    def __init__(self, initial: float, maximum: float) -> None:
        self._initial = initial
        self._maximum = maximum
        self._pause = initial

    def next(self) -> float:
        """Seconds to wait before the next attempt: between half and all of a pause that doubles."""
        pause, self._pause = self._pause, min(self._pause * 2, self._maximum)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311  jitter is no secret

    def reset(self) -> None:
        """After a success."""
        self._pause = self._initial


class Sink(ABC):
    """Carries the journal to one place, in a thread of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: State = "ok"
        self.cursor = 0
        self.backlog = 0
        self.missed = 0
        self.failures = 0
        self.last_error: str | None = None
        self._delivered = 0
        self._handed_ns: int | None = None
        self._newest_error: tuple[str, int] | None = None

    @property
    def delivered(self) -> int:
        """Records since the start. Setting a higher number notes when."""
        return self._delivered

    @delivered.setter
    def delivered(self, count: int) -> None:
        if count > self._delivered:
            self._handed_ns = time.time_ns()
        self._delivered = count

    @property
    def connected(self) -> bool | None:
        """See `SinkStatus`."""
        return None

    @abstractmethod
    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set, then flush what takes no waiting. May raise: it is called again."""

    def abort(self) -> None:  # noqa: B027  most sinks wait for nothing
        """Called from another thread when `run` did not end soon after `stop`: cancel what it waits for."""

    def status(self) -> SinkStatus:
        """A snapshot; may be called from any thread."""
        newest = self._newest_error
        return SinkStatus(
            name=self.name,
            state=self.state,
            cursor=self.cursor,
            backlog=self.backlog,
            delivered=self.delivered,
            missed=self.missed,
            failures=self.failures,
            last_error=self.last_error,
            connected=self.connected,
            delivered_ns=self._handed_ns,
            newest_error=newest[0] if newest else None,
            newest_error_ns=newest[1] if newest else None,
        )

    def failed(self, sentence: str) -> None:
        """Count a failure; log the sentence when it is not the one that was said last."""
        self.failures += 1
        self.state = "retrying"
        self._newest_error = (sentence, time.time_ns())
        if sentence != self.last_error:
            self.last_error = sentence
            _log.warning("%s: %s", self.name, sentence)

    def recovered(self) -> None:
        """Note a success; log it when it ends a failure."""
        if self.state == "retrying":
            _log.info("%s: working again, %d records waiting", self.name, self.backlog)
        self.state = "ok"
        self.last_error = None


class Off(Sink):
    """Stands in the status for a sink that is not configured."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.state = "off"

    def run(self, stop: threading.Event) -> None:
        """Nothing to do."""


def keep_running(sink: Sink, stop: threading.Event, backoff: Backoff | None = None) -> None:
    """Run a sink until `stop` is set; one that raises is counted and started again after a pause."""
    backoff = backoff or Backoff(0.5, 30.0)
    while not stop.is_set():
        started = time.monotonic()
        try:
            sink.run(stop)
        except Exception as error:  # noqa: BLE001  whatever breaks one sink must not break the process
            _log.debug("%s stopped", sink.name, exc_info=True)
            sink.failed(f"stopped by {type(error).__name__}: {error}; it is started again")
            if time.monotonic() - started > 60:
                backoff.reset()
            stop.wait(backoff.next())
