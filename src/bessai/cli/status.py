"""`bessai status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from bessai.cli.common import DATA_DIR, NOT_HEALTHY, NOT_RUNNING, GatewayError, ask_gateway, fail, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    data_dir: Path = DATA_DIR, as_json: bool = typer.Option(False, "--json", help="Print JSON.")
) -> None:
    """Show what the running gateway of a data directory is doing.

    Exit codes: 0 healthy, 1 not healthy, 3 not running.
    """
    try:
        answer = ask_gateway(data_dir, {"op": "status"})
    except GatewayError as error:
        if as_json:
            print_json({"running": None, "data_dir": str(data_dir), "problems": [str(error)]})
            raise typer.Exit(NOT_HEALTHY) from None
        fail(error, code=NOT_HEALTHY)
    if answer is None or not answer.get("ok"):
        if as_json:
            print_json({"running": False, "data_dir": str(data_dir)})
            raise typer.Exit(NOT_RUNNING)
        fail(f"no gateway is running on {data_dir} (set DATA_DIR or --data-dir)", code=NOT_RUNNING)
    state: dict[str, Any] = answer["status"]
    if as_json:
        print_json({"running": True, **state})
    else:
        from rich.console import Console

        from bessai.cli.view import overview

        Console().print(overview(state))
    raise typer.Exit(0 if state["healthy"] else NOT_HEALTHY)
