"""The black box at work: the loop notes, a thread packs, keeps and writes.

The loop's side only appends to a list and, at the start of a segment, copies the guard's memory. Packing, the ring
and every file belong to the thread. When the thread cannot follow (a disk that hangs), what waits is bounded: calls
are dropped, and the next segment says that some are missing.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bessai.core.black_box.calls import Noted
from bessai.core.black_box.keeper import Keeper
from bessai.core.black_box.reading import Trigger
from bessai.core.black_box.triggers import Effect, Triggers
from bessai.core.memory import to_plain
from bessai.model import Condition, Event, Severity, Trip

log = logging.getLogger("bessai.black_box")

_CHUNK, _CHUNK_RECORDING = 5.0, 1.0
"""Seconds of calls that are packed together: longer packs better, shorter is sooner on disk."""
_SEGMENTS = 4
"""Segments that `before` spans: at most a quarter more than `before` is held."""
_WAITING = 8
"""Chunks that may wait for the thread."""

_Job = tuple[Any, ...]


class BlackBox:
    """Keeps the guard's last calls, and writes them when something happens.

    Args:
        directory: where files go.
        description: what the guard is built from, plain data; part of every file.
        before: seconds kept before a trigger.
        after: seconds kept after it.
        max_bytes: of all files together.
        threaded: False to do everything in the caller, for simulated time and tests.
    """

    def __init__(
        self,
        directory: Path,
        description: dict[str, Any],
        *,
        before: float = 120.0,
        after: float = 60.0,
        max_bytes: int = 256 << 20,
        threaded: bool = True,
    ) -> None:
        self._before = before
        self._triggers = Triggers(after)
        self._keeper = Keeper(directory, description, before, max_bytes)
        self._calls: list[Noted] = []
        self._snapshot: tuple[Any, bool, float | None] | None = None
        self._segment: float | None = None
        self._chunk = self._now = 0.0
        self._gap = False
        self._dropped = 0
        self._problem: str | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if threaded:
            self._thread = threading.Thread(target=self._work, name="black box", daemon=True)
            self._thread.start()
        self._put(("look",))

    def begin(self, memory: Callable[[], Any]) -> None:
        """Before any call: the first one needs a snapshot to start from."""
        if self._segment is None:
            self._start(None, memory)

    def advance(self, now: float | None, memory: Callable[[], Any]) -> None:
        """Before a decision, with the monotonic time of its images: begin what is due."""
        if now is None:
            return
        self._now = now
        recording = self._triggers.until is not None
        if self._segment is None or self._due(now):
            self._start(now, memory)
        elif now - self._chunk >= (_CHUNK_RECORDING if recording else _CHUNK):
            self._hand_over(now)
        if self._triggers.until is not None and (now > self._triggers.until or self._keeper.full):
            self._hand_over(now)
            self._put(("end", "full" if self._keeper.full else "complete"))
            self._triggers.until = None
            self._keeper.full = False

    def note(self, call: Noted) -> None:
        """Take a call with its result. What it holds must never change."""
        if self._gap:  # nothing can be replayed before the next snapshot
            self._dropped += 1
        else:
            self._calls.append(call)

    def watch(self, trips: Iterable[Trip], now: float, wall_ns: int) -> None:
        """Take the trips that stand after a decision; a new one is a trigger."""
        for trip in self._triggers.new_trips(trips, wall_ns):
            self.trigger("trip", trip.code, trip.message, now, trip.wall_ns or wall_ns)

    def notice(self, events: Iterable[Event], now: float) -> None:
        """Take the events of a cycle; an alarm that begins is a trigger."""
        for event in events:
            if event.active and event.severity >= Severity.ALARM:
                self.trigger("alarm", event.code, event.message, now, event.wall_ns)

    def freeze(self, reason: str, now: float, wall_ns: int) -> str | None:
        """A person wants the record. Returns why there is none, or None when it is being written."""
        if self.trigger("freeze", "freeze", reason, now, wall_ns) is Effect.NOTHING:
            return "too many records were asked for: try again in ten minutes"
        return None

    def trigger(self, kind: str, code: str, message: str, now: float, wall_ns: int) -> Effect:
        """Start or prolong a recording, unless there were too many."""
        earlier, suppressed = self._triggers.until, self._triggers.suppressed
        effect = self._triggers.effect(kind, now)
        if effect is Effect.NOTHING:
            return effect
        self._hand_over(now)
        if effect is Effect.OPENS:
            if earlier is not None:
                self._put(("end", "too long: another record follows"))
            self._triggers.suppressed = 0
            self._put(("open", Trigger(kind, code, message, wall_ns, suppressed)))
        else:
            self._put(("more", Trigger(kind, code, message, wall_ns)))
        return effect

    def conditions(self) -> Iterator[Condition]:
        """What people must know of the black box itself."""
        problem = self._problem or self._keeper.problem
        if problem is not None:
            yield Condition(
                code="black_box_failed", severity=Severity.WARNING, message=f"black box: {problem}"
            )

    def take_begun(self) -> list[str]:
        """Names of the files that came to be since the last call."""
        begun = self._keeper.begun
        return [begun.popleft() for _ in range(len(begun))]

    def status(self) -> dict[str, Any]:
        """How it is, as plain data."""
        return {
            "recording": self._triggers.until is not None,
            "seconds_held": round(self._keeper.seconds_held, 1),
            "ring_bytes": self._keeper.ring_bytes,
            "files": self._keeper.files,
            "file_bytes": self._keeper.file_bytes,
            "suppressed": self._triggers.suppressed,
            "calls_dropped": self._dropped,
            "problem": self._problem or self._keeper.problem,
        }

    def close(self, timeout: float = 1.0) -> bool:
        """Finish what is being written. False when the disk did not follow in time (seconds)."""
        self._hand_over(self._now)
        if self._triggers.until is not None:
            self._put(("end", "the gateway stopped"))
            self._triggers.until = None
        if self._thread is None:
            return self._keeper.problem is None
        self._jobs.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive() and self._keeper.problem is None

    def _due(self, now: float) -> bool:
        begun = self._segment if self._segment is not None else now
        if self._gap:
            return self._jobs.qsize() < _WAITING
        return self._keeper.gap or self._keeper.segment_full or now - begun >= self._before / _SEGMENTS

    def _start(self, now: float | None, memory: Callable[[], Any]) -> None:
        """Begin a segment with a copy of the guard's memory. Without a time, the next decision begins another."""
        self._hand_over(self._now if now is None else now)
        if self._gap and self._jobs.qsize() >= _WAITING:
            return  # a snapshot would be dropped as well
        self._segment = -math.inf if now is None else now
        self._keeper.segment_full = False
        gap, self._gap = self._gap or self._keeper.gap, False
        self._keeper.gap = False
        try:
            self._snapshot = (to_plain(memory()), gap, now)
            self._problem = None
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            self._note_problem(f"the guard's memory cannot be copied: {error}")

    def _hand_over(self, now: float) -> None:
        """Give the calls so far to the thread, or drop them when too much waits."""
        self._chunk = now
        if not self._calls and self._snapshot is None:
            return
        calls, self._calls = self._calls, []
        snapshot, self._snapshot = self._snapshot, None
        if self._thread is not None and self._jobs.qsize() >= _WAITING:
            self._gap = True
            self._dropped += len(calls)
            self._note_problem("the disk does not follow: calls are missing")
            return
        self._put(("calls", snapshot, calls, now))

    def _put(self, job: _Job) -> None:
        if self._thread is None:
            self._do(job)
        else:
            self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(job)

    def _do(self, job: _Job) -> None:
        try:
            kind, *arguments = job
            getattr(self._keeper, kind)(*arguments)
        except Exception as error:  # noqa: BLE001  # it is told; control must not notice
            self._keeper.fail(error)

    def _note_problem(self, problem: str) -> None:
        if problem != self._problem:
            log.error("%s", problem)
        self._problem = problem
