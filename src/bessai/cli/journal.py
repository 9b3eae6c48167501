"""`bessai journal`: look at, export and measure the durable log."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bessai.cli import journal_care
from bessai.cli.common import DATA_DIR, fail, given_megabytes, moment
from bessai.cli.export import LABELS, Lines, time_text, write_jsonl, write_parquet
from bessai.cli.progress import Quiet, progress
from bessai.journal import Entry, JournalError, JournalReader, Progress
from bessai.journal.cursors import read_progress
from bessai.journal.outlook import Outlook, outlook
from bessai.model import Quality, Severity

if TYPE_CHECKING:
    from rich.text import Text

_NO_JOURNAL = 3
_SHOWN = ("soc", "active_power", "battery_power", "grid_power", "frequency", "cell_temperature_max")


class Format(Enum):
    """What `export` writes."""

    JSONL = "jsonl"
    PARQUET = "parquet"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

app = typer.Typer(
    no_args_is_help=True,
    help="Look at, check, mend, copy and export the durable log of cycles and events.\n\n"
    "Exit codes: 0 done; 1 something is damaged; 2 wrong input, or it cannot be done; 3 there is no journal "
    "that can be read.",
)
journal_care.register(app)


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="journal")


@app.command()
def tail(
    count: Annotated[int, typer.Option("-n", "--lines", min=0, help="Number of entries to begin with.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: AsJson = False,
    data_dir: Path = DATA_DIR,
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
        Path | None, typer.Option("--output", "-o", help="File; standard output without it.")
    ] = None,
    quiet: Quiet = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Write entries to a file. The file appears only once it is complete.

    Exit codes: 0 done; 2 wrong input, or the file cannot be written; 3 there is no journal that can be read.
    """
    now = time.time_ns()
    first_ns = None if first is None else moment("--from", first, now)
    last_ns = None if last is None else moment("--to", last, now)
    if first_ns is not None and last_ns is not None and first_ns > last_ns:
        fail(f"--from {first} is later than --to {last}: swap them")
    if output == Path("-"):
        output = None
    if format is Format.PARQUET:
        _require_pyarrow()
        if output is None and sys.stdout.isatty():
            fail("parquet is not for a terminal: add --output FILE, or redirect the output")
    with _reader(data_dir) as reader, progress("exporting", quiet=quiet) as tick:
        if output is None and format is Format.JSONL:
            write_jsonl(reader, first_ns, last_ns, sys.stdout, tick)
            return
        with _whole_file(output) if output else _to_standard_output() as path:
            if format is Format.PARQUET:
                rows, what = write_parquet(reader, first_ns, last_ns, path, tick), "cycles"
            else:
                with path.open("w", encoding="utf-8") as file:
                    rows, what = write_jsonl(reader, first_ns, last_ns, file, tick), "entries"
    if output is not None:
        typer.echo(f"{output}: {rows} {what}", err=True)


@app.command()
def stats(as_json: AsJson = False, data_dir: Path = DATA_DIR) -> None:
    """How much the journal holds, what it dropped, and how far its readers are.

    Exit codes: 0 done; 3 there is no journal that can be read.
    """
    bound = given_megabytes("JOURNAL_MAX_MB", 1024)
    with _reader(data_dir) as reader:
        held = reader.stats()
        cursors, taken = read_progress(data_dir), outlook(data_dir)
    left = None if not taken.bytes_a_day else max(0.0, bound - held.size_bytes) / taken.bytes_a_day
    if as_json:
        told = {
            **asdict(held), **asdict(taken), "max_bytes": bound, "days_until_full": left,
            "cursors": {name: held.floor for name, held in cursors.items()},
            "gaps": {name: _gaps(held) for name, held in cursors.items()},
        }  # fmt: skip
        typer.echo(json.dumps(told))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, title=str(data_dir / "journal"), title_justify="left")
    rows = {
        "records": f"{held.records}  (sequence {held.first_sequence} to {held.last_sequence})",
        "epoch": str(held.epoch),
        "from": time_text(held.first_wall_ns) if held.records else "-",
        "to": time_text(held.last_wall_ns) if held.records else "-",
        "size": f"{held.size_bytes / 1e6:.1f} MB of {bound / 1e6:.0f} MB",
        **_outlook_rows(taken, left, bound),
        "dropped for space": str(held.dropped_space),
        "dropped from the queue": str(held.dropped_queue),
        "events lost with them": str(held.dropped_events),
        "lost by damage": str(held.lost),
        "numbers left out": str(held.skipped),
    }
    for consumer, progress_ in cursors.items():
        behind = max(0, held.last_sequence - progress_.floor)
        gaps = "".join(f", {low} to {high} still to do" for low, high in _gaps(progress_))
        rows[f"reader {consumer}"] = f"at {progress_.floor}, {behind} behind{gaps}"
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table, markup=False)


def _gaps(progress: Progress) -> list[tuple[int, int]]:
    """What a consumer has left out below the newest record that it is done with."""
    edges = [progress.floor, *(high for _, high in progress.ranges)]
    return [(edge + 1, low - 1) for edge, (low, _) in zip(edges, progress.ranges, strict=False)]


def _outlook_rows(taken: Outlook, left: float | None, bound: int) -> dict[str, str]:
    if taken.bytes_a_record is None or left is None or not taken.bytes_a_day:
        return {"bytes a record": "not known before 8 MB are full"}
    return {
        "bytes a record": f"{taken.bytes_a_record:.1f}",
        "days until it is full": f"{left:.1f}  (then it holds the newest {bound / taken.bytes_a_day:.1f} days)",
    }


def _print(entries: list[Entry], as_json: bool) -> None:
    if as_json:
        sys.stdout.write("".join(map(Lines().line, entries)))
    elif entries:
        from rich.console import Console

        console = Console(soft_wrap=True, highlight=False)
        for entry in entries:
            console.print(_human(entry))
    sys.stdout.flush()


def _human(entry: Entry) -> Text:
    from rich.text import Text

    text = Text(f"{entry.sequence:>8}  {time_text(entry.wall_ns)}  ")
    if entry.kind == "cycle":
        state, setpoint = str(entry.decision.get("state", "?")), entry.decision.get("setpoint")
        text.append(f"{state:<8}", "green" if state in {"normal", "monitor"} else "yellow")
        text.append("  setpoint -" if setpoint is None else f"  setpoint {setpoint:g} kW")
        for name in (name for name in _SHOWN if name in entry.layout.index):
            i = entry.layout.index[name]
            good = entry.quality[i] == Quality.GOOD
            shown = f"{entry.values[i]:.5g} {entry.layout.units[i] or ''}".rstrip()
            text.append(
                f"  {name} {shown if good else LABELS.get(int(entry.quality[i]), '?')}",
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
    if not (data_dir / "journal").is_dir():
        fail(
            f"there is no journal in {data_dir}: start the gateway, or name its --data-dir", code=_NO_JOURNAL
        )
    reader = JournalReader(data_dir)
    try:
        yield reader
    except JournalError as error:
        fail(str(error), code=_NO_JOURNAL)
    finally:
        reader.close()


@contextmanager
def _to_standard_output() -> Iterator[Path]:
    """A temporary file that is copied to standard output once it is complete."""
    with tempfile.NamedTemporaryFile() as file:
        yield Path(file.name)
        with Path(file.name).open("rb") as whole:
            shutil.copyfileobj(whole, sys.stdout.buffer)


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it on success and removed on failure.

    What is no plain file (a device, a pipe) is written to, not replaced; a link keeps pointing where it does.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        yield path
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        fail(f"{path} cannot be written ({error.strerror}): choose another --output")
    finally:
        part.unlink(missing_ok=True)


def _require_pyarrow() -> None:
    if find_spec("pyarrow") is None:
        fail("parquet needs pyarrow: pip install 'open-bess-edge[parquet]'")
