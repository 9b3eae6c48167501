"""How punctual a 100 ms cycle is beside everything else that a gateway's machine does.

The real `bessai run` commands a simulated Huawei plant (a process of its own), without the pauses between requests that
the real device wants: with them one reading takes four cycles of 100 ms. Beside it: its service plane publishing
every record to a Pub/Sub server, a dashboard that asks for the status ten times a second, and a neighbour process that
burns a core. Lateness of the cycles' starts comes from the gateway's own status.

Three schedules of the control plane's main thread, from its start: `usual`, `nice` (-10) and `realtime` (SCHED_FIFO,
priority 1; threads and children are back on the usual one). Where the machine refuses one, its row says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bessai.cli.common import GatewayError, ask_gateway
from bessai.registry import find_profile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.fake_pubsub import FakePubSub

SCHEDULES = ("usual", "nice", "realtime")
CYCLE = 0.1
_TOPIC = "projects/bench/topics/bench"
_READY_WITHIN = 60.0
_BURN = "while True: pass"
_RT_LIMIT = 5_000_000
"""Microseconds that a real-time thread may compute without waiting before it is ended; a start takes about 2 s."""


class JitterError(Exception):
    """The gateway did not run as it has to for a measurement; the text says how."""


def measure(schedule: str, seconds: float, *, busy: bool = True) -> dict[str, Any]:
    """Lateness of the starts of cycles, in ms, over `seconds`; with `refused` where the schedule is not granted.

    Raises:
        JitterError: the gateway does not start, or does not command the plant.
    """
    if (refused := refusal(schedule)) is not None:
        return {"refused": refused}
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pubsub = stack.enter_context(FakePubSub([_TOPIC]))
        profile = quick_profile(directory / "bench_inverter.json")
        port = stack.enter_context(plant(profile))
        data = directory / "data"
        process = stack.enter_context(_gateway(schedule, data, profile, port, pubsub.host))
        _until_commanding(process, data)
        dashboard = _Dashboard(data)
        if busy:
            stack.enter_context(running(sys.executable, "-c", _BURN))
            stack.enter_context(dashboard)
        before, published = _status(data), len(pubsub.messages)
        time.sleep(seconds)
        after = _status(data)
        late = after["cycle"]
        return {
            "late_p50_ms": round(1000 * late["late_p50"], 3),
            "late_p99_ms": round(1000 * late["late_p99"], 3),
            "late_max_ms": round(1000 * late["late_max"], 3),
            "cycles": late["cycles"] - before["cycle"]["cycles"],
            "missed": late["missed"] - before["cycle"]["missed"],
            "setpoint_kw": after["control"]["setpoint"],
            "status_asked": dashboard.asked,
            "published": len(pubsub.messages) - published,
        }


def take(schedule: str) -> None:
    """Put this process on a schedule, as its service manager would; what it starts is back on the usual one.

    Raises:
        OSError: the machine does not grant it.
    """
    if schedule == "nice":
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    elif schedule == "realtime":
        resource.setrlimit(resource.RLIMIT_RTTIME, (_RT_LIMIT, _RT_LIMIT))
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def refusal(schedule: str) -> str | None:
    """Why this machine does not grant a schedule, or None."""
    code = "import sys; from benchmarks.jitter import take; take(sys.argv[1])"
    tried = subprocess.run(
        [sys.executable, "-c", code, schedule], capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else f"not granted: {tried.stderr.strip().splitlines()[-1]}"


class _Dashboard:
    """Asks for the status ten times a second, and renews a request."""

    def __init__(self, data: Path) -> None:
        self.asked = 0
        self._data = data
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Dashboard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._end.wait(0.1):
            with contextlib.suppress(GatewayError):
                self.asked += ask_gateway(self._data, {"op": "status"}) is not None


@contextlib.contextmanager
def running(*command: str, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that is ended with the block."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def quick_profile(path: Path) -> Path:
    """Write the profile of a device that wants no pauses between requests."""
    document = json.loads(find_profile("huawei_sun2000").read_text(encoding="utf-8"))
    document["id"] = path.stem
    document["connection"] |= {"pause": 0, "settle": 0}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@contextlib.contextmanager
def plant(profile: Path) -> Iterator[str]:
    """The simulated plant; yields its port."""
    command = ("-m", "bessai.cli", "simulate", "--profile", str(profile), "--port", "0")
    with running(sys.executable, *command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[3].rpartition(":")[2]


@contextlib.contextmanager
def _gateway(
    schedule: str, data: Path, profile: Path, port: str, pubsub: str
) -> Iterator[subprocess.Popen[Any]]:
    environment = {
        **os.environ, "SITE_ID": "bench", "INVERTER_IP": "127.0.0.1", "INVERTER_PORT": port, "DATA_DIR": str(data),
        "DRIVER_PROFILE_PATH": str(profile),
        "CYCLE_TIME": str(CYCLE), "CONTROL_MODE": "control", "LOG_LEVEL": "ERROR", "OTEL_SDK_DISABLED": "true",
        "HTTP_PORT": "0",
        "GCP_PROJECT_ID": "bench", "GCP_PUBSUB_TOPIC": "bench", "PUBSUB_EMULATOR_HOST": pubsub,
    }  # fmt: skip
    command = (sys.executable, "-m", "bessai.cli", "run")
    with running(*command, env=environment, preexec_fn=partial(take, schedule)) as process:
        yield process


def _status(data: Path) -> dict[str, Any]:
    answer = ask_gateway(data, {"op": "status"}, timeout=10.0)
    if answer is None:
        raise JitterError("the gateway does not answer for its status")
    status: dict[str, Any] = answer["status"]
    return status


def _until_commanding(process: subprocess.Popen[Any], data: Path) -> None:
    """Until the plant has taken a power that was asked for, and the service plane has settled."""
    deadline = time.monotonic() + _READY_WITHIN
    asked = False
    while time.monotonic() < deadline:
        time.sleep(0.5)
        if process.poll() is not None:
            raise JitterError(f"the gateway ended with code {process.returncode}")
        with contextlib.suppress(GatewayError, JitterError):
            status = _status(data)
            if not asked:
                ask = {"op": "request", "power": -2.0, "for": 3600, "reason": "bench"}
                asked = bool((ask_gateway(data, ask) or {}).get("ok"))
            elif status["control"].get("setpoint") and status["service_plane"]["running"]:
                time.sleep(3.0)
                return
    raise JitterError(f"no power commanded after {_READY_WITHIN:g} s")
