"""`bessai`, the command line. One file a command; each imports what it needs when it runs."""

from __future__ import annotations

import io
import os
import signal
import sys


def main() -> None:
    """The entry point."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports take their time ends quietly
    from bessai.orphan import end_with_parent

    end_with_parent()
    from bessai.cli.app import make_app

    app = make_app(sys.argv[1] if len(sys.argv) > 1 else None)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks ° or é gets a ?, not an error
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except BrokenPipeError:  # `bessai … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
