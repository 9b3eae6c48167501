"""`bessai api`: the API for those who write programs against it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bessai.cli.common import fail

app = typer.Typer(no_args_is_help=True, help="The API that programs call: see docs/api.md.")


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="api")


@app.callback()
def _api() -> None:
    """Keep `document` a command of its own."""


@app.command()
def document(
    page: Annotated[
        Path | None, typer.Argument(help="Page whose generated part is made anew in place.")
    ] = None,
) -> None:
    """Print the table of all routes as Markdown, as in `docs/api.md`, or renew it in a page."""
    from bessai.interfaces.api.document import routes_markdown, with_routes

    if page is None:
        typer.echo(routes_markdown(), nl=False)
        return
    try:
        page.write_text(with_routes(page.read_text(encoding="utf-8")), encoding="utf-8")
    except (OSError, ValueError) as error:
        fail(f"{page}: {error}")
