"""`bessai doctor`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessai.cli.common import GatewayError, ask_gateway, fail, print_json

if TYPE_CHECKING:
    from bessai.doctor.look import Ask

_COLOURS = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "unknown": typer.colors.YELLOW,
            "bad": typer.colors.RED}  # fmt: skip


DATA_DIR = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        show_default="DATA_DIR, else data",
        help="Where the gateway keeps its journal and socket.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="A group or check, as `disk` or `disk_sync`; may be given again, or with commas."
        ),
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="en or es.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    data_dir: DATA_DIR = None,
) -> None:
    """Look at settings, clock, disk, rights, network, certificates, machine and the running gateway; say what to mend.

    Changes nothing, and never disturbs a running gateway: devices are asked only when none runs. Run it as the
    gateway's user, where the gateway finds its settings.

    Exit codes: 0 all is well, 1 something will not last or could not be found out, 2 something does not work.
    """
    from bessai.doctor import chosen, examine, exit_code, lines, look_around, plain
    from bessai.doctor.words import LANGUAGES

    if lang not in LANGUAGES:
        fail(f"--lang {lang}: use {' or '.join(LANGUAGES)}")
    try:
        checks = chosen(only or [])
    except ValueError as error:
        fail(error)
    directory = directory_of(data_dir)
    look = look_around(directory, asking(directory))
    found = examine(look, checks)
    if as_json:
        print_json(plain(look, found, lang))
    else:
        for verdict, line in lines(found, lang):
            typer.secho(
                line, fg=_COLOURS.get(str(verdict)) if verdict else None
            )  # colours on a terminal only
    raise typer.Exit(exit_code(found))


def directory_of(given: Path | None) -> Path:
    """As `default_data_dir`, but settings that cannot be read are what the doctor is there to tell."""
    from bessai.core.environment import SettingsError, given_value

    if given is not None:
        return given
    try:
        return Path(given_value("DATA_DIR") or "data")
    except SettingsError:
        return Path(os.environ.get("DATA_DIR") or "data")


def asking(data_dir: Path) -> Ask:
    """How the checks ask the gateway of a data directory."""

    def ask(message: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return ask_gateway(data_dir, message)
        except GatewayError as error:
            raise OSError(str(error)) from None

    return ask
