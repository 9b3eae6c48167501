"""`bessai metrics`."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the sub-commands."""
    group = typer.Typer(help="Metrics: which there are.")
    group.callback()(_group)
    group.command("document")(document)
    app.add_typer(group, name="metrics")


def _group() -> None:
    """Metrics of the gateway, for OpenTelemetry and Prometheus."""


def document() -> None:
    """Print the table of metrics as a Markdown page, as in `docs/metrics.md`."""
    from bessai.interfaces.metrics.document import metrics_markdown

    typer.echo(metrics_markdown(), nl=False)
