"""`bessai history`: how points went, from the last seconds to decades."""

from __future__ import annotations

import csv
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessai.cli.common import DATA_DIR, NOT_RUNNING, duration, fail, moment, print_json
from bessai.cli.export import time_text

if TYPE_CHECKING:
    from bessai.history import History, Series
    from bessai.journal import JournalReader

_COLUMNS = ("point", "unit", "time", "min", "mean", "max", "last", "count", "good")


class Format(Enum):
    """What `query` prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

app = typer.Typer(
    no_args_is_help=True, help="How points went: minimum, mean, maximum and last, from seconds to decades."
)


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="history")


@app.command()
def query(
    points: Annotated[
        str,
        typer.Option("--points", metavar="NAME[,NAME…]", help="Which points; see `bessai history points`."),
    ],
    first: Annotated[
        str, typer.Option("--from", metavar="T", help="ISO 8601 (UTC unless it says otherwise) or like -1h.")
    ] = "-1d",
    last: Annotated[str, typer.Option("--to", metavar="T", help="The same, exclusive.")] = "now",
    step: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Length of a bucket, such as 10s, 15m or 24h; 0 for every record."),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="Without --step: buckets at most, 25 in a table and 2000 otherwise."),
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="csv and json are for programs.")] = Format.TABLE,
    data_dir: Path = DATA_DIR,
) -> None:
    """Print how points went. Times are UTC; a day is a day of UTC. Only good values count; gaps stay gaps."""
    from bessai.history import query as ask

    now = time.time_ns()
    first_ns, last_ns = moment("--from", first, now), moment("--to", last, now)
    if first_ns > last_ns:
        fail(f"--from {first} is later than --to {last}: swap them")
    names = [name.strip() for name in points.split(",") if name.strip()]
    seconds = None if step is None else duration("--step", step)
    with _opened(data_dir) as (history, reader):
        found = ask(
            history, reader, names, first_ns, last_ns, step=seconds,
            max_points=rows or (25 if format is Format.TABLE else 2000),
        )  # fmt: skip
    if format is Format.JSON:
        print_json([_plain(series) for series in found])
    elif format is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for series in found:
            for row in _rows(series):
                writer.writerow((series.point, series.unit, *("" if cell is None else cell for cell in row)))
    else:
        _print(found)


@app.command()
def points(as_json: AsJson = False, data_dir: Path = DATA_DIR) -> None:
    """The points that the history has, with their units."""
    with _opened(data_dir) as (history, _), history.snapshot() as stored:
        names = stored.names()
    if as_json:
        print_json(names)
    else:
        for name in sorted(names):
            typer.echo(f"{name}  {names[name] or ''}".rstrip())


@app.command()
def stats(as_json: AsJson = False, data_dir: Path = DATA_DIR) -> None:
    """How much is stored of each resolution, and from when on."""
    with _opened(data_dir) as (history, reader):
        held, journal = history.stats(), reader.stats()
    if as_json:
        print_json(asdict(held))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, title=str(data_dir / "history.db"), title_justify="left")
    for column in ("buckets", "from", "size"):
        table.add_column(column, justify="right" if column == "size" else "left")
    for level in held.levels:
        since = "-" if level.first_ns is None else time_text(level.first_ns)
        table.add_row(level.label, since, f"{level.size_bytes / 1e6:.2f} MB")
    table.add_row("newest", "", f"{held.fresh_bytes / 1e6:.2f} MB")
    console = Console()
    console.print(table, markup=False)
    console.print(
        f"{held.points} points, {held.size_bytes / 1e6:.1f} MB of files, up to record {held.sequence} of "
        f"{journal.last_sequence}; the rest is read from the journal",
        markup=False,
    )


def _print(found: list[Series]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for series in found:
        every = f"every {series.step_ns / 1e9:g} s" if series.step_ns else "every record"
        unit = f" ({series.unit})" if series.unit else ""
        table = Table(
            box=None, title=f"{series.point}{unit}, {every}, from {series.resolution}", title_justify="left"
        )
        for column in _COLUMNS[2:]:
            table.add_column(column, justify="left" if column == "time" else "right")
        for when, *numbers, count, good in _rows(series):
            shown = ["-" if number is None else f"{number:.6g}" for number in numbers]
            table.add_row(when, *shown, str(count), "-" if good is None else f"{good:.1%}")
        console.print(table, markup=False)
        if series.pending:
            console.print(
                f"{series.pending} records are not in it yet: the history is catching up", markup=False
            )


def _rows(series: Series) -> Iterator[tuple[Any, ...]]:
    columns = (series.minimum, series.mean, series.maximum, series.last, series.good)
    for when, count, *numbers in zip(series.times.tolist(), series.count.tolist(), *columns, strict=True):
        low, middle, high, last, good = (float(n) if math.isfinite(n) else None for n in numbers)
        yield time_text(when), low, middle, high, last, count, good


def _plain(series: Series) -> dict[str, Any]:
    names = _COLUMNS[2:]
    rows = list(_rows(series))
    return {
        "point": series.point,
        "unit": series.unit,
        "resolution": series.resolution,
        "step": series.step_ns / 1e9,
        "from": time_text(series.start_ns),
        "to": time_text(series.end_ns),
        "pending": series.pending,
        **{name: [row[i] for row in rows] for i, name in enumerate(names)},
    }


@contextmanager
def _opened(data_dir: Path) -> Iterator[tuple[History, JournalReader]]:
    from bessai.history import History, HistoryError
    from bessai.journal import JournalError, JournalReader

    history, reader = History(data_dir), JournalReader(data_dir)
    try:
        if not history.path.exists() and not reader.last_sequence():
            fail(
                f"there is no history in {data_dir}: start the gateway, or name its --data-dir",
                code=NOT_RUNNING,
            )
        yield history, reader
    except (HistoryError, JournalError) as error:
        fail(error)
    finally:
        history.close()
        reader.close()
