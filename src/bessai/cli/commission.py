"""`bessai commission`."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from bessai.cli import commission_setup as setup
from bessai.cli.common import DATA_DIR, NOT_HEALTHY, OK, fail, print_json

if TYPE_CHECKING:
    from bessai.commissioning import Plan, Sample, Step, StepResult
    from bessai.commissioning.report import Report

_USER = typer.Option(None, help="Who commissions; recorded. Default: the name of this login.")
_REASON = typer.Option("commissioning", help="Why; recorded with every request.")
_UNIT = typer.Option(None, help="The commanded device, where the site has several.")
_POWER = typer.Option(
    None, help="Power of the tests in kW. Default: 5 % of rated, and at least what can be told from zero."
)
_YES = typer.Option(False, "--yes", help="Ask nothing; values are recorded as not confirmed by a person.")
_JSON = typer.Option(False, "--json", help="Print JSON.")
_CELLS = typer.Option(None, min=1, help="Cells in series, from the battery's datasheet.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
    group.callback()(commission)
    group.command("deadman")(deadman)
    group.command("report")(report)
    app.add_typer(group, name="commission")


def commission(
    context: typer.Context,
    user: str = _USER,
    reason: str = _REASON,
    unit: str = _UNIT,
    power: float = _POWER,
    yes: bool = _YES,
    skip: list[str] = typer.Option(
        None, help="Leave out points, sign, limits, deadman or response; may be repeated."
    ),
    full_power: bool = typer.Option(
        False, "--full-power", help="Agree to run at the limits for some seconds."
    ),
    cells: int = _CELLS,
    wait: float = typer.Option(
        75.0, min=0.0, help="Longest wait in s for values that are read seldom, at each power."
    ),
    data_dir: Path = DATA_DIR,
    as_json: bool = _JSON,
) -> None:
    """Commission a unit through the running gateway and write a report with the measured evidence.

    Power flows: small, for minutes, inside the gateway's limits, in leases of 5 s that end when this command ends.

    Exit codes: 0 every step passed, 1 failed or incomplete, 2 wrong arguments, 3 no gateway is running.
    """
    if context.invoked_subcommand is not None:
        return
    from bessai.commissioning import STEPS

    keys = [step.key for step in STEPS]
    if wrong := [name for name in skip or () if name not in keys]:
        fail(*(f"--skip {name}: use one of {', '.join(keys)}" for name in wrong))
    _run(
        "commission", STEPS, user=user, reason=reason, unit=unit, power=power, yes=yes, skip=skip or [],
        full_power=full_power, cells=cells, wait=wait, data_dir=data_dir, as_json=as_json,
    )  # fmt: skip


def deadman(
    user: str = _USER,
    reason: str = typer.Option("dead-man test", help="Why; recorded with every request."),
    unit: str = _UNIT,
    power: float = _POWER,
    yes: bool = _YES,
    data_dir: Path = DATA_DIR,
    as_json: bool = _JSON,
) -> None:
    """Test the dead-man alone: the gateway really falls silent, and the device must fall back by itself.

    Exit codes: 0 passed, 1 failed or not possible, 2 wrong arguments, 3 no gateway is running.
    """
    from bessai.commissioning import STEPS

    steps = [step for step in STEPS if step.key == "deadman"]
    _run(
        "deadman", steps, user=user, reason=reason, unit=unit, power=power, yes=yes, skip=[],
        full_power=False, cells=None, wait=0.0, data_dir=data_dir, as_json=as_json,
    )  # fmt: skip


def report(
    file: Path = typer.Argument(help="JSON file of an earlier commissioning."),
    out: Path | None = typer.Option(None, help="Where to write the page. Default: beside the file."),
) -> None:
    """Write the page of an earlier report again."""
    from bessai.commissioning.page import render
    from bessai.commissioning.report import ReportError, from_json

    target = file.with_suffix(".html") if out is None else out
    try:
        page = render(from_json(file.read_bytes()))
        target.write_text(page, encoding="utf-8")
    except ReportError as error:
        fail(*(f"{file}: {problem}" for problem in error.problems))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    typer.echo(str(target))


def _run(
    procedure: Literal["commission", "deadman"],
    steps: Sequence[Step],
    *,
    user: str | None,
    reason: str,
    unit: str | None,
    power: float | None,
    yes: bool,
    skip: Sequence[str],
    full_power: bool,
    cells: int | None,
    wait: float,
    data_dir: Path,
    as_json: bool,
) -> None:
    from bessai import __version__
    from bessai.commissioning import Plan, Session, Unattended, device_of, sample_of
    from bessai.commissioning.page import render
    from bessai.commissioning.report import make_report, save

    user = user or getpass.getuser()
    problems = (
        []
        if reason.strip() and user.strip()
        else ["--user and --reason must not be empty: they are recorded"]
    )
    if not yes and not attended():
        problems.append("there is no terminal to ask questions on; give --yes")
    if problems:
        fail(*problems)
    status = setup.status_with_units(data_dir)
    unit = setup.choose_unit(status, unit)
    pace = setup.pace()
    described = (setup.ask(data_dir, {"op": "device", "name": unit}) or {}).get("device") or {}
    facts = setup.facts_of(status["units"][unit], str(described.get("profile") or ""))
    measured = str(facts.get("measured") or "battery_power")
    sample = sample_of(status, unit, measured, pace.monotonic(), pace.wall_ns())
    device = device_of(
        unit, sample, described, status["units"][unit].get("dead_man") or {}, facts, cells=cells
    )
    least = 2 * device.tolerance
    chosen = max(0.05 * device.rated, least) if power is None else power
    if device.rated <= 0:
        fail(
            "the rated power of the unit is not known: the gateway allows nothing now; see `bessai status`",
            code=NOT_HEALTHY,
        )
    if not least - 1e-9 <= chosen <= device.rated:
        fail(
            f"--power {chosen:g}: give {least:g} … {device.rated:g} kW; "
            f"less than twice the accepted {device.tolerance:g} kW could not be told from zero"
        )
    plan = Plan(
        device=device,
        power=chosen,
        units=len(status["units"]),
        full_power=full_power,
        user=user,
        reason=reason,
    )
    engineer = Unattended(user) if yes else _Terminal(user)
    if not yes:
        _introduce(plan, steps)
        if not engineer.agree("Begin?"):
            fail("not begun", code=NOT_HEALTHY)
    started = pace.wall_ns()
    run_id = f"commissioning-{started // 1_000_000:d}-{os.getpid()}"
    session = Session(lambda message: setup.ask(data_dir, message), pace, engineer, plan, run_id)
    with _ended_by_signals():
        try:
            results = session.run_all(steps, skip, done=_tell)
        finally:
            session.finish()
    made = make_report(
        procedure=procedure, status=status, points=sample.points, plan=plan, steps=results, attended=not yes,
        run_id=run_id, tool_version=__version__, started_ns=started, ended_ns=pace.wall_ns(),
    )  # fmt: skip
    try:
        files = save(made, render(made), data_dir / "commissioning")
    except OSError as error:
        fail(f"the report could not be written: {error}", code=NOT_HEALTHY)
    _finish(made, files, as_json=as_json)


def _finish(made: Report, files: tuple[Path, Path], *, as_json: bool) -> None:
    from bessai.commissioning import Verdict
    from bessai.commissioning.report import plain

    if as_json:
        print_json(
            {
                "verdict": made.verdict.value,
                "json": str(files[0]),
                "html": str(files[1]),
                "report": plain(made),
            }
        )
    else:
        typer.echo(f"{made.verdict.value}\nreport: {files[1]}\n        {files[0]}")
    raise typer.Exit(OK if made.verdict is Verdict.PASSED else NOT_HEALTHY)


def _introduce(plan: Plan, steps: Sequence[Step]) -> None:
    device = plan.device
    typer.echo(
        f"{device.model or device.profile or 'unit'} {device.unit}\n"
        f"  rated {device.rated:g} kW, tests at {plan.power:g} kW, "
        f"dead-man {device.dead_man_time:g} s ({device.dead_man_kind})\n"
        f"  steps: {', '.join(step.title for step in steps)}\n"
        "  Power will flow. Nobody may work on the plant. Ctrl-C ends everything at any time.",
        err=True,
    )


def _tell(result: StepResult) -> None:
    typer.echo(
        f"{result.title}: {result.verdict.value}" + (f" ({result.why})" if result.why else ""), err=True
    )
    for check in result.checks:
        typer.echo(f"  {check.verdict.value:12} {check.name}: {check.text}", err=True)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A lost terminal or a kill ends the commissioning as safely as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def attended() -> bool:
    """True when questions can be asked."""
    return sys.stdin.isatty()


class _Terminal:
    """A person at this terminal."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._phase = ""

    def agree(self, question: str) -> bool | None:
        try:
            return typer.confirm(question, err=True)
        except typer.Abort:
            raise KeyboardInterrupt from None

    def tell(self, phase: str, sample: Sample) -> None:
        if phase != self._phase:
            self._phase = phase
            typer.echo(f"  … {phase}", err=True)
