"""`bessai reset`."""

from __future__ import annotations

from pathlib import Path

import typer

from bessai.cli.common import DATA_DIR, fail, print_json
from bessai.cli.person import REASON, ROLE_HELP, USER, operate


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reset)


def reset(
    code: str = typer.Argument("", metavar="CODE", help="Code of the trips, as `bessai trips` lists them."),
    everything: bool = typer.Option(False, "--all", help="Every trip that stands: all of them or none."),
    unit: str = typer.Option("", "--unit", help="Only the trips of this device."),
    user: str = USER,
    role: str = typer.Option(..., "--role", help=ROLE_HELP),
    reason: str = REASON,
    data_dir: Path = DATA_DIR,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Reset trips whose cause is gone. Power flows again when the reset is recorded on disk.

    Exit codes: 0 reset, 1 refused (the cause is still there, or the role may not), 2 wrong arguments, 3 not running.
    """
    if bool(code) == everything:
        fail("give the CODE of a trip, or --all")
    message = {"op": "reset", "code": "all" if everything else code, "unit": unit, "user": user, "role": role,
               "reason": reason}  # fmt: skip
    answer = operate(data_dir, message)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"reset: {'every trip' if everything else code}{f' of {unit}' if unit else ''}")
