"""The commands, put together."""

from __future__ import annotations

from importlib import import_module

import typer

from bessai import __version__

MODULES = (
    "run",
    "demo",
    "simulate",
    "fault",
    "probe",
    "read",
    "status",
    "health",
    "log_level",
    "metrics",
    "doctor",
    "support_bundle",
    "explain",
    "request",
    "scada",
    "schedule",
    "alarms",
    "notify",
    "trips",
    "reset",
    "maintenance",
    "grid",
    "commission",
    "gridcode",
    "limits",
    "blackbox",
    "replay",
    "profile",
    "config",
    "journal",
    "history",
    "incident",
    "performance",
    "schema",
    "reference",
    "user",
    "token",
    "audit",
    "api",
    "update",
)
"""In the order in which help names them. Each registers the command of its name, some one more."""


def make_app(command: str | None = None) -> typer.Typer:
    """The command line; with the one command that is known to be wanted it imports nothing else."""
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
    app.callback()(_root)
    known = (command or "").replace("-", "_")
    for name in (known,) if known in MODULES else MODULES:
        import_module(f"bessai.cli.{name}").register(app)
    return app


def _version(show: bool) -> None:
    if show:
        typer.echo(f"bessai {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Options of every command."""
