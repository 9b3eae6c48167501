"""`bessai support-bundle`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bessai.cli.common import NOT_HEALTHY, fail
from bessai.cli.doctor import DATA_DIR, asking, directory_of


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("support-bundle")(support_bundle)


def support_bundle(
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File to write, .tar.gz; unless given, one here with the site and time."
        ),
    ] = None,
    show: Annotated[
        bool,
        typer.Option(
            "--show", help="Print the manifest first; on a terminal ask before anything is written."
        ),
    ] = False,
    log: Annotated[
        Path | None, typer.Option("--log", help="The gateway's log file, where systemd does not keep it.")
    ] = None,
    max_mb: Annotated[int, typer.Option(min=1, max=500, help="Largest size of what is in it, MB.")] = 20,
    data_dir: DATA_DIR = None,
) -> None:
    """Put what somebody far away needs to help into one file, without keys, passwords, tokens and users' names.

    In it: what `bessai doctor` found, status, settings and files masked, events, alarms, journal statistics, the list
    of black-box records, log, unit, kernel. MANIFEST.txt says what each file is and what was left out. Nothing is sent.

    Exit codes: 0 written, 1 not written, 2 wrong arguments.
    """
    from bessai.doctor import CHECKS, examine, look_around
    from bessai.doctor.bundle import gather

    directory = directory_of(data_dir)
    look = replace(look_around(directory, asking(directory)), log=log)
    bundle = gather(look, examine(look, CHECKS), max_bytes=max_mb << 20)
    path = output or Path(f"{bundle.folder}.tar.gz")
    if show:
        typer.echo(bundle.manifest(), nl=False)
        if sys.stdin.isatty() and not typer.confirm(f"write {path}?", default=True):
            raise typer.Exit(NOT_HEALTHY)
    try:
        size = bundle.write(path)
    except FileExistsError:
        fail(f"{path} is there already: choose another --output", code=NOT_HEALTHY)
    except OSError as error:
        fail(f"{path} cannot be written ({error.strerror}): choose another --output", code=NOT_HEALTHY)
    typer.echo(
        f"{path}: {len(bundle.members) + 1} files, {size / 1e3:.0f} kB; look into it before you send it"
    )
