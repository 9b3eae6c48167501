"""Publishes the journal to Google Cloud Pub/Sub."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bessai.interfaces.envelope import SCHEMA_ID, encode, from_entry, unreadable
from bessai.interfaces.pubsub_client import Connection, Message, Trouble, explain, topic_path
from bessai.interfaces.sink import Backoff, CursorStore, Reader, Sink
from bessai.journal.entry import Entry

_log = logging.getLogger(__name__)

CONSUMER: Final = "pubsub"
"""Name of the durable cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much at once, how often and how long. Times in seconds."""

    batch_records: int = 200
    batch_bytes: int = 1_000_000
    """An ordering key carries 1 MB/s; the service takes 10 MB a request."""
    poll: float = 0.2
    """Pause between looks at a journal without news."""
    attempt_timeout: float = 10.0
    retry_first: float = 0.2
    retry_passing: float = 2.0
    """Longest pause after an error that passes by itself."""
    retry_refused: float = 15.0
    """Longest pause after an error that somebody has to mend."""
    ahead_patience: float = 30.0
    """How long a cursor beyond the journal's end is believed; a recovered journal soon passes it by itself."""


class PubSubPublisher(Sink):
    """Publishes every record of the journal: at least once, in order, none missing in the sequence.

    The ordering key is the site. Attributes: `id` = `<site>/<sequence>`, the same when a record is sent
    again, `site`, `sequence`, `schema` and `kind`. One batch is under way at a time and the durable cursor
    moves when the server has acknowledged all of it: memory stays flat however long an outage lasts.

    `publish` names the devices whose points go with the plant's own; None stands for every point.

    Credentials come from GOOGLE_APPLICATION_CREDENTIALS or the machine's default account; with an emulator
    (host:port) none are used.
    """

    def __init__(
        self,
        *,
        site: str,
        project: str,
        topic: str,
        open_reader: Callable[[], Reader],
        open_cursors: Callable[[], CursorStore],
        emulator_host: str | None = None,
        pace: Pace | None = None,
        publish: Sequence[str] | None = None,
    ) -> None:
        super().__init__(CONSUMER)
        self._site = site
        self._publish = publish
        self._topic = topic_path(project, topic)
        self._emulator_host = emulator_host
        self._open_reader = open_reader
        self._open_cursors = open_cursors
        self._pace = pace or Pace()
        self._connection: Connection | None = None
        self._ahead_since: float | None = None
        self._missed_said = -math.inf

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set. Blocks: give it a thread."""
        reader = self._open_reader()
        try:
            cursors = self._open_cursors()
            try:
                self._publish_all(reader, cursors, stop)
            finally:
                cursors.close()
        finally:
            self.abort()
            reader.close()

    def abort(self) -> None:
        """Cancel the request under way and drop the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _publish_all(self, reader: Reader, cursors: CursorStore, stop: threading.Event) -> None:
        self.cursor = cursors.get(CONSUMER)
        while not stop.is_set():
            self._measure(reader)
            self._check_cursor(reader, cursors)
            entries = reader.read(self.cursor, self._pace.batch_records)
            if not entries:
                self.recovered()
                stop.wait(self._pace.poll)
                continue
            messages = self._messages(entries)
            last = entries[len(messages) - 1].sequence
            self._note_missed(last, len(messages))
            if self._send(messages, reader, stop):
                cursors.set(CONSUMER, last)
                self.cursor = last
                self.delivered += len(messages)
                self._measure(reader)
                self.recovered()

    def _send(self, messages: list[Message], reader: Reader, stop: threading.Event) -> bool:
        """True when the server has acknowledged the batch, False when told to stop before."""
        passing = Backoff(self._pace.retry_first, self._pace.retry_passing)
        refused = Backoff(self._pace.retry_first, self._pace.retry_refused)
        while not stop.is_set():
            try:
                if self._connection is None:
                    self._connection = Connection(topic=self._topic, emulator_host=self._emulator_host)
                self._connection.publish(messages, self._pace.attempt_timeout)
            except Exception as error:  # noqa: BLE001  every error is explained, counted and tried again
                if stop.is_set():
                    return False
                trouble = self._explain(error)
                self._measure(reader)
                self.failed(trouble.sentence)
                _log.debug("publish failed", exc_info=True)
                if trouble.reconnect:
                    self.abort()
                stop.wait((passing if trouble.passing else refused).next())
            else:
                return True
        return False

    def _messages(self, entries: list[Entry]) -> list[Message]:
        """The longest run of entries, at least one, that fits a request."""
        messages: list[Message] = []
        size = 0
        for entry in entries:
            message = self._message(entry)
            size += len(message.data) + 200
            if messages and size > self._pace.batch_bytes:
                break
            messages.append(message)
        return messages

    def _message(self, entry: Entry) -> Message:
        sequence = str(entry.sequence)
        try:
            data = encode(from_entry(entry, self._site, self._publish))
        except Exception as error:  # noqa: BLE001  one odd record must not hold up all that follow it
            _log.exception("%s: record %s cannot be expressed, an event takes its place", self.name, sequence)
            data = encode(unreadable(entry, self._site, error))
        return Message(
            data=data,
            attributes={
                "id": f"{self._site}/{sequence}",
                "site": self._site,
                "sequence": sequence,
                "schema": SCHEMA_ID,
                "kind": entry.kind,
            },
            ordering_key=self._site,
        )

    def _measure(self, reader: Reader) -> None:
        self.backlog = max(0, reader.last_sequence() - self.cursor)

    def _check_cursor(self, reader: Reader, cursors: CursorStore) -> None:
        if not 0 < reader.last_sequence() < self.cursor:
            self._ahead_since = None
        elif self._ahead_since is None:
            self._ahead_since = time.monotonic()
        elif time.monotonic() - self._ahead_since > self._pace.ahead_patience:
            _log.warning(
                "%s: its cursor is ahead of the journal's end, publishing all of it again", self.name
            )
            cursors.set(CONSUMER, 0, force=True)
            self.cursor = 0

    def _note_missed(self, last: int, count: int) -> None:
        missing = last - self.cursor - count
        if missing > 0:
            self.missed += missing
            if time.monotonic() - self._missed_said > 60.0:
                self._missed_said = time.monotonic()
                _log.warning(
                    "%s: %d of the sequence numbers up to %d have no readable record: dropped for want of "
                    "space, damaged, or skipped when the journal was recovered",
                    self.name, self.missed, last,
                )  # fmt: skip

    def _explain(self, error: Exception) -> Trouble:
        return explain(error, topic=self._topic, host=self._emulator_host or "pubsub.googleapis.com")
