"""`bessai gridcode test` and `bessai gridcode matrix`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bessai.cli.common import NOT_HEALTHY, OK, fail

if TYPE_CHECKING:
    from bessai.gridcode.clauses import Language
    from bessai.gridcode.report import Report
    from bessai.gridcode.rows import Row

_LANG = typer.Option("en", "--lang", help="en or es.")


def register(app: typer.Typer) -> None:
    """Add `gridcode` to the command line."""
    group = typer.Typer(
        help="The grid code of Chile: the self-test and the matrix of clauses.", no_args_is_help=True
    )
    group.command("test")(self_test)
    group.command("matrix")(matrix)
    app.add_typer(group, name="gridcode")


def matrix(lang: str = _LANG) -> None:
    """Print the matrix of clauses: what each asks for, who closes the loop, which function and which test.

    `docs/compliance/ntsycs.md` is made from it.
    """
    from bessai.gridcode.matrix import matrix as page

    typer.echo(page(_language(lang)), nl=False)


def self_test(
    only: list[str] = typer.Option(
        [], help="Rows to run: a name, one up to its dot, or with *; may be given again."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the rows as JSON, and nothing else."),
    out: Path | None = typer.Option(
        None, help="Folder for report.json, report.{en,es}.html and report.{en,es}.pdf."
    ),
    lang: str = _LANG,
    seed: int = typer.Option(0, min=0, help="The same seed gives the same result, byte for byte."),
    sabotage: str | None = typer.Option(
        None,
        help="Run with a deliberate fault, to see its rows fail: droop=8, dead_band=150, delay=2, ramp=40, overshoot=0.5.",
    ),
) -> None:
    """Test the grid functions step by step and say for each clause what was measured.

    The gateway's own control plane runs against a simulated plant at register level, in simulated time. What only the
    converter can do is told as not tested.

    Exit codes: 0 no row fails, 1 a row fails, 2 wrong arguments.
    """  # fmt: skip
    from bessai.gridcode.lab import Setup
    from bessai.gridcode.sabotage import parse
    from bessai.gridcode.suite import chosen, run

    language = _language(lang)
    try:
        fault = None if sabotage is None else parse(sabotage)
        chosen(only)
    except ValueError as error:
        fail(error)
    setup = Setup(seed=seed, sabotage=fault)
    rows = run(setup, only, lambda text: None if as_json else typer.echo(f"  … {text}", err=True))
    from bessai.gridcode.twin_report import twin_report

    _finish(
        rows, twin_report(setup, rows, datetime.now(UTC).isoformat(timespec="seconds")), language, out, as_json=as_json
    )  # fmt: skip


def _finish(
    rows: Sequence[Row], report: Report, language: Language, out: Path | None, *, as_json: bool
) -> None:
    from bessai.gridcode.judging import failed
    from bessai.gridcode.report import rows_json

    if out is not None:
        from bessai.gridcode.files import save

        try:
            files, problem = save(report, out)
        except OSError as error:
            fail(f"the report could not be written: {error}")
        if problem:
            typer.echo(problem, err=True)
        if not as_json:
            typer.echo("\n".join(str(path) for path in files), err=True)
    if as_json:
        typer.echo(rows_json(rows, language))
    else:
        _print(rows, report, language)
    raise typer.Exit(NOT_HEALTHY if failed(rows) else OK)


def _print(rows: Sequence[Row], report: Report, language: Language) -> None:
    from bessai.gridcode.words import VERDICTS, main_finding, row_limit, word

    for row in rows:
        verdict = word(VERDICTS[row.verdict.value], language)
        found = row.note[language] if row.verdict.value == "not tested" else main_finding(row, language)
        limit = row_limit(row, language)
        confidence = row.clause.confidence + (", provisional" if row.clause.provisional else "")
        typer.echo(
            f"{verdict:12} {row.name:36} {found}" + (f"  [{limit}]" if limit else "") + f"  ({confidence})"
        )
    counts = ", ".join(f"{count} {word(VERDICTS[name], language)}" for name, count in report.counts.items())
    typer.echo(counts)


def _language(text: str) -> Language:
    if text not in {"en", "es"}:
        fail(f"--lang {text}: use en or es")
    return "es" if text == "es" else "en"
