"""Journal entries as JSON lines and as Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from bessai.journal import Entry, JournalReader
from bessai.journal.block import Block
from bessai.model import Event, Layout, Quality

Tick = Callable[[int, int], None]
LABELS = {int(quality): quality.label for quality in Quality}
_ROWS = 1 << 14
_TOLD = 1000


class Lines:
    """Entries as lines of JSON. Qualities and severities are names, numbers that are none become null."""

    def __init__(self) -> None:
        self._points: dict[int, tuple[Layout, list[dict[int, tuple[str, str]]]]] = {}

    def line(self, entry: Entry) -> str:
        """One line."""
        told = {
            "sequence": entry.sequence, "epoch": entry.epoch, "kind": entry.kind, "time": time_text(entry.wall_ns),
            "wall_ns": entry.wall_ns, "device": entry.device,
        }  # fmt: skip
        text = _json(told)[:-1]
        if entry.kind == "cycle":
            timing = {name: _finite(seconds) for name, seconds in entry.timing.items()}
            rest = {
                "texts": entry.texts, "decision": entry.decision, "outcome": entry.outcome, "timing": timing,
                "verified": entry.verified, "fed": entry.fed,
            }  # fmt: skip
            text = (
                f'{text}, "cycle": {entry.cycle}, "points": {{{self._columns(entry)}}}, {_json(rest)[1:-1]}'
            )
        return f'{text}, "events": {_json([_event(event) for event in entry.events])}}}\n'

    def _columns(self, entry: Entry) -> str:
        """Most of a line is this, and most of that is the same in every line."""
        layout = entry.layout
        if (held := self._points.get(id(layout))) is None:
            held = self._points[id(layout)] = (layout, [{} for _ in layout.names])
        parts = []
        columns = zip(
            layout.names,
            held[1],
            entry.values.tolist(),
            entry.quality.tolist(),
            entry.ages.tolist(),
            strict=True,
        )
        for name, known, value, quality, age in columns:
            if (around := known.get(quality)) is None:
                around = known[quality] = _around(layout, name, quality)
            number = repr(value) if isfinite(value) else "null"
            since = repr(age) if isfinite(age) else "null"
            meaning = ""
            if name in layout.states or name in layout.bits:
                meant = layout.meaning(name, value) if isfinite(value) else None
                meaning = "" if meant is None else f', "meaning": {_json(meant)}'
            parts.append(f"{around[0]}{number}{around[1]}{since}{meaning}}}")
        return ", ".join(parts)


def as_plain(entry: Entry) -> dict[str, Any]:
    """What the line of an entry says."""
    told: dict[str, Any] = json.loads(Lines().line(entry))
    return told


def _around(layout: Layout, name: str, quality: int) -> tuple[str, str]:
    """What stands before the value of a point, and between it and the age."""
    unit, label = layout.units[layout.index[name]], LABELS.get(quality, str(quality))
    return f'{_json(name)}: {{"value": ', f', "unit": {_json(unit)}, "quality": {_json(label)}, "age": '


def _event(event: Event) -> dict[str, Any]:
    told = {**asdict(event), "severity": event.severity.label, "time": time_text(event.wall_ns)}
    return {**told, "value": _finite(event.value)}


def _json(told: object) -> str:
    return json.dumps(told, ensure_ascii=False, allow_nan=False)


def write_jsonl(
    reader: JournalReader, first_ns: int | None, last_ns: int | None, file: TextIO, tick: Tick
) -> int:
    """Every entry with everything. Returns the number of entries."""
    rows, lines, last = 0, Lines(), reader.last_sequence()
    for entry in reader.read_between(first_ns, last_ns):
        file.write(lines.line(entry))
        rows += 1
        if rows % _TOLD == 0:
            tick(entry.sequence, last)
    return rows


def write_parquet(
    reader: JournalReader, first_ns: int | None, last_ns: int | None, path: Path, tick: Tick
) -> int:
    """One row per cycle. Points of every layout in the range get a column, null where a cycle lacks them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    units: dict[str, str | None] = {}
    last, rows = reader.last_sequence(), 0
    for block in reader.blocks_between(first_ns, last_ns):
        if _within(block, first_ns, last_ns).any():
            units |= dict(zip(block.layout.names, block.layout.units, strict=True))
        tick(block.last_sequence, 2 * last)
    label = pa.dictionary(pa.int8(), pa.string())
    fields = [pa.field("sequence", pa.int64()), pa.field("time", pa.timestamp("ns", tz="UTC"))]
    for name, unit in units.items():
        fields.append(pa.field(name, pa.float64(), metadata={"unit": unit} if unit else None))
        fields.append(pa.field(f"{name}_quality", label))
    schema = pa.schema(fields)
    names = pa.array([LABELS.get(code, str(code)) for code in range(127)])
    waiting: list[Any] = []
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in reader.blocks_between(first_ns, last_ns):
            chosen = _within(block, first_ns, last_ns)
            count = int(chosen.sum())
            rows += count
            if count:
                sequences = np.arange(block.first_sequence, block.last_sequence + 1)[chosen]
                columns = [pa.array(sequences), pa.array(block.wall_ns[chosen]).cast(schema.field(1).type)]
                for name in units:
                    if (i := block.layout.index.get(name)) is None:
                        columns += (pa.nulls(count, pa.float64()), pa.nulls(count, label))
                        continue
                    codes = pa.array(block.quality[chosen, i].astype(np.int8))
                    columns += (
                        pa.array(block.values[chosen, i]),
                        pa.DictionaryArray.from_arrays(codes, names),
                    )
                waiting.append(pa.RecordBatch.from_arrays(columns, schema=schema))
            if sum(batch.num_rows for batch in waiting) >= _ROWS:
                writer.write_table(pa.Table.from_batches(waiting).combine_chunks())
                waiting.clear()
            tick(last + block.last_sequence, 2 * last)
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting).combine_chunks())
    return rows


def _within(block: Block, first_ns: int | None, last_ns: int | None) -> NDArray[np.bool_]:
    """Which rows are cycles of the range."""
    chosen: NDArray[np.bool_] = block.kinds == 1
    if first_ns is not None:
        chosen &= block.wall_ns >= first_ns
    if last_ns is not None:
        chosen &= block.wall_ns <= last_ns
    return chosen


def time_text(wall_ns: int) -> str:
    """RFC 3339 UTC with milliseconds."""
    whole, part = divmod(wall_ns, 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{part // 10**6:03d}Z"


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
