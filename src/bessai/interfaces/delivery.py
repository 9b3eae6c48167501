"""Carries the journal to one place: the cursor, the lanes, the retries and the pauses, once for every courier.

At least once, nothing missing: the durable cursor moves when the far end has acknowledged. One batch is under
way at a time, so memory stays flat however long an outage lasts. After an outage the newest records go first
and the backlog drains beside them, see `lanes`. A message that is refused for what it contains is set aside in
the sink's dead-letter file, but only when one that follows it is accepted: when all are refused, the content is
not the reason, and everything waits.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bessai.interfaces.breaker import Breaker
from bessai.interfaces.courier import Batch, Connected, Courier, Trouble
from bessai.interfaces.dead_letter import DeadLetters
from bessai.interfaces.lanes import LanePace, Lanes
from bessai.interfaces.messages import Encoder, fitting
from bessai.interfaces.rate import Meter, Rate
from bessai.interfaces.sink import CursorStore, Reader, Sink, SinkStatus
from bessai.interfaces.spans import publishing
from bessai.interfaces.tracing import Tracing
from bessai.interfaces.track import Choose, Track
from bessai.journal.entry import Entry
from bessai.journal.errors import JournalError
from bessai.journal.progress import Progress

_log = logging.getLogger(__name__)

_PAID_WITHIN = 0.5
"""Seconds of a rate limit that one batch may use up, so that the live lane never waits long."""

_SYNC = 10.0
"""Seconds after which a cursor that moves is synced."""

_PROOF = 2.0
"""Seconds within which a message of the other lane must be accepted to show that the far end is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much at once, how often and how long. Times in seconds."""

    batch_records: int = 500
    batch_bytes: int = 1_000_000
    """Before compression."""
    poll: float = 0.2
    """Pause between looks at a journal without news."""
    attempt_timeout: float = 10.0
    retry_first: float = 0.2
    retry_passing: float = 2.0
    """Longest pause after an error that passes by itself."""
    retry_refused: float = 15.0
    """Longest pause after an error that somebody has to mend."""
    split_after: float = 5.0
    """Behind for longer, the newest records go first and the others beside them."""
    records_per_second: float | None = None
    """None: as fast as the far end takes them."""
    bytes_per_second: float | None = None
    """Before compression. None: as fast as the far end takes them."""
    ahead_patience: float = 30.0
    """How long a cursor beyond the journal's end is believed; a recovered journal soon passes it by itself."""


class Delivery(Sink):
    """Delivers every record of the journal with one courier.

    `encode` makes the messages. `filters` makes what reduces the records of a lane to what is to be sent; it is
    called anew whenever a lane begins or skips records. With `in_order` there is one lane.
    """

    def __init__(
        self,
        name: str,
        courier: Courier,
        *,
        encode: Encoder,
        open_reader: Callable[[], Reader],
        open_cursors: Callable[[], CursorStore],
        dead_letters: DeadLetters | None = None,
        filters: Callable[[], Choose] | None = None,
        pace: Pace | None = None,
        in_order: bool = False,
        tracing: Tracing | None = None,
    ) -> None:
        super().__init__(name)
        self._courier = courier
        self._encode = encode
        self._open_reader = open_reader
        self._open_cursors = open_cursors
        self._dead_letters = dead_letters
        self._filters = filters
        self._tracing = tracing or Tracing(exports=False)
        self._pace = pace = pace or Pace()
        self._lane_pace = LanePace(
            most=pace.batch_records, split_after=None if in_order else pace.split_after
        )
        self._breaker = Breaker(
            first=pace.retry_first, passing=pace.retry_passing, refused=pace.retry_refused
        )
        self._records_rate, self._bytes_rate = Rate(pace.records_per_second), Rate(pace.bytes_per_second)
        self._record_bytes = 1.0
        self._meter = Meter()
        self._ahead_since: float | None = None
        self._synced = (-math.inf, 0)
        """When the cursor was last synced, and how many were delivered then."""
        self._missed_said = -math.inf
        self._delivered_ns = 0
        self._poison = "refused"
        self._poison_at = -math.inf
        self._lag: float | None = None
        self._batches = self._bytes = self._doubtful = self._withheld = 0

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set. Blocks: give it a thread."""
        reader = self._open_reader()
        try:
            cursors = self._open_cursors()
            try:
                self._deliver(reader, cursors, stop)
            finally:
                cursors.close()
        finally:
            self.abort()
            reader.close()

    def abort(self) -> None:
        """Cancel what is under way and drop the connection."""
        self._courier.close()

    @property
    def connected(self) -> bool | None:
        """See `SinkStatus`."""
        return self._courier.connected if isinstance(self._courier, Connected) else None

    def status(self) -> SinkStatus:
        """A snapshot; may be called from any thread."""
        letters = self._dead_letters
        return replace(
            super().status(),
            lag=self._lag,
            breaker=self._breaker.state,
            rate=round(self._meter.rate, 1),
            batches=self._batches,
            sent_bytes=self._bytes,
            withheld=self._withheld,
            doubtful=self._doubtful,
            dead_letters=letters.count if letters else 0,
            dead_letters_dropped=letters.dropped if letters else 0,
        )

    def _deliver(self, reader: Reader, cursors: CursorStore, stop: threading.Event) -> None:
        if self._dead_letters:
            with contextlib.suppress(OSError):  # the first letter will say so
                self._dead_letters.look()
        lanes = self._lanes(cursors.progress(self.name))
        saved = lanes.progress
        while not stop.is_set():
            if self._ahead_for_good(lanes, reader):
                cursors.set(self.name, 0, force=True)
                lanes = self._lanes(saved := Progress())
            if stop.wait(max(self._records_rate.wait(), self._bytes_rate.wait())):
                return
            track = lanes.next(reader)
            self._look(lanes, reader)
            well, pause = True, 0.0 if lanes.scanning else self._pace.poll
            if track is not None:
                well, pause = self._take_turn(lanes, track, stop)
            if lanes.progress != saved:
                try:
                    self._save(cursors, saved := lanes.progress)
                except (OSError, JournalError) as error:  # goes on: a restart may then repeat, not lose
                    saved = Progress()
                    well, pause = False, self._failed(f"How far it has come cannot be saved: {error}.")
            if well and not lanes.suspecting:
                self.recovered()
            self._look(lanes, reader)
            stop.wait(pause)

    def _save(self, cursors: CursorStore, progress: Progress) -> None:
        """Synced when a full batch, or some seconds, would come twice after a power cut: less wears the disk."""
        now = time.monotonic()
        durable = (
            self.delivered - self._synced[1] >= self._pace.batch_records or now >= self._synced[0] + _SYNC
        )
        cursors.save(self.name, progress, durable=durable)
        if durable:
            self._synced = (now, self.delivered)

    def _take_turn(self, lanes: Lanes, track: Track, stop: threading.Event) -> tuple[bool, float]:
        """Send the next batch of a lane. Returns whether it was delivered, and the seconds to pause."""
        started = time.monotonic()
        batch, size = self._batch(track)
        lanes.tried(track)
        self._breaker.attempt()
        try:
            with publishing(self._tracing, self.name, batch, size):
                self._courier.send(batch, self._pace.attempt_timeout)
        except Exception as error:  # noqa: BLE001  every error is explained, counted and tried again
            return False, 0.0 if stop.is_set() else self._refused(track, batch, self._courier.explain(error))
        finally:
            self._records_rate.take(len(batch.entries))
            self._bytes_rate.take(size)
        other = lanes.other(track)
        fresh = time.monotonic() - self._poison_at < _PROOF
        aside, elsewhere = track.suspects(), other.condemned() if fresh else []
        try:
            self._set_aside(track, aside)
            self._set_aside(other, elsewhere)
        except OSError as error:
            return False, self._failed(
                f"Messages that were refused cannot be set aside: {error}. They and what follows wait: make "
                "room on the disk."
            )
        track.sizer.took(len(batch.entries), time.monotonic() - started)
        self._breaker.succeeded()
        lanes.done(track, len(aside) + len(batch.entries))
        if elsewhere:
            lanes.done(other, len(elsewhere))
        self._note(batch, size, live=track is lanes.live)
        return True, 0.0

    def _batch(self, track: Track) -> tuple[Batch, int]:
        """The next batch of a lane, and its bytes."""
        most = 1 if self._breaker.probing else self._records_rate.most(_PAID_WITHIN, self._pace.batch_records)
        most_bytes = min(self._pace.batch_bytes, self._bytes_rate.most(_PAID_WITHIN, self._pace.batch_bytes))
        waiting = track.batch(min(most, max(1, int(most_bytes / self._record_bytes))))
        encode = partial(self._encode, lane=track.lane, previous=track.previous_of(waiting))
        entries, messages, size = fitting(waiting, encode, most_bytes)
        self._record_bytes = size / len(entries)
        return Batch(track.lane, entries, lambda _: messages), size

    def _refused(self, track: Track, batch: Batch, trouble: Trouble) -> float:
        _log.debug("%s: %s", self.name, trouble.sentence, exc_info=True)
        if trouble.poison:
            self._poison, self._poison_at = trouble.sentence, time.monotonic()
            if track.refused(batch.entries):
                self.failed(trouble.sentence)
                return 0.0
        else:
            track.interrupted()
        if trouble.passing:
            self._doubtful += len(batch.entries)
            track.sizer.failed()
        if trouble.reconnect:
            self.abort()
        return self._failed(trouble.sentence, passing=trouble.passing)

    def _failed(self, sentence: str, *, passing: bool = True) -> float:
        self.failed(sentence)
        return self._breaker.failed(passing=passing)

    def _set_aside(self, track: Track, entries: Sequence[Entry]) -> None:
        """Write down what was refused alone while another message was accepted.

        Raises:
            OSError: it could not be written; nothing may go on.
        """
        if not entries:
            return
        messages = self._encode(entries, lane=track.lane, previous=track.previous)
        if self._dead_letters:
            self._dead_letters.put(messages, self._poison)
        for message in messages:
            _log.error("%s: %s is set aside: %s", self.name, message.id, self._poison)

    def _note(self, batch: Batch, size: int, *, live: bool) -> None:
        self.delivered += len(batch.entries)
        self._batches += 1
        self._bytes += size
        self._meter.add(len(batch.entries))
        if live:
            self._delivered_ns = batch.entries[-1].wall_ns

    def _look(self, lanes: Lanes, reader: Reader) -> None:
        """Measure what waits."""
        stats = reader.stats()
        self.cursor = lanes.progress.floor
        self.backlog = lanes.left(stats.last_sequence)
        self._withheld = lanes.withheld
        behind = lanes.live.waiting or lanes.live.at < stats.last_sequence
        late = max(0.0, (stats.last_wall_ns - self._delivered_ns) / 1e9) if self._delivered_ns else None
        self._lag = late if behind else 0.0
        if lanes.missed != self.missed:
            self.missed = lanes.missed
            if time.monotonic() - self._missed_said > 60.0:
                self._missed_said = time.monotonic()
                _log.warning(
                    "%s: %d of the sequence numbers up to %d have no readable record: dropped for want of "
                    "space, damaged, or skipped when the journal was recovered",
                    self.name, self.missed, lanes.live.finished,
                )  # fmt: skip

    def _lanes(self, progress: Progress) -> Lanes:
        return Lanes(progress, self._lane_pace, self._filters)

    def _ahead_for_good(self, lanes: Lanes, reader: Reader) -> bool:
        """True when the journal has stayed behind the cursor: it is another one, deliver all of it."""
        if not 0 < reader.last_sequence() < lanes.progress.newest:
            self._ahead_since = None
            return False
        if self._ahead_since is None:
            self._ahead_since = time.monotonic()
        if time.monotonic() - self._ahead_since <= self._pace.ahead_patience:
            return False
        _log.warning("%s: its cursor is ahead of the journal's end, sending all of it again", self.name)
        self._ahead_since = None
        return True
