"""`bessai incident`: the clock of an incident that may have to be reported, and drafts of the reports."""

from __future__ import annotations

import getpass
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessai.cli.common import DATA_DIR, NOT_HEALTHY, WRONG_INPUT, fail, moment, print_json

if TYPE_CHECKING:
    from bessai.incident import Evidence, Incident

_HOUR_NS = 3600 * 10**9

app = typer.Typer(
    no_args_is_help=True,
    help="Incidents that may have to be reported (Ley 21.663; terms are provisional): open, follow, draft, close.\n\n"
    "Nothing here sends anything. The gateway need not run.",
)


class Language(StrEnum):
    """Languages of a draft."""

    ES = "es"
    EN = "en"


class Report(StrEnum):
    """The three reports."""

    EARLY = "early"
    UPDATE = "update"
    FINAL = "final"


Number = Annotated[str, typer.Argument(metavar="ID", help="As `bessai incident list` shows it.")]
User = Annotated[
    str,
    typer.Option(
        "--user",
        default_factory=getpass.getuser,
        show_default="who is logged in",
        help="Who does it; recorded.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="incident")


@app.command("open")
def open_(
    title: Annotated[str, typer.Option("--title", help="What happened, in one line.")],
    user: User,
    known: Annotated[
        str,
        typer.Option(
            "--known", metavar="T", help="When it was known: ISO 8601 (UTC unless it says so) or -20m."
        ),
    ] = "now",
    known_by: Annotated[
        str | None, typer.Option("--known-by", help="Who came to know of it.", show_default="--user")
    ] = None,
    oiv: Annotated[
        bool,
        typer.Option(
            "--essential",
            help="Operator of vital importance whose essential service is affected: update in 24 h.",
        ),
    ] = False,
    data_dir: Path = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Open an incident. The terms run from the moment of knowledge.

    Exit codes: 0 opened, 2 wrong arguments or the disk refuses.
    """
    from bessai.incident import IncidentError, IncidentStore

    now = time.time_ns()
    try:
        incident = IncidentStore(data_dir).open(
            title=title, known_ns=moment("--known", known, now), known_by=known_by or user, opened_by=user,
            wall_ns=now, essential=oiv,
        )  # fmt: skip
    except IncidentError as error:
        fail(*error.problems)
    _show(incident, now, as_json=as_json)


@app.command("list")
def list_(data_dir: Path = DATA_DIR, as_json: AsJson = False) -> None:
    """List the incidents and the report that is due next.

    Exit codes: 0 nothing is late, 1 a report is late, or an incident cannot be read.
    """
    from bessai.incident import IncidentStore, deadlines

    now = time.time_ns()
    found, problems = IncidentStore(data_dir).all()
    if as_json:
        print_json({"incidents": [_as_data(one, now) for one in found], "problems": problems})
    else:
        for incident in found:
            typer.echo(_line(incident, now))
        if not found and not problems:
            typer.echo("no incidents")
        for problem in problems:
            typer.echo(f"error: {problem}", err=True)
    late = any(deadline.late(now) for incident in found for deadline in deadlines(incident))
    raise typer.Exit(NOT_HEALTHY if late or problems else 0)


@app.command()
def show(number: Number, data_dir: Path = DATA_DIR, as_json: AsJson = False) -> None:
    """Show an incident and its terms.

    Exit codes: 0 shown, 2 there is no such incident.
    """
    _show(_get(data_dir, number), time.time_ns(), as_json=as_json)


@app.command()
def sent(
    number: Number,
    report: Annotated[Report, typer.Argument(help="Which report went out.")],
    reference: Annotated[str, typer.Option("--reference", help="How the authority knows it.")],
    user: User,
    at: Annotated[str, typer.Option("--at", metavar="T", help="When it went out: ISO 8601 or -20m.")] = "now",
    data_dir: Path = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Note that a person sent a report: its clock stops.

    Exit codes: 0 noted, 2 wrong arguments or the disk refuses.
    """
    from bessai.incident import IncidentError, IncidentStore

    now = time.time_ns()
    try:
        incident = IncidentStore(data_dir).sent(
            number, report.value, by=user, reference=reference, wall_ns=moment("--at", at, now), now_ns=now
        )
    except IncidentError as error:
        fail(*error.problems)
    _show(incident, now, as_json=as_json)


@app.command()
def close(
    number: Number,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    user: User,
    unsent: Annotated[
        bool, typer.Option("--not-reportable", help="Close although not every report was sent.")
    ] = False,
    data_dir: Path = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Close an incident when its reports were sent, or when nothing has to be reported.

    Exit codes: 0 closed, 2 refused or the disk refuses.
    """
    from bessai.incident import IncidentError, IncidentStore

    now = time.time_ns()
    try:
        incident = IncidentStore(data_dir).close(number, by=user, reason=reason, wall_ns=now, unsent=unsent)
    except IncidentError as error:
        fail(*error.problems)
    _show(incident, now, as_json=as_json)


@app.command()
def draft(
    number: Number,
    language: Annotated[
        Language | None, typer.Option("--lang", help="es or en.", show_default="es; with --out both")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write files there instead of printing.")
    ] = None,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="T", help="Look at the journal from here.", show_default="6 h before"),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--to", metavar="T", help="The same, inclusive.", show_default="now, or the closing"),
    ] = None,
    data_dir: Path = DATA_DIR,
) -> None:
    """Draft a report (Markdown) from the journal, to be completed and sent by a person.

    Exit codes: 0 drafted, 2 wrong arguments, or a file cannot be read or written.
    """
    from bessai.incident import draft as make

    incident, now = _get(data_dir, number), time.time_ns()
    first_ns = incident.known_ns - 6 * _HOUR_NS if first is None else moment("--from", first, now)
    last_ns = (incident.closed_ns or now) if last is None else moment("--to", last, now)
    if first_ns > last_ns:
        fail("--from is later than --to: swap them")
    evidence, site = _evidence(data_dir, first_ns, last_ns), _site()
    if out is None:
        chosen = (language or Language.ES).value
        typer.echo(make(incident, evidence, chosen, wall_ns=now, site=site), nl=False)
        return
    for one in [language] if language else list(Language):
        path = out / f"incident-{incident.id}.{one.value}.md"
        text = make(incident, evidence, one.value, wall_ns=now, site=site)
        try:
            out.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            fail(f"{path}: cannot be written: {error.strerror}")
        typer.echo(str(path))


def _evidence(data_dir: Path, first_ns: int, last_ns: int) -> Evidence:
    from bessai.incident import gather
    from bessai.journal import JournalError, JournalReader

    reader = JournalReader(data_dir)
    try:
        return gather(reader, first_ns, last_ns)
    except JournalError as error:
        fail(error)
    finally:
        reader.close()


def _site() -> str:
    from bessai.core.environment import SettingsError, given_value

    try:
        return given_value("SITE_ID") or ""
    except SettingsError:
        return ""


def _get(data_dir: Path, number: str) -> Incident:
    from bessai.incident import IncidentError, IncidentStore

    try:
        return IncidentStore(data_dir).get(number)
    except IncidentError as error:
        fail(*error.problems, code=WRONG_INPUT)


def _as_data(incident: Incident, now: int) -> dict[str, Any]:
    from bessai.incident import deadlines

    terms = [
        {
            "report": one.report, "due_ns": one.due_ns, "sent_ns": one.sent_ns,
            "seconds_left": one.seconds_left(now), "late": one.late(now), "sent_late": one.sent_late,
        }
        for one in deadlines(incident)
    ]  # fmt: skip
    return {**incident.to_plain(), "deadlines": terms, "provisional": True}


def _show(incident: Incident, now: int, *, as_json: bool) -> None:
    from bessai.incident import deadlines, moment_text

    if as_json:
        print_json(_as_data(incident, now))
        return
    typer.echo(f"{incident.id}  {incident.title}")
    typer.echo(f"known since {moment_text(incident.known_ns)} by {incident.known_by}")
    for deadline in deadlines(incident):
        typer.echo(f"  {deadline.report:<7} due {moment_text(deadline.due_ns)}  {_state(deadline, now)}")
    if incident.closed_ns is not None:
        typer.echo(f"closed {moment_text(incident.closed_ns)} by {incident.closed_by}: {incident.closing}")
    typer.echo("terms are provisional, counted from the moment of knowledge; see docs/incident-clock.md")


def _line(incident: Incident, now: int) -> str:
    from bessai.incident import deadlines

    if incident.closed_ns is not None:
        return f"{incident.id}  closed  {incident.title}"
    waiting = [one for one in deadlines(incident) if one.sent_ns is None]
    told = f"{waiting[0].report}: {_state(waiting[0], now)}" if waiting else "every report was sent; close it"
    return f"{incident.id}  {told}  {incident.title}"


def _state(deadline: Any, now: int) -> str:
    from bessai.incident import moment_text, time_left_text

    left = deadline.seconds_left(now)
    if left is not None:
        return f"{time_left_text(left)} LATE" if left < 0 else f"{time_left_text(left)} left"
    if deadline.sent_ns is None:
        return "closed without it"
    return f"sent {moment_text(deadline.sent_ns)}" + (" LATE" if deadline.sent_late else "")
