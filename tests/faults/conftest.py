"""Power that flows between real processes, and a service manager that listens."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.gateway import GatewayProcess
from support.notify import NotifySocket
from support.profiles import BATTERY, CONTROL, DEAD_MAN, document
from support.twin_process import TwinProcess

SUPPORT = Path(__file__).parent.parent / "support"
POWER = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device whose dead-man is watched."""

    profile: str
    """Registry name; empty for the test's own, which falls back within 8 s."""
    kind: str = "duration"
    """Of the dead-man."""
    time: float
    """Seconds of its dead-man."""
    feed: tuple[str, ...]
    """Points whose writing feeds it."""
    speed: float = 1.0
    """Simulated seconds for each second."""


QUICK = Device(profile="", time=8.0, feed=("mode",))
KINDS = (
    QUICK,
    Device(profile="", kind="timeout", time=8.0, feed=("mode",)),
    Device(profile="", kind="heartbeat", time=8.0, feed=("beat",)),
    Device(profile="", kind="rewrite", time=8.0, feed=("mode",)),
)
"""Devices that can fall back within 10 s, one of each kind of dead-man that the registry knows."""


@dataclass(slots=True)
class Site:
    """A gateway that powers a twin."""

    device: Device
    twin: TwinProcess
    gateway: GatewayProcess
    manager: NotifySocket

    def until_power(self, within: float = 60.0) -> dict[str, Any]:
        """Wait until the power flows that was asked for."""
        return self.twin.until(lambda s: s["active"] and abs(s["power"] - POWER) < 0.2, within)

    def until_fallen(self, before: int = 0) -> dict[str, Any]:
        """Wait until the device fell back once more, and prove that it did so in its own time."""
        state = self.twin.until(lambda s: s["fallbacks"] == before + 1 and not s["active"])
        fed = max(
            at for at, point, _ in state["log"] if point in self.device.feed and at < state["fell_at"][-1]
        )
        late = state["fell_at"][-1] - fed - self.device.time
        assert abs(late) <= 0.3 * self.device.speed, "by its own clock"
        return self.twin.until(lambda s: abs(s["power"]) < 0.05)

    def until_sick(self) -> dict[str, Any]:
        """Wait until the gateway itself says that something is wrong."""
        for _ in range(100):
            status = self.gateway.status()
            if status and not status["healthy"]:
                return status
            time.sleep(0.1)
        raise AssertionError(f"it says that all is well: {status}")

    def settle(self, cycles: float = 1.5, period: float = 0.5) -> dict[str, Any]:
        """Let the cycle that was under way end; forget what was heard."""
        time.sleep(cycles * period)
        self.manager.take()
        return self.twin.tell()

    def fed_since(self, since: float, state: dict[str, Any]) -> list[Any]:
        """Writes that fed the dead-man after a moment of the twin's time."""
        return [one for one in state["log"] if one[1] in self.device.feed and one[0] > since]


Start = Callable[..., Site]


def quick_profile(directory: Path, device: Device) -> Path:
    """The test's own device: a battery with cells, and a dead-man of 8 s."""
    points = {
        **BATTERY,
        "cell_voltage_max": {"address": 7, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
        "beat": {"address": 26, "type": "u16", "access": "rw"},
    }
    control: dict[str, Any] = {
        **CONTROL,
        "evidence": [*CONTROL["evidence"], "cell_voltage_max"],
        "response_time": 5,
    }
    if device.kind != "duration":
        for kind in ("charge", "discharge", "zero"):
            control[kind] = [step for step in CONTROL[kind] if step["point"] != "duration"]
    own: dict[str, Any] = {
        "duration": DEAD_MAN,
        "timeout": {"point": "duration", "feed": ["mode"]},
        "heartbeat": {"point": "beat"},
        "rewrite": {"feed": ["mode"]},
    }[device.kind]
    common = {"kind": device.kind, "time": device.time, "fallback": "ends the forced mode", "sources": ["t"]}
    path = directory / "test.json"
    dead_man = {**own, **common}
    more = {"control": control, "dead_man": dead_man, "connection": {"timeout": 1.0, "retries": 0}}
    path.write_text(json.dumps(document(points, **more)))
    return path


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a twin and a gateway, and waits until power flows."""
    open_things: list[Any] = []

    def _start(device: Device = QUICK, *, bug: str = "", **environment: str) -> Site:
        profile = device.profile or str(quick_profile(tmp_path, device))
        twin = TwinProcess(profile, device.speed).__enter__()
        open_things.append(twin)
        manager = NotifySocket(tmp_path / "notify")
        open_things.append(manager)
        gateway = GatewayProcess(
            tmp_path / "data",
            INVERTER_PORT=str(twin.port),
            DRIVER_PROFILE_PATH=profile,
            CYCLE_TIME="0.5",
            WATCHDOG_TIMEOUT="2",
            NOTIFY_SOCKET=manager.address,
            **environment,
        )
        if bug:
            gateway.command = (sys.executable, str(SUPPORT / "broken_gateway.py"), bug)
        gateway.__enter__()
        open_things.append(gateway)
        site = Site(device, twin, gateway, manager)
        deadline = time.monotonic() + 60
        while gateway.status().get("control", {}).get("state") not in {"normal", "derated"}:
            assert gateway.process is not None
            assert gateway.process.poll() is None, gateway.log.read_text()
            assert time.monotonic() < deadline, gateway.log.read_text()
            time.sleep(0.2)
        gateway.request(POWER)
        site.until_power()
        return site

    yield _start
    for thing in reversed(open_things):
        if isinstance(thing, GatewayProcess) and thing.process is not None and thing.process.poll() is None:
            os.kill(thing.process.pid, 18)  # SIGCONT, if it was stopped
        thing.__exit__(None, None, None)
