"""Keeps the service plane and the page running, from a distance: their death or load never reaches a cycle."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger("bessai.supervisor")

_BACKOFF_FIRST = 0.5
_BACKOFF_MAX = 30.0
_STEADY = 30.0
"""Seconds of life after which an earlier crash is forgiven."""

_NICENESS = 5


class Supervisor:
    """Starts a process, the service plane or the page, starts it again when it dies, and ends it.

    The child holds the reading end of a pipe as its standard input: when this process dies, however it dies,
    the child reads the end of file and leaves.

    Args:
        environment: settings handed to the child, on top of this process's environment.
        on_death: called with the exit code each time the child dies by itself.
        command: what to run.
        name: of the process, for the log.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        on_death: Callable[[int], None],
        command: tuple[str, ...] = (sys.executable, "-m", "bessai.interfaces"),
        name: str = "service plane",
    ) -> None:
        self.restarts = 0
        self._environment = {**os.environ, **environment}
        self._on_death = on_death
        self._command = command
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    def status(self) -> dict[str, Any]:
        """Process id and restarts."""
        process = self._process
        alive = process is not None and process.poll() is None
        return {
            "running": alive,
            "pid": process.pid if process and alive else None,
            "restarts": self.restarts,
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Watch over the child until `stop` is set, then end it: politely, then not."""
        loop = asyncio.get_running_loop()
        delay = _BACKOFF_FIRST
        while not stop.is_set():
            started = loop.time()
            code = await asyncio.to_thread(self._start)
            while self._process is not None and self._process.poll() is None and not stop.is_set():
                await _wait(stop, 0.2)
            if stop.is_set():
                break
            code = self._process.returncode if self._process is not None else code
            self.restarts += 1
            delay = _BACKOFF_FIRST if loop.time() - started > _STEADY else min(2 * delay, _BACKOFF_MAX)
            log.warning("%s ended with code %s; starting it again in %.1f s", self._name, code, delay)
            self._on_death(code)
            await _wait(stop, delay)
        await asyncio.to_thread(self._end)

    def _start(self) -> int:
        """Start the child. Returns 0, or the error number when it cannot be started."""
        self._process = None
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, env=self._environment, start_new_session=True
            )
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICENESS)
        except OSError as error:
            if self._process is None:
                log.warning("%s cannot be started: %s", self._name, error)
                return error.errno or 1
        return 0

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        process.terminate()
        try:
            process.wait(1.3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(1.0)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
