"""The process: starts the sinks, keeps each one running, reports their status, ends within 1.5 s.

It ends when SIGTERM or SIGINT arrives, or when its standard input ends, which is how it learns that the
gateway that started it has died. Nothing here waits for a sink: what does not end in time is cancelled, and
what was not acknowledged is sent again after the next start.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bessai.interfaces import structured
from bessai.interfaces.build import build_sinks
from bessai.interfaces.ending import Ending
from bessai.interfaces.settings import ServiceSettings
from bessai.interfaces.sink import Sink, keep_running
from bessai.logs import Levels, Origin

_log = logging.getLogger(__name__)

_GRACE = 0.6
"""Seconds that sinks have to end by themselves."""
_CANCELLED = 0.3
"""Seconds that they have after what they wait for was cancelled."""


class Service:
    """The sinks and their threads."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        socket_path: Path | None = None,
        period: float = 1.0,
        levels: Levels | None = None,
    ) -> None:
        self._levels = levels or Levels("INFO")
        self._sinks = sinks
        self._socket_path = socket_path
        self._period = period
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=keep_running, args=(sink, self._stop), name=sink.name, daemon=True)
            for sink in sinks
            if sink.state != "off"
        ]

    def start(self) -> None:
        """Start the sinks and the report of their status."""
        for thread in self._threads:
            thread.start()
        if self._socket_path is not None:
            threading.Thread(
                target=self._report, args=(self._socket_path,), name="status", daemon=True
            ).start()

    def stop(self) -> None:
        """End the sinks: first politely, then by cancelling what they wait for. Takes at most 0.9 s."""
        self._stop.set()
        _join(self._threads, _GRACE)
        for sink in self._sinks:
            sink.abort()
        _join(self._threads, _CANCELLED)

    def status(self) -> dict[str, Any]:
        """What is reported: `{"pid", "sinks": [SinkStatus as plain data, …]}`."""
        return {"pid": os.getpid(), "sinks": [sink.status().as_dict() for sink in self._sinks]}

    def _report(self, path: Path) -> None:
        while not self._stop.wait(self._period):
            answer = report(path, self.status())
            if answer is not None and isinstance(said := answer.get("log"), dict):
                self._levels.apply(said)


def report(path: Path, status: dict[str, Any]) -> dict[str, Any] | None:
    """Tell the control plane. Returns its answer, which says how loud to log; None when there is none."""
    request = json.dumps({"op": "service_status", "status": status}) + "\n"
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(0.2)
            connection.connect(str(path))
            connection.sendall(request.encode())
            answer = json.loads(connection.recv(4096))
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def main() -> int:
    """Run as `python -m bessai.interfaces`. Returns the exit code: 0 when told to end, 2 for bad settings."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own lines repeat what the sinks say in sentences
    try:
        settings = ServiceSettings.from_environment(os.environ)
        structured.set_up(settings.log_level, settings.log_format, Origin(settings.site, "service"))
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to flush while the libraries are still loading
        sinks = build_sinks(settings)
    except ValueError as error:
        print(f"bessai.interfaces: {error}", file=sys.stderr)
        return 2
    service = Service(sinks, settings.socket, levels=Levels(settings.log_level))
    with closing(Ending()) as ending:
        service.start()
        _log.debug("running %d sinks", len(service.status()["sinks"]))
        _log.info("ending: %s", ending.wait())
        service.stop()
    gc.freeze()  # nothing of what the libraries hold is worth looking through once more at the end
    return 0


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
