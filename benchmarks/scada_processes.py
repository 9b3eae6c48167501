"""Processes of `benchmarks.scada`: a control plane's feed, our station, and c104 (lib60870) behind the same feed.

    python -m benchmarks.scada_processes ROLE PARAMETERS      # ROLE: feed, ours or c104; parameters in JSON

Each says a line of JSON once it is ready, and ends when its standard input ends.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bessai.interfaces.scada.feed import Columns, Frame, ask, follow
from bessai.interfaces.scada.server import Outstation
from bessai.model import SystemClock
from bessai.site.scada import Iec104, MonitorPoint, Scada

FIRST = 1001
"""Address of the first point."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What is measured."""

    socket: str
    points: int
    events: int
    """A second."""
    period: float
    """Seconds of a cycle."""
    port: int = 0

    @property
    def names(self) -> list[str]:
        """The points of the site."""
        return [f"p{n}" for n in range(self.points)]


class Feed:
    """Lines as the control plane's `watch` sends them: part of the points in each cycle, all once a second."""

    def __init__(self, told: Parameters) -> None:
        self._told = told
        self._values = np.arange(told.points, dtype="<f8")
        self._quality = np.zeros(told.points, dtype="u1")
        self._ages = np.zeros(told.points, dtype="<f4")
        self._each = round(told.events * told.period)
        self._cycle = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def run(self) -> None:
        """Serve, and tell of a cycle every period."""
        await asyncio.start_unix_server(self._serve, self._told.socket, limit=1 << 24)
        say(ready=True)
        start = time.monotonic()
        while True:
            self._cycle += 1
            await asyncio.sleep(start + self._cycle * self._told.period - time.monotonic())
            line = self._line()
            for writer in self._writers:
                writer.write(line)

    def _line(self) -> bytes:
        wall_ns = time.time_ns()
        self._values[: self._each] += 1.0
        size = self._told.points if self._cycle % round(1 / self._told.period) == 0 else self._each
        decision = {"state": "normal", "setpoint": 0.0, "bounds": [0, 0], "trips": [], "limited_by": []}
        return json.dumps({
            "cycle": self._cycle, "wall_ns": wall_ns, "whole": size == self._told.points,
            "values": base64.b64encode(self._values[:size].tobytes()).decode(),
            "quality": base64.b64encode(self._quality[:size].tobytes()).decode(),
            "ages": base64.b64encode(self._ages[:size].tobytes()).decode(),
            "decision": decision, "events": [], "missed": 0,
        }).encode() + b"\n"  # fmt: skip

    @staticmethod
    async def _line_of(reader: asyncio.StreamReader) -> bytes:
        """The next line; empty at the end, however it comes."""
        try:
            return await reader.readline()
        except ConnectionError:
            return b""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await self._line_of(reader):
            watch = json.loads(line)["op"] == "watch"
            names = self._told.names
            told: dict[str, Any] = {"ok": True, "alarms": []}
            if watch:
                told = {"ok": True, "points": names, "units": [None] * len(names),
                        "period": self._told.period, "part": list(range(self._each))}  # fmt: skip
            writer.write(json.dumps(told).encode() + b"\n")
            if watch:
                self._writers.append(writer)


async def ours(told: Parameters) -> None:
    """The station, as its sink runs it."""
    points = tuple(MonitorPoint(ioa=FIRST + n, name=name, kind="float") for n, name in enumerate(told.names))
    settings = Iec104(listen="127.0.0.1", port=0, masters=("127.0.0.0/8",), k=12, w=8, buffer=100_000)
    path = Path(told.socket)
    outstation = Outstation(
        Scada(iec104=settings, points=points), lambda message: ask(path, message), SystemClock()
    )
    await outstation.start()
    say(port=outstation.ports[0])
    await follow(path, outstation.station.sources.watched, outstation)


class Peer:
    """The same feed, and a server of c104: what changed is handed to it in batches."""

    def __init__(self, told: Parameters) -> None:
        import c104  # noqa: PLC0415  GPL: only in this process

        self._c104 = c104
        self._server = c104.Server(ip="127.0.0.1", port=told.port, tick_rate_ms=50)
        station = self._server.add_station(common_address=1)
        assert station is not None
        kind = c104.Type.M_ME_TF_1
        self._points = [station.add_point(io_address=FIRST + n, type=kind) for n in range(told.points)]
        self._reported = np.full(told.points, np.nan)
        self._server.start()
        say(port=told.port)

    def started(self, columns: Columns) -> None:
        """See `Listener`."""

    def frame(self, frame: Frame) -> None:
        """See `Listener`."""
        from datetime import UTC, datetime  # noqa: PLC0415

        c104 = self._c104
        where = np.arange(len(frame.values)) if frame.positions is None else frame.positions
        changed = np.flatnonzero(frame.values != self._reported[where])
        times = frame.times_ns()
        moved = []
        for i in changed.tolist():
            point = self._points[where[i]]
            recorded = datetime.fromtimestamp(times[i] / 1e9, UTC)
            point.info = c104.ShortInfo(actual=float(frame.values[i]), recorded_at=recorded)
            moved.append(point)
        self._reported[where] = frame.values
        if len(moved) == len(self._points):
            return  # the first values: no events, as with us
        for start in range(0, len(moved), 15):
            batch = c104.Batch(cause=c104.Cot.SPONTANEOUS, points=moved[start : start + 15])
            self._server.transmit_batch(batch)

    def lost(self, reason: str) -> None:
        """See `Listener`."""


def say(**what: Any) -> None:
    """One line for whoever started this."""
    print(json.dumps(what), flush=True)


def main() -> None:
    """Run a role until standard input ends."""
    role, told = sys.argv[1], Parameters(**json.loads(sys.argv[2]))
    made: Any = {
        "feed": lambda: Feed(told).run(),
        "ours": lambda: ours(told),
        "c104": lambda: follow(Path(told.socket), told.names, Peer(told)),
    }[role]()

    async def run() -> None:
        await asyncio.wait({asyncio.ensure_future(made), asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))},
                           return_when=asyncio.FIRST_COMPLETED)  # fmt: skip

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
