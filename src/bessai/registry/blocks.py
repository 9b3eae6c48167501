"""Read requests, and how their replies are taken apart.

Reading 125 registers costs 1.2 times reading one, so neighbours are merged across gaps as far as the profile
allows. `Block.unpack` turns the bytes of one reply into raw numbers with one precompiled `struct`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from bessai.registry.schema import Connection, Point

FORMATS = {
    "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip
"""`struct` format of each numeric type."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One read request and how to take its reply apart."""

    table: str
    address: int
    count: int
    """Registers, or bits for the tables `coil` and `discrete`."""
    columns: slice
    """Columns of the plan (not of the layout) that this block fills."""
    names: tuple[str, ...]
    """Numeric points in the block, in the order of the columns."""
    _struct: struct.Struct | None
    _order: bytes | None
    _bits: tuple[int, ...]
    texts: tuple[tuple[str, int, int], ...]
    """Name, byte offset and byte length of each text in the block."""
    _swapped: frozenset[str] = frozenset()
    station: str | None = None
    """Key of `connection.stations`; None for the device's own unit."""

    @property
    def plain_format(self) -> str | None:
        """The `struct` format of the whole reply, without byte order; None when that alone cannot take it apart."""
        return self._struct.format[1:] if self._struct is not None and self._order is None else None

    def unpack(self, data: bytes) -> tuple[float, ...]:
        """Raw numbers of a reply's data bytes, one per column of the block.

        `data` holds `2 * count` bytes for registers, `ceil(count / 8)` for bits.
        """
        if self._bits:
            return tuple(data[bit >> 3] >> (bit & 7) & 1 for bit in self._bits)
        if self._struct is None:
            return ()
        if self._order is not None:
            data = bytes([data[i] for i in self._order])
        return self._struct.unpack(data)

    def unpack_texts(self, data: bytes) -> dict[str, str]:
        """The texts of a reply: up to the first NUL, blanks stripped, foreign bytes replaced."""
        texts = {}
        for name, start, size in self.texts:
            text = data[start : start + size]
            if name in self._swapped:
                text = bytes(text[i ^ 1] for i in range(size))
            texts[name] = text.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
        return texts


def group_points(
    members: Iterable[tuple[str, Point]], connection: Connection
) -> Iterable[list[tuple[str, Point]]]:
    """Neighbours that one request may read together, in the order of their addresses."""
    group: list[tuple[str, Point]] = []
    end = 0
    for name, point in sorted(members, key=lambda m: (m[1].station or "", m[1].table, m[1].address)):
        limit = connection.max_registers * (16 if point.type == "bool" else 1)
        if group and (
            (group[0][1].station, group[0][1].table) != (point.station, point.table)
            or point.address - end > connection.max_gap
            or max(end, point.address + point.registers) - group[0][1].address > limit
        ):
            yield group
            group = []
        end = max(end, point.address + point.registers) if group else point.address + point.registers
        group.append((name, point))
    if group:
        yield group


def build_block(group: list[tuple[str, Point]], first_column: int) -> Block:
    """One block over points of one table, sorted by address. `first_column` places it in its plan."""
    table, start = group[0][1].table, group[0][1].address
    count = max(point.address + point.registers for _, point in group) - start
    numeric = [(name, point) for name, point in group if point.type != "text"]
    texts = tuple(
        (name, 2 * (point.address - start), 2 * point.registers)
        for name, point in group
        if point.type == "text"
    )
    bits: tuple[int, ...] = ()
    unpacker: struct.Struct | None = None
    order: bytes | None = None
    if table in {"coil", "discrete"}:
        bits = tuple(point.address - start for _, point in numeric)
    elif numeric:
        unpacker, order = _unpacker(numeric, start, count)
    return Block(
        table=table,
        address=start,
        count=count,
        columns=slice(first_column, first_column + len(numeric)),
        names=tuple(name for name, _ in numeric),
        _struct=unpacker,
        _order=order,
        _bits=bits,
        texts=texts,
        _swapped=frozenset(
            name for name, point in group if point.type == "text" and point.byte_order == "little"
        ),
        station=group[0][1].station,
    )


def _unpacker(numeric: list[tuple[str, Point]], start: int, count: int) -> tuple[struct.Struct, bytes | None]:
    """The struct of a block, and the byte order to bring its data into first (None when already big-endian).

    Points that share an address, or lie out of order, cannot be one struct over the data as it is; the byte
    order then also copies their bytes.
    """
    layout = ">"
    order: list[int] = []
    position = 0
    plain = True
    for _, point in numeric:
        offset = 2 * (point.address - start)
        size = 2 * point.registers
        if offset < position:
            plain = False
        else:
            layout += f"{offset - position}x" if offset > position else ""
            order += range(position, offset)
            position = offset + size
        local = reorder(point, bytes(range(size)))
        plain = plain and local == bytes(range(size))
        order += [offset + i for i in local]
        layout += FORMATS[point.type]
    rest = 2 * count - position
    if rest:
        layout += f"{rest}x"
        order += range(position, 2 * count)
    return struct.Struct(layout), None if plain else bytes(order)


def reorder(point: Point, data: bytes) -> bytes:
    """Wire order to big-endian order, or back: the two are the same exchange."""
    if point.byte_order == "little":
        data = b"".join(data[i + 1 : i - 1 if i else None : -1] for i in range(0, len(data), 2))
    if point.word_order == "little":
        data = b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))
    return data
