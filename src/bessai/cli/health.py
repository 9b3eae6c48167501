"""`bessai health`: whether a restart would help, for container engines and whoever else starts things again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

import typer

from bessai.cli.common import NOT_HEALTHY, GatewayError, ask_gateway, default_data_dir

_SILENT = 10.0
"""Seconds without a cycle, or three times CYCLE_TIME where that is more."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(health)


def health(
    data_dir: Path | None = typer.Option(
        None, "--data-dir", show_default="DATA_DIR, else data", help="Of the gateway that is asked."
    ),
    strict: bool = typer.Option(
        False, "--strict", help="Every problem counts, also those that a restart would not mend."
    ),
) -> None:
    """Tell by the exit code whether the running gateway works; for healthchecks of containers.

    A gateway works when its control plane answers, runs its cycles, and the last one earned its heartbeat. A device
    that is silent or a trip that stands is no reason to start it again; with --strict such problems count as well.
    Asks the local socket: the page may be off.

    Exit codes: 0 it works, 1 it does not, or is not running.
    """
    # The settings take three times as long to import as all the rest, and this runs twice a minute.
    directory = data_dir or Path(os.environ.get("DATA_DIR") or default_data_dir())
    try:
        answer = ask_gateway(directory, {"op": "status"})
    except GatewayError as error:
        _tell([str(error)])
    if answer is None or not answer.get("ok"):
        _tell([f"no gateway is running on {directory} (set DATA_DIR or --data-dir)"])
    status: dict[str, Any] = answer["status"]
    _tell(problems_of(status, strict=strict), f"cycle {status['cycle']['cycles']}")


def problems_of(status: dict[str, Any], *, strict: bool = False) -> list[str]:
    """Why a gateway with this status does not work, in words; empty when it does.

    Args:
        status: as the control plane tells it.
        strict: everything that keeps it from being healthy counts.
    """
    cycle, heartbeat = status["cycle"], status["heartbeat"]
    longest = max(_SILENT, 3 * cycle["period"])
    found = []
    if cycle["age"] is None:
        found.append("no cycle has run yet")
    elif cycle["age"] > longest:
        found.append(f"no control cycle for {cycle['age']:.0f} s: more than {longest:.0f} s")
    elif not heartbeat["earned"]:
        found.append(f"the last cycle earned no heartbeat: {heartbeat['why_not'] or 'none was sent'}")
    if strict:
        found += [problem for problem in status["problems"] if problem not in found]
    return found


def _tell(problems: list[str], well: str = "") -> NoReturn:
    for problem in problems:
        typer.echo(f"not healthy: {problem}")
    if not problems:
        typer.echo(f"healthy: {well}")
    raise typer.Exit(NOT_HEALTHY if problems else 0)
