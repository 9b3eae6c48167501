"""The log: what is durable, in which file, and what goes when there is no more room. Synchronous, one thread.

    append --> write-ahead log --(every 128 records, compact)--> cold segment --(no room)--> dropped; events: kept
               durable on return     durable before the log rolls

The write-ahead log is the truth for its records until it rolls. What stands in segments beyond its first record
is a copy that was perhaps never synced; it is made again after a restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bessai.journal.block import pack, unpack
from bessai.journal.commit import SIZE as COMMIT_BYTES
from bessai.journal.commit import Commit, CommitFile
from bessai.journal.disk import Disk
from bessai.journal.errors import DamagedRecordError, TooLargeError
from bessai.journal.frame import HEAD, Frame, Totals, align
from bessai.journal.recovery import Recovered, recover
from bessai.journal.row import Row
from bessai.journal.run import Run, packed
from bessai.journal.segment import COLD, KEPT, SegmentWriter
from bessai.journal.shelf import Finding, Shelf
from bessai.journal.wal import BLOCK, Wal
from bessai.model import Layout

_LOG = logging.getLogger(__name__)

DIRECTORY = "journal"
MIN_BYTES = 1 << 20
"""Smallest bound of the journal's size."""
BLOCK_ROWS = 128
"""Records in one block of a segment, and lost when it is damaged."""
_BLOCK_CELLS = 1 << 17
_FRAME_CELLS = 1 << 22
_UNREAD_AT_ONCE = 32
"""Frames of an earlier life that are unpacked after one commit: all at once would take a second from the others."""


class Log:
    """An open journal. Open it with `Log.open`."""

    findings: list[Finding]
    """What was damaged or missing when it was opened, and since."""

    @classmethod
    def open(
        cls,
        disk: Disk,
        directory: Path,
        *,
        max_bytes: int = 1 << 30,
        wal_bytes: int | None = None,
        segment_bytes: int | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> Log:
        """Open or create `directory/journal`, whatever state it is in.

        Args:
            disk: the file system.
            directory: the data directory; the consumers' cursors in it are looked at too.
            max_bytes: bound of all files together.
            wal_bytes: size of the write-ahead log; by default 4 MiB, less when the bound is small.
            segment_bytes: size at which a segment is full; by default 8 MiB, less when the bound is small.
            wall_ns: UTC nanoseconds, for the number of a new epoch.

        Raises:
            OSError: the disk is full or failing. Nothing is lost by that; try again.
            JournalError: it was written by a newer version.
        """
        wal_bytes = wal_bytes or min(4 << 20, max_bytes // 8)
        segment_bytes = segment_bytes or min(8 << 20, max_bytes // 16)
        found = recover(disk, directory, wal_bytes=wal_bytes, now_ms=wall_ns() // 10**6)
        return cls(disk, directory / DIRECTORY, found, max_bytes, segment_bytes)

    def __init__(
        self, disk: Disk, directory: Path, found: Recovered, max_bytes: int, segment_bytes: int
    ) -> None:
        """Use `open`."""
        self._disk, self._directory = disk, directory
        self._max_bytes, self._segment_bytes = max_bytes, segment_bytes
        self._wal: Wal = found.wal
        self._commit: CommitFile = found.commit
        self.shelf: Shelf = found.shelf
        self.layouts = found.layouts
        self.findings = found.findings
        self.epoch, self.last_sequence = found.epoch, found.last
        self.totals: Totals = found.totals
        """As of the last commit."""
        self._identity = found.identity
        self._unread: list[Frame] = []
        self._doubt = False
        """The newest totals on the disk may be some that were given up."""
        self._run: Run | None = None
        self.trouble: Exception | None = None
        """Why records could not be moved to segments; they are safe in the write-ahead log."""
        self._harmed = found.harmed
        """Segments hold what the write-ahead log lacks: nothing is cut from them before it rolls."""
        self._cut_due = False
        self._given_up: set[int] = set()
        try:
            self._compact_anew()
            self._show()
            if found.harmed:
                self._roll_if_possible()
            elif found.counted != self.totals.held:
                self._note(self._with())  # readers count with what stands on the disk
        except BaseException:
            self.close()
            raise

    def _roll_if_possible(self) -> None:
        try:
            self._roll()
        except OSError as error:  # it goes on behind the damage
            self._failed(error)

    @property
    def damaged(self) -> int:
        """Records that were durable and cannot be read any more."""
        t = self.totals
        return max(0, self.last_sequence - t.held - t.space - t.skipped)

    @property
    def most_bytes(self) -> int:
        """The largest block that a commit takes."""
        return self._wal.capacity - BLOCK

    def size_bytes(self) -> int:
        """Bytes of all files."""
        return self._wal.size + COMMIT_BYTES + self.shelf.size + self.layouts.size

    def append(
        self,
        rows: Sequence[Row],
        layout: Layout,
        device: Mapping[str, str],
        *,
        lost: int = 0,
        lost_events: int = 0,
    ) -> int:
        """Store rows of one layout, in order: returns the last sequence once all of them are durable.

        `lost` and `lost_events` are added to what never reached the journal.

        Raises:
            OSError: nothing was stored; the same rows may be tried again.
            TooLargeError: they do not fit one commit; give fewer. A single row that raises it can never be stored.
        """
        key = self.layouts.key(layout, device)
        cells = max((row.cells for row in rows), default=0)
        step = max(1, min(BLOCK_ROWS, _FRAME_CELLS // max(1, cells)))
        chunks = [rows[start : start + step] for start in range(0, len(rows), step)]
        bodies = [pack(chunk) for chunk in chunks]
        need = sum(align(HEAD + len(body), BLOCK) for body in bodies)
        if need > self._wal.capacity:
            raise TooLargeError(f"{need} bytes are more than one commit may have, {self._wal.capacity}")
        if need > self._wal.room():
            self._roll()
        totals = self._with(
            queue=self.totals.queue + lost,
            events=self.totals.events + lost_events,
            held=self.totals.held + len(rows),
        )
        if not rows:
            self._note(totals)
            return self.last_sequence
        frames = self._frames(chunks, key, totals)
        written = self._write(list(zip(frames, bodies, strict=True)), totals)
        for frame, chunk, body in zip(written, chunks, bodies, strict=True):
            self._feed(frame, chunk, body)
        self.tidy()
        return self.last_sequence

    def skip(self, sequence: int) -> None:
        """Leave out every number up to `sequence`: the next record gets the one after. Raises OSError."""
        if sequence > self.last_sequence:
            before = self.last_sequence
            totals = self._with(skipped=self.totals.skipped + sequence - before)
            self.last_sequence = sequence
            try:
                self._note(totals)
            except OSError:
                self.last_sequence = before
                raise

    def renew(self, epoch: int) -> None:
        """Begin a new epoch, at least `epoch` and above every one so far, durably. Raises OSError."""
        self.epoch = max(epoch, self.epoch + 1)
        self._note(self._with())

    def roll(self) -> None:
        """Move all of the write-ahead log to segments; what is damaged in it is left behind. Raises OSError."""
        self._roll()

    def unchecked(self) -> list[tuple[str, int]]:
        """The sealed segments, oldest first: what `scrub` takes."""
        return [(kind, first) for kind in (KEPT, COLD) for first in self.shelf.sealed(kind)]

    def scrub(self, segment: tuple[str, int]) -> None:
        """Check a sealed segment; when a part of it is damaged, write it anew without. Raises OSError."""
        kind, first = segment
        if first not in self.shelf.sealed(kind):
            return
        before = self.shelf.records
        if (lost := self.shelf.repair(kind, first)) is None:
            return
        self.findings += lost
        self.totals = replace(self.totals, held=self.totals.held + self.shelf.records - before)
        self._note(self._with())

    def in_place(self) -> bool:
        """False when the directory or the write-ahead log was removed or replaced."""
        try:
            return self._disk.identity(self._directory) == self._identity and self._wal.in_place()
        except OSError:
            return False

    def close(self) -> None:
        """Let go of the files. Everything that was acknowledged is durable already."""
        self._wal.close()
        self._commit.close()
        self.shelf.close()

    # --- the write-ahead log

    def _frames(self, chunks: Sequence[Sequence[Row]], key: bytes, totals: Totals) -> list[Frame]:
        commit = first = self.last_sequence + 1
        frames = []
        for chunk in chunks:
            walls = [row.wall_ns for row in chunk] or [0]
            frames.append(
                Frame(
                    home=0, commit=commit, first=first, count=len(chunk), events=sum(row.events for row in chunk),
                    epoch=self.epoch, wall_min=min(walls), wall_max=max(walls), layout=key, totals=totals,
                )
            )  # fmt: skip
            first += len(chunk)
        return frames

    def _write(self, parts: Sequence[tuple[Frame, bytes]], totals: Totals) -> list[Frame]:
        try:
            written = self._wal.write(parts)
        except OSError:
            self._spoilt()
            raise
        self._doubt = False
        self.totals = totals
        self.last_sequence = written[-1].last
        self._show()
        return written

    def _with(self, **changes: int) -> Totals:
        return replace(self.totals, serial=self.totals.serial + 1, **changes)

    def _spoilt(self) -> None:
        """What failed may be on the disk all the same: its number is not used again."""
        self.totals = self._with()

    def _note(self, totals: Totals) -> None:
        """Record new totals durably, without records. Raises OSError."""
        try:
            self._wal.note(self._frames([()], bytes(16), totals)[0])
        except OSError:
            self._spoilt()
            self._doubt = True
            raise
        self._doubt = False
        self.totals = totals
        self._show()

    def _show(self) -> None:
        try:
            self._commit.write(
                Commit(
                    generation=self._wal.generation, offset=self._wal.end, last=self.last_sequence,
                    floor=self.totals.floor, epoch=self.epoch, identity=self._identity,
                )
            )  # fmt: skip
        except OSError as error:  # it is durable all the same, and the next commit shows it
            _LOG.debug("the state of the journal cannot be shown: %s", error)

    def _roll(self) -> None:
        """Bring all of the write-ahead log into segments, durably, and begin it anew. Raises OSError."""
        try:
            self._compact(force=True)
        except OSError:
            self._compact_anew()
            raise
        try:
            self.shelf.sync()
        except OSError:
            self._rewind()
            raise
        self._note(self._with())  # the totals outlive the frames that carry them
        try:
            self._wal.roll()
        finally:
            self._show()
        self._harmed = False
        self._given_up.clear()
        self.layouts.keep(self.shelf.layouts)

    # --- compaction

    def _feed(self, frame: Frame, rows: Sequence[Row], body: bytes) -> None:
        if self._unread:
            self._unread.append(frame)
            return
        try:
            if self._run is not None and not self._run.takes(frame):
                self._flush()
            if len(rows) < BLOCK_ROWS // 2 or (self._run is not None and self._run.rows):
                self._run = self._run or Run(frame)
                self._run.rows += rows
            else:
                self._run = None
                self._put(frame, body)  # it is a block already
        except Exception as error:  # noqa: BLE001  the records are durable: whatever fails here fails later again
            self._failed(error)

    def tidy(self) -> None:
        """Move what is full to segments; `trouble` says when that failed."""
        try:
            self._compact(force=False)
            self.trouble = None
        except Exception as error:  # noqa: BLE001  as above
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.trouble = error
        self._compact_anew()

    def _compact_anew(self) -> None:
        """Forget what is in memory; the records are read from the write-ahead log when they are needed."""
        self._run = None
        start = max(self.shelf.cold_last + 1, self.totals.floor)
        self._unread = [f for f in self._wal.frames if f.count and f.last >= start]

    def _compact(self, *, force: bool) -> None:
        if self._cut_due:
            self._rewind()
        left = len(self._unread) if force else _UNREAD_AT_ONCE
        while self._unread and left > 0:
            left -= 1
            frame = self._unread[0]
            rows = self._load(frame)
            if rows and (self._run is None or not self._run.takes(frame)):
                self._flush()
                skip = max(0, self.shelf.cold_last + 1 - frame.first, self.totals.floor - frame.first)
                self._run = Run(replace(frame, first=frame.first + skip))
                rows = rows[skip:]
            if self._run is not None:
                self._run.rows += rows
            del self._unread[0]
            self._flush(whole=True)
        self._flush(whole=not force)

    def _load(self, frame: Frame) -> list[Row]:
        if frame.first in self._given_up:
            return []
        body = self._wal.body(frame)
        try:
            if body is None:
                raise DamagedRecordError("its check fails")
            layout, device = self.layouts.get(frame.layout)
            return unpack(
                body, first_sequence=frame.first, epoch=frame.epoch, layout=layout, device=device
            ).rows()
        except DamagedRecordError as error:
            self.findings.append(
                Finding(frame.first, frame.last, f"a damaged part of the write-ahead log: {error}")
            )
            self._given_up.add(frame.first)
            self.totals = replace(self.totals, held=self.totals.held - frame.count)
            return []

    def _flush(self, *, whole: bool = False) -> None:
        """Write the run as blocks; only blocks that are full when `whole`."""
        run = self._run
        while run is not None and run.rows:
            cells = max(row.cells for row in run.rows[:BLOCK_ROWS])
            limit = max(1, min(BLOCK_ROWS, _BLOCK_CELLS // max(1, cells)))
            if whole and len(run.rows) < limit:
                return
            rows, body = packed(run.rows[:limit])
            walls = [row.wall_ns for row in rows]
            frame = Frame(
                home=0, commit=run.first, first=run.first, count=len(rows), events=sum(r.events for r in rows),
                epoch=run.epoch, wall_min=min(walls), wall_max=max(walls), layout=run.layout, totals=self.totals,
            )  # fmt: skip
            self._put(frame, body)
            run.first += len(rows)
            del run.rows[: len(rows)]
        if not whole:
            self._run = None

    def _put(self, frame: Frame, body: bytes) -> None:
        self._fit(HEAD + len(body))
        self._cold(frame.first).append(replace(frame, commit=frame.first, totals=self.totals), body)

    def _cold(self, first: int) -> SegmentWriter:
        if self.shelf.active is not None and self.shelf.active.size >= self._segment_bytes:
            self._seal()
        return self.shelf.active or self.shelf.begin(COLD, first)

    def _seal(self) -> None:
        try:
            self.shelf.seal()
        except OSError:
            self._rewind()
            raise

    def _rewind(self) -> None:
        """A sync failed: nothing in segments beyond the start of the write-ahead log can be relied on."""
        if self._wal.frames and not self._harmed:
            self._cut_due = True
            self.shelf.cut(self._wal.frames[0].first)
        self._cut_due = False
        self._compact_anew()

    # --- room

    def _fit(self, incoming: int) -> None:
        """Drop what is oldest until `incoming` bytes fit: telemetry first, records with events last. Raises OSError."""
        while self.size_bytes() + incoming + 2 * self._segment_bytes > self._max_bytes:
            if self._doubt:
                self._note(self._with())
            before = self.totals
            self.shelf.cut_kept(before.floor)  # an attempt that failed may have left something
            gone = self.shelf.oldest_cold() or self.shelf.oldest_kept()
            if gone is None:
                if self.shelf.active is None or not self.shelf.active.last:
                    return  # nothing is left to drop
                self._seal()
                continue
            kind, first = gone
            held = self.shelf.summary(kind, first)
            dropped = held.records
            if kind == COLD:
                dropped -= self.shelf.keep_events(first, self.layouts, before, self._segment_bytes)
                new = self._with(floor=held.last + 1)
            else:
                new = self._with(kept_floor=held.last + 1, events=before.events + held.events)
            self._note(replace(new, space=before.space + dropped, held=before.held - dropped))
            self.shelf.remove(kind, first)
