"""`bessai notify`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bessai.cli.alarms import Language
from bessai.cli.common import DATA_DIR, NOT_HEALTHY, WRONG_INPUT, fail, print_json

if TYPE_CHECKING:
    from bessai.interfaces.notify.courier import Job, Outcome
    from bessai.interfaces.notify.loading import NotifyConfig
    from bessai.interfaces.notify.words import Place

_FILE = typer.Option(None, "--file", help="Notification file.", show_default="NOTIFY_FILE")
_JSON = typer.Option(False, "--json", help="Print JSON.")


def register(app: typer.Typer) -> None:
    """Add the sub-commands."""
    group = typer.Typer(no_args_is_help=True, help="Notifications: check, test, show what waits, preview.")
    group.command()(check)
    group.command("test")(send_test)
    group.command()(show)
    group.command()(preview)
    app.add_typer(group, name="notify")


def check(file: Path | None = _FILE, as_json: bool = _JSON) -> None:
    """Check the notification file and whether Apprise understands its addresses. Sends nothing.

    Exit codes: 0 valid, 2 not (every problem is listed at once).
    """
    config = _config(file, as_json=as_json)
    from bessai.interfaces.notify.courier import Job

    outcomes = _done([Job(id=channel.name, url=channel.url) for channel in config.channels])
    problems = [f"{config.path}: {one.id}: {one.why}" for one in outcomes if one.why is not None]
    warnings = _open_to_others(config)
    if as_json:
        channels = [channel.name for channel in config.channels]
        print_json({"valid": not problems, "problems": problems, "warnings": warnings, "channels": channels})
        raise typer.Exit(WRONG_INPUT if problems else 0)
    for text in warnings:
        typer.echo(f"warning: {text}", err=True)
    if problems:
        fail(*problems)
    typer.echo(f"{config.path}: valid, {len(config.file.rules)} rules")
    for name in config.file.recipients:
        listed = ", ".join(channel.name for channel in config.of(name))
        now = ", quiet hours now" if _quiet(config, name) else ""
        typer.echo(f"  {name} ({config.language(name)}): {listed}{now}")


def send_test(
    recipient: str | None = typer.Argument(None, help="Name in the file; all of them when left out."),
    file: Path | None = _FILE,
    as_json: bool = _JSON,
) -> None:
    """Send a test message, now and whatever the hour, and print what each channel answers.

    Exit codes: 0 every channel took it, 1 one did not, 2 wrong input.
    """
    config = _config(file, as_json=as_json)
    from bessai.interfaces.notify.courier import Job
    from bessai.interfaces.notify.words import trial

    if recipient is not None and recipient not in config.file.recipients:
        fail(f"{recipient}: the file has no such recipient; it has {', '.join(config.file.recipients)}")
    jobs, place = [], _place()
    for channel in config.channels:
        if recipient in {None, channel.recipient}:
            message = trial(config.language(channel.recipient), place, config.zone, time.time())
            jobs.append(
                Job(
                    id=channel.name,
                    url=channel.url,
                    title=message.title,
                    body=message.body,
                    kind=message.kind,
                )
            )
    outcomes = _done(jobs)
    failed = [one for one in outcomes if one.why is not None]
    if as_json:
        print_json([{"channel": one.id, "ok": one.why is None, "why": one.why} for one in outcomes])
    else:
        for one in outcomes:
            doubt = "" if one.sure else " (it may have arrived all the same)"
            typer.echo(f"{one.id}: " + ("taken" if one.why is None else f"failed: {one.why}{doubt}"))
    if failed:
        raise typer.Exit(NOT_HEALTHY)


def show(file: Path | None = _FILE, data_dir: Path = DATA_DIR, as_json: bool = _JSON) -> None:
    """Show what waits, what is held back by quiet hours, what fails, and the next steps of escalation.

    Exit codes: 0 shown, 1 a channel fails, 2 wrong input.
    """
    config = _config(file, as_json=as_json)
    from bessai.interfaces.notify.desk import Desk
    from bessai.interfaces.notify.status import details
    from bessai.interfaces.notify.store import StateError, load_state, state_path
    from bessai.interfaces.notify.words import name_of

    path = state_path(data_dir)
    try:
        state = load_state(path)
    except (StateError, OSError) as error:
        fail(f"{path}: {error}")
    if state is None:
        fail(f"{path}: there is none; a gateway with NOTIFY_FILE makes it when it starts")
    desk = Desk(config, state, _place(), resumed=False)  # a look, which changes nothing on disk
    now = time.time()
    told = details(desk, None, now)
    steps = [
        {
            "alarm": name_of(alarm),
            "began": _iso(alarm.began_ns / 1e9),
            "at": _iso(found[0]),
            "tell": found[1].tell,
        }
        for alarm in state.standing.open()
        if (found := desk.next_step(alarm)) is not None
    ]
    if as_json:
        print_json(told | {"escalations": steps})
    else:
        _print_state(told, steps)
    if told["failing"]:
        raise typer.Exit(NOT_HEALTHY)


def preview(
    code: str = typer.Argument(..., help="Code of an alarm, as `bessai alarms explain` knows it."),
    severity: str | None = typer.Option(
        None, "--severity", help="info, warning or alarm; unset: the usual one."
    ),
    point: str | None = typer.Option(None, "--point", help="The point that it is about."),
    value: float | None = typer.Option(None, "--value", help="A measured value, for the text."),
    language: Language | None = typer.Option(None, "--lang", help="unset: as each recipient reads it."),
    file: Path | None = _FILE,
    as_json: bool = _JSON,
) -> None:
    """Show who would be told of an alarm now, and in which words. Sends nothing.

    Exit codes: 0 shown, 2 wrong input.
    """
    config = _config(file, as_json=as_json)
    from bessai.interfaces.notify.desk import Desk
    from bessai.interfaces.notify.queue import Line, Sending
    from bessai.interfaces.notify.quiet import may_go, quiet_now
    from bessai.interfaces.notify.rules import recipients_of
    from bessai.interfaces.notify.standing import Alarm, Change
    from bessai.interfaces.notify.store import State
    from bessai.interfaces.notify.words import compose
    from bessai.model import Severity
    from bessai.model.catalogue import catalogue

    entry = catalogue().get(code)
    if entry is None:
        fail(f"{code}: the catalogue has no such code; `bessai alarms document` lists them")
    if severity is not None and severity.upper() not in Severity.__members__:
        fail(f"--severity {severity}: give info, warning or alarm")
    level = Severity[severity.upper()] if severity else entry.severity
    now, place = time.time(), _place()
    alarm = Alarm(
        code=code, point=point, severity=int(level), value=value, began_ns=round(now * 1e9),
        seen_ns=round(now * 1e9), message="(the words of the gateway stand here)",
    )  # fmt: skip
    desk = Desk(config, State(), place)
    told = recipients_of(config.file.rules, alarm, place.site)
    line = Line.of(Change(kind="began" if entry.condition else "event", alarm=alarm), now)
    people: list[dict[str, Any]] = []
    for name in told:
        hours = quiet_now(config.file.recipients[name].quiet, now, config.zone)
        sending = Sending(ref=f"{place.site}/{name}/preview", lines=[line], unlisted=0, began=now)
        message = compose(
            sending, language.value if language else config.language(name), place, config.zone,
            maintenance=None, standing=[],
        )  # fmt: skip
        people.append(
            {
                "recipient": name,
                "channels": [channel.name for channel in config.of(name)],
                "held": bool(hours) and not may_go(line.severity, hours),
                "title": message.title,
                "body": message.body,
            }
        )
    found = desk.next_step(alarm)
    then: dict[str, Any] | None = (
        None if found is None else {"minutes": found[1].after_minutes, "tell": found[1].tell}
    )
    if as_json:
        print_json({"people": people, "escalation": then})
        return
    if not people:
        typer.echo(f"{code} ({level.label}): no rule tells anybody of it")
    for one in people:
        held = ", after the quiet hours" if one["held"] else ""
        typer.echo(
            f"--- {one['recipient']} by {', '.join(one['channels'])}{held}\n{one['title']}\n\n{one['body']}\n"
        )
    if then is not None:
        typer.echo(f"not acknowledged after {then['minutes']:g} min: {', '.join(then['tell'])}")


def _config(file: Path | None, *, as_json: bool) -> NotifyConfig:
    from bessai.core.environment import SettingsError, given_value
    from bessai.interfaces.notify.loading import NotifyError, load_notify

    try:
        name = str(file) if file else given_value("NOTIFY_FILE")
        if not name:
            fail(
                "no notifications: set NOTIFY_FILE, or name a file with --file; see config/notify.example.yaml"
            )
        return load_notify(name, os.environ)
    except (SettingsError, NotifyError) as error:
        if as_json:
            print_json({"valid": False, "problems": [str(problem) for problem in error.problems]})
            raise typer.Exit(WRONG_INPUT) from None
        fail(*error.problems)


def _place() -> Place:
    from bessai.core.environment import given_value
    from bessai.interfaces.notify.words import Place
    from bessai.interfaces.settings import page_link

    names = ("HTTP_NAME", "HTTP_PORT", "HTTP_TLS", "HTTP_HOST")
    given = {name: value for name in names if (value := given_value(name))}
    return Place(site=given_value("SITE_ID") or "SITE_ID", link=page_link(given))


def _done(jobs: list[Job]) -> list[Outcome]:
    """The outcome of each job, in the order of the jobs."""
    from bessai.interfaces.notify.courier import PATIENCE, ProcessCourier

    courier = ProcessCourier()
    found: dict[str, Outcome] = {}
    courier.start(jobs)
    deadline = time.monotonic() + PATIENCE + 10.0
    while len(found) < len(jobs) and time.monotonic() < deadline:
        found |= {one.id: one for one in courier.finished()}
        time.sleep(0.05)
    return [found[job.id] for job in jobs if job.id in found]


def _open_to_others(config: NotifyConfig) -> list[str]:
    """Files with addresses that other users of this machine may read."""
    warnings = []
    if config.literals() and config.path.stat().st_mode & 0o004:
        where = ", ".join(config.literals())
        warnings.append(
            f"{config.path}: {where}: an address is a secret and every user of this machine can read it here; "
            'use `url_file` or `url: "${NAME}"`, or take the right to read away: chmod o-r'
        )
    warnings += [
        f"{path}: every user of this machine can read it; chmod 640, or 600"
        for path in config.secret_files()
        if path.stat().st_mode & 0o004
    ]
    return warnings


def _quiet(config: NotifyConfig, name: str) -> bool:
    from bessai.interfaces.notify.quiet import quiet_now

    return bool(quiet_now(config.file.recipients[name].quiet, time.time(), config.zone))


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _print_state(told: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    for one in told["channels"]:
        parts = [f"{one['waiting']} waiting"] + (
            [f"{one['held']} held back until the quiet hours end"] * (one["held"] > 0)
        )
        parts += [f"sent {one['sent']}"] + ([f"last {_iso(one['sent_at'])}"] if one["sent_at"] else [])
        parts += [f"sent again {one['doubtful']}"] if one["doubtful"] else []
        typer.echo(f"{one['name']}: {', '.join(parts)}")
        if one["why"] is not None:
            typer.echo(
                f"  fails since {_iso(one['failing_since'])}: {one['why']}; next try {_iso(one['next_try'])}"
            )
    typer.echo(f"{told['unacknowledged']} alarms and warnings stand that nobody has acknowledged")
    for step in steps:
        typer.echo(f"  {step['alarm']}, since {step['began']}: {', '.join(step['tell'])} at {step['at']}")
