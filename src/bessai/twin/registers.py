"""Registers as a device holds them: 16-bit words by address, points written into them and read out.

Packing is written here a second time, apart from `bessai.registry`, so that a mistake in one of the two is
seen in every test that reads the twin.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from typing import cast

from bessai.registry import CompiledProfile
from bessai.registry.schema import Point

_TYPES = {"16": "hH", "32": "iI", "64": "qQ"}
_FLOATS = {"32": "f", "64": "d"}
_PACKERS = {
    kind + bits: (
        struct.Struct(">" + (_FLOATS[bits] if kind == "f" else _TYPES[bits][kind == "u"])),
        struct.Struct(f">{int(bits) // 16}H"),
    )
    for kind in "iuf"
    for bits in _TYPES
    if kind != "f" or bits in _FLOATS
}
"""For each type of a number: how it becomes bytes, and how these become words."""

_SPANS = 500  # spans that are remembered; masters ask the same again


def pack_raw(point: Point, raw: float) -> list[int]:
    """The words of a raw number, in the point's byte and word order.

    Raises:
        ValueError: the number does not fit the type.
    """
    if point.type == "bool":
        return [round(raw) & 1]
    packer, splitter = _PACKERS[point.type]
    try:
        words = list(splitter.unpack(packer.pack(raw if point.type[0] == "f" else int(raw))))
    except (struct.error, OverflowError, ValueError):
        raise ValueError(f"raw {raw:g} does not fit type {point.type}") from None
    if point.byte_order == "little":
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return words[::-1] if point.word_order == "little" else words


def pack_text(point: Point, text: str) -> list[int]:
    """The words of a text, cut or filled with NUL."""
    data = text.encode()[: 2 * point.registers].ljust(2 * point.registers, b"\0")
    return list(struct.unpack(f">{point.registers}H", data))


class Registers:
    """The register image of one device, per table.

    A point is *absent* when the device does not have it: any read that touches it fails, as does a read of an
    address that no point covers (unless `dense`).
    """

    def __init__(self, profile: CompiledProfile, *, dense: bool = False) -> None:
        self.profile = profile
        self.dense = dense
        """Answer 0 for addresses that the profile does not name, as devices with large blocks do."""
        self.absent: set[str] = set()
        self.overlay: dict[str, list[int]] = {}
        """Words that clients see instead of a point's own."""
        self.clock: Callable[[], float] = float
        """Simulated seconds; 0 until the device has a plant."""
        self.placed_at: dict[str, float] = {}
        """When each point was last written, by the clock."""
        self._words: dict[str, dict[int, int]] = {
            table: {} for table in ("holding", "input", "coil", "discrete")
        }
        self._plain: dict[str, tuple[float, float, struct.Struct, struct.Struct, int, dict[int, int]]] = {}
        """Gain, offset, type, address and table of points whose words follow from their value alone."""
        self._named: dict[tuple[str, int, int], list[str]] = {}
        self._covering: dict[tuple[str, int], list[str]] = {}
        for name, point in profile.points.items():
            for address in range(point.address, point.address + point.registers):
                self._covering.setdefault((point.table, address), []).append(name)
            swapped = "little" in {point.byte_order, point.word_order}
            if point.type in _PACKERS and point.type[0] != "f" and point.scale is None and not swapped:
                packers = _PACKERS[point.type]
                self._plain[name] = (
                    point.gain,
                    point.offset,
                    *packers,
                    point.address,
                    self._words[point.table],
                )

    def names_in(self, table: str, address: int, count: int) -> list[str]:
        """Points that lie wholly or partly in a span, without repetition, by address."""
        found = self._named.get((table, address, count))
        if found is None:
            names: dict[str, None] = {}
            for at in range(address, address + count):
                names.update(dict.fromkeys(self._covering.get((table, at), ())))
            found = list(names)
            if len(self._named) < _SPANS:
                self._named[table, address, count] = found
        return found

    def span(self, table: str, address: int, count: int) -> list[int] | None:
        """The words (or bits) of a span; None when the device does not have all of it."""
        words = self._words[table]
        names = self.names_in(table, address, count)
        if not self.absent.isdisjoint(names) and any(
            covering and all(name in self.absent for name in covering)
            for covering in (self._covering.get((table, at), ()) for at in range(address, address + count))
        ):
            return None
        found = list(map(words.get, range(address, address + count)))
        if None in found:
            for at in range(address, address + count):
                if at not in words and (not self.dense or (table, at) in self._covering or at > 0xFFFF):
                    return None
                words.setdefault(at, 0)  # no point covers it: nothing else ever reads or writes it
            found = list(map(words.get, range(address, address + count)))
        result = cast("list[int]", found)
        if self.overlay:
            for name in self.overlay.keys() & names:
                for at, word in enumerate(self.overlay[name], self.profile.points[name].address):
                    if address <= at < address + count:
                        result[at - address] = word
        return result

    def place(self, name: str, words: Iterable[int]) -> None:
        """Write a point's words."""
        point = self.profile.points[name]
        self.placed_at[name] = self.clock()
        self._words[point.table].update(enumerate(words, point.address))

    def words_of(self, name: str) -> list[int] | None:
        """A point's words; None when it was never written."""
        point = self.profile.points[name]
        words = self._words[point.table]
        span = range(point.address, point.address + point.registers)
        return [words[at] for at in span] if all(at in words for at in span) else None

    def value_of(self, name: str) -> float:
        """A point's own value in its unit, whatever clients see; NaN when not available or a text."""
        words = self.words_of(name)
        point = self.profile.points[name]
        if words is None or name in self.absent or point.type == "text":
            return math.nan
        return self.decode(name, words)

    def decode(self, name: str, words: list[int]) -> float:
        """The value of a numeric point's words, in its unit; NaN for a sentinel."""
        if any(pack_raw(self.profile.points[name], raw) == words for raw in self.profile.sentinels_of(name)):
            return math.nan
        if self.profile.points[name].type == "bool":
            return self.profile.decode(name, bytes([words[0]]))
        exponent = self.exponent_of(name)
        if exponent is None:
            return math.nan
        return self.profile.decode(name, struct.pack(f">{len(words)}H", *words), exponent)

    def pack_value(self, name: str, value: float) -> list[int]:
        """The words of a value in the point's unit. `valid` does not matter: a device reports what it has.

        Raises:
            ValueError: the value does not fit the point's type.
        """
        point = self.profile.points[name]
        if point.type == "text":
            raise ValueError(f"{name} is a text")
        gain = point.gain
        if point.scale is not None:
            exponent = self.exponent_of(name)
            if exponent is None:
                raise ValueError(f"{name} has no value while {point.scale} has none")
            gain *= 10.0**exponent
        raw = (value - point.offset) / gain
        if point.type[0] == "f":
            return pack_raw(point, raw)
        if not math.isfinite(raw):
            raise ValueError(f"{value} does not fit type {point.type} of {name}")
        return pack_raw(point, round(raw))

    def exponent_of(self, name: str) -> int | None:
        """The exponent of ten that clients see now (0 without a scale factor); None when it is not available."""
        scale = self.profile.points[name].scale
        if scale is None:
            return 0
        words = self.overlay.get(scale) or self.words_of(scale)
        value = math.nan if words is None or scale in self.absent else self.decode(scale, words)
        return int(value) if -10 <= value <= 10 else None

    def show(self, name: str, value: float) -> None:
        """Write a value in the point's unit; not available (or absent) when its register cannot hold it."""
        if name in self._plain:
            gain, offset, packer, splitter, address, table = self._plain[name]
            try:
                table.update(enumerate(splitter.unpack(packer.pack(round((value - offset) / gain))), address))
            except (struct.error, OverflowError, ValueError):
                pass  # it does not fit: see below
            else:
                self.placed_at[name] = self.clock()
                return
        try:
            words: list[int] | None = self.pack_value(name, value)
        except ValueError:
            words = self.not_available(name)
        if words is None:
            self.absent.add(name)
        else:
            self.place(name, words)

    def not_available(self, name: str) -> list[int] | None:
        """The words by which the device says that it has no value: NaN or a sentinel. None when it cannot."""
        point = self.profile.points[name]
        if point.type in {"f32", "f64"}:
            return pack_raw(point, math.nan)
        sentinels = self.profile.sentinels_of(name)
        return pack_raw(point, min(sentinels)) if sentinels else None
