"""The thread's side of the black box: packs calls, holds the ring, writes the files."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bessai.core.black_box.calls import Noted, encode
from bessai.core.black_box.frames import Kind, frame, json_frame
from bessai.core.black_box.identity import header
from bessai.core.black_box.reading import Trigger
from bessai.core.black_box.store import Recording, Store
from bessai.journal.encoding import layout_to_json
from bessai.model import Layout

log = logging.getLogger("bessai.black_box")

_UNFINISHED = 3
"""Files that may wait for a disk that fails; the oldest is given up for a newer one."""


@dataclass(slots=True)
class _Segment:
    start: float
    frames: list[bytes] = field(default_factory=list)
    size: int = 0


class Keeper:
    """Does one job at a time, in order, in whatever thread calls it.

    Args:
        directory: where files go.
        description: part of each file's header.
        before: seconds that the ring holds at least, memory permitting.
        max_bytes: of all files together; a file may take half, the ring a quarter.
    """

    def __init__(self, directory: Path, description: dict[str, Any], before: float, max_bytes: int) -> None:
        self.problem: str | None = None
        self.gap = False
        """Set when calls were lost here: the next snapshot must say so."""
        self.segment_full = False
        """Set when the newest segment grew so large that a new one should begin."""
        self.full = False
        """Set when the file under way has reached its largest size."""
        self.seconds_held = 0.0
        self.ring_bytes = self.files = self.file_bytes = 0
        self._description = description
        self._before = before
        self._store = Store(directory, max_bytes)
        self._largest_file, self._largest_ring = max_bytes // 2, max_bytes // 4
        self._ring: deque[_Segment] = deque()
        self._layouts: dict[int, tuple[Layout, int]] = {}
        self._layout_frames: list[bytes] = []
        self._numbers: dict[str, int] = {}
        self._recording: Recording | None = None
        self._unfinished: list[Recording] = []
        self.begun: deque[str] = deque(maxlen=100)
        """Names of files that came to be, for whoever tells of them."""

    def look(self) -> None:
        """At the start: count the files, and remove what a gateway that was killed left unnamed."""
        with contextlib.suppress(OSError):
            self._store.sweep()
            self.files, self.file_bytes = self._store.totals()

    def calls(self, snapshot: tuple[Any, bool, float | None] | None, calls: list[Noted], now: float) -> None:
        """Pack a chunk of calls, which a snapshot may precede, and let it join the ring and the file."""
        known = len(self._layout_frames)
        frames = []
        start: float | None = now
        if snapshot is not None:
            memory, gap, start = snapshot
            frames.append(json_frame(Kind.SNAPSHOT, {"memory": memory, "gap": gap or self.gap}))
        if calls:
            frames.append(frame(Kind.CALLS, encode(calls, self._number)))
        if snapshot is not None or not self._ring:
            self._ring.append(_Segment(now if start is None else start))
        segment = self._ring[-1]
        segment.frames += frames
        segment.size += sum(map(len, frames))
        self.segment_full = segment.size > self._largest_ring // 4
        self._forget_old(now)
        if self._recording is not None:
            self._recording.add(*self._layout_frames[known:], *frames)
        self._write()

    def open(self, trigger: Trigger) -> None:
        """Begin a file with everything that the ring holds."""
        held = [data for segment in self._ring for data in segment.frames]
        first = json_frame(Kind.HEADER, header(self._description))
        frames = [first, json_frame(Kind.TRIGGER, asdict(trigger)), *self._layout_frames, *held]
        self.full = False
        self._recording = self._store.begin(trigger.wall_ns, trigger.code, frames)
        self._unfinished.append(self._recording)
        if len(self._unfinished) > _UNFINISHED:
            lost = self._unfinished.pop(0)
            log.error("%s could not be written and is lost", lost.path.name)
            lost.close()
        self._write()

    def more(self, trigger: Trigger) -> None:
        """Note another trigger in the file under way."""
        if self._recording is not None:
            self._recording.add(json_frame(Kind.TRIGGER, asdict(trigger)))
            self._store.forget(self._recording.path)
            self._write()

    def end(self, why: str) -> None:
        """The file under way is complete."""
        if self._recording is not None:
            self._recording.add(json_frame(Kind.END, {"why": why}))
            self._recording = None
            self._write()

    def fail(self, error: Exception) -> None:
        """A job failed in an unforeseen way: what it held is lost."""
        problem = f"{type(error).__name__}: {error}"
        if problem != self.problem:
            log.error("the black box failed", exc_info=error)
        self.problem = problem
        self.gap = True

    def _write(self) -> None:
        """Make every file durable that waits. A disk that fails is tried again with the next job."""
        problem = None
        for recording in list(self._unfinished):
            try:
                self._flush(recording)
            except OSError as error:
                problem = f"{recording.path.name} cannot be written: {error.strerror or error}"
                continue
            if recording is not self._recording:
                recording.close()
                self._unfinished.remove(recording)
            elif recording.size > self._largest_file:
                self.full = True
        if problem is not None and problem != self.problem:
            log.error("%s", problem)
        self.problem = problem

    def _flush(self, recording: Recording) -> None:
        if not recording.pending:
            return
        self._store.make_room(recording)
        new = recording.size == 0
        while True:
            try:
                recording.flush()
                break
            except OSError as error:
                if error.errno != errno.ENOSPC or not self._store.remove_oldest(recording.path):
                    raise
        if new:
            self.begun.append(recording.path.name)
        self.files, self.file_bytes = self._store.totals()

    def _forget_old(self, now: float) -> None:
        ring = self._ring
        self.ring_bytes = sum(segment.size for segment in ring)
        while len(ring) > 1 and (ring[1].start <= now - self._before or self.ring_bytes > self._largest_ring):
            self.ring_bytes -= ring.popleft().size
        self.seconds_held = now - ring[0].start

    def _number(self, layout: Layout) -> int:
        """The number of a layout in files; equal layouts share one."""
        if (known := self._layouts.get(id(layout))) is not None:
            return known[1]
        text = layout_to_json(layout, {})
        number = self._numbers.setdefault(text, len(self._numbers))
        if number == len(self._layout_frames):
            self._layout_frames.append(json_frame(Kind.LAYOUT, {"number": number, "layout": text}))
        self._layouts[id(layout)] = (layout, number)
        return number
