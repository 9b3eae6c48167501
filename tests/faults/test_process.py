"""What the device does when the gateway's process is killed, stopped, blocked or broken.

Gateway, twin and service manager are processes and sockets of their own. What is asserted is what the device did, by
the device's own clock: it fell back within its dead-man time, and no cycle that was not complete fed it.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from faults.conftest import KINDS, Device, Start
from support.broken_gateway import BLOCKED

REGISTRY = Device(profile="kostal_plenticore", time=30.0, feed=("battery_power_setpoint",), kind="rewrite")
"""The shortest dead-man of the registry. None of its devices has 10 s or less: kostal_plenticore and kaco_gridsave
(which needs a BMS beside it) have 30 s, sma_sunny_boy_storage and victron_ess 60 s, huawei_sun2000 120 s."""


LONG = pytest.mark.soak
"""What takes long and is like its neighbours."""


@pytest.mark.parametrize(
    "device",
    [
        *(pytest.param(d, marks=LONG if d.kind in {"timeout", "heartbeat"} else ()) for d in KINDS),
        pytest.param(REGISTRY, marks=LONG),
    ],
    ids=lambda d: d.profile or d.kind,
)
def test_killed(start: Start, device: Device) -> None:
    site = start(device)
    assert site.gateway.process is not None
    site.gateway.process.kill()
    site.gateway.process.wait()
    dead = site.twin.tell()
    site.manager.take()
    state = site.until_fallen()
    assert not [one for one in state["log"] if one[0] > dead["time"]]
    assert site.manager.take() == []


def test_stopped_and_continued(start: Start) -> None:
    site = start()
    assert site.gateway.process is not None
    os.kill(site.gateway.process.pid, signal.SIGSTOP)
    still = site.settle()
    state = site.until_fallen()
    assert not site.fed_since(still["time"], state)
    assert site.manager.take() == []
    os.kill(site.gateway.process.pid, signal.SIGCONT)
    site.until_power()
    assert "WATCHDOG=1" in site.manager.take()


def test_a_blocked_loop(start: Start) -> None:
    site = start(bug="blocked loop")
    assert site.gateway.process is not None
    began = time.monotonic()
    os.kill(site.gateway.process.pid, signal.SIGUSR1)
    still = site.settle()
    state = site.until_fallen()
    assert not site.fed_since(still["time"], state)
    if time.monotonic() - began < BLOCKED - 1:
        assert site.manager.take() == []
    site.until_power()
    assert "WATCHDOG=1" in site.manager.take()
    assert site.gateway.status()["cycle"]["missed"] > 0


@pytest.mark.parametrize(
    "bug", ["command", *(pytest.param(bug, marks=LONG) for bug in ("feed", "reading hangs")), "writing hangs"]
)
def test_a_bug_after_which_nothing_can_be_commanded(start: Start, bug: str) -> None:
    """No zero reaches the device any more: it falls back by itself, and the gateway works again afterwards."""
    site = start(bug=bug)
    assert site.gateway.process is not None
    os.kill(site.gateway.process.pid, signal.SIGUSR1)
    site.settle(2.5)
    zeroed = bug in {"feed", "reading hangs"}  # these can still command
    if zeroed:
        site.twin.until(lambda s: abs(s["power"]) < 0.05)
    else:
        site.until_fallen()
    if bug in {"command", "feed"}:
        assert "WATCHDOG=1" not in site.manager.take()
    if bug != "writing hangs":  # said only when it is stuck beyond the time limits, a minute and more
        site.until_sick()
    os.kill(site.gateway.process.pid, signal.SIGUSR2)
    if "hangs" not in bug:
        site.until_power()


@pytest.mark.parametrize(
    "bug", ["decide", *(pytest.param(bug, marks=LONG) for bug in ("wrote", "alarms")), "reading"]
)
def test_a_bug_after_which_zero_is_commanded(start: Start, bug: str) -> None:
    site = start(bug=bug)
    assert site.gateway.process is not None
    os.kill(site.gateway.process.pid, signal.SIGUSR1)
    site.settle(3)
    began = site.twin.until(lambda s: abs(s["power"]) < 0.05)
    heard = site.settle(10)
    assert "WATCHDOG=1" not in site.manager.take()
    log = [one for one in heard["log"] if one[0] > began["time"] and one[1].endswith("setpoint")]
    assert all(value == 0 for _, _, value in log)
    assert site.until_sick()["heartbeat"]["why_not"]
    os.kill(site.gateway.process.pid, signal.SIGUSR2)
    site.until_power()
    site.settle()
    time.sleep(2)
    assert "WATCHDOG=1" in site.manager.take()


def test_a_device_that_falls_silent_on_a_live_connection(start: Start) -> None:
    site = start()
    silent = site.twin.tell("set", path="faults.silent", to=True)
    state = site.until_fallen()
    assert not site.fed_since(silent["time"], state)
    site.settle()
    time.sleep(2)
    heard = site.manager.take()
    assert "WATCHDOG=1" in heard, "the device is dead, and the gateway says so: a restart would not help"
    site.until_sick()
    site.twin.tell("set", path="faults.silent", to=False)
    site.until_power()


@pytest.mark.parametrize("writes", ["unanswered", pytest.param("ignored", marks=LONG)])
def test_a_device_that_answers_reads_and_no_writes(start: Start, writes: str) -> None:
    """`unanswered` takes what is written and says nothing: zero reaches it, and power does not come back."""
    site = start()
    deaf = site.twin.tell("writes", to=writes)
    if writes == "ignored":
        state = site.until_fallen()
        assert not site.fed_since(deaf["time"], state)
    state = site.twin.until(lambda s: abs(s["power"]) < 0.05)
    time.sleep(10)
    later = site.twin.tell()
    assert abs(later["power"]) < 0.05, "and it stays there"
    site.until_sick()
    site.manager.take()
    time.sleep(2)
    assert "WATCHDOG=1" in site.manager.take()
    site.twin.tell("writes", to="answered")
    site.until_power()
