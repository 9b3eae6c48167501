"""`bessai request` and `bessai cancel`."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, NoReturn

import typer

from bessai.cli.common import DATA_DIR, NOT_HEALTHY, NOT_RUNNING, GatewayError, ask_gateway, fail, print_json

_CLOSE = 0.0015
"""kW; the gateway commands whole watts."""
_ON_THE_WAY = ("ramp", "min_on", "min_off", "dwell")
"""What only delays: such a reason says that the power is on its way, not that it was clipped."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(request)
    app.command()(cancel)


def request(
    power: float | None = typer.Option(
        None, help="Active power in kW: + discharges, - charges. With --soc the highest power on the way."
    ),
    reactive: float | None = typer.Option(None, help="Reactive power in kvar: + exports.", metavar="KVAR"),
    soc: float | None = typer.Option(None, help="State of charge in % to arrive at.", metavar="PCT"),
    low: float | None = typer.Option(None, help="No power below this, in kW, for lower priorities."),
    high: float | None = typer.Option(None, help="No power above this, in kW, for lower priorities."),
    lease: str = typer.Option("60s", "--for", help="How long, for example 30s or 15m. At most 1h."),
    priority: str = typer.Option(
        "operator", help="optimiser, schedule, power_plant, grid_support, operator or grid_operator."
    ),
    source: str = typer.Option("operator", help="Who asks; a newer request of the same source replaces it."),
    reason: str = typer.Option("", help="Why; it is recorded. Needed unless --preview."),
    preview: bool = typer.Option(
        False, "--preview", help="Only tell what the guard would make of it now; nothing is asked for."
    ),
    wait: bool = typer.Option(
        False, "--wait", help="Wait until ramps are done, at most as long as the lease."
    ),
    data_dir: Path = DATA_DIR,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Ask the running gateway for power, as a lease that ends by itself. Prints what was granted.

    Exit codes: 0 granted as asked, 1 clipped or refused by the guard, 2 wrong arguments, 3 not running. With --preview
    the same of what would be granted.
    """
    seconds = _seconds(lease)
    if preview and wait:
        fail("--preview and --wait exclude each other: a preview asks for nothing")
    if not preview and not reason.strip():
        fail("--reason is empty: say why, it is recorded")
    if {power, reactive, soc, low, high} == {None}:
        fail("nothing is asked for: give --power, --reactive, --soc, --low or --high")
    asked = {
        "power": power, "reactive": reactive, "soc_target": soc, "low": low, "high": high, "priority": priority,
    }  # fmt: skip
    message = {"op": "request", "source": source, "for": seconds, "reason": reason}
    message |= {name: value for name, value in asked.items() if value is not None}
    if preview:
        _preview(data_dir, message, as_json=as_json)
    answer = _ask(data_dir, message)
    if not answer["ok"]:
        fail(answer["error"])
    control = _granted(data_dir, source, power if soc is None else None)
    if wait:
        control = _arrived(data_dir, source, control, seconds)
    if as_json:
        print_json(control)
    else:
        typer.echo("\n".join(describe(message, control)))
    raise typer.Exit(0 if granted(message, control) else NOT_HEALTHY)


def cancel(
    source: str = typer.Option("operator", help="Whose request ends."),
    data_dir: Path = DATA_DIR,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """End a request before its lease does.

    Exit codes: 0 ended, 1 there was none, 3 not running.
    """
    answer = _ask(data_dir, {"op": "cancel", "source": source})
    if not answer["ok"]:
        fail(answer["error"])
    ended = bool(answer.get("cancelled"))
    if as_json:
        print_json({"source": source, "cancelled": ended})
    else:
        typer.echo(f"the request of {source} has ended" if ended else f"{source} has no request")
    raise typer.Exit(0 if ended else NOT_HEALTHY)


def granted(message: dict[str, Any], control: dict[str, Any]) -> bool:
    """Whether the gateway does, or is on its way to do, all that was asked."""
    wants_power = "power" in message or "soc_target" in message
    if not wants_power:
        return _reactive_granted(message, control)
    goal = _goal(control)
    if control.get("source") != message["source"] or goal is None:
        return False
    if "soc_target" in message:
        return not _clipped_by(control) and _reactive_granted(message, control)
    return abs(goal - message["power"]) < _CLOSE and _reactive_granted(message, control)


def describe(message: dict[str, Any], control: dict[str, Any]) -> list[str]:
    """What was asked, what was granted, and what clipped it: lines for people."""
    power, soc = message.get("power"), message.get("soc_target")
    wants_power = power is not None or soc is not None
    asked = [f"{power:g} kW"] if power is not None and soc is None else []
    if soc is not None:
        asked.append(f"{soc:g} %" + ("" if power is None else f" with at most {abs(power):g} kW"))
    if "reactive" in message:
        asked.append(f"{message['reactive']:g} kvar")
    if "low" in message or "high" in message:
        low, high = (f"{message[name]:g}" if name in message else "any" for name in ("low", "high"))
        asked.append(f"bounds {low} … {high} kW")
    line = f"asked {' and '.join(asked)} for {message['for']:g} s"
    goal, setpoint = _goal(control), control.get("setpoint")
    if setpoint is None or goal is None:
        return [f"{line}, granted nothing: the gateway does not control this device", *_why(control)]
    if not wants_power:
        line += f"; the plant is told {setpoint:g} kW"
    elif control.get("source") != message["source"]:
        who = control.get("source") or "nobody"
        line += f", granted nothing: the plant follows {who} with {goal:g} kW instead" if control.get("source") else (
            f", granted nothing: the plant is told {goal:g} kW"
        )  # fmt: skip
    else:
        line += f", granted {goal:g} kW"
    if "reactive" in message:
        reactive = control.get("reactive")
        line += ", no reactive power" if reactive is None else f" and {reactive:g} kvar"
    lines = [line]
    if abs(goal - setpoint) >= _CLOSE:
        delays = [why for why in control.get("limited_by", []) if why.startswith(_ON_THE_WAY)]
        lines.append(", ".join([f"on its way: {setpoint:g} of {goal:g} kW", *delays]))
    if not granted(message, control) or control.get("trips"):
        lines += _why(control)
    return lines


def _preview(data_dir: Path, message: dict[str, Any], *, as_json: bool) -> NoReturn:
    """What the guard would make of a request, as the page shows it before it is sent."""
    from bessai.cli.foretelling import foretold

    answer = _ask(data_dir, message | {"op": "preview"})
    if not answer["ok"]:
        fail(answer["error"])
    found = answer["preview"]
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(foretold(found)))
    raise typer.Exit(NOT_HEALTHY if found["clipped"] else 0)


def _why(control: dict[str, Any]) -> list[str]:
    trips = [
        f"trip {trip.get('code', trip) if isinstance(trip, dict) else trip}"
        for trip in control.get("trips") or []
    ]
    why = [*_clipped_by(control), *control.get("reasons", []), *trips]
    return ["limited by: " + "; ".join(dict.fromkeys(why))] if why else []


def _goal(control: dict[str, Any]) -> float | None:
    """Where the power is going, before ramps; the setpoint where the gateway does not tell."""
    target: float | None = control.get("target")
    setpoint: float | None = control.get("setpoint")
    return setpoint if target is None or setpoint is None else target


def _clipped_by(control: dict[str, Any]) -> list[str]:
    return [why for why in control.get("limited_by", []) if not why.startswith(_ON_THE_WAY)]


def _reactive_granted(message: dict[str, Any], control: dict[str, Any]) -> bool:
    wanted, got = message.get("reactive"), control.get("reactive")
    return wanted is None or (got is not None and abs(got - wanted) < _CLOSE)


def _seconds(lease: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", lease.strip())
    if match is None:
        fail(f"--for {lease!r}: give a number with s, m or h, for example 90s")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _ask(data_dir: Path, message: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = ask_gateway(data_dir, message)
    except GatewayError as error:
        fail(error, code=NOT_HEALTHY)
    if answer is None:
        fail(f"no gateway is running on {data_dir} (set DATA_DIR or --data-dir)", code=NOT_RUNNING)
    return answer


def _granted(data_dir: Path, source: str, power: float | None) -> dict[str, Any]:
    """The control status of the first cycle that saw the request for certain, or the latest after 3 s."""
    control: dict[str, Any] = {}
    first: int | None = None
    for _ in range(30):
        time.sleep(0.1)
        answer = _ask(data_dir, {"op": "status"})
        if not answer.get("ok"):
            continue
        control = answer["status"]["control"]
        if power is not None and control.get("source") == source and control.get("asked") == power:
            break
        cycles = answer["status"].get("cycle", {}).get("cycles", 0)
        first = cycles if first is None else first
        if cycles >= first + 2:  # the first may have begun before the request
            break
    return control


def _arrived(data_dir: Path, source: str, control: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The control status when ramps are done, the request is no longer in force, or the lease is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and control.get("source") == source:
        goal, setpoint = _goal(control), control.get("setpoint")
        if goal is None or setpoint is None or abs(goal - setpoint) < _CLOSE:
            break
        time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))
        answer = _ask(data_dir, {"op": "status"})
        control = answer["status"]["control"] if answer.get("ok") else control
    return control
