"""One watcher of the control plane, handed on to everybody who looks.

Each cycle is encoded once for each channel and language, however many look at it. A viewer that reads slowly loses
cycles, which it is told, and holds nobody up. The connection is kept while the process runs: what everything was last
is asked for by the other routes too, and one watcher costs the control plane the same with two hundred viewers as with
none.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import re
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bessai
from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.problems import Problem, field_problem
from bessai.interfaces.api.spoken import decided, spoken
from bessai.interfaces.scada.feed import Columns, Frame, follow
from bessai.model import Quality

_log = logging.getLogger(__name__)

VIEWERS = 256
"""At a time."""
CUT = 30.0
"""Seconds without progress after which a viewer is cut."""
MOST_POINTS = 500
"""Points that a viewer may choose."""
_WAITING = 8
"""Cycles that wait for a slow viewer."""
_STATUS_EVERY = 2.0
"""Seconds."""
_NUMBERED = re.compile(r"(^|\.)cell_\w+_\d+$")
"""Points of single cells."""
_NOTHING = np.array([], np.float64)


class Channel:
    """A choice of points, and its place in what the control plane sends."""

    def __init__(self, columns: Columns, chosen: NDArray[np.intp]) -> None:
        self.names = [columns.names[i] for i in chosen]
        self.units = [columns.units[i] for i in chosen]
        self.columns = chosen
        place = np.full(len(columns.names), -1, np.intp)
        place[chosen] = np.arange(len(chosen))
        self.part = place[columns.part]
        self.taken = np.flatnonzero(self.part >= 0)
        self.part = self.part[self.taken]

    def cut(self, frame: Frame, tongue: str = "en") -> bytes:
        """What the frame says of these points, without its end."""
        at = self.columns if frame.positions is None else self.taken
        whole = frame.positions is None
        return _cycle(frame, whole, frame.values[at], frame.quality[at], frame.ages[at], frame.events, tongue)


class Viewer:
    """What waits for one viewer.

    Args:
        key: of its channel: `main`, `all` or the names it chose.
        tongue: the language of the sentences in it.
    """

    def __init__(self, key: str | tuple[str, ...], tongue: str = "en") -> None:
        self.key = key
        self.tongue = tongue
        self.missed = 0
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._ready = asyncio.Event()

    def put(self, kind: str, data: bytes) -> None:
        """Give it something; a slow one loses its oldest cycle."""
        waiting = self._waiting
        if kind == "hello":
            waiting.clear()
        if kind == "status":
            with contextlib.suppress(StopIteration):
                waiting.remove(next(item for item in waiting if item[0] == "status"))
        elif kind == "cycle" and sum(item[0] == "cycle" for item in waiting) >= _WAITING:
            waiting.remove(next(item for item in waiting if item[0] == "cycle"))
            self.missed += 1
        waiting.append((kind, data))
        self._ready.set()

    def wake(self) -> None:
        """Let `take` return."""
        self._ready.set()

    async def take(self, within: float) -> bytes:
        """What waits, or nothing after so many seconds."""
        if not self._waiting:
            self._ready.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._ready.wait()
        taken = []
        while self._waiting:
            kind, data = self._waiting.popleft()
            taken.append(data + b"%d}\n\n" % self.missed if kind == "cycle" else data)
        return b"".join(taken)


class Live:
    """What everything is now, and who looks at it.

    Args:
        path: of the control plane's socket.
        site: its name, for viewers.
        gateway: is asked for the status.
        cut: seconds without progress after which a viewer is cut.
    """

    def __init__(self, path: Path, site: str, gateway: Gateway, cut: float = CUT) -> None:
        self._path, self._site, self._gateway = path, site, gateway
        self.cut = cut
        self.names: tuple[str, ...] = ()
        self.units: tuple[str | None, ...] = ()
        self.index: dict[str, int] = {}
        self.values: NDArray[np.float64] = _NOTHING
        self.quality: NDArray[np.uint8] = np.array([], np.uint8)
        self._measured: NDArray[np.float64] = _NOTHING
        self.period = 1.0
        self.connected = False
        self.problem: str | None = "not connected yet"
        self.latest: Frame | None = None
        """The newest frame as it came, perhaps of a part of the points."""
        self.frames = self.lost_count = 0
        self._missed_before = 0
        self._columns: Columns | None = None
        self._channels: dict[str | tuple[str, ...], Channel] = {}
        self._viewers: set[Viewer] = set()

    @property
    def viewers(self) -> int:
        """How many look."""
        return len(self._viewers)

    @property
    def missed(self) -> int:
        """Cycles that viewers lost because they read slowly."""
        return self._missed_before + sum(viewer.missed for viewer in self._viewers)

    @property
    def ages(self) -> NDArray[np.float64]:
        """Seconds since each point was measured, as of now; NaN where never."""
        found: NDArray[np.float64] = time.monotonic() - self._measured
        return found

    @property
    def decision(self) -> dict[str, Any]:
        """What was decided in the newest cycle; empty before there is one."""
        return self.latest.decision if self.latest else {}

    async def run(self) -> None:
        """Follow the control plane until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(follow(self._path, None, self))
            group.create_task(self._tell_status())

    def join(self, channel: str, points: Sequence[str] = (), tongue: str = "en") -> Viewer:
        """A new viewer; it is told everything at once.

        Raises:
            Problem: 422 for points that there are not, 429 when too many look.
        """
        if len(self._viewers) >= VIEWERS:
            raise Problem(
                429, "too_many_viewers", f"{VIEWERS} viewers look already", headers={"Retry-After": "10"}
            )
        unknown = [name for name in points if name not in self.index]
        if unknown and self._columns is not None:
            raise field_problem("points", None, f"there is no point {unknown[0][:80]!r}")
        viewer = Viewer(tuple(dict.fromkeys(points)) or channel, tongue)
        self._viewers.add(viewer)
        if self.connected:
            self._greet(viewer)
        else:
            viewer.put("lost", _event("lost", {"problem": self.problem}, tongue))
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """It has gone."""
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self._missed_before += viewer.missed
        if not any(other.key == viewer.key for other in self._viewers):
            self._channels.pop(viewer.key, None)

    def started(self, columns: Columns) -> None:
        """The feed begins, perhaps with other points than before."""
        self._columns = columns
        self.names, self.units, self.period = columns.names, columns.units, columns.period
        self.index = {name: i for i, name in enumerate(columns.names)}
        size = len(columns.names)
        self.values = np.full(size, np.nan)
        self.quality = np.full(size, Quality.MISSING, np.uint8)
        self._measured = np.full(size, np.nan)
        self.latest, self.connected, self.problem = None, True, None
        self._channels = {}
        for viewer in self._viewers:
            self._greet(viewer)

    def frame(self, frame: Frame) -> None:
        """A cycle."""
        at = slice(None) if frame.positions is None else frame.positions
        self.values[at] = frame.values
        self.quality[at] = frame.quality
        self._measured[at] = time.monotonic() - frame.ages.astype(np.float64)
        self.latest = frame
        self.frames += 1
        said: dict[tuple[str | tuple[str, ...], str], bytes] = {}
        for viewer in self._viewers:
            data = said.get((viewer.key, viewer.tongue))
            if data is None:
                data = self._channel(viewer.key).cut(frame, viewer.tongue)
                said[viewer.key, viewer.tongue] = data
            viewer.put("cycle", data)

    def lost(self, reason: str) -> None:
        """The control plane is silent."""
        if self.connected or self.problem is None:
            self.lost_count += 1
            _log.warning("the control plane is silent: %s", reason)
            for viewer in self._viewers:
                viewer.put("lost", _event("lost", {"problem": reason}, viewer.tongue))
        self.connected, self.problem = False, reason

    def _channel(self, key: str | tuple[str, ...]) -> Channel:
        found = self._channels.get(key)
        if found is None:
            assert self._columns is not None  # noqa: S101  only while there is a feed
            if isinstance(key, tuple):
                chosen = [self.index[name] for name in key if name in self.index]
            else:
                chosen = [
                    i for i, name in enumerate(self.names) if key == "all" or not _NUMBERED.search(name)
                ]
            found = self._channels[key] = Channel(self._columns, np.array(chosen, np.intp))
        return found

    def _greet(self, viewer: Viewer) -> None:
        channel = self._channel(viewer.key)
        hello = {
            "site": self._site, "version": bessai.__version__, "period": self.period, "points": channel.names,
            "units": channel.units, "part": channel.part.tolist(), "server_time": time.time_ns() // 1_000_000,
        }  # fmt: skip
        viewer.put("hello", _event("hello", hello))
        if self.latest is not None:  # what is known already need not wait for the next whole frame
            at = channel.columns
            ages = self.ages[at].astype(np.float32)
            viewer.put(
                "cycle",
                _cycle(self.latest, True, self.values[at], self.quality[at], ages, (), viewer.tongue),
            )

    async def _tell_status(self) -> None:
        while True:
            await asyncio.sleep(_STATUS_EVERY)
            if not self._viewers or not self.connected:
                continue
            with contextlib.suppress(Problem):
                told = await self._gateway.summary()
                tongues = {viewer.tongue for viewer in self._viewers}
                said = {tongue: _event("status", told, tongue) for tongue in tongues}
                for viewer in self._viewers:
                    viewer.put("status", said.get(viewer.tongue) or _event("status", told, viewer.tongue))


def _event(kind: str, data: dict[str, Any], tongue: str = "en") -> bytes:
    text = json.dumps(spoken(data, tongue), separators=(",", ":"), allow_nan=False)
    return f"event: {kind}\ndata: {text}\n\n".encode()


def _cycle(
    frame: Frame,
    whole: bool,
    values: NDArray[np.float64],
    quality: NDArray[np.uint8],
    ages: NDArray[np.float32],
    events: Sequence[dict[str, Any]],
    tongue: str,
) -> bytes:
    """The event up to the number of missed cycles, which differs by viewer."""
    said = {
        "cycle": frame.cycle, "time": frame.wall_ns // 1_000_000, "whole": whole,
        "values": _packed(values, "<f8"), "quality": _packed(quality, "u1"), "ages": _packed(ages, "<f4"),
        "decision": decided(frame.decision, tongue),
        "events": [
            {**{name: value for name, value in event.items() if name != "wall_ns"},
             "time": event["wall_ns"] // 1_000_000}
            for event in spoken(list(events), tongue)
        ],
    }  # fmt: skip
    text = json.dumps(said, separators=(",", ":"), allow_nan=False)
    return f'event: cycle\ndata: {text[:-1]},"missed":'.encode()


def _packed(column: NDArray[Any], kind: str) -> str:
    return base64.b64encode(column.astype(kind).tobytes()).decode()
