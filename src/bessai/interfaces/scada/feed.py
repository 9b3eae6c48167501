"""The live feed: every cycle of the control plane, as it happens, over the local socket's op `watch`.

    async def main(listener):
        await follow(path, ["soc", "active_power"], listener)     # for ever; reconnects by itself

A follower that does not keep up loses frames, never holds the cycle up, and is told how many it lost.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_log = logging.getLogger(__name__)

_LINE = 64 << 20
"""Longest line in bytes: a whole frame of a million points."""
_SILENCE = 5.0
"""Seconds, or five periods if that is more, without a frame after which the feed counts as lost."""
_ANSWER = 5.0
"""Seconds that the gateway has to answer."""
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each new attempt; the last one repeats."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What the frames of a feed consist of."""

    names: tuple[str, ...]
    """Points, in the order of whole frames."""
    units: tuple[str | None, ...]
    """Their units."""
    period: float
    """Seconds between frames."""
    part: NDArray[np.intp]
    """Positions that are in every frame; the others only in whole ones."""
    alarms: Mapping[tuple[str, str | None], str]
    """Code and point of each alarm that stands as the feed begins, and its severity."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One cycle."""

    cycle: int
    """Number of the cycle since the start of the gateway."""
    wall_ns: int
    """UTC nanoseconds of the cycle."""
    positions: NDArray[np.intp] | None
    """Positions of the values in `Columns.names`; None: all of them."""
    values: NDArray[np.float64]
    """NaN where nothing was ever decoded."""
    quality: NDArray[np.uint8]
    """One `bessai.model.Quality` each."""
    ages: NDArray[np.float32]
    """Seconds since each was measured, NaN where never."""
    decision: dict[str, Any]
    """What the gateway decided in this cycle."""
    events: Sequence[dict[str, Any]]
    """What happened in this cycle."""
    missed: int
    """Frames that were left out since the feed began, because it was not read fast enough."""

    def times_ns(self) -> NDArray[np.int64]:
        """UTC nanoseconds at which each value was measured; that of the cycle where it never was."""
        ages = np.nan_to_num(self.ages.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        found: NDArray[np.int64] = self.wall_ns - (ages * 1e9).astype(np.int64)
        return found


class Listener(Protocol):
    """Is told what the feed brings. Called in the loop of the feed; must not block."""

    def started(self, columns: Columns) -> None:
        """The feed begins, for the first time or anew."""
        ...

    def frame(self, frame: Frame) -> None:
        """A cycle."""
        ...

    def lost(self, reason: str) -> None:
        """The feed has ended; it is taken up again by itself."""
        ...


class FeedError(Exception):
    """The gateway does not give the feed; the message says why."""


async def follow(path: Path, points: Sequence[str] | None, listener: Listener) -> None:
    """Follow the feed until cancelled.

    Args:
        path: of the local socket.
        points: names to watch; None for all.
        listener: is told.
    """
    attempt = 0
    while True:
        try:
            async with contextlib.aclosing(_one_feed(path, points)) as items:
                async for item in items:
                    if isinstance(item, Columns):
                        attempt = 0
                        listener.started(item)
                    else:
                        listener.frame(item)
            reason = "the gateway ended the feed"
        except (OSError, FeedError, ValueError, KeyError, TypeError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
        listener.lost(reason)
        await asyncio.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
        attempt += 1


async def ask(path: Path, message: dict[str, Any], limit: float = _ANSWER) -> dict[str, Any]:
    """Send one message to the gateway and return its answer.

    Raises:
        OSError: nobody answers (TimeoutError, ConnectionError among them).
        ValueError: the answer is no JSON object.
    """
    async with asyncio.timeout(limit):
        reader, writer = await asyncio.open_unix_connection(path, limit=_LINE)
        with contextlib.closing(writer):
            return await _say(reader, writer, message)


async def _say(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: dict[str, Any]
) -> dict[str, Any]:
    writer.write(json.dumps(message, allow_nan=False).encode() + b"\n")
    line = await reader.readline()
    if not line:
        raise ConnectionResetError("the gateway closed the connection")
    answer = json.loads(line)
    if not isinstance(answer, dict):
        raise ValueError("the gateway's answer is no JSON object")
    return answer


async def _one_feed(path: Path, points: Sequence[str] | None) -> AsyncGenerator[Columns | Frame]:
    async with asyncio.timeout(_ANSWER):
        reader, writer = await asyncio.open_unix_connection(path, limit=_LINE)
    with contextlib.closing(writer):
        wanted = None if points is None else list(points)
        async with asyncio.timeout(_ANSWER):
            said = await _say(reader, writer, {"op": "watch", "points": wanted})
        if not said.get("ok"):
            raise FeedError(str(said.get("error") or "the gateway gave no reason"))
        # asked for after the feed began: what changes from here on is in its events
        columns = _columns(said, await _alarms(path))
        yield columns
        silence = max(_SILENCE, 5 * columns.period)
        while True:
            try:
                async with asyncio.timeout(silence):
                    line = await reader.readline()
            except TimeoutError:
                raise FeedError(f"no cycle was told of for {silence:g} s") from None
            if not line:
                return
            yield _frame(json.loads(line), columns)


async def _alarms(path: Path) -> dict[tuple[str, str | None], str]:
    answer = await ask(path, {"op": "alarms"})
    entries = answer.get("alarms") if answer.get("ok") else None
    return {
        (str(entry["code"]), entry.get("point")): str(entry.get("severity"))
        for entry in (entries if isinstance(entries, list) else [])
        if entry.get("active")
    }


def _columns(said: dict[str, Any], alarms: Mapping[tuple[str, str | None], str]) -> Columns:
    names = tuple(str(name) for name in said["points"])
    part = np.array(said["part"], dtype=np.intp)
    if part.size and not 0 <= part.min() <= part.max() < len(names):
        raise ValueError("the feed names positions that it does not have")
    return Columns(
        names=names, units=tuple(said["units"]), period=float(said["period"]), part=part, alarms=alarms
    )


def _frame(said: dict[str, Any], columns: Columns) -> Frame:
    positions = None if said["whole"] else columns.part
    size = len(columns.names) if positions is None else len(positions)
    values = np.frombuffer(base64.b64decode(said["values"]), dtype="<f8")
    quality = np.frombuffer(base64.b64decode(said["quality"]), dtype=np.uint8)
    ages = np.frombuffer(base64.b64decode(said["ages"]), dtype="<f4")
    if not len(values) == len(quality) == len(ages) == size:
        raise ValueError(f"a frame with {len(values)} values where {size} were announced")
    return Frame(
        cycle=int(said["cycle"]),
        wall_ns=int(said["wall_ns"]),
        positions=positions,
        values=values,
        quality=quality,
        ages=ages,
        decision=dict(said.get("decision") or {}),
        events=tuple(said.get("events") or ()),
        missed=int(said.get("missed") or 0),
    )
