"""`bessai reference …`: the pages of `docs/reference` that are made from the code."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the sub-commands."""
    group = typer.Typer(
        no_args_is_help=True, help="Print what can be set, typed and written in a profile, as Markdown pages."
    )
    for command in (settings, cli, points, profile):
        group.command()(command)
    app.add_typer(group, name="reference")


def settings() -> None:
    """Print every setting with its limits and its default, as in `docs/reference/settings.md`."""
    from bessai.core.settings_docs import settings_markdown

    typer.echo(settings_markdown(), nl=False)


def cli() -> None:
    """Print every command with its options, as in `docs/reference/cli.md`."""
    from bessai.cli.reference_commands import commands_markdown

    typer.echo(commands_markdown(), nl=False)


def points() -> None:
    """Print the shared names of points with their units, as in `docs/reference/points.md`."""
    from bessai.model.vocabulary_docs import points_markdown

    typer.echo(points_markdown(), nl=False)


def profile() -> None:
    """Print every field of a profile, as in `docs/reference/profile.md`."""
    from bessai.registry.schema_docs import profile_markdown

    typer.echo(profile_markdown(), nl=False)
