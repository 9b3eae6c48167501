"""`bessai grid`: through the gateway's own socket to a real change desk with a real file."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bessai.cli.app import make_app
from bessai.core.local_socket import LocalSocket
from bessai.core.requests import RequestBook
from bessai.core.socket_file import socket_path
from bessai.core.state_file import DiskState
from bessai.grid import GridConfig, GridFunctions
from bessai.grid.change import ChangeDesk
from bessai.model import Layout, ProcessImage, Quality, SystemClock

WHO = ("--user", "ana", "--role", "engineer", "--reason", "as instructed")
LETTER = ("--authorisation", "CEN-2026-123")
PLANT: dict[str, Any] = {
    "rated_power": 1000.0, "rated_apparent_power": 1100.0, "nominal_voltage": 23_000.0,
    "drift": {"frequency.droop": "pcs.droop"},
}  # fmt: skip


class Running:
    """A gateway's socket with a change desk behind it, on a loop of its own."""

    def __init__(self, data: Path) -> None:
        data.mkdir(exist_ok=True)
        self.data = data
        self.state = DiskState(data, "grid.json", traces=())
        self.desk = ChangeDesk(GridFunctions(GridConfig(**PLANT), cycle=0.2), self.state, SystemClock())
        self._loop = asyncio.new_event_loop()
        self._served = LocalSocket(
            socket_path(data), RequestBook(), dict, SystemClock(), more=self.desk.handlers
        )
        self._loop.run_until_complete(self._served.start())
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._served.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self.state.close(10.0)

    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(make_app(), ["grid", *arguments, "--data-dir", str(self.data)])

    def device_has(self, droop: float, quality: Quality = Quality.GOOD) -> None:
        """A cycle in which the device says its droop."""
        self.desk.propose(
            ProcessImage(
                layout=Layout(("pcs.droop",), ("%",)), cycle=1, monotonic=SystemClock().monotonic(), wall_ns=0,
                values=np.array([droop]), quality=np.array([quality], np.uint8), times=np.array([0.0]),
            )
        )  # fmt: skip


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "data")
    yield running
    running.end()


def test_a_change_is_in_force_and_on_disk(gateway: Running) -> None:
    result = gateway.run("set", "frequency.droop", "3", *WHO, *LETTER)
    assert result.exit_code == 0, result.output
    assert result.output == "frequency.droop: 5 → 3\n"
    assert gateway.desk.functions.values["frequency.droop"] == 3.0
    assert gateway.state.is_durable(2)
    result = gateway.run("history")
    assert (
        "set, frequency.droop: 5 → 3, by ana (engineer), authorisation CEN-2026-123, as instructed"
        in result.output
    )
    told = json.loads(gateway.run("history", "--json").output)
    assert [one["what"] for one in told["history"]] == ["start", "set"]


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("set", "frequency.droop", "9", *WHO, *LETTER), 1, "frequency.droop = 9.0: give 2 … 5 % (AT-IBR Art. 3-6 e)"),
        (("set", "frequency.droop", "-3", *WHO, *LETTER), 1, "frequency.droop = -3.0: give 2 … 5 %"),
        (("set", "frequency.droop", "nan", *WHO, *LETTER), 1, "NaN: give a number"),
        (("set", "frequency.droop", "three", *WHO, *LETTER), 1, "give a number in %"),
        (("set", "frequency.drop", "3", *WHO, *LETTER), 1, "there is no such parameter"),
        (("set", "frequency.droop", "3", *WHO), 2, "--authorisation"),
        (("set", "frequency.droop", "3", *LETTER, "--role", "engineer"), 2, "--reason"),
        (("set", "frequency.droop", "3", *WHO, "--role", "operator", *LETTER), 1, "takes the role engineer"),
        (("command", "frequency.droop", "3", *WHO), 1, "changes only with an authorisation"),
        (("command", "voltage.mode", "sideways", *WHO), 1, "give one of off, voltage, voltage_droop"),
        (("adopt", "frequency.droop", *WHO, *LETTER), 1, "no parameter of which GRID_FILE differs"),
        (("adopt", *WHO, *LETTER), 1, "names: say of which parameters"),
        (("test", "frequency", *WHO), 2, "--change is missing"),
        (("test", *WHO), 2, "give frequency or voltage to begin a test signal, or --end"),
        (("test", "frequency", "--end", *WHO), 2, "or --end"),
        (("test", "frequency", "--change", "9", *WHO), 1, "of frequency it must be within"),
    ],
)  # fmt: skip
def test_refusals(gateway: Running, arguments: tuple[str, ...], code: int, problem: str) -> None:
    before = gateway.desk.functions.values
    result = gateway.run(*arguments)
    assert (result.exit_code, problem in result.output) == (code, True), result.output
    assert gateway.desk.functions.values == before
    assert gateway.desk.functions.test is None


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("voltage.mode", "off", "off"),
        ("voltage.mode", "power_factor", "power_factor"),
        ("frequency.enabled", "off", False),
        ("active.volt_watt", "false", False),
        ("active.setpoint", "-250", -250.0),
        ("active.maximum", "none", "none"),
        ("voltage.power_factor", "-0.95", -0.95),
    ],
)
def test_values_are_read_as_the_parameter_has_them(
    gateway: Running, name: str, value: str, found: Any
) -> None:
    result = gateway.run("command", name, value, "--user", "luis", "--reason", "dispatch")
    assert result.exit_code == 0, result.output
    assert gateway.desk.functions.values[name] == found
    (event,) = [e for e in gateway.desk.take_events() if e.code == "grid_command"]
    assert "by luis (operator): dispatch" in event.message


def test_status(gateway: Running) -> None:
    gateway.device_has(5.0)
    result = gateway.run("status")
    assert result.exit_code == 0, result.output
    assert "frequency.dead_band" in result.output
    assert "frequency.droop: the device has the same (pcs.droop)" in result.output

    gateway.run("set", "frequency.droop", "4", *WHO, *LETTER)
    gateway.desk._drift._next = None
    gateway.device_has(2.0)
    result = gateway.run("status")
    assert result.exit_code == 1
    assert "frequency.droop: GRID_FILE says 5, in force is 4" in result.output
    assert "frequency.droop: the device has 2 (pcs.droop), in force is 4" in result.output

    gateway.desk._drift._next = None
    gateway.device_has(2.0, Quality.STALE)
    assert "not comparable: pcs.droop is stale" in gateway.run("status").output
    told = json.loads(gateway.run("status", "--json").output)
    assert told["parameters"]["frequency.droop"]["authorisation"] == "CEN-2026-123"

    assert gateway.run("adopt", "frequency.droop", *WHO, *LETTER).output == "adopted: frequency.droop = 5\n"
    assert gateway.run("status").exit_code == 0


def test_a_test_signal(gateway: Running) -> None:
    result = gateway.run("test", "frequency", "--change", "-0.2", "--seconds", "30", *WHO)
    assert result.exit_code == 0, result.output
    assert gateway.desk.functions.test is not None
    assert gateway.run("test", "--end", *WHO).output == "the test signal has ended\n"
    assert gateway.run("test", "--end", *WHO).output == "no test signal was running\n"
    told = json.loads(gateway.run("history", "--json").output)
    assert [one["what"] for one in told["history"]] == ["start", "test", "test_end"]


def test_a_change_that_does_not_reach_the_disk_is_no_success(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessai.cli.grid._DURABLE", 0.3)
    assert gateway.state.wait(30.0)
    for copy in ("grid.json.new", "grid.json.1.new"):  # where the next state goes first
        (gateway.data / copy).unlink(missing_ok=True)
        (gateway.data / copy).mkdir()
    result = gateway.run("set", "frequency.droop", "3", *WHO, *LETTER)
    assert result.exit_code == 1
    assert "in force, but not on disk" in result.output
    result = gateway.run("status")
    assert (result.exit_code, "would not survive a power cut" in result.output) == (1, True)
    for copy in ("grid.json.new", "grid.json.1.new"):
        (gateway.data / copy).rmdir()


def test_without_a_gateway(tmp_path: Path) -> None:
    result = CliRunner().invoke(make_app(), ["grid", "status", "--data-dir", str(tmp_path)])
    assert (result.exit_code, "no gateway is running" in result.output) == (3, True)


def test_a_gateway_without_grid_functions(tmp_path: Path) -> None:
    from support.answering_socket import AnsweringSocket

    plain = LocalSocket(tmp_path / "unused", RequestBook(), dict, SystemClock())
    with AnsweringSocket(socket_path(tmp_path), lambda message: plain.answer(json.dumps(message).encode())):
        result = CliRunner().invoke(make_app(), ["grid", "status", "--data-dir", str(tmp_path)])
    assert (result.exit_code, "set GRID_FILE" in result.output) == (1, True)
