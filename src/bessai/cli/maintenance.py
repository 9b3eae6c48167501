"""`bessai maintenance`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import typer

from bessai.cli.common import DATA_DIR, print_json
from bessai.cli.person import REASON, ROLE_HELP, USER, operate


class Switch(Enum):
    """Into maintenance, or out of it."""

    ON = "on"
    OFF = "off"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(maintenance)


def maintenance(
    switch: Switch = typer.Argument(..., help="Into maintenance, or out of it."),
    user: str = USER,
    reason: str = REASON,
    role: str = typer.Option("operator", "--role", help=ROLE_HELP),
    data_dir: Path = DATA_DIR,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Hold the plant at zero power while people work on it. Alarms and telemetry go on.

    This is not a lock-out: isolate and lock the plant by its own means before anybody touches it.

    Exit codes: 0 done, 1 refused, 2 wrong arguments, 3 not running.
    """
    on = switch is Switch.ON
    message = {"op": "maintenance", "on": on, "user": user, "role": role, "reason": reason}
    answer = operate(data_dir, message)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"maintenance {switch.value}" + (": zero power, whoever asks" if on else ""))
