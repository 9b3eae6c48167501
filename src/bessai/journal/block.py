"""Many records as few bytes, and back.

A block holds records of one layout, and events between them. It is a byte of format, the length of its content, and
the content deflated: a head, the forms (see `forms`), a table of times and kinds with a row a record, and with a row a
cycle the values, the qualities and the ages (see `columns`).
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bessai.journal.blanks import get_numbers, put_numbers
from bessai.journal.cells import get_cells, put_cells
from bessai.journal.columns import MOST_CELLS, Doubles, Integers, Source, get, put
from bessai.journal.entry import Entry
from bessai.journal.errors import DamagedRecordError, JournalError
from bessai.journal.forms import PARTS, Forms, Template, blank_of, template
from bessai.journal.row import CYCLE, FED, VERIFIED, Row
from bessai.model import Event, Layout, Quality, Severity

FORMAT = 2
"""Format of a block, its first byte. Format 1 was a single record."""
MOST_ROWS = 1 << 16
"""Records of a block."""
MOST_TEXT = 1 << 24
"""Characters of forms, counted again for every set of forms that uses them."""

_Number = TypeVar("_Number", bound=np.generic)

_OUTER = struct.Struct("<BI")
_HEAD = struct.Struct("<IIIII")
_MOST_RATIO = 1100  # deflate gives at most 1032 bytes for one
_WIDE = 1 << 16
_OUTCOME = PARTS.index("outcome")
_DECISION = PARTS.index("decision")
_DAMAGE = (zlib.error, struct.error, ValueError, TypeError, LookupError, OverflowError, RecursionError)
_FLAGS = 3  # bits
_NO_COLUMNS = Layout((), ())
_NO_VALUES, _NO_QUALITY, _NO_AGES = np.zeros(0, np.float64), np.zeros(0, np.uint8), np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Decoded records of one layout, by columns. R records, C columns; event rows have no values."""

    first_sequence: int
    epoch: int
    layout: Layout
    device: Mapping[str, str]
    count: int
    kinds: NDArray[np.uint8]
    """[R] 1 for a cycle, 0 for an event that belongs to none."""
    wall_ns: Integers
    """[R] UTC nanoseconds of the tick, or of the event."""
    cycles: Integers
    """[R] number of the cycle, 0 for events."""
    values: Doubles
    """[R, C] NaN in event rows."""
    quality: NDArray[np.uint8]
    """[R, C] MISSING in event rows."""
    ages: NDArray[np.float32]
    """[R, C] seconds between measurement and `wall_ns`, NaN where never measured."""
    _flags: Integers = field(repr=False)
    _series: Doubles = field(repr=False)
    _columns: Integers = field(repr=False)
    _sets: Sequence[int] = field(repr=False)
    _forms: Sequence[Forms] = field(repr=False)
    _templates: Sequence[Template] = field(repr=False)
    _numbers: Sequence[Sequence[float]] = field(repr=False)

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record."""
        return self.first_sequence + self.count - 1

    def since(self, sequence: int) -> Block:
        """Without the records before `sequence`."""
        n = sequence - self.first_sequence
        if n <= 0:
            return self
        rows = {
            name: getattr(self, name)[n:]
            for name in ("kinds", "wall_ns", "cycles", "values", "quality", "ages",
                         "_flags", "_series", "_sets", "_numbers")
        }  # fmt: skip
        return replace(self, first_sequence=sequence, count=self.count - n, **rows)

    def entries(self, after: int = 0) -> list[Entry]:
        """The records with a sequence above `after`."""
        return [self._entry(i) for i in range(max(0, after + 1 - self.first_sequence), self.count)]

    def rows(self) -> list[Row]:
        """The records as they were, to pack them again with others."""
        times = -self._series[:, self._columns]
        rows = []
        for i, (wall_ns, flags, cycle) in enumerate(
            zip(self.wall_ns.tolist(), self._flags.tolist(), self.cycles.tolist(), strict=True)
        ):
            end = None if flags & CYCLE else 0
            number = self._sets[i]
            rows.append(
                Row(
                    wall_ns=wall_ns,
                    flags=flags,
                    cycle=cycle,
                    events=len(self._templates[number].whole[-1]),
                    values=self.values[i, :end],
                    quality=self.quality[i, :end],
                    times=times[i, :end],
                    forms=self._forms[number],
                    numbers=self._numbers[i],
                )
            )
        return rows

    def decided(self, name: str) -> Doubles:
        """[R] A number of the decisions, such as `setpoint`, in its unit; NaN where there is none."""
        found = np.full(self.count, np.nan)
        blanks = [blank_of(parsed, (_DECISION, name)) for parsed in self._templates]
        for i, number in enumerate(self._sets):
            if (blank := blanks[number]) is not None:
                found[i] = self._numbers[i][blank]
        return found

    def events(self) -> list[tuple[int, Event]]:
        """Every event with the number of its row, in order."""
        eventful = [bool(parsed.whole[-1]) for parsed in self._templates]
        return [
            (i, event)
            for i, number in enumerate(self._sets)
            if eventful[number]
            for event in self._entry(i).events
        ]

    def _entry(self, i: int) -> Entry:
        flags = int(self._flags[i])
        cycle = bool(flags & CYCLE)
        decision, timing, outcome, texts, events = self._templates[self._sets[i]].filled(
            iter(self._numbers[i])
        )
        return Entry(
            sequence=self.first_sequence + i,
            epoch=self.epoch,
            kind="cycle" if cycle else "event",
            wall_ns=int(self.wall_ns[i]),
            layout=self.layout if cycle else _NO_COLUMNS,
            values=self.values[i] if cycle else _NO_VALUES,
            quality=self.quality[i] if cycle else _NO_QUALITY,
            ages=self.ages[i] if cycle else _NO_AGES,
            device=self.device,
            cycle=int(self.cycles[i]),
            verified=bool(flags & VERIFIED),
            fed=bool(flags & FED),
            decision=decision,
            timing=timing,
            outcome=outcome,
            texts=texts,
            events=_events(events),
        )


def pack(rows: Sequence[Row], *, level: int = 1) -> bytes:
    """The bytes of records of one layout, events anywhere between them.

    Args:
        rows: at least one, at most `MOST_ROWS`, with at most `MOST_CELLS` cells and `MOST_TEXT` characters of
            different forms together.
        level: of deflate. From 2 on, the best scale of every column is searched for, too, not only guessed from
            the block before.

    Raises:
        ValueError: too much for a block, or cycles with different numbers of columns.
    """
    cycles = [row for row in rows if row.flags & CYCLE]
    cells = cycles[0].cells if cycles else 0
    if any(row.cells != cells for row in cycles):
        raise ValueError("the records of a block have different numbers of columns")
    if not 0 < len(rows) <= MOST_ROWS or len(cycles) * cells > MOST_CELLS:
        raise ValueError(f"a block cannot hold {len(rows)} records of {cells} columns")
    known: dict[Forms, int] = {}
    sets = [known.setdefault(row.forms, len(known)) for row in rows]
    if _text(known) > MOST_TEXT:
        raise ValueError(f"a block cannot hold {len(rows)} records with so much text")
    texts = {text: i for i, text in enumerate(dict.fromkeys(itertools.chain.from_iterable(known)))}
    encoded = [text.encode() for text in texts]
    out = [_HEAD.pack(len(rows), len(cycles), cells, len(known), len(texts))]
    out.append(np.array([len(text) for text in encoded], "<u4").tobytes())
    out.append(np.array([[texts[text] for text in forms] for forms in known], "<u4").tobytes())
    out += encoded
    lines = [
        (row.wall_ns, row.flags | number << _FLAGS, row.cycle) for row, number in zip(rows, sets, strict=True)
    ]
    put(out, np.fromiter(itertools.chain.from_iterable(lines), np.int64, 3 * len(rows)).reshape(-1, 3))
    put_numbers(out, [row.numbers for row in rows], sets, thorough=level > 1)
    if cycles:
        put_cells(out, cycles, thorough=level > 1)
    length = sum(map(len, out))
    # in a wide block there is little to find beside runs, and looking for it takes most of the time
    strategy = zlib.Z_RLE if level == 1 and length > _WIDE else zlib.Z_DEFAULT_STRATEGY
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL, strategy)
    packed = [deflate.compress(part) for part in out]
    return b"".join((_OUTER.pack(FORMAT, length), *packed, deflate.flush()))


def unpack(
    data: bytes, *, first_sequence: int, epoch: int, layout: Layout, device: Mapping[str, str]
) -> Block:
    """The block behind the bytes of `pack`.

    Raises:
        JournalError: the block was written by a newer version.
        DamagedRecordError: the bytes are not what was written.
    """
    if data and data[0] > FORMAT:
        raise JournalError(
            f"the block of record {first_sequence} has format {data[0]}, this version reads {FORMAT}: "
            "read the journal with the version that wrote it, or a newer one"
        )
    try:
        return _block(Source(_inflated(data)), first_sequence, epoch, layout, device)
    except _DAMAGE as error:
        raise DamagedRecordError(f"the block of record {first_sequence} is damaged ({error})") from error


def _inflated(data: bytes) -> bytes:
    form, length = _OUTER.unpack_from(data)
    if form != FORMAT or length > _MOST_RATIO * len(data):
        raise DamagedRecordError("its head is not one")
    inflate = zlib.decompressobj(-15)
    content = inflate.decompress(data[_OUTER.size :], length + 1)
    if len(content) != length or not inflate.eof or inflate.unused_data:
        raise DamagedRecordError(f"{len(content)} bytes came out, {length} were packed")
    return content


def _block(
    source: Source, first_sequence: int, epoch: int, layout: Layout, device: Mapping[str, str]
) -> Block:
    count, cycle_count, cells, set_count, text_count = _HEAD.unpack(source.take(_HEAD.size))
    if not 0 < count <= MOST_ROWS or cycle_count > count or set_count > count or text_count > 5 * set_count:
        raise DamagedRecordError("its counts cannot be")
    if cycle_count and cells != len(layout):
        raise DamagedRecordError(f"it has {cells} columns, its layout {len(layout)}")
    sizes, table = source.counts(text_count), source.counts(set_count * len(PARTS)).reshape(-1, len(PARTS))
    texts = [source.take(size).decode() for size in sizes.tolist()]
    wall_ns, kinds, cycles = get(source, count, 3).T
    flags, sets = kinds & (1 << _FLAGS) - 1, (kinds >> _FLAGS).tolist()
    rows = np.flatnonzero(flags & CYCLE)
    if len(rows) != cycle_count or min(sets) < 0 or max(sets) >= set_count or (table >= text_count).any():
        raise DamagedRecordError("its rows are not what its head says")
    forms = [(texts[a], texts[b], texts[c], texts[d], texts[e]) for a, b, c, d, e in table.tolist()]
    if _text(forms) > MOST_TEXT:
        raise DamagedRecordError("its records say too much")
    templates = [_checked(template(parts)) for parts in forms]
    numbers = get_numbers(source, sets, [parsed.blanks for parsed in templates])
    found = get_cells(source, cycle_count, len(layout) if cycle_count else 0)
    source.end()
    values, quality, series = found.values, found.quality, found.series
    if cycle_count < count:
        values = _spread(values, rows, count, np.nan)
        quality = _spread(quality, rows, count, Quality.MISSING)
        series = _spread(series, rows, count, np.nan)
    return Block(
        first_sequence=first_sequence,
        epoch=epoch,
        layout=layout,
        device=device,
        count=count,
        kinds=(flags & CYCLE).astype(np.uint8),
        wall_ns=wall_ns,
        cycles=cycles,
        values=values,
        quality=quality,
        ages=series.astype(np.float32)[:, found.column_series],
        _flags=flags,
        _series=series,
        _columns=found.column_series,
        _sets=sets,
        _forms=forms,
        _templates=templates,
        _numbers=numbers,
    )


def _text(sets: Iterable[Forms]) -> int:
    return sum(len(form) for forms in sets for form in forms)


def _checked(parsed: Template) -> Template:
    """Raises ValueError, TypeError or LookupError when the forms do not say what a record does."""
    *told, events = parsed.whole
    if not all(isinstance(part, dict) or (part is None and i == _OUTCOME) for i, part in enumerate(told)):
        raise DamagedRecordError("its forms are not those of a record")
    _events(events)
    return parsed


def _events(told: Sequence[Mapping[str, Any]]) -> tuple[Event, ...]:
    return tuple([Event(**{**event, "severity": Severity(event["severity"])}) for event in told])


def _spread(part: NDArray[_Number], rows: Integers, count: int, filler: float) -> NDArray[_Number]:
    whole = np.full((count, part.shape[1]), filler, part.dtype)
    whole[rows] = part
    return whole
