"""The commands, put together."""

from __future__ import annotations

import typer

from bessai import __version__
from bessai.cli import (
    alarms,
    api,
    audit,
    blackbox,
    commission,
    config,
    demo,
    explain,
    fault,
    grid,
    gridcode,
    history,
    incident,
    journal,
    limits,
    maintenance,
    performance,
    probe,
    profile,
    read,
    replay,
    request,
    reset,
    run,
    scada,
    schedule,
    schema,
    simulate,
    status,
    token,
    trips,
    user,
)

app = typer.Typer(
    name="bessai",
    help="BESSAI Edge Gateway: reads a battery plant, keeps it safe, records and publishes it.\n\n"
    "New here? `bessai demo` shows a simulated plant, no configuration needed. With a device: "
    "`bessai probe HOST` tells what it is, "
    "`bessai read HOST:PORT --profile NAME` reads it, then `bessai config check`, then `bessai run`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"bessai {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Options of every command."""


for module in (
    run,
    demo,
    simulate,
    fault,
    probe,
    read,
    status,
    explain,
    request,
    scada,
    schedule,
    alarms,
    trips,
    reset,
    maintenance,
    grid,
    commission,
    gridcode,
    limits,
    blackbox,
    replay,
    profile,
    config,
    journal,
    history,
    incident,
    performance,
    schema,
    user,
    token,
    audit,
    api,
):
    module.register(app)
