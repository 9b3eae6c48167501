"""`bessai schedule …`."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bessai.cli.common import DATA_DIR, NOT_RUNNING, WRONG_INPUT, GatewayError, ask_gateway, fail, print_json

if TYPE_CHECKING:
    from bessai.interfaces.schedule import Part, Schedule


def register(app: typer.Typer) -> None:
    """Add the sub-commands."""
    group = typer.Typer(
        no_args_is_help=True, help="The schedule of power: check a file, show what is in force."
    )
    group.command("check")(check)
    group.command("show")(show)
    app.add_typer(group, name="schedule")


def check(
    file: Path = typer.Argument(help="Schedule file, CSV or JSON.", metavar="FILE"),
    count: int = typer.Option(10, "-n", min=1, max=1000, help="How many of the next entries to print."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Validate a schedule and print what comes next, in local time and UTC. Lists all problems at once.

    Exit codes: 0 valid, 2 not.
    """
    from bessai.interfaces.schedule import ScheduleError, load_schedule

    try:
        schedule = load_schedule(file)
    except ScheduleError as error:
        if as_json:
            problems = [{n: getattr(problem, n) for n in problem.__slots__} for problem in error.problems]
            print_json({"valid": False, "problems": problems})
            raise typer.Exit(WRONG_INPUT) from None
        fail(*error.problems)
    now = time.time()
    parts = list(islice(schedule.parts(now), count))
    if as_json:
        rows = [_plain(part, schedule) for part in parts]
        print_json({"valid": True, "timezone": schedule.zone and schedule.zone.key, "next": rows})
        return
    daily = f", {len(schedule.daily)} daily" if schedule.daily else ""
    typer.echo(f"{file}: valid, {len(schedule.entries)} entries{daily}")
    _print(parts, schedule, now)


def show(
    file: Path | None = typer.Option(None, "--file", help="Schedule file.", show_default="SCHEDULE_FILE"),
    data_dir: Path = DATA_DIR,
    count: int = typer.Option(5, "-n", min=1, max=1000, help="How many of the next entries to print."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show what the schedule of the gateway says now and next, and whether the gateway asks for it.

    Exit codes: 0 shown, 2 there is no schedule or it is not valid, 3 no gateway is running.
    """
    from bessai.core.environment import SettingsError, given_value
    from bessai.interfaces.schedule import ScheduleError, load_schedule

    try:
        name = str(file) if file else given_value("SCHEDULE_FILE")
        if not name:
            fail("no schedule: set SCHEDULE_FILE, or name one with --file")
        schedule = load_schedule(name)
        answer = ask_gateway(data_dir, {"op": "status"})
    except (SettingsError, ScheduleError) as error:
        fail(*error.problems)
    except GatewayError as error:
        fail(error, code=NOT_RUNNING)
    now = time.time()
    parts = list(islice(schedule.parts(now), count))
    status = answer["status"] if answer and answer.get("ok") else None
    sinks = ((status or {}).get("service_plane") or {}).get("sinks") or []
    asking = next((sink for sink in sinks if sink.get("name") == "schedule"), None)
    if as_json:
        rows = [_plain(part, schedule) for part in parts]
        control = (status or {}).get("control")
        print_json(
            {
                "file": name,
                "gateway": status is not None,
                "schedule": asking,
                "control": control,
                "next": rows,
            }
        )
    else:
        typer.echo(name)
        _print(parts, schedule, now)
        typer.echo(_state(status, asking))
    raise typer.Exit(0 if status is not None else NOT_RUNNING)


def _state(status: dict[str, Any] | None, asking: dict[str, Any] | None) -> str:
    if status is None:
        return "no gateway is running: nobody asks for this"
    if asking is None:
        return "the gateway has no schedule: set SCHEDULE_FILE and start it again"
    if asking.get("last_error"):
        return f"the gateway says: {asking['last_error']}"
    control = status.get("control") or {}
    setpoint = control.get("setpoint")
    if control.get("source") == "schedule" and setpoint is not None:
        return f"in force: asked {_kw(control.get('asked'))}, granted {_kw(setpoint)}"
    return f"in force now: {control.get('source') or 'nobody'}"


def _print(parts: list[Part], schedule: Schedule, now: float) -> None:
    from bessai.interfaces.schedule.times import length, shown, utc

    if not parts:
        typer.echo("nothing is to come")
    last = now
    for part in parts:
        if part.start > last:
            typer.echo(
                f"    {length(round(part.start - last))} without an entry: zero, unless somebody else asks"
            )
        wish = part.entry.wish
        what = _kw(wish.power) if wish.soc_target is None else f"to {wish.soc_target:g} %"
        if wish.soc_target is not None and wish.power is not None:
            what += f" with at most {abs(wish.power):g} kW"
        energy = _energy(part)
        more = "" if energy is None else f"  {energy:+.2f} kWh"
        if wish.reactive is not None:
            more += f"  {wish.reactive:+g} kvar"
        if (wish.low, wish.high) != (None, None):
            more += f"  bounds {_bound(wish.low)} … {_bound(wish.high)}"
        now_mark = " (now)" if part.start <= now else ""
        typer.echo(
            f"{shown(part.start, schedule.zone)} – {shown(part.end, schedule.zone)}  {what}{more}{now_mark}  "
            f"{wish.reason} [{part.entry.where}]\n    {utc(part.start)} – {utc(part.end)}, "
            f"{length(round(part.end - part.start))}"
        )
        last = part.end


def _plain(part: Part, schedule: Schedule) -> dict[str, Any]:
    from datetime import datetime

    from bessai.interfaces.schedule.times import utc

    wish = part.entry.wish

    def local(moment: float) -> str | None:
        if schedule.zone is None:
            return None
        return datetime.fromtimestamp(moment // 1, schedule.zone).isoformat()

    return {
        "start": utc(part.start),
        "end": utc(part.end),
        "start_local": local(part.start),
        "end_local": local(part.end),
        "power_kw": wish.power,
        "reactive_kvar": wish.reactive,
        "soc_target_pct": wish.soc_target,
        "low_kw": wish.low,
        "high_kw": wish.high,
        "energy_kwh": _energy(part),
        "reason": wish.reason,
        "where": part.entry.where,
    }


def _energy(part: Part) -> float | None:
    """Energy in kWh when all of it is granted; unknown on the way to a state of charge."""
    wish = part.entry.wish
    if wish.power is None or wish.soc_target is not None:
        return None
    return round(wish.power * (part.end - part.start) / 3600.0, 3)


def _kw(power: float | None) -> str:
    return "–" if power is None else f"{power:+g} kW"


def _bound(power: float | None) -> str:
    return "any" if power is None else f"{power:g} kW"
