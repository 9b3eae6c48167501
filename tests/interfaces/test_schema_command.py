"""`bessai schema telemetry`."""

from __future__ import annotations

import json

import typer
from typer.testing import CliRunner

from bessai.cli.schema import register
from bessai.interfaces.envelope import telemetry_json_schema


def test_the_schema_is_printed_as_json() -> None:
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, ["schema", "telemetry"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == telemetry_json_schema()


def test_the_group_alone_teaches() -> None:
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, ["schema"])
    assert "telemetry" in result.output
