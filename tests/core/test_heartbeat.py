"""The process's heartbeat: what is sent, and which cycle has earned it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bessai.core.heartbeat import OUTSIDE, Notifier, earns_heartbeat
from bessai.model import Condition, Severity


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket, and its address as NOTIFY_SOCKET names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        if request.param == "path":
            address = str(tmp_path / "notify")
            listener.bind(address)
        else:
            address = f"@bessai-test-{os.getpid()}"
            listener.bind(f"\0{address[1:]}")
        listener.settimeout(10)
        yield listener, address


def well(notifier: Notifier) -> bool:
    return notifier.problem is None


def heard(listener: socket.socket) -> str:
    return listener.recv(4096).decode()


def test_a_life_under_a_service_manager(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready("3 devices")
    notifier.alive()
    notifier.alive("tripped:\ncell_hot")
    notifier.status("normal")
    notifier.stopping()
    assert [heard(listener) for _ in range(5)] == [
        "READY=1\nSTATUS=3 devices",
        "WATCHDOG=1",
        "WATCHDOG=1\nSTATUS=tripped: cell_hot",
        "STATUS=normal",
        "STOPPING=1",
    ]
    assert notifier.problem is None
    notifier.close()
    assert not notifier.active
    notifier.alive()


def test_a_status_cannot_smuggle_a_heartbeat(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    Notifier({"NOTIFY_SOCKET": address}).status("x\nWATCHDOG=1\r\nREADY=1")
    assert heard(listener) == "STATUS=x WATCHDOG=1 READY=1"


@pytest.mark.parametrize(
    "address", [None, "", "relative", "vsock:2:1234", "@", "/nowhere/notify", "/" + "x" * 300]
)
def test_silent_without_a_service_manager(address: str | None) -> None:
    notifier = Notifier({} if address is None else {"NOTIFY_SOCKET": address})
    notifier.ready("x")
    notifier.alive()
    assert (notifier.problem is not None) == notifier.active


def test_a_manager_that_does_not_listen_blocks_nobody(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address})
    sent = 0
    while well(notifier) and sent < 100_000:  # its queue fills up, and nothing waits for it
        notifier.alive()
        sent += 1
    assert not well(notifier)
    for _ in range(sent - 1):
        heard(listener)
    notifier.alive()
    assert well(notifier)
    assert heard(listener) == "WATCHDOG=1"
    listener.close()
    notifier.alive()
    assert "refused" in str(notifier.problem)


OWN, OTHER = str(os.getpid()), str(os.getpid() + 1)


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "10000000"}, 10.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": OWN}, 10.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": OTHER}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "ten"}, None),
        ({"WATCHDOG_USEC": "\u00b2"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_s_time(environ: dict[str, str], interval: float | None) -> None:
    assert Notifier(dict(environ)).interval == interval


def test_no_child_process_can_speak_in_our_name() -> None:
    environ = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": OWN, "HOME": "/"}
    Notifier(environ)
    assert environ == {"HOME": "/"}


def condition(code: str, severity: Severity = Severity.ALARM) -> Condition:
    return Condition(code=code, severity=severity, message="")


EXCUSE = [condition("evidence_lost")]


# The cycle ended / verified / what holds / a task is stuck / fed?
@pytest.mark.parametrize(
    ("ended", "verified", "active", "stuck", "fed"),
    [
        (True, True, [], False, True),
        (True, True, [condition("limit_reached")], False, True),
        (True, False, EXCUSE, False, True),
        (True, False, [condition("register_wear"), *EXCUSE], False, True),
        (True, False, [], False, False),
        (True, False, [condition("evidence_lost", Severity.WARNING)], False, False),
        (True, False, [condition("limit_reached")], False, False),
        (True, False, [condition("cycle_failed")], False, False),
        (True, False, [condition("something_new")], False, False),
        (False, False, [], False, False),
        (False, True, [], False, False),
        (False, False, EXCUSE, False, False),
        (False, True, EXCUSE, False, False),
        (True, True, [], True, False),
        (True, False, EXCUSE, True, False),
    ],
)
def test_which_cycle_earns_a_heartbeat(
    ended: bool, verified: bool, active: list[Condition], stuck: bool, fed: bool
) -> None:
    assert earns_heartbeat(ended=ended, verified=verified, active=active, stuck=stuck) == fed


def test_the_code_of_a_failed_cycle_is_no_excuse() -> None:
    assert "cycle_failed" not in OUTSIDE
