"""`bessai performance`: how the grid behaved at the point of connection, and how the plant answered."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bessai.cli import performance_indices
from bessai.cli.common import DATA_DIR, fail
from bessai.cli.export import time_text
from bessai.cli.performance_open import GridFile, Since, Until, opened, span
from bessai.cli.progress import Quiet, progress
from bessai.cli.tables import AsCsv, AsJson, Out, give

if TYPE_CHECKING:
    from bessai.performance import Plant

app = typer.Typer(
    no_args_is_help=True,
    help="Records of the grid at the point of connection, and of how the plant answered it.\n\n"
    "Exit codes: 0 done; 2 wrong input, or it cannot be done; 3 there is no journal.",
)
performance_indices.register(app)


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="performance")


@app.command()
def events(
    since: Since = "-30d", until: Until = "now",
    kind: Annotated[str | None, typer.Option(help="Only frequency, rocof or voltage.")] = None,
    as_json: AsJson = False, as_csv: AsCsv = False, out: Out = None,
    grid_file: GridFile = None, data_dir: Path = DATA_DIR,
) -> None:  # fmt: skip
    """List excursions of frequency, its rate of change, and voltage. Their records: `bessai performance event`."""
    from bessai.performance.excursion import KINDS, UNITS

    if kind is not None and kind not in KINDS:
        fail(f"--kind {kind}: give one of {', '.join(KINDS)}")
    first_ns, end_ns = span(since, until)
    with opened(grid_file, data_dir) as (performance, _, plant):
        found = performance.events(first_ns, end_ns, kind)
        quantum = performance.quantum()
    rows = [
        {
            "id": identity,
            "kind": event.kind,
            "what": event.direction,
            "start": time_text(event.start_ns),
            "end": _time(event.end_ns),
            "duration_s": event.duration,
            "minimum": event.minimum,
            "maximum": event.maximum,
            "unit": UNITS[event.kind],
            "limit_low": event.low,
            "limit_high": event.high,
            "rocof_hz_s": event.rocof_worst,
            "excursions": event.excursions,
            "ending": event.ending or "open",
            "records": 0 if event.dropped else event.rows,
            "truncated": event.truncated,
        }
        for identity, event in found
    ]
    shown = (
        "id",
        "kind",
        "what",
        "start",
        "duration_s",
        "minimum",
        "maximum",
        "unit",
        "rocof_hz_s",
        "ending",
    )
    notes = [
        "thresholds are the site's (records in GRID_FILE), provisional; phase jumps need a recorder of 10 µs",
        *_resolution(plant, quantum),
    ]
    give(rows, title="grid events", notes=notes, as_json=as_json, as_csv=as_csv, out=out, shown=shown)


@app.command()
def event(
    number: Annotated[int, typer.Argument(metavar="ID", help="As `bessai performance events` tells it.")],
    as_json: AsJson = False, as_csv: AsCsv = False, out: Out = None,
    grid_file: GridFile = None, data_dir: Path = DATA_DIR,
) -> None:  # fmt: skip
    """Give the records before, during and after one event, at the journal's full rate."""
    from bessai.performance.events import FIELDS

    with opened(grid_file, data_dir) as (performance, _, _plant):
        found = performance.event(number)
    if found is None:
        fail(f"there is no event {number}: see `bessai performance events`")
    summary, records = found
    rows = [
        {
            "time": time_text(wall_ns),
            "wall_ns": wall_ns,
            **dict(zip(FIELDS, map(_finite, values), strict=True)),
        }
        for wall_ns, values in zip(records.wall_ns.tolist(), records.values.tolist(), strict=True)
    ]
    notes = [
        f"{summary.kind} {summary.direction} from {time_text(summary.start_ns)}, {summary.ending or 'open'}"
    ]
    notes += ["its records made room for newer ones"] if summary.dropped else []
    notes += ["it lasted longer than records are kept of one event"] if summary.truncated else []
    give(
        rows, title=f"event {number}", notes=notes, as_json=as_json, as_csv=as_csv, out=out,
        head={"event": summary.plain(), "units": ["Hz", "V", "kW", "kvar", "Hz/s"]}, shown=("time", *FIELDS),
    )  # fmt: skip


@app.command()
def rocof(
    since: Since = "-1d", until: Until = "now",
    as_json: AsJson = False, as_csv: AsCsv = False, out: Out = None,
    grid_file: GridFile = None, data_dir: Path = DATA_DIR,
) -> None:  # fmt: skip
    """Give the steepest change of frequency of each hour (NTSyCS Art. 3-11 asks for a record)."""
    import numpy as np

    from bessai.performance.hours import HOUR_NS

    first_ns, end_ns = span(since, until)
    with opened(grid_file, data_dir) as (performance, _, plant):
        found, quantum = performance.rocof(first_ns, end_ns), performance.quantum()
    rows = [
        {
            "hour": time_text(hour * HOUR_NS),
            "lowest_hz_s": _finite(np.fmin.reduce(cells)),
            "highest_hz_s": _finite(np.fmax.reduce(cells)),
            "measurable": round(float((~np.isnan(cells)).mean()), 4),
        }
        for hour, cells in found.items()
    ]
    window = plant.settings.rocof_window
    notes = [f"least squares over {window:g} s (our choice, provisional); slower samples are not measurable"]
    notes += _resolution(plant, quantum)
    give(rows, title="rate of change of frequency", notes=notes, as_json=as_json, as_csv=as_csv, out=out)


@app.command()
def rebuild(quiet: Quiet = False, grid_file: GridFile = None, data_dir: Path = DATA_DIR) -> None:
    """Make the records anew from the journal, for as far as it reaches; older hours stay. A gateway may be running."""
    from bessai.performance import rebuild as make_anew

    with (
        opened(grid_file, data_dir) as (_, journal, plant),
        progress("reading the journal", quiet=quiet) as tick,
    ):
        done = make_anew(data_dir, plant, journal, tick)
    since = "the beginning" if done.floor_ns is None else time_text(done.floor_ns)
    rest = "; the running gateway goes on with the rest" if done.taken_over else ""
    typer.echo(f"{done.records} records folded again, from {since} on{rest}")


def _resolution(plant: Plant, quantum: float | None) -> list[str]:
    from bessai.performance.rocof import resolution

    if quantum is None:
        return []
    slope = resolution(quantum, plant.settings.rocof_window)
    return [
        f"the frequency is measured in steps of {quantum:.3g} Hz: slopes below {slope:.3g} Hz/s may be one step"
    ]


def _time(wall_ns: int | None) -> str | None:
    return None if wall_ns is None else time_text(wall_ns)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
