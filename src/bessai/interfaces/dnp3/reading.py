"""Answers to READ: which objects, in fragments that the master confirms one by one.

Served are the class objects (group 60), and binary inputs, analog inputs, counters, outputs and their events one by
one, each in its default variation or the ones listed here. A fragment that another one follows, or that carries events,
asks for confirmation; only then are its events forgotten.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from dnp3.application import ObjectBlock, ObjectHeader, RangeCode, build_response
from dnp3.core.flags import IIN
from numpy.typing import NDArray

from bessai.interfaces.dnp3.events import Events, Kind, PointEvent
from bessai.interfaces.dnp3.image import OVER_RANGE, STATE, Image

FRAGMENT: Final = 2048
"""Octets of a fragment at most."""
_HEADER: Final = 4
_BLOCK: Final = 3 + 4
"""Octets of an object header with a start and a stop of two octets each, or with a count."""
_SEQUENCES: Final = 16

_EVENTS: Final[dict[int, tuple[Kind, int, str]]] = {
    2: ("binary", 2, "<HB6s"),
    32: ("analog", 7, "<HBf6s"),
    22: ("counter", 5, "<HBI6s"),
}
"""Group of an event to the kind of point, the variation (with absolute time) and the octets of one."""
_GROUP_OF: Final[dict[str, int]] = {kind: group for group, (kind, _, _) in _EVENTS.items()}

_ANALOGS: Final[dict[int, str]] = {1: "<i4", 5: "<f4", 6: "<f8"}
"""Variation of an analog input to its number."""
_FLOAT: Final = 5


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment of an answer."""

    data: bytes
    sequence: int
    confirm: bool
    """True when the master has to confirm it."""
    serials: frozenset[int]
    """Events that are in it."""


class _Pages:
    """Fills fragments with blocks."""

    def __init__(self) -> None:
        self.pages: list[tuple[list[ObjectBlock], set[int]]] = [([], set())]
        self._room = FRAGMENT - _HEADER

    def fit(self, size: int) -> int:
        """How many objects of this size fit into the next block; turns the page when none does."""
        if self._room < _BLOCK + size:
            self.pages.append(([], set()))
            self._room = FRAGMENT - _HEADER
        return (self._room - _BLOCK) // size

    def put(self, block: ObjectBlock, serials: Iterable[int] = ()) -> None:
        """Add a block."""
        blocks, inside = self.pages[-1]
        blocks.append(block)
        inside.update(serials)
        self._room -= _BLOCK + len(block.data)


class Reader:
    """Answers READ requests.

    Args:
        image: the values.
        events: what has changed.
        told: value of each `command.TARGET` that was accepted last.
    """

    def __init__(self, image: Image, events: Events, told: Callable[[], dict[str, float]]) -> None:
        self._image = image
        self._events = events
        self._told = told

    def answer(
        self, blocks: Sequence[ObjectBlock], iin: Callable[[Collection[int]], IIN], sequence: int
    ) -> list[Fragment]:
        """The fragments of an answer.

        Args:
            blocks: what is asked for.
            iin: the internal indications of an answer that tells these events.
            sequence: of the request.
        """
        pages = _Pages()
        seen: set[int] = set()
        error = IIN(0)
        for block in blocks:
            error |= self._serve(block, pages, seen)
        indications = iin(seen) | error
        last = len(pages.pages) - 1
        fragments: list[Fragment] = []
        for i, (objects, serials) in enumerate(pages.pages):
            number = (sequence + i) % _SEQUENCES
            confirm = i < last or bool(serials)
            response = build_response(
                tuple(objects), indications, number, fir=i == 0, fin=i == last, con=confirm
            )
            fragments.append(Fragment(response.to_bytes(), number, confirm, frozenset(serials)))
        return fragments

    def _serve(self, block: ObjectBlock, pages: _Pages, seen: set[int]) -> IIN:
        group, variation = block.header.group, block.header.variation
        if group == 60 and 1 <= variation <= 4:
            if variation == 1:
                self._everything(pages)
                return IIN(0)
            limit = _count(block)
            events = self._events.of_class(variation - 1)
            return _put_events(events, limit, pages, seen)
        if group in _EVENTS:
            kind, usual, _ = _EVENTS[group]
            if variation not in (0, usual):
                return IIN.OBJECT_UNKNOWN
            return _put_events(self._events.of_kind(kind), _count(block), pages, seen)
        made = self._static(group, variation)
        if made is None:
            return IIN.OBJECT_UNKNOWN
        served, records = made
        span = _span(block, len(records))
        if span is None:
            return IIN.PARAMETER_ERROR
        _put_static(group, served, records, span, pages)
        return IIN(0)

    def _everything(self, pages: _Pages) -> None:
        for group in (1, 30, 20, 10, 40):
            made = self._static(group, 0)
            if made is not None and len(made[1]):
                _put_static(group, made[0], made[1], (0, len(made[1]) - 1), pages)

    def _static(self, group: int, variation: int) -> tuple[int, NDArray[np.void]] | None:
        """Variation and records of a group; None when it is not served."""
        if group == 1 and variation in (0, 2):
            return 2, _records(self._image.binaries())
        if group == 30 and (variation == 0 or variation in _ANALOGS):
            served = variation or _FLOAT
            return served, _numbers(*self._image.analogs(), _ANALOGS[served])
        if group == 20 and variation in (0, 1):
            flags, counts = self._image.counters()
            return 1, _records(flags, counts)
        if group == 10 and variation in (0, 2):
            outputs = self._image.outputs(self._told(), analog=False)
            states = [flags | (STATE if value else 0) for flags, value in outputs]
            return 2, _records(np.array(states, dtype=np.uint8))
        if group == 40 and variation in (0, 3):
            outputs = self._image.outputs(self._told(), analog=True)
            flags = np.array([flags for flags, _ in outputs], dtype=np.uint8)
            return 3, _records(flags, np.array([value for _, value in outputs], dtype="<f4"))
        return None


def _records(flags: NDArray[np.uint8], values: NDArray[np.generic] | None = None) -> NDArray[np.void]:
    """Flags, and the value behind them, as the octets of one object each."""
    kinds = [("flags", "u1")]
    if values is not None:
        kinds.append(("value", values.dtype.newbyteorder("<").str))
    records = np.zeros(len(flags), dtype=kinds)
    records["flags"] = flags
    if values is not None:
        records["value"] = values
    return records


def _numbers(flags: NDArray[np.uint8], values: NDArray[np.float64], kind: str) -> NDArray[np.void]:
    """Analog inputs; what the type cannot tell is its limit, marked as over range."""
    dtype = np.dtype(kind)
    limit = float(np.iinfo(dtype).max if dtype.kind == "i" else np.finfo(dtype).max)
    beyond = np.abs(values) > limit
    flags = np.where(beyond, flags | np.uint8(OVER_RANGE), flags)
    shown = np.clip(values, -limit, limit)
    return _records(flags, (np.rint(shown) if dtype.kind == "i" else shown).astype(dtype))


def _put_static(
    group: int, variation: int, records: NDArray[np.void], span: tuple[int, int], pages: _Pages
) -> None:
    start, stop = span
    size = records.dtype.itemsize
    while start <= stop:
        end = min(stop, start + pages.fit(size) - 1)
        header = ObjectHeader(group, variation, 0x01)
        data = struct.pack("<HH", start, end) + records[start : end + 1].tobytes()
        pages.put(ObjectBlock(header=header, data=data))
        start = end + 1


def _put_events(events: Iterable[PointEvent], limit: int | None, pages: _Pages, seen: set[int]) -> IIN:
    """Blocks of events of one kind each; in a kind they keep their order."""
    chosen = [event for event in events if event.serial not in seen][:limit]
    seen.update(event.serial for event in chosen)
    for kind in ("binary", "analog", "counter"):
        of_kind = [event for event in chosen if event.kind == kind]
        group = _GROUP_OF[kind]
        _, variation, form = _EVENTS[group]
        while of_kind:
            fitting = pages.fit(struct.calcsize(form))
            batch, of_kind = of_kind[:fitting], of_kind[fitting:]
            data = struct.pack("<H", len(batch)) + b"".join(_octets(event, form) for event in batch)
            block = ObjectBlock(header=ObjectHeader(group, variation, 0x28), data=data)
            pages.put(block, (event.serial for event in batch))
    return IIN(0)


def _octets(event: PointEvent, form: str) -> bytes:
    time = event.time_ms.to_bytes(6, "little")
    if event.kind == "binary":
        return struct.pack(form, event.index, event.flags, time)
    if event.kind == "counter":
        return struct.pack(form, event.index, event.flags, int(event.value), time)
    limit = float(np.finfo(np.float32).max)
    value = max(-limit, min(limit, event.value))
    return struct.pack(form, event.index, event.flags, value, time)


def _count(block: ObjectBlock) -> int | None:
    """How many events a request wants at most; None: all."""
    code = block.header.range_code
    if code in (RangeCode.UINT8_COUNT, RangeCode.UINT16_COUNT):
        return int.from_bytes(block.data[: 1 if code == RangeCode.UINT8_COUNT else 2], "little")
    return None


def _span(block: ObjectBlock, size: int) -> tuple[int, int] | None:
    """First and last index that a request wants; None when there is no such range."""
    code = block.header.range_code
    if code == RangeCode.ALL_OBJECTS:
        return 0, size - 1
    forms = {RangeCode.UINT8_START_STOP: "<BB", RangeCode.UINT16_START_STOP: "<HH"}
    if code not in forms or len(block.data) < struct.calcsize(forms[code]):
        return None
    start, stop = struct.unpack_from(forms[code], block.data)
    return (start, stop) if start <= stop < size else None
