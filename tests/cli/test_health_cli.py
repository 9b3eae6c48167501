"""`bessai health`: 0 when a restart would not help, 1 when it might; never another code."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from bessai.cli.health import problems_of
from support.gateway import GatewayProcess, typed


def _status(
    *, age: float | None = 0.4, period: float = 1.0, earned: bool = True, why: str | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "cycle": {"cycles": 7, "age": age, "period": period},
        "heartbeat": {"earned": earned, "why_not": why},
        "healthy": not more.get("problems"), "problems": [],
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (_status(), ""),
        (_status(problems=["meter: no answer"]), ""),
        (_status(age=None), "no cycle has run yet"),
        (_status(age=11), "no control cycle for 11 s: more than 10 s"),
        (_status(age=29, period=10), ""),
        (_status(age=31, period=10), "no control cycle for 31 s: more than 30 s"),
        (_status(earned=False, why="cycle failed: KeyError"), "earned no heartbeat: cycle failed: KeyError"),
        (_status(earned=False), "earned no heartbeat: none was sent"),
    ],
)
def test_what_a_restart_might_mend(status: dict[str, Any], said: str) -> None:
    problems = problems_of(status)
    assert bool(problems) == bool(said)
    assert said in "; ".join(problems)


def test_strict_counts_every_problem() -> None:
    assert problems_of(_status(problems=["meter: no answer"]), strict=True) == ["meter: no answer"]
    assert problems_of(_status(), strict=True) == []


def test_the_exit_code_of_a_real_gateway(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert typed("health", "--data-dir", str(data)).returncode == 1, "nobody is there"
    with socket.socket() as held:  # a device that nobody serves
        held.bind(("127.0.0.1", 0))
        with GatewayProcess(data, INVERTER_PORT=str(held.getsockname()[1])) as gateway:
            deadline = time.monotonic() + 60
            while not gateway.status() and time.monotonic() < deadline:
                time.sleep(0.1)
            while (done := typed("health", DATA_DIR=str(data))).returncode and time.monotonic() < deadline:
                time.sleep(0.1)
            assert (done.returncode, done.stdout[:14]) == (0, "healthy: cycle"), done.stdout
            assert gateway.status()["healthy"] is False
            strict = typed("health", "--strict", DATA_DIR=str(data))
            assert strict.returncode == 1
            assert "not healthy: " in strict.stdout

            assert gateway.process is not None
            gateway.process.send_signal(signal.SIGSTOP)
            try:
                hung = typed("health", DATA_DIR=str(data))
            finally:
                gateway.process.send_signal(signal.SIGCONT)
            assert hung.returncode == 1
            assert "does not answer" in hung.stdout
