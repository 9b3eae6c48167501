"""Rows for people, as CSV for spreadsheets, and as JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bessai.cli.common import fail

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV for spreadsheets.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="File instead of the terminal; CSV or JSON, as it is named."),
]

Row = Mapping[str, Any]


def give(
    rows: Sequence[Row], *, title: str, notes: Sequence[str] = (), as_json: bool, as_csv: bool, out: Path | None,
    head: Mapping[str, Any] | None = None, shown: Sequence[str] | None = None,
) -> None:  # fmt: skip
    """Print rows, or write them to a file that appears only once it is complete.

    Args:
        rows: alike, with the same keys.
        title: of the table.
        notes: lines below the table, and `notes` of the JSON.
        as_json: as JSON: an object with `rows`.
        as_csv: as CSV: the rows alone.
        out: file, whose name tells the form when neither is asked for.
        head: what else is in the JSON.
        shown: columns of the table; None: all.
    """
    if as_json and as_csv:
        fail("--json and --csv exclude each other: give one")
    if out is not None and not as_json and not as_csv:
        as_json, as_csv = out.suffix == ".json", out.suffix == ".csv"
        if not as_json and not as_csv:
            fail(f"--out {out}: end its name in .csv or .json, or add --csv or --json")
    if as_json:
        told = {**(head or {}), "notes": list(notes), "rows": list(rows)}
        text = json.dumps(told, allow_nan=False, indent=2, ensure_ascii=False) + "\n"
    elif as_csv:
        text = _csv(rows)
    else:
        _print(rows, title, notes, shown)
        return
    if out is None:
        typer.echo(text, nl=False)
    else:
        _write(out, text)
        typer.echo(f"{out}: {len(rows)} rows", err=True)


def _csv(rows: Sequence[Row]) -> str:
    buffer = io.StringIO()
    if rows:
        writer = csv.DictWriter(buffer, [*rows[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: "" if cell is None else cell for name, cell in row.items()} for row in rows)
    return buffer.getvalue()


def _print(rows: Sequence[Row], title: str, notes: Sequence[str], shown: Sequence[str] | None) -> None:
    """Columns are never cut: a narrow terminal wraps the lines."""
    typer.echo(title if rows else f"{title}: nothing is recorded")
    names = list(shown or (rows[0] if rows else ()))
    columns = []
    for name in names:
        cells = [name, *[_cell(row[name]) for row in rows]]
        width = max(map(len, cells))
        number = all(isinstance(row[name], int | float | None) for row in rows)
        columns.append([cell.rjust(width) if number else cell.ljust(width) for cell in cells])
    for line in zip(*columns, strict=True):
        typer.echo("  ".join(line).rstrip())
    for note in notes:
        typer.echo(note)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        fail(f"{path} cannot be written ({error.strerror}): choose another --out")
    finally:
        part.unlink(missing_ok=True)
