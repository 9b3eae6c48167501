"""`bessai journal`: look at, export and measure the durable log."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from bessai.journal import Entry, JournalError, JournalReader, read_cursors
from bessai.model import Layout, Quality, Severity

if TYPE_CHECKING:
    from rich.text import Text

EXIT_ARGUMENTS, EXIT_NO_JOURNAL = 2, 3
_SHOWN = ("soc", "active_power", "battery_power", "grid_power", "frequency", "cell_temperature_max")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LABELS = {int(quality): quality.label for quality in Quality}
_ROWS = 2000


class Format(Enum):
    """What `export` writes."""

    JSONL = "jsonl"
    PARQUET = "parquet"


DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="DATA_DIR", help="Where the gateway keeps its data.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

app = typer.Typer(
    no_args_is_help=True, help="Look at, export and measure the durable log of cycles and events."
)


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="journal")


@app.command()
def tail(
    count: Annotated[int, typer.Option("-n", "--lines", min=0, help="Number of entries to begin with.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """Print the newest entries, one a line."""
    with _reader(data_dir) as reader:
        entries = reader.tail(count) if count else []
        after = entries[-1].sequence if entries else reader.last_sequence()
        _print(entries, as_json)
        try:
            while follow:
                entries = reader.read(after, 500)
                _print(entries, as_json)
                if entries:
                    after = entries[-1].sequence
                else:
                    time.sleep(0.25)
        except KeyboardInterrupt:
            return


@app.command()
def export(
    format: Annotated[
        Format,
        typer.Option(
            "--format",
            help="jsonl: every entry with everything. parquet: a row per cycle, a column per point.",
        ),
    ],
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="T", help="ISO 8601 (UTC unless it says otherwise) or like -1h."),
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="T", help="The same, inclusive.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; jsonl goes to standard output without it.")
    ] = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """Write entries to a file. The file appears only once it is complete."""
    now = time.time_ns()
    first_ns, last_ns = _moment("--from", first, now), _moment("--to", last, now)
    if first_ns is not None and last_ns is not None and first_ns > last_ns:
        _fail(EXIT_ARGUMENTS, f"--from {first} is later than --to {last}: swap them")
    if format is Format.PARQUET:
        if output is None:
            _fail(EXIT_ARGUMENTS, "parquet needs a file: add --output FILE")
        _require_pyarrow()
    with _reader(data_dir) as reader:
        if output is None:
            for entry in reader.read_between(first_ns, last_ns):
                sys.stdout.write(_line(entry))
            return
        with _whole_file(output) as part:
            if format is Format.PARQUET:
                rows, what = _write_parquet(reader, first_ns, last_ns, part), "cycles"
            else:
                with part.open("w", encoding="utf-8") as file:
                    rows, what = _write_jsonl(reader, first_ns, last_ns, file), "entries"
    typer.echo(f"{output}: {rows} {what}", err=True)


@app.command()
def stats(as_json: AsJson = False, data_dir: DataDir = Path("data")) -> None:
    """How much the journal holds, what it dropped, and how far its readers are."""
    with _reader(data_dir) as reader:
        held = reader.stats()
    cursors = read_cursors(data_dir)
    if as_json:
        typer.echo(json.dumps({**asdict(held), "cursors": cursors}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, title=str(data_dir / "journal.db"), title_justify="left")
    rows = {
        "records": f"{held.records}  (sequence {held.first_sequence} to {held.last_sequence})",
        "from": _time(held.first_wall_ns) if held.records else "-",
        "to": _time(held.last_wall_ns) if held.records else "-",
        "size": f"{held.size_bytes / 1e6:.1f} MB",
        "dropped for space": str(held.dropped_space),
        "dropped from the queue": str(held.dropped_queue),
        "events lost with them": str(held.dropped_events),
    }
    for consumer, sequence in cursors.items():
        rows[f"reader {consumer}"] = f"at {sequence}, {max(0, held.last_sequence - sequence)} behind"
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table, markup=False)


def as_plain(entry: Entry) -> dict[str, Any]:
    """An entry as JSON holds it: numbers that are none become null, qualities and severities their names."""
    points: dict[str, Any] = {}
    for i, (name, unit) in enumerate(zip(entry.layout.names, entry.layout.units, strict=True)):
        value = float(entry.values[i])
        quality = int(entry.quality[i])
        point: dict[str, Any] = {
            "value": _finite(value),
            "unit": unit,
            "quality": _LABELS.get(quality, str(quality)),
        }
        point["age"] = _finite(float(entry.ages[i]))
        if math.isfinite(value) and (meaning := entry.layout.meaning(name, value)) is not None:
            point["meaning"] = meaning
        points[name] = point
    events = [
        {**asdict(e), "severity": e.severity.label, "time": _time(e.wall_ns), "value": _finite(e.value)}
        for e in entry.events
    ]
    plain: dict[str, Any] = {
        "sequence": entry.sequence,
        "kind": entry.kind,
        "time": _time(entry.wall_ns),
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


def _line(entry: Entry) -> str:
    return json.dumps(as_plain(entry), ensure_ascii=False, allow_nan=False) + "\n"


def _write_jsonl(reader: JournalReader, first_ns: int | None, last_ns: int | None, file: TextIO) -> int:
    rows = 0
    for entry in reader.read_between(first_ns, last_ns):
        file.write(_line(entry))
        rows += 1
    return rows


def _write_parquet(reader: JournalReader, first_ns: int | None, last_ns: int | None, path: Path) -> int:
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
        row[name], row[f"{name}_quality"] = value, _LABELS.get(quality, str(quality))
    return row


def _print(entries: list[Entry], as_json: bool) -> None:
    if as_json:
        sys.stdout.write("".join(map(_line, entries)))
    elif entries:
        from rich.console import Console

        console = Console(soft_wrap=True, highlight=False)
        for entry in entries:
            console.print(_human(entry))
    sys.stdout.flush()


def _human(entry: Entry) -> Text:
    from rich.text import Text

    text = Text(f"{entry.sequence:>8}  {_time(entry.wall_ns)}  ")
    if entry.kind == "cycle":
        state, setpoint = str(entry.decision.get("state", "?")), entry.decision.get("setpoint")
        text.append(f"{state:<8}", "green" if state in {"normal", "monitor"} else "yellow")
        text.append("  setpoint -" if setpoint is None else f"  setpoint {setpoint:g} kW")
        for name in (name for name in _SHOWN if name in entry.layout.index):
            i = entry.layout.index[name]
            good = entry.quality[i] == Quality.GOOD
            shown = f"{entry.values[i]:.5g} {entry.layout.units[i] or ''}".rstrip()
            text.append(
                f"  {name} {shown if good else _LABELS.get(int(entry.quality[i]), '?')}",
                None if good else "red",
            )
        text.append("" if entry.verified else "  unverified", "red")
    for event in entry.events:
        style = {Severity.ALARM: "bold red", Severity.WARNING: "yellow"}.get(event.severity, "cyan")
        ended = "" if event.active else " (ended)"
        text.append(f"  {event.severity.label} {event.code}{ended}: {event.message}", style)
    return text


@contextmanager
def _reader(data_dir: Path) -> Iterator[JournalReader]:
    if not (data_dir / "journal.db").exists():
        _fail(
            EXIT_NO_JOURNAL, f"there is no journal in {data_dir}: start the gateway, or name its --data-dir"
        )
    reader = JournalReader(data_dir)
    try:
        yield reader
    except JournalError as error:
        _fail(EXIT_NO_JOURNAL, str(error))
    finally:
        reader.close()


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it on success and removed on failure."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        _fail(EXIT_ARGUMENTS, f"{path} cannot be written ({error.strerror}): choose another --output")
    finally:
        part.unlink(missing_ok=True)


def _moment(option: str, text: str | None, now_ns: int) -> int | None:
    """UTC nanoseconds of an ISO 8601 time or of a time relative to now."""
    if text is None or text == "now":
        return None if text is None else now_ns
    try:
        if relative := re.fullmatch(r"([+-]\d+(?:\.\d+)?)([smhdw])", text):
            return now_ns + int(timedelta(**{_UNITS[relative[2]]: float(relative[1])}).total_seconds() * 1e9)
        time_ = datetime.fromisoformat(text)
        since = (time_ if time_.tzinfo else time_.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
        return since // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError):
        _fail(
            EXIT_ARGUMENTS,
            f"{option} {text!r} is no time: write 2026-01-31T12:00:00Z, 2026-01-31, now, or -1h",
        )


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        _fail(EXIT_ARGUMENTS, "parquet needs pyarrow: pip install 'open-bess-edge[parquet]'")


def _fail(code: int, message: str) -> NoReturn:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(code)


def _time(wall_ns: int) -> str:
    whole, part = divmod(wall_ns, 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{part // 10**6:03d}Z"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
