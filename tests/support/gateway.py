"""The real gateway as processes of its own, for end-to-end tests."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from bessai.cli.app import make_app
from bessai.cli.common import ask_gateway

BESSAI = (sys.executable, "-m", "bessai.cli")


def bessai(
    *arguments: str, timeout: float = 60.0, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*BESSAI, *arguments],
        capture_output=True, text=True, timeout=timeout, check=False, cwd=cwd, env={**os.environ, **environment},
    )  # fmt: skip


def typed(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, which has an interpreter and its imports already."""
    done = CliRunner().invoke(make_app(arguments[0] if arguments else None), arguments, env=environment)
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


class GatewayProcess:
    """`bessai run`, with its status; use as a context manager."""

    command: tuple[str, ...] = (*BESSAI, "run")

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.log = data.parent / "gateway.log"
        self._environment = {
            **os.environ,
            "SITE_ID": "site-1",
            "INVERTER_IP": "127.0.0.1",
            "DATA_DIR": str(data),
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "LOG_FORMAT": "text",
            "HTTP_PORT": "0",  # tests run side by side
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> GatewayProcess:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self._environment, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def status(self) -> dict[str, Any]:
        """The status, empty while the gateway does not answer."""
        answer = ask_gateway(self.data, {"op": "status"}, timeout=2)
        return answer["status"] if answer else {}

    def request(self, power: float, seconds: float = 600) -> None:
        """Lease a power as the operator."""
        answer = ask_gateway(self.data, {"op": "request", "power": power, "for": seconds, "reason": "test"})
        assert answer is not None
        assert answer["ok"], answer

    async def until(self, check: Callable[[dict[str, Any]], bool], within: float = 60.0) -> dict[str, Any]:
        """The first status that passes."""
        deadline = time.monotonic() + within
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            status = await asyncio.to_thread(self.status)
            if status and check(status):
                return status
            await asyncio.sleep(0.1)
        raise AssertionError(
            f"not reached within {within:g} s; log:\n{self.log.read_text()}\nstatus: {status}"
        )

    def end(self, number: int = signal.SIGTERM, timeout: float = 60.0) -> int:
        """Send a signal and wait for the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout)


def power(status: dict[str, Any]) -> float:
    """The measured battery power, NaN while unknown."""
    value = status["points"].get("battery_power", {}).get("value")
    return float("nan") if value is None else float(value)
