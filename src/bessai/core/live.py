"""The live feed: what each cycle knew and decided, a JSON line a cycle, for those who must not wait for the journal.

    {"op": "watch", "points": ["soc", "grid_power"]}        # or null for all of them

is answered by `{"ok": true, "points": […], "units": […], "period": s, "part": [positions]}` and then by a line a cycle:

    {"cycle": n, "wall_ns": n, "whole": true, "values": …, "quality": …, "ages": …, "decision": {…}, "events": […],
     "missed": 0}

`values` (float64), `quality` (uint8, `bessai.model.Quality`) and `ages` (float32, seconds, NaN: never measured) are
little-endian columns in base64: of every point in a whole line, of the positions of `part` in the others. A watcher
that does not read loses lines, which `missed` counts, and never holds the cycle up.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessai.core.status import control_status
from bessai.model import CycleRecord, Event, Layout

log = logging.getLogger("bessai.live")

WATCHERS = 8
"""Watchers at a time."""

_WAITING = 4 << 20
"""Bytes that may wait for a slow watcher before it loses lines."""


class _Watcher:
    def __init__(self, writer: asyncio.StreamWriter, names: Sequence[str], whole: Layout) -> None:
        self.writer = writer
        self.names = names
        self.columns = np.array([whole.index[name] for name in names], np.intp)
        self.missed = 0
        self.lost: list[Event] = []
        """Events of the lines that it missed: they come with the next one."""
        self._parts: dict[int, tuple[Layout, NDArray[np.intp]]] = {}

    def columns_of(self, layout: Layout) -> NDArray[np.intp]:
        """The columns of a smaller layout that it watches, in the order of its points."""
        found = self._parts.get(id(layout))
        if found is None:
            columns = [layout.index[name] for name in self.names if name in layout.index]
            found = self._parts[id(layout)] = (layout, np.array(columns, np.intp))
        return found[1]


class LiveFeed:
    """Hands each record to the watchers.

    Args:
        layout: all points of the site.
        part: the points of every cycle; the others come once a second.
        period: seconds of a cycle.
    """

    def __init__(self, layout: Layout, part: Layout, period: float) -> None:
        self._layout = layout
        self._part = part
        self._period = period
        self._watchers: list[_Watcher] = []

    def watch(self, message: Mapping[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any]:
        """Add a watcher; the answer to its message.

        Raises:
            ValueError: with the mend.
        """
        if len(self._watchers) >= WATCHERS:
            raise ValueError(f"{WATCHERS} watchers are connected already")
        names = message.get("points")
        if names is None:
            names = list(self._layout.names)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("points: give a list of names, or null for all")
        unknown = [name for name in names if name not in self._layout.index]
        if unknown:
            raise ValueError(f"points: there is no point {unknown[0]!r}")
        if len(set(names)) < len(names):
            raise ValueError("points: name each once")
        self._watchers.append(_Watcher(writer, names, self._layout))
        return {
            "points": names,
            "units": [self._layout.units[self._layout.index[name]] for name in names],
            "period": self._period,
            "part": [i for i, name in enumerate(names) if name in self._part.index],
        }

    def has(self, writer: asyncio.StreamWriter) -> bool:
        """True while this connection watches."""
        return any(watcher.writer is writer for watcher in self._watchers)

    def forget(self, writer: asyncio.StreamWriter) -> None:
        """Its connection has ended."""
        self._watchers = [watcher for watcher in self._watchers if watcher.writer is not writer]

    def tell(self, record: CycleRecord) -> None:
        """Send a record to everybody who watches and reads. Who cannot be told is cut off, and may come again."""
        if not self._watchers:
            return
        decision = control_status(record)
        for watcher in self._watchers:
            try:
                self._tell(watcher, record, decision)
            except Exception:
                log.exception("a watcher could not be told, and is cut off")
                self.forget(watcher.writer)  # this loop goes on over the list as it was
                watcher.writer.transport.abort()

    def _tell(self, watcher: _Watcher, record: CycleRecord, decision: dict[str, Any]) -> None:
        transport = watcher.writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > _WAITING:
            watcher.missed += 1
            watcher.lost = [*watcher.lost, *record.events][-1000:]
            return
        watcher.writer.write(self._line(watcher, record, decision))

    def _line(self, watcher: _Watcher, record: CycleRecord, decision: dict[str, Any]) -> bytes:
        image = record.image
        whole = image.layout is self._layout
        columns = watcher.columns if whole else watcher.columns_of(image.layout)
        events, watcher.lost = [*watcher.lost, *record.events], []
        line = {
            "cycle": image.cycle,
            "wall_ns": image.wall_ns,
            "whole": whole,
            "values": _packed(image.values[columns], "<f8"),
            "quality": _packed(image.quality[columns], "u1"),
            "ages": _packed(image.monotonic - image.times[columns], "<f4"),
            "decision": decision,
            "events": [
                {
                    "code": event.code,
                    "severity": event.severity.label,
                    "message": event.message,
                    "active": event.active,
                    "point": event.point,
                    "value": event.value if event.value is not None and np.isfinite(event.value) else None,
                    "wall_ns": event.wall_ns,
                }
                for event in events
            ],
            "missed": watcher.missed,
        }
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _packed(column: NDArray[Any], kind: str) -> str:
    return base64.b64encode(column.astype(kind).tobytes()).decode()
