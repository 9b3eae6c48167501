"""Asks the gateway for what the schedule says, a short lease at a time."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bessai.interfaces.schedule.loading import load_schedule
from bessai.interfaces.schedule.model import Entry, Schedule, ScheduleError
from bessai.interfaces.schedule.times import utc
from bessai.interfaces.sink import Sink

_log = logging.getLogger(__name__)

SOURCE = "schedule"
LEASE = 30.0
"""Seconds that the plant goes on with the schedule after this process has died."""
_RENEW = 5.0
"""Seconds between two requests for the same entry: five may be lost before the lease ends."""
_LOOK = 1.0
"""Longest sleep in seconds: the wall clock may have been set, the file may be a new one."""
_SHORTEST = 0.002

Ask = Callable[[dict[str, Any]], dict[str, Any]]


class ScheduleRequester(Sink):
    """Requests the current entry every few seconds, cancels when there is none.

    Everything follows from the wall clock at each look, so a clock that is set forward or back is right again within
    a second. A file that changes is read again; one that cannot be used is named in the status, and the schedule that
    was read before goes on.

    Args:
        path: the schedule file.
        ask: sends one message to the gateway and returns the answer; raises OSError when there is none.
        wall: seconds since 1970.
        wait: sleeps for seconds; True when it is time to end. None: waits for the `stop` of `run`.
    """

    def __init__(
        self,
        path: Path,
        ask: Ask,
        wall: Callable[[], float] = time.time,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__("schedule")
        self._path = path
        self._ask = ask
        self._wall = wall
        self._wait = wait
        self._schedule: Schedule | None = None
        self._file: tuple[int, ...] | None = None
        self._file_problem: str | None = None
        self._asked: Entry | None = None
        self._asked_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Ask until `stop` is set. The last lease is left to end by itself."""
        wait = self._wait or stop.wait
        while not wait(self.look()):
            pass

    def look(self) -> float:
        """Do what is due now; returns the seconds until the next look."""
        self._reload()
        problem = None
        try:
            self._request(self._wall())
        except (OSError, ValueError) as error:
            problem = f"the gateway did not take the request: {error}"
        self._tell(self._file_problem or problem)
        # the time that asking took is gone; a boundary may have passed meanwhile, and is then seen at once
        now = self._wall()
        boundary = self._schedule.boundary(now) if self._schedule else None
        return _LOOK if boundary is None else max(min(_LOOK, boundary - now), _SHORTEST)

    def _request(self, now: float) -> None:
        entry = self._schedule.current(now) if self._schedule else None
        if entry is None:
            if self._asked is not None:
                self._send({"op": "cancel", "source": SOURCE})
                self._asked = None
            return
        since = now - self._asked_at
        if entry == self._asked and 0 <= since < _RENEW:
            return
        self._send(_message(entry, min(LEASE, entry.end - now)))
        self._asked, self._asked_at = entry, now
        self.delivered += 1

    def _send(self, message: dict[str, Any]) -> None:
        answer = self._ask(message)
        if not answer.get("ok"):
            raise ValueError(answer.get("error") or "it gave no reason")

    def _reload(self) -> None:
        try:
            stat = self._path.stat()
            file: tuple[int, ...] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            file = ()
        if file == self._file:
            return
        self._file = file
        goes_on = "; the schedule read before goes on" if self._schedule else "; there is no schedule"
        try:
            self._schedule = load_schedule(self._path)
        except ScheduleError as error:
            more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
            self._file_problem = f"{error.problems[0]}{more}{goes_on}"
        else:
            self._file_problem = None
            _log.info("schedule: read %s", self._path)

    def _tell(self, problem: str | None) -> None:
        if problem is None:
            self.recovered()
        elif problem != self.last_error:
            self.failed(problem)


def _message(entry: Entry, lease: float) -> dict[str, Any]:
    wish = entry.wish
    message = {
        "op": "request",
        "source": SOURCE,
        "priority": "schedule",
        "power": wish.power,
        "reactive": wish.reactive,
        "soc_target": wish.soc_target,
        "low": wish.low,
        "high": wish.high,
        "for": round(lease, 3) or 0.001,
        "reason": wish.reason or f"schedule, {entry.where}",
        "id": f"schedule/{utc(entry.start)}",
    }
    return {key: value for key, value in message.items() if value is not None}


def socket_ask(path: Path, timeout: float = 0.5) -> Ask:
    """Sends messages to the control plane's socket, a connection each."""

    def ask(message: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(json.dumps(message).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline(65536) or b"{}")
        return answer if isinstance(answer, dict) else {}

    return ask
