"""The values behind the point list: points of the site from the feed, and the gateway's own.

The gateway's own (`bessai.site.scada.names`) are `decision.NAME` (what the last cycle decided), `alarm:CODE` (1 while
it stands), `gateway.NAME`, `grid.NAME` (the grid functions, asked for every few seconds), `command.TARGET` (what a
master was granted last) and `scada.NAME` (the link).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from bessai.interfaces.scada.feed import Columns, Frame
from bessai.model import Quality
from bessai.site.scada.names import GUARD_STATES

_NUMBERS: Final = ("setpoint", "asked", "offset", "reactive", "reactive_asked")
_GOOD = int(Quality.GOOD)
_MISSING = int(Quality.MISSING)
_OWN = ("decision.", "alarm:", "gateway.", "grid.", "scada.", "command.")


def is_own(name: str) -> bool:
    """True for the gateway's own values, which are no points of the site."""
    return name.startswith(_OWN)


class Sources:
    """One value, quality and time a name. Times are UTC nanoseconds; ages run on monotonic seconds.

    Args:
        names: of the values that the point list needs.
        now: monotonic seconds.
    """

    def __init__(self, names: Iterable[str], now: float) -> None:
        self.names: Final[tuple[str, ...]] = tuple(dict.fromkeys(names))
        self.index: Final[Mapping[str, int]] = {name: i for i, name in enumerate(self.names)}
        size = len(self.names)
        self.values = np.full(size, np.nan)
        self.quality = np.full(size, _MISSING, dtype=np.uint8)
        self.times = np.zeros(size, dtype=np.int64)
        self.good_at = np.full(size, now)
        """Monotonic seconds at which the last good value was measured; the start where there was none."""
        self.alarms: dict[tuple[str, str | None], str] = {}
        """Code and point of what stands, and its severity."""
        self._own = [name for name in self.names if is_own(name)]
        self._own_at = np.array([self.index[name] for name in self._own], dtype=np.intp)
        self._told: dict[str, float] = {}
        self._where = np.empty(0, dtype=np.intp)
        self.of_site = np.array([not is_own(name) for name in self.names], dtype=np.bool_)
        """True for points of the site."""

    @property
    def watched(self) -> list[str]:
        """Points of the site, for the feed."""
        return [name for name in self.names if not is_own(name)]

    def started(self, columns: Columns) -> None:
        """The feed begins.

        Raises:
            ValueError: it brings a point that was not asked for.
        """
        unknown = [name for name in columns.names if name not in self.index]
        if unknown:
            raise ValueError(f"the feed brings {unknown[0]}, which nobody asked for")
        self._where = np.array([self.index[name] for name in columns.names], dtype=np.intp)
        self.alarms = dict(columns.alarms)

    def frame(self, frame: Frame, now: float) -> None:
        """Take up a cycle that was received at `now`."""
        where = self._where if frame.positions is None else self._where[frame.positions]
        ages = frame.ages.astype(np.float64)
        self.values[where] = frame.values
        self.quality[where] = frame.quality
        self.times[where] = frame.times_ns()
        good = (frame.quality == _GOOD) & np.isfinite(frame.values) & np.isfinite(ages)
        self.good_at[where[good]] = now - np.maximum(ages[good], 0.0)
        self._note_alarms(frame.events)
        self.learn({"gateway.alive": 1.0, **_decided(frame.decision)})
        self.put_own(now, frame.wall_ns, anew=True)

    def oldest(self, now: float) -> float | None:
        """Age in seconds of the oldest good value of the site; None when there is none."""
        ages = now - self.good_at[self.of_site & (self.quality == _GOOD)]
        return float(ages.max()) if ages.size else None

    def learn(self, values: Mapping[str, float]) -> None:
        """Set values of the gateway's own; one that is not finite is unknown. They count from the next `put_own`."""
        self._told.update(values)

    def forget(self, prefix: str) -> None:
        """Values of the gateway's own that nobody knows any more."""
        for name in [name for name in self._told if name.startswith(prefix)]:
            del self._told[name]

    def put_own(self, now: float, wall_ns: int, *, anew: bool = False) -> None:
        """Take up the gateway's own values; `anew`: a cycle has computed them, else the time tells the last change."""
        standing = {code for code, _ in self.alarms}
        oldest = self.oldest(now)
        self._told["gateway.alarm"] = float("alarm" in self.alarms.values())
        self._told["gateway.data_age"] = math.nan if oldest is None else oldest
        for name, i in zip(self._own, self._own_at, strict=True):
            value = (
                float(name[6:] in standing) if name.startswith("alarm:") else self._told.get(name, math.nan)
            )
            known = math.isfinite(value)
            if anew or not known or value != self.values[i] or self.quality[i] != _GOOD:
                self.times[i] = wall_ns
            self.values[i] = value
            self.quality[i] = _GOOD if known else _MISSING
            if known:
                self.good_at[i] = now

    def _note_alarms(self, events: Sequence[Mapping[str, Any]]) -> None:
        for event in events:
            key = (str(event.get("code")), event.get("point"))
            if event.get("active", True):
                self.alarms[key] = str(event.get("severity"))
            else:
                self.alarms.pop(key, None)


def _decided(decision: Mapping[str, Any]) -> dict[str, float]:
    """What the point list may name of a decision; what is no number is unknown."""
    low, high = _pair(decision.get("bounds"))
    told = {name: _number(decision.get(name)) for name in _NUMBERS}
    told |= {"power_min": low, "power_max": high}
    told |= {"tripped": _any(decision.get("trips")), "limited": _any(decision.get("limited_by"))}
    state = decision.get("state")
    told["state"] = float(GUARD_STATES.index(state)) if state in GUARD_STATES else math.nan
    return {f"decision.{name}": value for name, value in told.items()}


def _any(value: Any) -> float:
    return float(bool(value)) if isinstance(value, Sequence) else math.nan


def _pair(value: Any) -> tuple[float, float]:
    if isinstance(value, Mapping):
        return _number(value.get("low")), _number(value.get("high"))
    if isinstance(value, Sequence) and len(value) == 2:
        return _number(value[0]), _number(value[1])
    return math.nan, math.nan


def _number(value: Any) -> float:
    return float(value) if isinstance(value, bool | int | float) else math.nan
