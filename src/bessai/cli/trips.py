"""`bessai trips`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from bessai.cli.common import DATA_DIR, NOT_HEALTHY, fail, print_json
from bessai.cli.person import status_of


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(trips)


def trips(
    data_dir: Path = DATA_DIR, as_json: bool = typer.Option(False, "--json", help="Print JSON.")
) -> None:
    """List the trips that stand, who may reset them, and whether the plant is in maintenance.

    Exit codes: 0 nothing is tripped, 1 something is or the gateway does not say, 3 not running.
    """
    status = status_of(data_dir)
    if not isinstance(standing := status.get("trips"), list):
        fail("the gateway's status says nothing about trips: it is older than this command", code=NOT_HEALTHY)
    if as_json:
        print_json({"trips": standing, "maintenance": status.get("maintenance")})
    else:
        for trip in standing:
            typer.echo(_line(trip))
        if not standing:
            typer.echo("nothing is tripped")
        if (maintenance := status.get("maintenance")) is not None:
            since = _time(maintenance["wall_ns"])
            typer.echo(f"in maintenance since {since}: {maintenance['user']}, {maintenance['reason']}")
    raise typer.Exit(NOT_HEALTHY if standing else 0)


def _line(trip: dict[str, Any]) -> str:
    unit = " of the whole plant" if trip.get("plant_wide") else f" of {trip['unit']}" if trip["unit"] else ""
    point = "" if trip.get("point") is None else f" {trip['point']}"
    value = "" if trip.get("value") is None else f" {trip['value']:g}"
    what = f": {trip['message']}" if trip.get("message") else ""
    return f"{_time(trip['wall_ns'])}  {trip['code']}{unit}{point}{value}{what} (reset: {trip['reset']})"


def _time(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
