"""The local socket: requests in, status out, one JSON object a line.

    {"op": "status"}
    {"op": "device", "name": "rack_7"}
    {"op": "request", "source": "operator", "power": -5.0, "for": 60, "reason": "test"}
    {"op": "request", "source": "vpp", "priority": "power_plant", "low": -20, "high": 0, "reactive": 2.0, "for": 60}
    {"op": "request", "source": "operator", "soc_target": 80, "power": 30, "for": 3600, "reason": "for the evening"}
    {"op": "preview", …}                               # `bessai.core.previewing`: as a request, but it asks for nothing
    {"op": "renew", "source": "operator", "for": 60}   # the same request, for 60 s from now on
    {"op": "cancel", "source": "operator"}
    {"op": "service_status", "status": {...}}
    {"op": "watch", "points": ["soc"]}                  # `bessai.core.live`: from then on a line a cycle

`bessai.core.front` lists what else there is.

Each answer is one JSON object: `{"ok": true, ...}` or `{"ok": false, "error": "…"}`. The socket is a file
that only the gateway's own user may open.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bessai.core.live import LiveFeed
from bessai.core.request_messages import lease_of, request_from
from bessai.core.requests import RequestBook
from bessai.model import Clock

log = logging.getLogger("bessai.socket")

_LINE_LIMIT = 1 << 20
"""Bytes: a list of 10,000 points to watch fits."""
_CONNECTIONS = 32
_SOURCES = 64


class LocalSocket:
    """Serves the socket inside the control plane; every answer is immediate.

    Args:
        path: where to listen, see `socket_path`.
        book: takes the requests.
        status: gives the status of the control plane as plain data.
        clock: leases run on its monotonic time.
        device: gives everything about one device of the site.
        more: handlers of further ops; each answers, or raises ValueError.
        live: takes those who watch every cycle; None: nobody can.
    """

    def __init__(
        self,
        path: Path,
        book: RequestBook,
        status: Callable[[], dict[str, Any]],
        clock: Clock,
        device: Callable[[str], dict[str, Any] | None] = lambda _: None,
        more: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
        live: LiveFeed | None = None,
    ) -> None:
        self.service_status: dict[str, Any] = {}
        """What the service plane last said of itself."""
        self.service_seen: float | None = None
        """Monotonic seconds at which it did."""
        self.log_levels: Callable[[], dict[str, str]] = dict
        """How loud the service plane is to log, by logger: the answer to its status."""
        self._path = path
        self._book = book
        self._status = status
        self._clock = clock
        self._device = device
        self._more = more or {}
        self._live = live
        self._server: asyncio.Server | None = None
        self._writers: OrderedDict[asyncio.StreamWriter, None] = OrderedDict()
        """Open connections, the one that was silent longest first."""

    async def start(self) -> None:
        """Listen. The file of an earlier gateway is replaced: the journal's lock proves that none lives."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_LINE_LIMIT)
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        """Close every connection and remove the file."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= _CONNECTIONS and not self._make_room():
            writer.close()
            return
        self._writers[writer] = None
        try:
            while line := await reader.readline():
                if writer in self._writers:
                    self._writers.move_to_end(writer)
                writer.write(json.dumps(self.answer(line, writer), allow_nan=False).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError) as error:  # ValueError: a line beyond the limit
            log.debug("local connection ended: %s", error)
        finally:
            self._writers.pop(writer, None)
            if self._live is not None:
                self._live.forget(writer)
            writer.close()

    def _make_room(self) -> bool:
        """End the connection that was silent longest and does not watch; False when all watch."""
        for writer in self._writers:
            if self._live is None or not self._live.has(writer):
                del self._writers[writer]
                writer.transport.abort()
                return True
        return False

    def answer(self, line: bytes, writer: asyncio.StreamWriter | None = None) -> dict[str, Any]:
        """The answer to one line, which came on the connection of `writer`."""
        try:
            message = json.loads(line, parse_constant=_no_constant)
            if not isinstance(message, dict):
                raise TypeError("send one JSON object a line")
            match message.get("op"):
                case "status":
                    return {"ok": True, "status": self._status()}
                case "device":
                    found = self._device(str(message.get("name")))
                    if found is None:
                        raise ValueError(f"there is no device {message.get('name')!r}")
                    return {"ok": True, "device": found}
                case "request":
                    return self._request(message)
                case "renew":
                    seconds, now = lease_of(message), self._clock.monotonic()
                    source = str(message.get("source"))
                    return {"ok": True, "renewed": self._book.renew(source, now, seconds), "for": seconds}
                case "cancel":
                    return {"ok": True, "cancelled": self._book.cancel(str(message.get("source")))}
                case "service_status":
                    said = dict(message.get("status") or {})
                    json.dumps(said, allow_nan=False)  # 1e999 is no JSON number, yet Python reads it
                    self.service_status = said
                    self.service_seen = self._clock.monotonic()
                    return {"ok": True, "log": self.log_levels()}
                case "watch" if self._live is not None and writer is not None:
                    self._live.forget(writer)  # a second one replaces the first
                    return {"ok": True, **self._live.watch(message, writer)}
                case str(other) if other in self._more:
                    return {"ok": True, **self._more[other](message)}
                case other:
                    known = [
                        "status",
                        "device",
                        "request",
                        "renew",
                        "cancel",
                        "service_status",
                        "watch",
                        *self._more,
                    ]
                    raise ValueError(f"op {other!r} is unknown: use one of {', '.join(known)}")
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            return {"ok": False, "error": str(error)}

    def _request(self, message: dict[str, Any]) -> dict[str, Any]:
        now = self._clock.monotonic()
        request = request_from(message, now)
        live = {lease.source for lease in self._book.live(now)}
        if request.source not in live and len(live) >= _SOURCES:
            raise ValueError(f"{_SOURCES} sources have live requests already; cancel one")
        self._book.put(request)
        return {"ok": True, "source": request.source, "for": lease_of(message)}


def _no_constant(name: str) -> None:
    raise ValueError(f"{name}: give a number")
