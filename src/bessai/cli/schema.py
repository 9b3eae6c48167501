"""`bessai schema …`: the published contracts."""

from __future__ import annotations

import json

import typer


def register(app: typer.Typer) -> None:
    """Add `schema` to the command line."""
    schema = typer.Typer(
        help="Print the schemas of what the gateway publishes and reads.", no_args_is_help=True
    )
    schema.command("telemetry")(telemetry)
    schema.command("batch")(batch)
    schema.command("schedule")(schedule)
    schema.command("grid")(grid)
    schema.command("notify")(notify)
    app.add_typer(schema, name="schema")


def telemetry() -> None:
    """Print the JSON Schema of the published message, `bessai.telemetry/1`."""
    from bessai.interfaces.envelope import telemetry_json_schema

    typer.echo(json.dumps(telemetry_json_schema(), indent=2, ensure_ascii=False))


def batch() -> None:
    """Print the JSON Schema of many records in one message, `bessai.batch/1`."""
    from bessai.interfaces.batch_schema import batch_json_schema

    typer.echo(json.dumps(batch_json_schema(), indent=2, ensure_ascii=False))


def schedule() -> None:
    """Print the JSON Schema of a schedule file."""
    from bessai.interfaces.schedule import schedule_json_schema

    typer.echo(json.dumps(schedule_json_schema(), indent=2, ensure_ascii=False))


def grid() -> None:
    """Print the JSON Schema of a grid file, `GRID_FILE`."""
    from bessai.grid import grid_json_schema

    typer.echo(json.dumps(grid_json_schema(), indent=2, ensure_ascii=False))


def notify() -> None:
    """Print the JSON Schema of a notification file, `NOTIFY_FILE`."""
    from bessai.interfaces.notify.schema import notify_json_schema

    typer.echo(json.dumps(notify_json_schema(), indent=2, ensure_ascii=False))
