"""The latest value, quality and time of every column of one device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bessai.model import Quality
from bessai.registry import CompiledProfile, ReadPlan

# plain numbers: numpy takes a member of the enumeration several times as slowly
_GOOD, _STALE, _ABSENT = int(Quality.GOOD), int(Quality.STALE), int(Quality.ABSENT)
_IMPLAUSIBLE, _FROZEN = int(Quality.IMPLAUSIBLE), int(Quality.FROZEN)

_SHORTEST = 1.0
"""Seconds over which a rate of change is judged at least: between fast readings, resolution is no spike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often each poll class is read, and how old its values may become. All in seconds."""

    normal: float = 5.0
    slow: float = 60.0
    stale_fast: float = 3.0
    """Older than this, a value of class `fast` is no evidence. Fast values are read every cycle."""
    cycle: float = 1.0
    """How often the driver is asked for the fast class; the others follow behind it."""

    def period(self, poll: str) -> float:
        """Seconds between reads; infinite for `once`, which is read after connecting."""
        return {"normal": self.normal, "slow": self.slow, "once": float("inf")}.get(poll, 0.0)

    def stale_after(self, poll: str) -> float:
        """Seconds after which a value of this class is stale. Nameplate data (`once`) never is."""
        return self.stale_fast if poll == "fast" else 3 * max(self.period(poll), self.cycle)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Arrays:
    """The columns' memory; of a device on its own, or a part of a plant's."""

    values: NDArray[np.float64]
    quality: NDArray[np.uint8]
    times: NDArray[np.float64]
    """Monotonic seconds of measurement, NaN where never."""
    stale_after: NDArray[np.float64]
    """Seconds after which a value is stale."""

    @classmethod
    def empty(cls, size: int) -> Arrays:
        """Nothing known yet."""
        return cls(
            values=np.full(size, np.nan),
            quality=np.full(size, Quality.MISSING, np.uint8),
            times=np.full(size, np.nan),
            stale_after=np.full(size, np.inf),
        )

    def part(self, columns: slice) -> Arrays:
        """A window on some columns, sharing the memory."""
        return Arrays(
            values=self.values[columns],
            quality=self.quality[columns],
            times=self.times[columns],
            stale_after=self.stale_after[columns],
        )

    def frozen(self, now: float) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64]]:
        """Copies of values, qualities and times, with what is too old marked stale."""
        quality = self.quality.copy()
        stale = now - self.times > self.stale_after
        if stale.any():  # a missing value has no time, and an absent one does not age
            quality[stale & (quality != _ABSENT)] = _STALE
        return self.values.copy(), quality, self.times.copy()


class Columns:
    """What a driver knows of its device, kept plausible.

    A value that changes faster than its point's `rate_max` is marked implausible once; when the next reading agrees
    with it, it is believed. A device whose `alive` counter stands still has every good value marked frozen.
    """

    def __init__(self, profile: CompiledProfile, pace: Pace, arrays: Arrays | None = None) -> None:
        size = len(profile.layout)
        self.arrays = Arrays.empty(size) if arrays is None else arrays
        self.texts: dict[str, str] = {}
        self.spikes = 0
        """Readings that were marked implausible."""
        for plan in profile.plans.values():
            self.arrays.stale_after[plan.columns] = pace.stale_after(plan.poll)
        rates = [profile.points[name].rate_max or math.inf for name in profile.layout.names]
        self._rates = np.array(rates) if any(map(math.isfinite, rates)) else None
        self._trusted = (np.full(size, np.nan), np.full(size, np.nan)) if self._rates is not None else None
        self._alive = profile.alive
        self._beat = -1 if profile.alive is None else profile.layout.index[profile.alive.point]
        self._beat_value, self._beat_since = math.nan, math.nan

    def store(
        self,
        plan: ReadPlan,
        raw: NDArray[np.float64],
        now: float,
        where: NDArray[np.bool_] | slice = slice(None),
    ) -> None:
        """Scale raw numbers of a plan and keep those of the plan's columns that `where` selects."""
        arrays = self.arrays
        columns = plan.columns[where]
        before = (arrays.values[columns], arrays.quality[columns]) if self._rates is not None else None
        plan.place(raw, arrays.values, arrays.quality, where)
        if before is not None:
            self._judge(columns, *before, now)
        arrays.times[columns] = now
        if self._beat >= 0:
            self._listen(now)

    def _listen(self, now: float) -> None:
        """Note when the counter moved. One that was never read, or no longer is, counts as standing still."""
        value = float(self.arrays.values[self._beat])
        good = self.arrays.quality[self._beat] == _GOOD
        if math.isnan(self._beat_since) or (good and value != self._beat_value):
            self._beat_since = now
            self._beat_value = value if good else math.nan

    def absent(self, column: int, now: float) -> None:
        """The device has no such register."""
        self.arrays.values[column] = np.nan
        self.arrays.quality[column] = Quality.ABSENT
        self.arrays.times[column] = now

    def forget(self, columns: NDArray[np.intp] | slice = slice(None)) -> None:
        """What these columns held is no longer known: the device may be another one now."""
        self.arrays.values[columns] = np.nan
        self.arrays.quality[columns] = Quality.MISSING
        self.arrays.times[columns] = np.nan

    def mark_frozen(self, quality: NDArray[np.uint8], now: float) -> bool:
        """Mark a copy of the qualities when the device's counter stands still. True when it does."""
        if self._alive is None or not now - self._beat_since > self._alive.within:
            return False
        quality[quality == _GOOD] = _FROZEN
        return True

    def frozen(self, now: float) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64]]:
        """Copies of values, qualities and times as of `now`, with stale and frozen values marked."""
        values, quality, times = self.arrays.frozen(now)
        self.mark_frozen(quality, now)
        return values, quality, times

    def _judge(
        self,
        columns: NDArray[np.intp],
        values: NDArray[np.float64],
        quality: NDArray[np.uint8],
        now: float,
    ) -> None:
        """Mark what changed too fast since the last trusted reading and does not agree with the last one."""
        if self._rates is None or self._trusted is None:
            return
        arrays, (trusted, trusted_at) = self.arrays, self._trusted
        new, rates = arrays.values[columns], self._rates[columns]
        good = arrays.quality[columns] == _GOOD
        with np.errstate(invalid="ignore"):
            allowed = rates * np.maximum(now - trusted_at[columns], _SHORTEST)
            jump = np.abs(new - trusted[columns]) > allowed  # false where nothing was trusted yet
            again = (quality == _IMPLAUSIBLE) & (
                np.abs(new - values) <= rates * np.maximum(now - arrays.times[columns], _SHORTEST)
            )
        spike = good & jump & ~again
        if spike.any():
            self.spikes += int(spike.sum())
            arrays.quality[columns[spike]] = _IMPLAUSIBLE
        kept = columns[good & ~spike]
        trusted[kept], trusted_at[kept] = arrays.values[kept], now
