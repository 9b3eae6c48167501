"""`bessai request`."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import typer

from bessai.cli.common import DATA_DIR, NOT_HEALTHY, NOT_RUNNING, GatewayError, ask_gateway, fail, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(request)


def request(
    power: float = typer.Option(..., help="Active power in kW: + discharges, - charges."),
    lease: str = typer.Option("60s", "--for", help="How long, for example 30s or 15m. At most 1h."),
    source: str = typer.Option("operator", help="Who asks; a newer request of the same source replaces it."),
    reason: str = typer.Option(..., help="Why; it is recorded."),
    data_dir: Path = DATA_DIR,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Ask the running gateway for power, as a lease that ends by itself. Prints what was granted.

    Exit codes: 0 granted as asked, 1 clipped or refused by the guard, 2 wrong arguments, 3 not running.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", lease.strip())
    if match is None:
        fail(f"--for {lease!r}: give a number with s, m or h, for example 90s")
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
    message = {"op": "request", "source": source, "power": power, "for": seconds, "reason": reason}
    if not reason.strip():
        fail("--reason is empty: say why, it is recorded")
    try:
        answer = ask_gateway(data_dir, message)
    except GatewayError as error:
        fail(error, code=NOT_HEALTHY)
    if answer is None:
        fail(f"no gateway is running on {data_dir} (set DATA_DIR or --data-dir)", code=NOT_RUNNING)
    if not answer["ok"]:
        fail(answer["error"])
    control = _granted(data_dir, source, power)
    if as_json:
        print_json(control)
    else:
        setpoint = control.get("setpoint")
        granted = (
            "nothing: the gateway does not control this device" if setpoint is None else f"{setpoint:g} kW"
        )
        typer.echo(f"asked {power:g} kW for {seconds:g} s, granted {granted}")
        why: list[str] = [*control.get("limited_by", []), *control.get("reasons", [])]
        if setpoint != power and why:
            typer.echo("limited by: " + "; ".join(why))
    raise typer.Exit(0 if control.get("setpoint") == power else NOT_HEALTHY)


def _granted(data_dir: Path, source: str, power: float) -> dict[str, Any]:
    """The control status of the first cycle that saw the request, or the latest after 3 s."""
    control: dict[str, Any] = {}
    for _ in range(30):
        time.sleep(0.1)
        answer = ask_gateway(data_dir, {"op": "status"})
        if answer is not None and answer.get("ok"):
            control = answer["status"]["control"]
            if control.get("source") == source and control.get("asked") == power:
                break
    return control
