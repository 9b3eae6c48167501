"""Every point of the station as DNP3 objects: flags, values and indices.

DNP3 carries values in the unit shown, as floating point numbers: `normalized` and `scaled` are shapes of IEC
60870-5-104. A double point is two binary inputs: its position ON, and its position OFF at the next index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bessai.interfaces.dnp3.events import Events
from bessai.interfaces.scada.station import INVALID, NOT_TOPICAL, OVERFLOW, Changes, Station
from bessai.site.scada import CommandPoint

ONLINE: Final = 0x01
RESTART: Final = 0x02
COMM_LOST: Final = 0x04
OVER_RANGE: Final = 0x20
STATE: Final = 0x80

_COUNTS: Final = 1 << 32


def _table() -> NDArray[np.uint8]:
    flags = np.arange(256)
    table = np.where(flags & OVERFLOW, ONLINE | OVER_RANGE, ONLINE)
    table = np.where(flags & NOT_TOPICAL, COMM_LOST, table)
    return np.where(flags & INVALID, 0, table).astype(np.uint8)


_TABLE = _table()
"""DNP3 flags of each combination of the station's quality bits: unknown is off-line, old is off-line with
communication lost."""


class Image:
    """Reads the station in DNP3 terms, and turns its changes into events.

    Args:
        station: the states of all points.
        commands: what may be commanded, for the status of the outputs.
        events: where changes go.
    """

    def __init__(self, station: Station, commands: Sequence[CommandPoint], events: Events) -> None:
        self._station = station
        self._events = events
        self._commands = tuple(commands)
        binary: list[tuple[int, int]] = []
        for i, point in enumerate(station.points):
            if point.kind == "single":
                binary.append((i, 0))
            elif point.kind == "double":
                binary += [(i, 1), (i, 0)]  # ON is bit 1 of its state, OFF is bit 0
        self._binary = np.array([i for i, _ in binary], dtype=np.intp)
        self._bit = np.array([bit for _, bit in binary], dtype=np.int64)
        self._analog = self._of(lambda kind: kind in ("normalized", "scaled", "float"))
        self._counter = self._of(lambda kind: kind == "counter")
        self._counted = np.zeros(len(self._counter), dtype=np.int64)
        self._counted_flags = self._flags(self._counter)
        self._count_band = np.array([station.points[i].dead_band for i in self._counter])

    def _of(self, wanted: Callable[[str], bool]) -> NDArray[np.intp]:
        points = self._station.points
        return np.array([i for i, point in enumerate(points) if wanted(point.kind)], dtype=np.intp)

    def binaries(self) -> NDArray[np.uint8]:
        """Flags with state of every binary input, by index."""
        states = self._station.values[self._binary].astype(np.int64) >> self._bit & 1
        flags = self._flags(self._binary) & ~np.uint8(OVER_RANGE)
        return flags | (states * STATE).astype(np.uint8)

    def analogs(self) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Flags and values of every analog input, by index."""
        return self._flags(self._analog), self._station.values[self._analog]

    def counters(self) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
        """Flags and values of every counter, by index; they run over at 2^32."""
        counts = np.rint(self._station.values[self._counter]).astype(np.int64) % _COUNTS
        return self._flags(self._counter) & ~np.uint8(OVER_RANGE), counts.astype(np.uint32)

    def outputs(self, told: Mapping[str, float], *, analog: bool) -> list[tuple[int, float]]:
        """Flags and value of every output, by index: what was accepted last, off-line where there is none.

        Args:
            told: value of each `command.TARGET`.
            analog: True for the analog outputs, False for the binary ones.
        """
        found: list[tuple[int, float]] = []
        for command in self._commands:
            if command.is_setpoint == analog:
                value = told.get(f"command.{command.target}")
                shown = 0.0 if value is None else value * command.sign * command.scale
                found.append((0 if value is None else ONLINE, shown))
        return found

    def note(self, changes: Changes) -> None:
        """Keep what has changed as events."""
        points = self._station.points
        rows = zip(
            changes.points.tolist(),
            changes.values.tolist(),
            _TABLE[changes.flags].tolist(),
            changes.times.tolist(),
            strict=True,
        )
        for i, value, flags, time in rows:
            point = points[i]
            if point.is_measured:
                self._events.add(point.event_class, "analog", point.index, value, flags, time)
                continue
            state = int(value)
            for shift, bit in enumerate((1, 0) if point.kind == "double" else (0,)):
                on = state >> bit & 1
                told = flags & ~OVER_RANGE | (STATE if on else 0)
                self._events.add(point.event_class, "binary", point.index + shift, float(on), told, time)

    def note_counters(self, *, quiet: bool) -> None:
        """Keep counters that have moved beyond their dead band as events; `quiet`: only remember them."""
        station = self._station
        flags, counts = self.counters()
        moved = np.abs(counts.astype(np.int64) - self._counted) > self._count_band
        moved |= flags != self._counted_flags
        for number in np.flatnonzero(moved).tolist():
            self._counted[number], self._counted_flags[number] = counts[number], flags[number]
            i = int(self._counter[number])
            if not quiet:
                self._events.add(
                    station.points[i].event_class,
                    "counter",
                    number,
                    int(counts[number]),
                    int(flags[number]),
                    int(station.times[i]),
                )

    def _flags(self, at: NDArray[np.intp]) -> NDArray[np.uint8]:
        flags = _TABLE[self._station.flags[at]]
        never = (self._station.times[at] == 0) & (flags & ONLINE == 0)
        return flags | np.where(never, np.uint8(RESTART), np.uint8(0))
