"""`bessai replay`: a black-box record before today's code."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessai.cli.common import fail, print_json

if TYPE_CHECKING:
    from bessai.core.replay import Difference, Report

_DIFFERS = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    record: Annotated[Path, typer.Argument(help="A .bbox file, see bessai blackbox list.")],
    show: Annotated[
        int, typer.Option("--show", min=0, help="Cycles to show before the first difference.")
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Feed the recorded inputs to today's code and show the first cycle that it decides differently.

    Exit codes: 0 every result is the same, 1 something differs, 2 the record cannot be read or replayed.
    """
    from bessai.cli.blackbox import _finite
    from bessai.core import replay as replaying
    from bessai.core.black_box import UnreadableBoxError, read_box

    try:
        box = read_box(record)
        report = replaying.replay(box, replaying.build_guard, keep=show)
    except (UnreadableBoxError, replaying.ReplayError) as error:
        fail(error)
    if as_json:
        print_json(_finite({"identical": report.identical, **asdict(report), "end": box.end}))
    else:
        _tell(report, box.end)
    raise typer.Exit(0 if report.identical else _DIFFERS)


def _tell(report: Report, end: str | None) -> None:
    if end is None:
        typer.echo("the record was cut, or is still being written: replayed up to there")
    build = "the code that recorded" if report.same_build else "other code than recorded"
    typer.echo(f"{report.agree} of {report.cycles} cycles agree ({report.calls} calls, {build})")
    for note in report.notes:
        typer.echo(f"note: {note}")
    if report.first is not None:
        _tell_difference(report.first)


def _tell_difference(first: Difference) -> None:
    from bessai.cli.export import time_text

    when = "" if first.wall_ns is None else f", {time_text(first.wall_ns)}"
    about = f" of {first.unit}" if first.unit else ""
    for one in first.before:
        decision = one["decision"]
        typer.echo(
            f"before: cycle {one['cycle']}  {decision.get('state')}  setpoint {decision.get('setpoint')}"
        )
    typer.echo(f"first difference: cycle {first.cycle}{when}, {first.call}{about}")
    for field in first.fields:
        typer.echo(f"  {field.name}: recorded {_short(field.recorded)}, today {_short(field.today)}")
    if first.inputs:
        typer.echo("inputs")
    for request in first.inputs.get("requests", ()):
        typer.echo(f"  request {_short(request)}")
    for unit, points in first.inputs.get("points", {}).items():
        typer.echo(f"  {unit or 'device'}: {', '.join(f'{k}={v}' for k, v in points.items()) or 'no news'}")
    if "fresh" in first.inputs:
        typer.echo(f"  fresh: {', '.join(name or 'device' for name in first.inputs['fresh']) or 'none'}")
    if "arguments" in first.inputs:
        typer.echo(f"  arguments {_short(first.inputs['arguments'])}")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 300 else f"{text[:299]}…"
