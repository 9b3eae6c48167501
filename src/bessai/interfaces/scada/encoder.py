"""Points as ASDUs of IEC 60870-5-104."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bessai.iec104 import SIZES, Cause, CounterBit, InfoObject, QualityBit, Sizes, TypeId, pack
from bessai.interfaces.scada.station import INVALID, NOT_TOPICAL, Changes, Station
from bessai.site.scada import Iec104

CHUNK: Final = 480
"""Points that an interrogation looks at in one go."""
_COUNTS: Final = 1 << 31
_KINDS: Final = ("single", "double", "normalized", "scaled", "float")


class Encoder:
    """Turns states and events of a station into ASDUs.

    Args:
        station: the states.
        settings: addresses and sizes.
    """

    def __init__(self, station: Station, settings: Iec104) -> None:
        self.sizes = Sizes(
            cause=settings.cause_size, address=settings.address_size, object=settings.object_size
        )
        if self.sizes == SIZES:
            self.sizes = SIZES
        self._originator = settings.originator if settings.cause_size > 1 else 0
        self._station = station
        self._points = station.points
        self._settings = settings
        kinds = np.array([point.kind for point in self._points])
        self._of_kind = {kind: kinds == kind for kind in (*_KINDS, "counter")}
        self._groups = np.array([point.group or 0 for point in self._points], dtype=np.intp)
        self._at = {point.ioa: i for i, point in enumerate(self._points)}

        periods = np.array([point.period or 0.0 for point in self._points])
        self._cyclic = {float(period): periods == period for period in np.unique(periods) if period > 0}

    @property
    def periods(self) -> list[float]:
        """Seconds between cyclic reports, as the points ask for them."""
        return list(self._cyclic)

    def cyclic(self, period: float, time: int) -> Iterator[bytes]:
        """The points of one period as they are now; counters with the time, as frozen at this moment."""
        wanted, originator = self._cyclic[period], self._originator
        for kind in _KINDS:
            yield from self._now(
                np.flatnonzero(wanted & self._of_kind[kind]), int(Cause.PERIODIC), originator
            )
        counters = np.flatnonzero(wanted & self._of_kind["counter"]).tolist()
        yield from self.counters(self.count(counters, time=time), int(Cause.SPONTANEOUS), originator)

    def where(self, ioa: int) -> int | None:
        """Position of the point with an address; None when there is none."""
        return self._at.get(ioa)

    def events(self, changes: Changes) -> list[tuple[bytes, int]]:
        """Spontaneous reports with time, and the number of events in each. Points of one kind keep their order."""
        made: list[tuple[bytes, int]] = []
        for kind in _KINDS:
            chosen = np.flatnonzero(self._of_kind[kind][changes.points])
            if not chosen.size:
                continue
            objects = [
                self._object(int(point), value, flags, time)
                for point, value, flags, time in zip(
                    changes.points[chosen].tolist(),
                    changes.values[chosen].tolist(),
                    changes.flags[chosen].tolist(),
                    changes.times[chosen].tolist(),
                    strict=True,
                )
            ]
            type_id = TypeId(self._points[int(changes.points[chosen[0]])].timed_type_id)
            made += self._pack(type_id, int(Cause.SPONTANEOUS), objects, self._originator)
        return made

    def states(self, cause: int, originator: int, group: int | None = None) -> Iterator[bytes]:
        """Every point that is no counter, or those of a group, as they are when their turn comes."""
        for kind in _KINDS:
            wanted = self._of_kind[kind] if group is None else self._of_kind[kind] & (self._groups == group)
            yield from self._now(np.flatnonzero(wanted), cause, originator)

    def read(self, point: int, cause: int, originator: int) -> list[bytes]:
        """One point as it is now."""
        if self._points[point].kind == "counter":
            return self.counters(self.count([point]), cause, originator)
        return list(self._now(np.array([point], dtype=np.intp), cause, originator))

    def counter_points(self, group: int | None) -> list[int]:
        """Positions of the counters, or of those of a group 1 … 4."""
        wanted = self._of_kind["counter"]
        return np.flatnonzero(wanted if group is None else wanted & (self._groups == group)).tolist()

    def count(self, points: Sequence[int], sequence: int = 0, time: int | None = None) -> list[InfoObject]:
        """Readings of counters as they are now."""
        station = self._station
        readings = []
        for point in points:
            turns, count = divmod(round(float(station.values[point])), _COUNTS)
            bad = int(station.flags[point]) & (INVALID | NOT_TOPICAL)
            quality = (CounterBit.INVALID if bad else 0) | (CounterBit.CARRY if turns else 0)
            readings.append(
                InfoObject(
                    address=self._points[point].ioa,
                    value=count,
                    quality=quality,
                    qualifier=sequence,
                    time=time,
                )
            )
        return readings

    def counters(self, readings: Sequence[InfoObject], cause: int, originator: int) -> list[bytes]:
        """Readings of counters; with the time of the freeze where there is one."""
        frozen = bool(readings) and readings[0].time is not None
        type_id = TypeId.M_IT_TB_1 if frozen else TypeId.M_IT_NA_1
        return [data for data, _ in self._pack(type_id, cause, readings, originator)]

    def _now(self, points: NDArray[np.intp], cause: int, originator: int) -> Iterator[bytes]:
        station = self._station
        for start in range(0, len(points), CHUNK):
            chunk = points[start : start + CHUNK]
            values, flags = station.values[chunk].tolist(), station.flags[chunk].tolist()
            objects = [
                self._object(point, value, flag, None)
                for point, value, flag in zip(chunk.tolist(), values, flags, strict=True)
            ]
            type_id = TypeId(self._points[int(chunk[0])].type_id)
            for data, _ in self._pack(type_id, cause, objects, originator):
                yield data

    def _object(self, position: int, value: float, flags: int, time: int | None) -> InfoObject:
        point = self._points[position]
        wire: bool | int | float = value
        if point.kind == "single":
            wire, flags = bool(value), flags & ~QualityBit.OVERFLOW
        elif point.kind == "double":
            wire, flags = int(value), flags & ~QualityBit.OVERFLOW
        elif point.kind == "scaled":
            wire = round(value)
        elif point.kind == "normalized" and point.full_scale:
            wire = value / point.full_scale
        return InfoObject(address=point.ioa, value=wire, quality=flags, time=time)

    def _pack(
        self, type_id: TypeId, cause: int, objects: Sequence[InfoObject], originator: int
    ) -> list[tuple[bytes, int]]:
        address = self._settings.common_address
        return pack(type_id, cause, address, objects, originator=originator, sizes=self.sizes)
