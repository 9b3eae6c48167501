"""Keeps what happened around each grid event: records before it, during it and after it, at the journal's full rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessai.grid.records import RecordSettings
from bessai.performance.excursion import GridEvent, Kind, Limits
from bessai.performance.samples import SECOND, Bools, Floats, Ints, Samples
from bessai.performance.settings import Plant

FIELDS = ("frequency", "voltage", "active_power", "reactive_power", "rocof")
"""What is kept of each record, NaN where it was no evidence. Hz, V, kW, kvar, Hz/s."""

Key = tuple[int, int, Kind]
"""Epoch, sequence of the first record beyond the limit, and kind."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Records around an event."""

    wall_ns: Ints
    """UTC nanoseconds of the tick."""
    values: Floats
    """A column for each of `FIELDS`."""

    def __len__(self) -> int:
        return len(self.wall_ns)

    def __getitem__(self, key: slice | Bools) -> Rows:
        """Some of the rows."""
        return Rows(wall_ns=self.wall_ns[key], values=self.values[key])

    def __add__(self, more: Rows) -> Rows:
        """These, and more behind them."""
        return Rows(
            wall_ns=np.concatenate([self.wall_ns, more.wall_ns]),
            values=np.concatenate([self.values, more.values]),
        )


NO_ROWS = Rows(wall_ns=np.zeros(0, np.int64), values=np.zeros((0, len(FIELDS))))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signals:
    """What one stretch of samples says to each kind of event."""

    times: Mapping[Kind, Ints]
    """Of the measurements, UTC nanoseconds."""
    values: Mapping[Kind, Floats]
    """NaN where there is no new measurement."""


def limits(plant: Plant) -> Mapping[Kind, Limits]:
    """From where on a kind of event begins."""
    given: RecordSettings = plant.settings
    after_ns, gap_ns = int(given.after * SECOND), int(given.gap * SECOND)

    def around(middle: float, band: float, back: float) -> Limits:
        back = min(back, band)
        return Limits(low=middle - band, high=middle + band, back=back, after_ns=after_ns, gap_ns=gap_ns)

    return {
        "frequency": around(plant.nominal_frequency, given.frequency_band, given.frequency_return),
        "rocof": around(0.0, given.rocof_limit, 0.0),
        "voltage": around(100.0, given.voltage_band, given.voltage_return),
    }


@dataclass(slots=True, eq=False)
class EventRecorder:
    """Finds events in samples. What is to be stored gathers in `touched` and `parts` until it is taken."""

    plant: Plant
    open: dict[Kind, GridEvent] = field(default_factory=dict)
    touched: dict[Key, GridEvent] = field(default_factory=dict)
    """Events that have changed."""
    parts: list[tuple[Key, int, Rows]] = field(default_factory=list)
    """Records of events, each part with the number of its first row."""
    _recent: Rows = NO_ROWS
    """Those that may stand before the next event."""

    def fold(self, part: Samples, rows: Rows, signals: Signals, epoch: int) -> None:
        """Take a stretch of samples, in which the clock never goes back."""
        known = self._recent + rows
        before = len(self._recent)
        for kind, limit in limits(self.plant).items():
            self._follow(kind, limit, part, known, before, signals, epoch)
        if len(known):
            recent = known.wall_ns >= known.wall_ns[-1] - int(self.plant.settings.before * SECOND)
            self._recent = known[recent]

    def clock_set_back(self) -> None:
        """End what is open: what comes now cannot be put behind it."""
        for kind, event in list(self.open.items()):
            event.ending = "returned" if event.end_ns is not None else "clock set back"
            self._close(kind)
        self._recent = NO_ROWS

    def _follow(self, kind: Kind, limit: Limits, part: Samples, known: Rows, before: int,
                signals: Signals, epoch: int) -> None:  # fmt: skip
        times, values = signals.times[kind], signals.values[kind]
        outside = np.flatnonzero((values < limit.low) | (values > limit.high))
        row = 0
        while row < len(part):
            first = row + before
            if kind not in self.open:
                later = outside[outside >= row]
                if not len(later):
                    return
                row = int(later[0])
                start_ns, value = int(times[row]), float(values[row])
                self.open[kind] = GridEvent(
                    kind=kind, epoch=epoch, sequence=int(part.sequences[row]), start_ns=start_ns, low=limit.low,
                    high=limit.high, minimum=value, minimum_ns=start_ns, maximum=value, maximum_ns=start_ns,
                )  # fmt: skip
                pre_ns = int(self.plant.settings.before * SECOND)
                first = int(np.searchsorted(known.wall_ns, start_ns - pre_ns))
            event = self.open[kind]
            begin = row
            while row < len(part) and event.ending is None:
                value = float(values[row])
                limit.follow(
                    event, None if np.isnan(value) else value, int(times[row]), int(part.wall_ns[row])
                )
                row += 1
            self._steepest(event, signals, slice(begin, row))
            self._keep(event, known[first : row + before])
            if event.ending is not None:
                self._close(kind)

    def _steepest(self, event: GridEvent, signals: Signals, rows: slice) -> None:
        times, slopes = signals.times["rocof"][rows], signals.values["rocof"][rows]
        lasted = ~np.isnan(slopes) & (times >= event.start_ns)
        if event.end_ns is not None:
            lasted &= times <= event.end_ns
        for slope in slopes[lasted].tolist():
            if event.rocof_worst is None or abs(slope) > abs(event.rocof_worst):
                event.rocof_worst = slope

    def _keep(self, event: GridEvent, rows: Rows) -> None:
        key = (event.epoch, event.sequence, event.kind)
        room = self.plant.settings.event_rows - event.rows
        event.truncated |= len(rows) > room
        if room > 0 and len(rows):
            self.parts.append((key, event.rows, rows[:room]))
            event.rows += min(room, len(rows))
        self.touched[key] = event

    def _close(self, kind: Kind) -> None:
        event = self.open.pop(kind)
        self.touched[event.epoch, event.sequence, kind] = event

    def state(self) -> dict[str, Any]:
        """What is needed to go on after a restart, as data for JSON."""
        return {
            "open": [event.plain() for event in self.open.values()],
            "wall_ns": self._recent.wall_ns.tolist(),
            "values": self._recent.values.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` said."""
        self.open = {event["kind"]: GridEvent(**event) for event in state["open"]}
        values = np.array(state["values"], np.float64).reshape(-1, len(FIELDS))
        self._recent = Rows(wall_ns=np.array(state["wall_ns"], np.int64), values=values)
