"""Hands messages to the sending process, and collects what became of them."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

PATIENCE: Final = 90.0
"""Seconds that a sending process has. Judgement: loading Apprise, and e-mail by a slow link, take less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A message for one address; without a body the address is only looked at."""

    id: str
    url: str = field(repr=False)
    title: str = ""
    body: str | None = None
    kind: str = "info"

    def as_plain(self) -> dict[str, Any]:
        """For the sending process."""
        return {name: getattr(self, name) for name in ("id", "url", "title", "body", "kind")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a job."""

    id: str
    why: str | None = None
    """Why it failed; None: the channel took it."""
    sure: bool = True
    """False when it failed and may have arrived all the same."""


class Courier(Protocol):
    """Sends without waiting."""

    def start(self, jobs: Sequence[Job]) -> None:
        """Begin to send."""
        ...

    def finished(self) -> list[Outcome]:
        """What became of jobs since the last call."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...


class ProcessCourier:
    """Sends each batch in a process of its own, which is ended when it takes too long.

    Args:
        patience: seconds that a process has.
        wake: called when something is finished.
    """

    def __init__(self, patience: float = PATIENCE, wake: threading.Event | None = None) -> None:
        self._patience, self._wake = patience, wake
        self._finished: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def start(self, jobs: Sequence[Job]) -> None:
        """Begin to send."""
        threading.Thread(target=self._send, args=(list(jobs),), name="notify-send", daemon=True).start()

    def finished(self) -> list[Outcome]:
        """What became of jobs since the last call."""
        found = []
        while True:
            try:
                found.append(self._finished.get_nowait())
            except queue.Empty:
                return found

    def close(self) -> None:
        """End what is under way; it is then unknown whether it arrived."""
        with self._lock:
            for process in self._running:
                process.kill()

    def _send(self, jobs: list[Job]) -> None:
        open_ = {job.id for job in jobs}
        why = f"no answer within {self._patience:g} s"
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "bessai.interfaces.notify.send"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._end(open_, f"the sending process cannot be started: {error.strerror}", sure=True)
            return
        with self._lock:
            self._running.add(process)
        timer = threading.Timer(self._patience, process.kill)
        timer.daemon = True
        timer.start()
        try:
            with process:
                if process.stdin is not None and process.stdout is not None:
                    json.dump({"jobs": [job.as_plain() for job in jobs]}, process.stdin)
                    process.stdin.close()
                    for line in process.stdout:
                        self._take(json.loads(line), open_)
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = f"the sending process broke down: {type(error).__name__}"
        finally:
            timer.cancel()
            with self._lock:
                self._running.discard(process)
        if open_ and process.returncode not in {0, -9}:
            why = f"the sending process ended with code {process.returncode}"
        self._end(open_, why, sure=False)

    def _take(self, plain: dict[str, Any], open_: set[str]) -> None:
        open_.discard(plain["id"])
        self._put(Outcome(id=plain["id"], why=plain["why"], sure=plain["sure"]))

    def _end(self, left: Iterable[str], why: str, *, sure: bool) -> None:
        for name in left:
            self._put(Outcome(id=name, why=why, sure=sure))

    def _put(self, outcome: Outcome) -> None:
        self._finished.put(outcome)
        if self._wake is not None:
            self._wake.set()
