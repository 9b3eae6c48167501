"""`bessai blackbox`: the records of the seconds around an event."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessai.cli.common import (
    DATA_DIR,
    NOT_HEALTHY,
    NOT_RUNNING,
    GatewayError,
    ask_gateway,
    fail,
    print_json,
)

if TYPE_CHECKING:
    from bessai.core.black_box import Box, Call

_UNFINISHED = "cut, or still being written"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

app = typer.Typer(no_args_is_help=True, help="The records of the seconds before and after an event.")


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="blackbox")


@app.command("list")
def list_(as_json: AsJson = False, data_dir: Path = DATA_DIR) -> None:
    """List the records, oldest first."""
    from dataclasses import asdict

    from bessai.core.black_box import UnreadableBoxError, outline
    from bessai.core.black_box.store import files_in

    found: list[dict[str, Any]] = []
    for path in files_in(data_dir / "blackbox"):
        try:
            size = path.stat().st_size
            found.append({"file": str(path), "bytes": size, **asdict(outline(path))})
        except (UnreadableBoxError, FileNotFoundError) as error:
            found.append({"file": str(path), "problem": str(error)})
    if as_json:
        print_json(found)
        return
    for one in found:
        if "problem" in one:
            typer.echo(one["problem"])
            continue
        first = one["triggers"][0] if one["triggers"] else {"kind": "?", "code": "?", "message": ""}
        more = f" and {len(one['triggers']) - 1} more" if len(one["triggers"]) > 1 else ""
        end = one["end"] or _UNFINISHED
        megabytes = f"{one['bytes'] / 1e6:.2f} MB"
        what = f"{first['kind']} {first['code']}{more}: {first['message']}"
        typer.echo(f"{one['file']}  {what}  {megabytes}  ({end})")
    if not found:
        typer.echo(f"no records in {data_dir / 'blackbox'}")


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A .bbox file.")],
    as_json: AsJson = False,
) -> None:
    """Tell what a record holds: why it was kept, which code and site, how long, what was decided."""
    from bessai.cli.export import time_text
    from bessai.core.black_box import UnreadableBoxError, read_box

    try:
        box = read_box(file)
    except UnreadableBoxError as error:
        fail(error)
    described = _described(box)
    if as_json:
        print_json(
            {"file": str(file), **described, "header": _finite(box.header), "decisions": _decisions(box)}
        )
        return
    typer.echo(f"{file}: {_line(described)}")
    header = box.header
    typer.echo(f"gateway {header.get('gateway')}, build {str(header.get('build'))[:12]}")
    typer.echo(f"python {header.get('python')}, site {str(header.get('site_digest'))[:12]}")
    for trigger in box.triggers:
        typer.echo(f"{time_text(trigger.wall_ns)}  {trigger.kind} {trigger.code}: {trigger.message}")
        if trigger.suppressed:
            typer.echo(f"    {trigger.suppressed} events before it got no record: there were too many")
    typer.echo(f"calls: {', '.join(f'{n} {name}' for name, n in described['calls'].items())}")
    before: Any = None
    for one in _decisions(box):
        if (what := {k: one[k] for k in ("state", "setpoint", "limited_by")}) != before:
            setpoint = "no setpoint" if one["setpoint"] is None else f"{one['setpoint']:g} kW"
            limited = f"  limited by {', '.join(one['limited_by'])}" if one["limited_by"] else ""
            typer.echo(f"{one['time']}  cycle {one['cycle']}  {one['state']}  {setpoint}{limited}")
        before = what


@app.command()
def freeze(
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    data_dir: Path = DATA_DIR,
) -> None:
    """Make the running gateway keep the seconds before and after now.

    Exit codes: 0 it does, 1 it does not, 2 wrong arguments, 3 not running.
    """
    if not reason.strip():
        fail("--reason is empty: say why, it is recorded")
    try:
        answer = ask_gateway(data_dir, {"op": "freeze", "reason": reason})
    except GatewayError as error:
        fail(error, code=NOT_HEALTHY)
    if answer is None:
        fail(f"no gateway is running on {data_dir} (set DATA_DIR or --data-dir)", code=NOT_RUNNING)
    if not answer.get("ok"):
        fail(answer.get("error"), code=NOT_HEALTHY)
    typer.echo(f"being kept in {data_dir / 'blackbox'}; see bessai blackbox list")


def _described(box: Box) -> dict[str, Any]:
    from dataclasses import asdict

    from bessai.cli.export import time_text

    calls = _calls(box)
    images = [
        image for call in calls if call.kind == "decide" for image in list(call.arguments[0].values())[:1]
    ]
    return {
        "triggers": [asdict(trigger) for trigger in box.triggers],
        "from": time_text(images[0].wall_ns) if images else None,
        "to": time_text(images[-1].wall_ns) if images else None,
        "seconds": round(images[-1].monotonic - images[0].monotonic, 3) if images else 0.0,
        "cycles": sum(call.kind == "decide" for call in calls),
        "calls": dict(Counter(call.kind for call in calls)),
        "end": box.end,
    }


def _line(described: dict[str, Any]) -> str:
    first = described["triggers"][0] if described["triggers"] else {"kind": "?", "code": "?"}
    end = described["end"] or _UNFINISHED
    return (
        f"{first['kind']} {first['code']}  {described['seconds']:g} s, {described['cycles']} cycles  ({end})"
    )


def _calls(box: Box) -> list[Call]:
    from bessai.core.black_box import Call

    return [item for item in box.items if isinstance(item, Call)]


def _decisions(box: Box) -> list[dict[str, Any]]:
    from bessai.cli.export import time_text

    found = []
    for item in _calls(box):
        if item.kind != "decide":
            continue
        image = next(iter(item.arguments[0].values()), None)
        result = item.result
        found.append(
            {
                "cycle": None if image is None else image.cycle,
                "time": None if image is None else time_text(image.wall_ns),
                "state": result.get("state", f"failed: {result.get('raised')}"),
                "setpoint": result.get("setpoint"),
                "limited_by": result.get("limited_by", []),
            }
        )
    return found


def _finite(data: Any) -> Any:
    """Plain data without the infinities that JSON for programs does not know."""
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_finite(value) for value in data]
    return str(data) if isinstance(data, float) and data - data != 0 else data
