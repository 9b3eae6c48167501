"""`bessai log-level`."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import typer

from bessai.cli.common import (
    DATA_DIR,
    NOT_HEALTHY,
    NOT_RUNNING,
    GatewayError,
    ask_gateway,
    duration,
    fail,
    print_json,
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("log-level")(log_level)


def log_level(
    level: str | None = typer.Argument(
        None, metavar="[LEVEL]", help="DEBUG, INFO, WARNING or ERROR; `default`: what is configured."
    ),
    logger: str = typer.Option("", "--logger", help="Of one logger only, such as bessai.cycle."),
    time: str = typer.Option("15m", "--for", help="How long, for example 15m or 2h. At most 24h."),
    user: str = typer.Option(
        default_factory=getpass.getuser, show_default="who is logged in", help="Who does it; recorded."
    ),
    data_dir: Path = DATA_DIR,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show how loud the running gateway logs, or change it for a time, in all its processes.

    It goes back to LOG_LEVEL by itself, also at a restart. Each change is an event in the journal.

    Exit codes: 0 done, 1 no answer, 2 refused, 3 not running.
    """
    message: dict[str, Any] = {"op": "log_level"}
    if level is not None:
        wanted = None if level.lower() == "default" else level.upper()
        message |= {"level": wanted, "logger": logger, "for": duration("--for", time), "user": user}
    try:
        answer = ask_gateway(data_dir, message)
    except GatewayError as error:
        fail(error, code=NOT_HEALTHY)
    if answer is None:
        fail(f"no gateway is running on {data_dir} (set DATA_DIR or --data-dir)", code=NOT_RUNNING)
    if not answer.get("ok"):
        fail(answer.get("error", "the gateway refused, and did not say why"))
    if as_json:
        print_json(answer["log"])
        return
    for line in level_lines(answer["log"]):
        typer.echo(line)


def level_lines(log: dict[str, Any]) -> list[str]:
    """What is in force, in words."""
    lines = [] if "" in log["changed"] else [f"{log['configured']}, as configured"]
    for name, level in sorted(log["changed"].items()):
        left = log["seconds_left"][name]
        lines.append(f"{name or 'all'}: {level} for another {left:.0f} s, then {log['configured']} again")
    return lines
