"""`bessai gridcode test` and `bessai gridcode matrix`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from bessai.cli.common import DATA_DIR, NOT_HEALTHY, OK, fail

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
    cycle: float = typer.Option(
        0.1,
        min=0.1,
        max=1.0,
        help="Seconds of the gateway's control cycle (CYCLE_TIME), to see what a slower one costs.",
    ),
    sabotage: str | None = typer.Option(
        None,
        help="Run with a deliberate fault, to see its rows fail: droop=8, dead_band=150, delay=2, ramp=40 or "
        "overshoot=0.5.",
    ),
    plant: bool = typer.Option(
        False,
        "--plant",
        help="On the real plant, through the running gateway. POWER WILL FLOW; needs what follows.",
    ),
    armed: bool = typer.Option(False, "--armed", help="With --plant: yes, move power."),
    max_power: float | None = typer.Option(
        None, help="With --plant: highest kW at the point of connection, either way."
    ),
    max_minutes: float | None = typer.Option(None, help="With --plant: longest time."),
    user: str = typer.Option("", help="With --plant: who; it is recorded."),
    role: str = typer.Option("", help="With --plant: engineer."),
    reason: str = typer.Option("", help="With --plant: why; it is recorded."),
    authorisation: str = typer.Option("", help="With --plant: reference of the Coordinator's authorisation."),
    data_dir: Path = DATA_DIR,
) -> None:
    """Test the grid functions step by step and say for each clause what was measured.

    The gateway's own control plane runs against a simulated plant at register level, in simulated time. What only the
    converter can do is told as not tested. With --plant the running gateway adds a test signal to what it measures,
    and the real plant answers; the run ends by itself when the power leaves --max-power.

    Exit codes: 0 no row fails, 1 a row fails or the run was aborted, 2 wrong arguments, 3 no gateway is running.
    """  # fmt: skip
    from bessai.gridcode.bench_plant import Sizes
    from bessai.gridcode.lab import Setup
    from bessai.gridcode.plant_plan import plant_row_names
    from bessai.gridcode.sabotage import parse
    from bessai.gridcode.suite import chosen, run

    language = _language(lang)
    try:
        fault = None if sabotage is None else parse(sabotage)
        names = chosen(only, plant_row_names() if plant else ())
    except ValueError as error:
        fail(error)
    if plant:
        from bessai.cli.gridcode_plant import run_on_plant

        _finish(*run_on_plant(
            names, data_dir, armed=armed, max_power=max_power, max_minutes=max_minutes, user=user, role=role,
            reason=reason, authorisation=authorisation,
        ), language, out, as_json=as_json)  # fmt: skip
    setup = Setup(seed=seed, sizes=Sizes(cycle=cycle), sabotage=fault)
    rows = run(setup, only, lambda text: None if as_json else typer.echo(f"  … {text}", err=True))
    from bessai.gridcode.twin_report import twin_report

    date = datetime.now(UTC).isoformat(timespec="seconds")
    _finish(rows, twin_report(setup, rows, date), language, out, as_json=as_json)


def _finish(
    rows: Sequence[Row], report: Report, language: Language, out: Path | None, *, as_json: bool
) -> NoReturn:
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
        confidence = row.confidence + (", provisional" if row.provisional else "")
        typer.echo(
            f"{verdict:12} {row.name:36} {found}" + (f"  [{limit}]" if limit else "") + f"  ({confidence})"
        )
    counts = ", ".join(f"{count} {word(VERDICTS[name], language)}" for name, count in report.counts.items())
    typer.echo(counts)


def _language(text: str) -> Language:
    if text not in {"en", "es"}:
        fail(f"--lang {text}: use en or es")
    return "es" if text == "es" else "en"
