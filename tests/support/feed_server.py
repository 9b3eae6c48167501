"""A control plane's local socket with the live feed `watch`, a request book of its own, and no plant."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bessai.model import Quality

NORMAL = {"state": "normal", "setpoint": 0.0, "bounds": [-100.0, 100.0], "trips": [], "limited_by": []}


class FeedServer:
    """Serves until closed. Every message but `watch` is kept in `messages`.

    Args:
        path: of the socket.
        points: value of each point of the site, by name.
        period: told to whoever watches; cycles happen when `push` is called.
    """

    def __init__(self, path: Path, points: Mapping[str, float], period: float = 0.1) -> None:
        self.points = dict(points)
        self.quality = dict.fromkeys(points, Quality.GOOD)
        self.ages = dict.fromkeys(points, 0.01)
        self.decision: dict[str, Any] = dict(NORMAL)
        self.alarms: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.refusal: str | None = None
        """What requests and commands are answered; None: they are taken."""
        self.answer: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None
        """Answers instead; None from it: the ordinary answer."""
        self.cycle = 0
        self._period = period
        self._path = path
        self._watchers: dict[socket.socket, list[str]] = {}
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._listen()

    def __enter__(self) -> FeedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection and stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        self.hang_up()
        self._path.unlink(missing_ok=True)

    def hang_up(self) -> None:
        """End every connection; whoever watches may come again."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._watchers.clear()

    @property
    def watchers(self) -> int:
        with self._lock:
            return len(self._watchers)

    def sent(self, op: str) -> list[dict[str, Any]]:
        """The messages of one kind that came."""
        return [message for message in list(self.messages) if message["op"] == op]

    def until(self, check: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait, with cycles going on."""
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline:
                raise TimeoutError("it does not come true")
            time.sleep(0.01)

    def push(self, *, wall_ns: int | None = None, events: list[dict[str, Any]] | None = None) -> int:
        """One cycle; returns its time in UTC nanoseconds."""
        wall_ns = time.time_ns() if wall_ns is None else wall_ns
        self.cycle += 1
        with self._lock:
            for connection, names in list(self._watchers.items()):
                line = json.dumps(self._frame(names, wall_ns, events or [])).encode() + b"\n"
                with contextlib.suppress(OSError):
                    connection.sendall(line)
        return wall_ns

    def _frame(self, names: list[str], wall_ns: int, events: list[dict[str, Any]]) -> dict[str, Any]:
        def packed(values: list[float], kind: str) -> str:
            return base64.b64encode(np.array(values, dtype=kind).tobytes()).decode()

        return {
            "cycle": self.cycle, "wall_ns": wall_ns, "whole": True,
            "values": packed([self.points[name] for name in names], "<f8"),
            "quality": packed([float(self.quality[name]) for name in names], "u1"),
            "ages": packed([self.ages[name] for name in names], "<f4"),
            "decision": self.decision, "events": events, "missed": 0,
        }  # fmt: skip

    def _listen(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(32)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError, ValueError):
            for line in lines:
                message = json.loads(line)
                if message["op"] == "watch":
                    self._watch(connection, message["points"])
                    continue
                connection.sendall(json.dumps(self._answer(message)).encode() + b"\n")
        with self._lock:
            self._watchers.pop(connection, None)
            self._connections.discard(connection)

    def _watch(self, connection: socket.socket, points: list[str] | None) -> None:
        names = list(self.points) if points is None else points
        unknown = [name for name in names if name not in self.points]
        said: dict[str, Any] = {"ok": False, "error": f"there is no point {unknown[:1]}"}
        if not unknown:
            said = {"ok": True, "points": names, "units": [None] * len(names), "period": self._period,
                    "part": list(range(len(names)))}  # fmt: skip
        with self._lock:
            connection.sendall(json.dumps(said).encode() + b"\n")
            if not unknown:
                self._watchers[connection] = names

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["op"] == "alarms":
            return {"ok": True, "alarms": self.alarms}
        self.messages.append(message)
        if self.answer is not None and (said := self.answer(message)) is not None:
            return said
        if self.refusal is not None:
            return {"ok": False, "error": self.refusal}
        return {"ok": True, "source": message.get("source"), "for": message.get("for")}
