"""A notification desk in a test: a file, a time that is handed in, events in one line each."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bessai.interfaces.notify.courier import Job, Outcome
from bessai.interfaces.notify.desk import Desk
from bessai.interfaces.notify.loading import NotifyConfig, load_notify
from bessai.interfaces.notify.store import State
from bessai.interfaces.notify.words import Message, Place
from bessai.model import Event, Severity

PLACE = Place(site="norte", link="https://gw.norte:8080/#/alarms")


def config(folder: Path, text: str, **environment: str) -> NotifyConfig:
    """A notification file, read."""
    path = folder / "notify.yaml"
    path.write_text(text)
    return load_notify(path, environment)


def at(text: str, zone: str = "+00:00") -> float:
    """Seconds since 1970 of a time such as `2026-11-29 22:30`."""
    return datetime.fromisoformat(f"{text}{zone}").timestamp()


def event(code: str, now: float, severity: str = "alarm", *, over: bool = False, **more: Any) -> Event:
    """An event as the alarm book makes it."""
    fields: dict[str, Any] = {
        "code": code, "severity": Severity[severity.upper()], "message": f"{code} happened", "active": not over,
        "wall_ns": round(now * 1e9),
    }  # fmt: skip
    return Event(**(fields | more))


class Scene:
    """A desk, and the messages that left it; each arrives unless `broken`."""

    def __init__(
        self, config: NotifyConfig, now: float, state: State | None = None, place: Place = PLACE
    ) -> None:
        self.now = now
        self.broken = False
        self.sure = True
        self.desk = Desk(config, State() if state is None else state, place, lambda: 1.0)
        self.sent: list[tuple[str, Message]] = []

    def take(
        self, code: str, severity: str = "alarm", *, over: bool = False, unit: str | None = None, **more: Any
    ) -> None:
        """Something happens now."""
        self.desk.take(event(code, self.now, severity, over=over, **more), unit, self.now)

    def go(self, seconds: float, step: float = 1.0) -> list[str]:
        """Let time pass; the titles that left meanwhile, with the channel before them."""
        before, end = len(self.sent), self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            self.desk.tick(self.now)
            for letter in self.desk.due(self.now):
                if self.broken:
                    self.desk.outcome(letter.id, self.now, why="refused", sure=self.sure)
                else:
                    self.sent.append((letter.channel, letter.message))
                    self.desk.outcome(letter.id, self.now, why=None)
        return [f"{channel}: {message.title}" for channel, message in self.sent[before:]]

    @property
    def body(self) -> str:
        """Of the newest message."""
        return self.sent[-1][1].body


class PostCourier:
    """Sends by a plain POST, so that what is tested is not Apprise."""

    def __init__(self) -> None:
        self.started: list[str] = []
        """Ids of the messages."""
        self._outcomes: list[Outcome] = []
        self._lock = threading.Lock()

    def start(self, jobs: Sequence[Job]) -> None:
        self.started += [job.id for job in jobs if job.body is not None]
        for job in jobs:
            threading.Thread(target=self._send, args=(job,), daemon=True).start()

    def finished(self) -> list[Outcome]:
        with self._lock:
            found, self._outcomes = self._outcomes, []
        return found

    def close(self) -> None:
        """The threads end by themselves."""

    def _send(self, job: Job) -> None:
        why = None
        if job.body is not None:
            data = json.dumps({"title": job.title, "message": job.body, "type": job.kind}).encode()
            try:
                url = job.url.replace("json://", "http://")
                with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60):
                    pass
            except urllib.error.HTTPError as error:
                why = f"error={error.code}"
            except OSError as error:
                why = type(error).__name__
        with self._lock:
            self._outcomes.append(Outcome(id=job.id, why=why))
