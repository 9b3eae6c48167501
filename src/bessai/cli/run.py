"""`bessai run`."""

from __future__ import annotations

import os
import sys

import typer

from bessai.cli.common import check_destinations, fail


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run() -> None:
    """Run the gateway, configured by the environment and `config/.env`.

    Reads the device every cycle, keeps it inside its limits, records everything in DATA_DIR and publishes it
    when GCP_PROJECT_ID and GCP_PUBSUB_TOPIC are set. Ends cleanly on Ctrl-C or SIGTERM.

    Exit codes: 0 after a clean stop, 2 when the configuration cannot work (all problems are listed).
    """
    from bessai.core.environment import SettingsError
    from bessai.core.start import checked

    try:
        settings = checked().settings
        check_destinations(settings)
    except SettingsError as error:
        fail(*error.problems)
    sys.stdout.flush()
    # The control plane is a process of its own, without this command line in its memory.
    os.execv(sys.executable, [sys.executable, "-m", "bessai.core"])  # noqa: S606
