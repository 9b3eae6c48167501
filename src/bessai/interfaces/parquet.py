"""Journal records as columns: one row a record. Needs pyarrow.

`sequence` and `epoch` name the record, `time` is its tick in UTC. A point is a column of numbers, null where
there is none, with its unit in the field's metadata, and beside it `<point>_quality`: only `good` is evidence.
What happened stands in `events`, a list in each row. A record that is only an event has null in all the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow.parquet import ParquetWriter

from bessai.journal.entry import Entry
from bessai.model import Event, Layout, Quality

Values = NDArray[np.float64]
Codes = NDArray[np.int8]

LABELS: Final = [quality.label for quality in sorted(Quality)]

_NUMBERS: Final = {"setpoint": "kW", "asked": "kW", "target": "kW", "reactive": "kvar"}
_TEXTS: Final = ("state", "source", "request_id")
_LISTS: Final = ("limited_by", "reasons")
_QUALITY: Final = pa.dictionary(pa.int8(), pa.string())
_TIME: Final = pa.timestamp("ns", tz="UTC")
_EVENT: Final = pa.struct(
    {
        "code": pa.string(),
        "severity": pa.string(),
        "message": pa.string(),
        "time": _TIME,
        "active": pa.bool_(),
        "point": pa.string(),
        "value": pa.float64(),
        "first_out": pa.bool_(),
        "about": pa.string(),
        "user": pa.string(),
    }
)
_FIRST: Final = [
    pa.field("sequence", pa.int64()),
    pa.field("epoch", pa.int64()),
    pa.field("time", _TIME),
    pa.field("kind", pa.string()),
    pa.field("cycle", pa.int64()),
    *(pa.field(name, pa.string()) for name in _TEXTS),
    *(pa.field(name, pa.float64(), metadata={"unit": unit}) for name, unit in _NUMBERS.items()),
    *(pa.field(name, pa.list_(pa.string())) for name in _LISTS),
    pa.field("verified", pa.bool_()),
]
_LAST: Final = pa.field("events", pa.list_(_EVENT))
_FACTS: Final = pa.schema([*_FIRST, _LAST])
_GROUP_ROWS: Final = 36_000
_PARTITIONS: Final = ("site", "date", "hour")
"""Names that the directories give to columns."""


class Columns:
    """The columns for records of one layout.

    `publish` names the devices whose points go with the plant's own; None stands for every point.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        site: str,
        device: Mapping[str, str] | None = None,
        publish: Sequence[str] | None = None,
    ) -> None:
        self.picked = np.array(
            [
                i
                for i, name in enumerate(layout.names)
                if publish is None or "." not in name or name.partition(".")[0] in publish
            ],
            dtype=np.intp,
        )
        taken = {field.name for field in (*_FIRST, _LAST)} | set(_PARTITIONS)
        points: list[pa.Field] = []
        for i in self.picked.tolist():
            name = layout.names[i]
            column = free_name(name, taken)
            points.append(pa.field(column, pa.float64(), metadata=_metadata(layout, name, layout.units[i])))
            points.append(pa.field(free_name(f"{column}_quality", taken), _QUALITY))
        self.schema = pa.schema(
            [*_FIRST, *points, _LAST],
            metadata={"site": site, "device": json.dumps(dict(device or {}), ensure_ascii=False)},
        )

    def table(self, facts: Sequence[pa.RecordBatch], values: Values, quality: Codes) -> pa.Table:
        """Rows: what `facts_of` made of them, and a row of values and of qualities for each."""
        fixed = pa.Table.from_batches(facts).combine_chunks()
        labels = pa.array(LABELS)
        points: list[pa.Array] = []
        for column, codes in zip(
            np.ascontiguousarray(values.T), np.ascontiguousarray(quality.T), strict=True
        ):
            points.append(pa.array(column, from_pandas=True))
            known = pa.array(codes, mask=(codes < 0) | (codes >= len(LABELS)))
            points.append(pa.DictionaryArray.from_arrays(known, labels))
        *first, events = fixed.columns
        return pa.Table.from_arrays([*first, *points, events], schema=self.schema)


class Writer:
    """Writes rows into an open file, which stays open. Values wait in one buffer until a row group is complete."""

    def __init__(self, file: BinaryIO, columns: Columns, group_cells: int) -> None:
        self._columns = columns
        points = len(columns.picked)
        self._most_rows = max(1, min(_GROUP_ROWS, group_cells // max(1, points)))
        self._values = np.empty((self._most_rows, points))
        self._quality = np.empty((self._most_rows, points), np.int8)
        self._facts: list[pa.RecordBatch] = []
        self._rows = 0
        counters = ("sequence", "time", "cycle")
        self._writer = ParquetWriter(
            file,
            columns.schema,
            compression="zstd",
            use_dictionary=[name for name in columns.schema.names if name not in counters],
            column_encoding=dict.fromkeys(counters, "DELTA_BINARY_PACKED"),
        )

    def write(self, entries: Sequence[Entry]) -> None:
        """Add rows of the columns' layout, with events among them."""
        while entries:
            some, entries = entries[: self._most_rows - self._rows], entries[self._most_rows - self._rows :]
            for row, entry in enumerate(some, self._rows):
                if entry.kind == "cycle":
                    self._values[row] = entry.values[self._columns.picked]
                    self._quality[row] = entry.quality[self._columns.picked]
                else:
                    self._values[row], self._quality[row] = np.nan, -1
            self._facts.append(facts_of(some))
            self._rows += len(some)
            if self._rows == self._most_rows:
                self._write_group()

    def finish(self) -> None:
        """Write what is left, and the file's end."""
        if self._rows:
            self._write_group()
        self._writer.close()

    def abandon(self) -> None:
        """Nothing more is written, not even when the library is done with it."""
        self._writer.is_open = False

    def _write_group(self) -> None:
        table = self._columns.table(self._facts, self._values[: self._rows], self._quality[: self._rows])
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._facts.clear()
        self._rows = 0


def free_name(name: str, taken: set[str]) -> str:
    """The name, with underscores behind it when it is taken. It is taken then."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def facts_of(entries: Sequence[Entry]) -> pa.RecordBatch:
    """All that does not depend on the layout: `_FIRST` and the events."""
    cycles = [entry.kind == "cycle" for entry in entries]
    decisions = [entry.decision for entry in entries]
    columns: list[list[Any]] = [
        [entry.sequence for entry in entries],
        [entry.epoch for entry in entries],
        [entry.wall_ns for entry in entries],
        [entry.kind for entry in entries],
        [entry.cycle if cycle else None for entry, cycle in zip(entries, cycles, strict=True)],
        *([_text(decision.get(name)) for decision in decisions] for name in _TEXTS),
        *([_number(decision.get(name)) for decision in decisions] for name in _NUMBERS),
        *([[str(item) for item in decision.get(name) or ()] for decision in decisions] for name in _LISTS),
        [entry.verified if cycle else None for entry, cycle in zip(entries, cycles, strict=True)],
        [[_event(event) for event in entry.events] for entry in entries],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _FACTS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_FACTS)


def _metadata(layout: Layout, name: str, unit: str | None) -> dict[str, str] | None:
    metadata = {"unit": unit} if unit else {}
    for kind, meanings in (("states", layout.states.get(name)), ("bits", layout.bits.get(name))):
        if meanings:
            metadata[kind] = json.dumps(
                {str(raw): text for raw, text in meanings.items()}, ensure_ascii=False
            )
    return metadata or None


def _event(event: Event) -> dict[str, Any]:
    return {
        "code": event.code,
        "severity": event.severity.label,
        "message": event.message,
        "time": event.wall_ns,
        "active": event.active,
        "point": event.point,
        "value": _number(event.value),
        "first_out": event.first_out,
        "about": event.about,
        "user": event.user,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
