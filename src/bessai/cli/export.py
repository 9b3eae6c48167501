"""Journal entries as JSON lines and as Parquet."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from bessai.journal import Entry, JournalReader
from bessai.model import Layout, Quality

LABELS = {int(quality): quality.label for quality in Quality}
_ROWS = 2000


def as_plain(entry: Entry) -> dict[str, Any]:
    """An entry as JSON holds it: numbers that are none become null, qualities and severities their names."""
    points: dict[str, Any] = {}
    for i, (name, unit) in enumerate(zip(entry.layout.names, entry.layout.units, strict=True)):
        value = float(entry.values[i])
        quality = int(entry.quality[i])
        point: dict[str, Any] = {
            "value": _finite(value),
            "unit": unit,
            "quality": LABELS.get(quality, str(quality)),
        }
        point["age"] = _finite(float(entry.ages[i]))
        if math.isfinite(value) and (meaning := entry.layout.meaning(name, value)) is not None:
            point["meaning"] = meaning
        points[name] = point
    events = [
        {**asdict(e), "severity": e.severity.label, "time": time_text(e.wall_ns), "value": _finite(e.value)}
        for e in entry.events
    ]
    plain: dict[str, Any] = {
        "sequence": entry.sequence,
        "kind": entry.kind,
        "time": time_text(entry.wall_ns),
        "wall_ns": entry.wall_ns,
        "device": dict(entry.device),
    }
    if entry.kind == "cycle":
        plain |= {
            "cycle": entry.cycle,
            "points": points,
            "texts": dict(entry.texts),
            "decision": dict(entry.decision),
            "outcome": None if entry.outcome is None else dict(entry.outcome),
            "timing": {name: _finite(seconds) for name, seconds in entry.timing.items()},
            "verified": entry.verified,
            "fed": entry.fed,
        }
    return {**plain, "events": events}


def line(entry: Entry) -> str:
    """One line of JSON."""
    return json.dumps(as_plain(entry), ensure_ascii=False, allow_nan=False) + "\n"


def write_jsonl(reader: JournalReader, first_ns: int | None, last_ns: int | None, file: TextIO) -> int:
    """Every entry with everything. Returns the number of entries."""
    rows = 0
    for entry in reader.read_between(first_ns, last_ns):
        file.write(line(entry))
        rows += 1
    return rows


def write_parquet(reader: JournalReader, first_ns: int | None, last_ns: int | None, path: Path) -> int:
    """One row per cycle. Points of every layout in the range get a column, null where a cycle lacks them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    units: dict[str, str | None] = {}
    seen: dict[int, Layout] = {}
    for entry in reader.read_between(first_ns, last_ns):
        if entry.kind == "cycle" and id(entry.layout) not in seen:
            seen[id(entry.layout)] = entry.layout
            units |= dict(zip(entry.layout.names, entry.layout.units, strict=True))
    label = pa.dictionary(pa.int8(), pa.string())
    fields = [pa.field("sequence", pa.int64()), pa.field("time", pa.timestamp("ns", tz="UTC"))]
    for name, unit in units.items():
        fields.append(pa.field(name, pa.float64(), metadata={"unit": unit} if unit else None))
        fields.append(pa.field(f"{name}_quality", label))
    schema = pa.schema(fields)
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for entry in reader.read_between(first_ns, last_ns):
            if entry.kind != "cycle":
                continue
            batch.append(_parquet_row(entry))
            rows += 1
            if len(batch) == _ROWS:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                batch.clear()
        if batch:
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
    return rows


def _parquet_row(entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"sequence": entry.sequence, "time": entry.wall_ns}
    for name, value, quality in zip(
        entry.layout.names, entry.values.tolist(), entry.quality.tolist(), strict=True
    ):
        row[name], row[f"{name}_quality"] = value, LABELS.get(quality, str(quality))
    return row


def time_text(wall_ns: int) -> str:
    """RFC 3339 UTC with milliseconds."""
    whole, part = divmod(wall_ns, 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{part // 10**6:03d}Z"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
