"""The consumer of the journal: reads events, keeps the state, lets the messages leave, says how it goes."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bessai.interfaces.notify.courier import Courier, Job, Outcome, ProcessCourier
from bessai.interfaces.notify.desk import Desk
from bessai.interfaces.notify.heartbeat import Heartbeat
from bessai.interfaces.notify.loading import NotifyConfig, NotifyError, load_notify, stamps
from bessai.interfaces.notify.status import details
from bessai.interfaces.notify.store import State, StateError, load_state, save_state, state_path
from bessai.interfaces.notify.words import Place
from bessai.interfaces.sink import CursorStore, Reader, Sink, SinkStatus
from bessai.journal.entry import Entry
from bessai.model import Layout

_log = logging.getLogger(__name__)

CONSUMER: Final = "notify"
_BATCH: Final = 500
"""Records that are read at once."""
_LOOK: Final = 1.0
"""Seconds between looks into the journal."""
_KEEP: Final = 600.0
"""Seconds after which a cursor that moved without an event is kept: reading those records again tells nothing anew."""
_COMPARE: Final = 600.0
"""Seconds between comparisons with the gateway's own list of alarms."""
_SETTLED: Final = 45.0
"""Seconds after a start before the first of them: the gateway's list settles meanwhile."""
_PATIENCE: Final = 30.0
"""Seconds for which a cursor beyond the journal's end is believed."""
_CHECK: Final = "check:"

Ask = Callable[[], list[dict[str, Any]] | None]


class NotifySink(Sink):
    """Tells people what happens.

    Args:
        path: NOTIFY_FILE; read again when it changes.
        directory: the data directory.
        place: what messages say of where they come from.
        open_reader: opens a reader of the journal.
        open_cursors: opens its cursors.
        environment: where the file's `${NAME}` are looked up.
        alarms: gives the gateway's list of alarms; None when it does not answer.
        courier: sends.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        *,
        directory: Path,
        place: Place,
        open_reader: Callable[[], Reader],
        open_cursors: Callable[[], CursorStore],
        environment: Mapping[str, str] = os.environ,
        alarms: Ask = lambda: None,
        courier: Courier | None = None,
        wall: Callable[[], float] = time.time,
        look: float = _LOOK,
    ) -> None:
        super().__init__(CONSUMER)
        self._path, self._environment, self._wall, self._pause = path, environment, wall, look
        self._open_reader, self._open_cursors, self._alarms = open_reader, open_cursors, alarms
        self._state_path, self._place = state_path(directory), place
        self._wake = threading.Event()
        self._courier = courier or ProcessCourier(wake=self._wake)
        self._secrets: list[Path] = []
        self._file: tuple[int, ...] | None = None
        self._file_problem: str | None = None
        self._unusable: dict[str, str] = {}
        self._desk: Desk | None = None
        self._heartbeat: Heartbeat | None = None
        self._layout: Layout | None = None
        self._keep_at = self._compare_at = 0.0
        self._ahead_since: float | None = None
        self._dirty = self._attempt_failed = False
        self._cannot_keep: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Tell people until `stop` is set. Blocks: give it a thread."""
        self._compare_at = time.monotonic() + _SETTLED
        with closing(self._open_reader()) as reader, closing(self._open_cursors()) as cursors:
            try:
                while not stop.is_set():
                    self.step(reader, cursors, stop)
                    self._wake.wait(self._pause)
                    self._wake.clear()
            finally:
                self.abort()

    def abort(self) -> None:
        """End what is being sent; it is sent again after the next start, and says so."""
        self._courier.close()
        self._wake.set()

    def step(self, reader: Reader, cursors: CursorStore, stop: threading.Event) -> None:
        """One look: read, decide, keep, send, in this order."""
        self._reload(reader)
        desk = self._desk
        if desk is not None:
            now = self._wall()
            for outcome in self._courier.finished():
                self._note(desk, outcome, now)
            self._read(desk, reader, stop)
            if not self.backlog and time.monotonic() >= self._compare_at:
                self._compare(desk, now)
            self._dirty |= desk.tick(now)
            letters = desk.due(now) if self._cannot_keep is None else []
            self._dirty |= bool(letters)
            urls = {channel.name: channel.url for channel in desk.config.channels}
            if self._keep(desk, cursors) and letters:
                self._courier.start(
                    [
                        Job(
                            id=letter.id,
                            url=urls[letter.channel], title=letter.message.title,
                            body=letter.message.body, kind=letter.message.kind,
                        )
                        for letter in letters
                    ]
                )  # fmt: skip
            else:
                for letter in letters:  # what is not noted must not leave
                    desk.outcome(letter.id, now, why="how far it has come cannot be kept", sure=True)
            if (
                self._heartbeat is not None and self._cannot_keep is None
            ):  # who waits for it then hears that way
                self._heartbeat.beat(reader.stats().last_wall_ns / 1e9, now)
        self._tell()

    def status(self) -> SinkStatus:
        """A snapshot; may be called from any thread."""
        told: dict[str, Any] = {}
        with contextlib.suppress(
            RuntimeError, KeyError
        ):  # changed while it was looked at: the next second tells
            told = details(self._desk, self._heartbeat, self._wall())
        return replace(super().status(), details=told)

    def _reload(self, reader: Reader) -> None:
        if (file := stamps(self._path, *self._secrets)) == self._file:
            return
        self._file = file
        goes_on = "what was read before goes on" if self._desk else "nobody is notified until it is mended"
        try:
            config = load_notify(self._path, self._environment)
        except NotifyError as error:
            more = (
                f" (and {len(error.problems) - 1} more: bessai notify check)"
                if len(error.problems) > 1
                else ""
            )
            self._file_problem = f"{error.problems[0]}{more}; {goes_on}"
            self._secrets = error.secret_files
            self._file = stamps(self._path, *self._secrets)
            if self._desk is None and not self._state_path.exists():
                with contextlib.suppress(OSError):  # then what happens from here on is told once it is mended
                    save_state(self._state_path, State(cursor=reader.last_sequence()))
            return
        self._file_problem, self._unusable = None, {}
        state = self._desk.state if self._desk else self._load(reader)
        self._desk = Desk(config, state, self._place, resumed=self._desk is None)
        if self._desk.recovered:
            _log.warning(
                "notify: %d messages may have arrived before the last end; they are sent again and say so",
                self._desk.recovered,
            )
        self._dirty = True
        self._secrets = config.secret_files()
        self._file = stamps(self._path, *self._secrets)
        self._heartbeat = _heartbeat(config)
        self._courier.start(
            [Job(id=f"{_CHECK}{channel.name}", url=channel.url) for channel in config.channels]
        )
        _log.info("notify: read %s, %d recipients", self._path, len(config.file.recipients))

    def _load(self, reader: Reader) -> State:
        """The state of an earlier run. Without one, what stands is told and nothing of what is past."""
        try:
            state = load_state(self._state_path)
        except (StateError, OSError) as error:
            aside = self._state_path.with_suffix(".damaged")
            with contextlib.suppress(OSError):
                self._state_path.replace(aside)
            _log.error("notify: %s is damaged (%s); kept as %s, begins anew", self._state_path, error, aside)
            state = None
        if state is None:
            self._compare_at = 0.0
            return State(cursor=reader.last_sequence())
        return state

    def _read(self, desk: Desk, reader: Reader, stop: threading.Event) -> None:
        state = desk.state
        last = reader.last_sequence()
        if state.cursor > last and self._ahead_for_good():
            _log.warning("notify: the journal goes on from record %d, it was restored or repaired", last)
            state.cursor, self._dirty, self._compare_at = last, True, 0.0
        while state.cursor < last and not stop.is_set():
            self._ahead_since = None
            entries = reader.read(state.cursor, _BATCH)
            if not entries:
                break
            for entry in entries:
                if entry.sequence > state.cursor + 1 and state.cursor:
                    self.missed += entry.sequence - state.cursor - 1
                    self._compare_at = 0.0
                self._take(desk, entry)
                state.cursor, state.epoch = entry.sequence, entry.epoch
        self.cursor, self.backlog = state.cursor, max(0, last - state.cursor)

    def _take(self, desk: Desk, entry: Entry) -> None:
        if entry.kind == "cycle":
            self._layout = entry.layout
        layout = self._layout
        for event in entry.events:
            column = layout.index.get(event.point) if layout is not None and event.point else None
            unit = layout.units[column] if layout is not None and column is not None else None
            self._dirty |= desk.take(event, unit, self._wall())

    def _ahead_for_good(self) -> bool:
        now = time.monotonic()
        self._ahead_since = now if self._ahead_since is None else self._ahead_since
        return now - self._ahead_since >= _PATIENCE

    def _compare(self, desk: Desk, now: float) -> None:
        listed = self._alarms()
        self._compare_at = time.monotonic() + (_COMPARE if listed is not None else _SETTLED)
        if listed is not None:
            self._dirty |= desk.reconcile(listed, now)

    def _keep(self, desk: Desk, cursors: CursorStore) -> bool:
        """Write the state when it is worth it. Returns whether what is known is kept."""
        if not self._dirty and time.monotonic() < self._keep_at:
            return True
        try:
            save_state(self._state_path, desk.state)
            cursors.set(self.name, desk.state.cursor, force=True)
        except (OSError, ValueError) as error:
            self._cannot_keep = (
                f"{self._state_path} cannot be written: {getattr(error, 'strerror', None) or error}"
            )
            return False
        self._dirty, self._cannot_keep = False, None
        self._keep_at = time.monotonic() + _KEEP
        return True

    def _note(self, desk: Desk, outcome: Outcome, now: float) -> None:
        if outcome.id.startswith(_CHECK):
            if outcome.why is not None and outcome.sure:
                self._unusable[outcome.id.removeprefix(_CHECK)] = outcome.why
            return
        channel = desk.outcome(outcome.id, now, why=outcome.why, sure=outcome.sure)
        self._dirty = True
        if outcome.why is None:
            self.delivered += 1
            self._unusable.pop(channel, None)
        else:
            self._attempt_failed = True

    def _tell(self) -> None:
        problems = [self._file_problem] if self._file_problem else []
        problems += [self._cannot_keep] if self._cannot_keep else []
        problems += [f"{name}: {why}" for name, why in self._unusable.items()]
        if self._desk is not None:
            queues = self._desk.state.queues
            problems += [f"{n}: {q.why}" for n, q in queues.items() if q.why and n not in self._unusable]
        if self._heartbeat is not None and self._heartbeat.problem:
            problems.append(f"heartbeat: {self._heartbeat.problem}")
        if not problems:
            self.recovered()
        elif (problem := "; ".join(problems)) != self.last_error or self._attempt_failed:
            self.failed(problem)
        self._attempt_failed = False


def _heartbeat(config: NotifyConfig) -> Heartbeat | None:
    beat = config.file.heartbeat
    if beat is None or config.heartbeat_url is None:
        return None
    return Heartbeat(config.heartbeat_url, 60.0 * beat.every_minutes)
