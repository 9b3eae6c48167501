"""Faults switched from outside: the panel, the control socket, and the commands."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from bessai.cli import fault, simulate
from bessai.model import parse_endpoint
from bessai.registry import Profile, load_profile
from bessai.twin import Plant, TwinBus, TwinDevice, TwinSerial, TwinServer, TwinSite, TwinUnit
from bessai.twin.control_socket import ControlSocket, ask_simulator, control_path
from bessai.twin.fault_panel import FaultPanel

from .conftest import MakeProfile
from .test_site import LOCAL, _Device
from .wire import raw, request


@pytest.fixture
def many(make_profile: MakeProfile) -> Profile:
    return make_profile(connection={"unit": 1})


def _site(profile: Profile) -> TwinSite:
    pair = [TwinUnit(name=f"rack_{n}", profile=profile, unit=n) for n in (1, 2)]
    return TwinSite([TwinBus(LOCAL, pair), TwinBus(LOCAL, [TwinUnit(name="pcs", profile=profile, unit=1)])])


def _panel(site: TwinSite) -> FaultPanel:
    return FaultPanel(site.members, {bus.endpoint: bus for bus in site.buses})


def _with_panel(profile: Profile, scene: Callable[[TwinSite, FaultPanel], Any]) -> None:
    async def play() -> None:
        async with _site(profile) as site:
            result = scene(site, _panel(site))
            if asyncio.iscoroutine(result):
                await result

    asyncio.run(asyncio.wait_for(play(), 60))


def test_a_fault_is_a_devices_a_buses_or_everybodys(many: Profile) -> None:
    def scene(site: TwinSite, panel: FaultPanel) -> None:
        first, second = (bus.endpoint for bus in site.buses)
        assert panel.apply(["silence@rack_2"]) == ["silence@rack_2"]
        assert site.devices["rack_2"].faults.silent
        assert not site.devices["rack_1"].faults.silent
        panel.apply([f"busy=10%@{first}"])
        assert site.buses[0].faults.busy == 0.1
        assert panel.apply(["delay=1..2"]) == [
            "silence@rack_2", "delay=1..2@pcs", f"delay=1..2@{first}", f"busy=10%@{first}"
        ]  # fmt: skip
        assert panel.clear(["delay", "@rack_2"]) == [f"busy=10%@{first}"]
        assert panel.clear() == []
        assert second.startswith("127.0.0.1:")

    _with_panel(many, scene)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("silence@rack_3", "there is no device 'rack_3'; did you mean 'rack_"),
        ("silence@nobody", "use one of rack_1, rack_2, pcs"),
        ("bad_crc", "carry no checksum"),
        ("spike=socc", "there is no point 'socc'; did you mean 'soc'?"),
        ("spike=socc@pcs", "there is no point 'socc'"),
    ],
)
def test_what_cannot_go_wrong_is_told_and_nothing_changes(many: Profile, text: str, told: str) -> None:
    def scene(site: TwinSite, panel: FaultPanel) -> None:
        with pytest.raises(ValueError, match="fault ") as raised:
            panel.apply(["busy=1", text])
        assert told in str(raised.value)
        assert panel.listing() == []

    _with_panel(many, scene)


@pytest.mark.parametrize(
    ("text", "told"), [("silense", "did you mean"), ("silence@x", "no device"), ("busy@", "name the device")]
)
def test_wrong_names_are_told_when_clearing_too(many: Profile, text: str, told: str) -> None:
    def scene(site: TwinSite, panel: FaultPanel) -> None:
        with pytest.raises(ValueError, match=told):
            panel.clear([text])

    _with_panel(many, scene)


def test_a_serial_line_has_neither_connections_nor_transactions(many: Profile) -> None:
    async def play() -> None:
        device = TwinDevice(many, Plant())
        line = TwinSerial(devices={1: device})
        panel = FaultPanel({"a": (line, device)}, {"line": line})
        for text, told in (("drop=3", "no connections"), ("wrong_transaction", "no transaction id")):
            with pytest.raises(ValueError, match=told):
                panel.apply([text])
        assert panel.apply(["bad_crc=2"]) == ["bad_crc=2@a"]

    asyncio.run(play())


def test_a_reboot_and_a_refusal_act_at_once(many: Profile) -> None:
    async def scene(site: TwinSite, panel: FaultPanel) -> None:
        pair, single = site.buses
        assert isinstance(pair, TwinServer)
        assert isinstance(single, TwinServer)
        async with raw(pair) as one, raw(single) as other:
            await one.ask(1, unit=1)
            await other.ask(1, unit=1)
            site.devices["pcs"].write("holding", 201, [500])
            assert panel.apply(["reboot=60@pcs"]) == []
            assert await other.ended()
            assert site.devices["pcs"].value("charge_setpoint") == 0
            panel.apply([f"refuse@{pair.endpoint}"])
            assert await one.ended()

    _with_panel(many, scene)


def test_frozen_by_its_bus(many: Profile) -> None:
    def scene(site: TwinSite, panel: FaultPanel) -> None:
        panel.apply(["freeze"])
        before = site.devices["rack_1"].value("battery_voltage")
        site.devices["rack_1"].write("holding", 200, [2, 0, 900, 60])
        site.clock.advance(60)
        assert site.devices["rack_1"].value("battery_voltage") == before
        panel.clear(["freeze"])
        assert site.devices["rack_1"].value("battery_voltage") != before

    _with_panel(many, scene)


def test_the_socket_answers_and_is_the_users_own(many: Profile, tmp_path: Path) -> None:
    path = tmp_path / "run" / "twin.sock"

    async def scene(site: TwinSite, panel: FaultPanel) -> None:
        control = ControlSocket(path, panel)
        await control.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

        async def ask(**message: Any) -> dict[str, Any]:
            answer = await asyncio.to_thread(ask_simulator, path, message)
            assert answer is not None
            return answer

        assert await ask(op="set", faults=["busy=3@pcs"]) == {"ok": True, "faults": ["busy=3@pcs"]}
        assert await ask(op="list") == {"ok": True, "faults": ["busy=3@pcs"]}
        assert await ask(op="clear", faults=[]) == {"ok": True, "faults": []}
        for message in (
            {"op": "explode"},
            {"op": "set", "faults": "busy"},
            {"op": "set", "faults": ["bussy"]},
        ):
            answer = await ask(**message)
            assert answer["ok"] is False
            assert answer["error"]
        assert control.answer(b"[]")["ok"] is False
        assert control.answer(b"nonsense")["ok"] is False
        with pytest.raises(FileExistsError, match="another simulator"):
            await ControlSocket(path, panel).start()
        await control.stop()
        assert not path.exists()
        assert ask_simulator(path, {"op": "list"}) is None

    _with_panel(many, scene)


def test_a_socket_left_over_is_replaced_and_a_file_is_not(many: Profile, tmp_path: Path) -> None:
    async def scene(site: TwinSite, panel: FaultPanel) -> None:
        left = tmp_path / "left.sock"
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(str(left))
        control = ControlSocket(left, panel)
        await control.start()
        await control.stop()
        taken = tmp_path / "taken"
        taken.write_text("mine")
        with pytest.raises(FileExistsError, match="is not a socket"):
            await ControlSocket(taken, panel).start()
        assert taken.read_text() == "mine"

    _with_panel(many, scene)


def test_the_path_follows_from_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    directory = tmp_path / f"bessai-twin-{os.getuid()}"
    assert control_path("5020") == control_path("127.0.0.1:5020") == directory / "5020.sock"
    assert control_path("rtu+tcp://127.0.0.1:5020") == directory / "5020.sock"
    assert control_path("/dev/pts/3") == directory / "dev-pts-3.sock"


def _run(module: types.ModuleType, *arguments: str) -> tuple[int, str, str]:
    app = typer.Typer()
    module.register(app)
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


class _Simulator:
    """`bessai simulate` in this process, ended by a signal when the scene in its thread is over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        self._monkeypatch = monkeypatch

    def play(self, scene: Callable[[list[str]], None], last: str, *arguments: str) -> tuple[int, str, str]:
        """Run it; the scene begins after the line that starts with `last`, with every line so far."""
        printed = threading.Event()
        errors: list[BaseException] = []

        def note(line: str, *, flush: bool) -> None:
            assert flush
            self.lines.append(line)
            if line.startswith(last):
                printed.set()

        def act() -> None:
            try:
                assert printed.wait(60)
                scene(self.lines)
            except BaseException as error:  # noqa: BLE001 - told in the test's own thread
                errors.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        self._monkeypatch.setattr("bessai.cli.simulate.print", note, raising=False)
        thread = threading.Thread(target=act)
        thread.start()
        result = _run(simulate, *arguments)
        thread.join()
        if errors:
            raise errors[0]
        return result


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[_Simulator]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a simulator that never began must not end pytest
    yield _Simulator(monkeypatch)
    signal.signal(signal.SIGTERM, before)


def _answers(port: int) -> bool:
    """Whether the simulated Huawei answers a read."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(request(1, 37760, unit=1))
        wire.settimeout(0.5)
        try:
            return len(wire.recv(100)) == 11
        except TimeoutError:
            return False


def test_fault_changes_a_running_simulator(simulator: _Simulator) -> None:
    def scene(lines: list[str]) -> None:
        address = lines[0].split(" on ")[1].split(" ")[0]
        port = int(address.rpartition(":")[2])
        assert _ask("--list", address=address) == "delay=0.01@huawei_sun2000"
        assert _answers(port)
        assert "silence@huawei_sun2000" in _ask("silence", address=str(port))
        assert not _answers(port)
        assert json.loads(_ask("--clear", "--json", address=address)) == {"faults": []}
        assert _answers(port)
        code, _, err = _fault(address, "spike=nothing")
        assert (code, "there is no point 'nothing'" in err) == (2, True)

    def _fault(*arguments: str) -> tuple[int, str, str]:
        return _run(fault, *arguments)

    def _ask(*arguments: str, address: str) -> str:
        code, out, err = _fault(address, *arguments)
        assert (code, err) == (0, "")
        return out.strip()

    code, _, _ = simulator.play(scene, "fault", "--port", "0", "--fault", "delay=0.01")
    assert code == 0
    assert simulator.lines[1:] == ["fault delay=0.01@huawei_sun2000"]


def test_a_serial_line_is_served_and_controlled(simulator: _Simulator, tmp_path: Path) -> None:
    link, control = tmp_path / "line", tmp_path / "own.sock"

    def scene(lines: list[str]) -> None:
        assert link.is_symlink()
        assert _run(fault, str(control), "bad_crc=2")[:2] == (0, "bad_crc=2@huawei_sun2000\n")

    code, _, _ = simulator.play(
        scene, "serving", "--rtu", "--link", str(link), "--control", str(control), "--unit", "5"
    )
    assert code == 0
    assert simulator.lines == [f"serving huawei_sun2000 on {link} (unit 5, seed 0, speed 1)"]
    assert not link.exists()


def test_a_site_is_served_and_its_file_written(
    simulator: _Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = load_profile("huawei_sun2000")
    document = {
        "devices": {
            "pcs": {"profile": "huawei_sun2000", "role": "pcs", "endpoint": "10.0.0.1"},
            "rack": {"profile": "huawei_sun2000", "role": "battery", "endpoint": "10.0.0.2"},
        }
    }
    source, target = tmp_path / "site.yaml", tmp_path / "sim.yaml"
    source.write_text(yaml.safe_dump(document))

    class SiteError(ValueError):
        problems = ("site.yaml: wrong",)

    def load_site(path: Path) -> Any:
        if path != source:
            raise SiteError
        devices = [
            _Device("pcs", profile, parse_endpoint("10.0.0.1"), 1, "pcs"),
            _Device("rack", profile, parse_endpoint("10.0.0.2"), 1),
        ]
        return types.SimpleNamespace(devices=devices)

    loader = types.ModuleType("bessai.site")
    loader.load_site, loader.SiteError = load_site, SiteError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bessai.site", loader)

    def scene(lines: list[str]) -> None:
        written = yaml.safe_load(target.read_text())["devices"]
        for name, line in zip(("pcs", "rack"), lines, strict=False):
            assert line == f"serving {name} on {written[name]['endpoint']} unit 1"
            assert _answers(int(written[name]["endpoint"].rpartition(":")[2]))

    arguments = ("--port", "0", "--site", str(source), "--write", str(target))
    assert simulator.play(scene, "site file", *arguments)[0] == 0
    code, _, err = _run(simulate, "--site", str(tmp_path / "other.yaml"))
    assert (code, err) == (2, "error: site.yaml: wrong\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--fault", "silense", "--port", "0"), "did you mean 'silence'?"),
        (("--write", "x.yaml"), "--site"),
        (("--link", "x"), "--rtu"),
        (("--site", "x.yaml", "--rtu"), "leave out --rtu"),
    ],
)
def test_wrong_arguments_of_simulate(simulator: _Simulator, arguments: tuple[str, ...], told: str) -> None:
    code, out, err = _run(simulate, *arguments)
    assert (code, out) == (2, "")
    assert told in err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("1", "silence"), 3, "no simulator is running at 1"),
        (("1", "silense"), 2, "did you mean 'silence'?"),
        (("1",), 2, "--list"),
        (("1", "--list", "--clear"), 2, "--list changes nothing"),
    ],
)
def test_wrong_arguments_of_fault(
    simulator: _Simulator, arguments: tuple[str, ...], code: int, told: str
) -> None:
    got, out, err = _run(fault, *arguments)
    assert (got, out) == (code, "")
    assert told in err


def test_the_help_of_fault_shows_every_fault() -> None:
    code, out, _ = _run(fault, "--help")
    assert code == 0
    for name in ("silence", "wrong_transaction", "spike", "bad_crc"):
        assert name in out


def test_the_grid_is_disturbed_for_the_whole_site_until_it_is_calmed(many: Profile) -> None:
    def scene(site: TwinSite, panel: FaultPanel) -> None:
        grid, step = site.connection.grid, site.connection.step
        step()
        before = grid.frequency
        assert panel.apply(["frequency=-0.5", "voltage=80%", "silence@pcs"]) == [
            "frequency=-0.5",
            "voltage=80%",
            "silence@pcs",
        ]
        step()
        assert grid.frequency == pytest.approx(before - 0.5, abs=0.02)
        assert grid.voltage == pytest.approx(0.8 * 230, abs=5)
        device = site.devices["pcs"]
        assert device.value("frequency") == pytest.approx(grid.frequency, abs=0.002)
        assert panel.clear(["frequency"]) == ["voltage=80%", "silence@pcs"]
        assert panel.clear(["@pcs"]) == ["voltage=80%"]
        assert panel.clear() == []
        step()
        assert grid.voltage == pytest.approx(230, abs=5)

    _with_panel(many, scene)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frequency=0", "write frequency=HZ"),
        ("frequency=nan", "write frequency=HZ"),
        ("frequency=9", "at most 5"),
        ("frequency=-0.3@pcs", "the whole site's"),
        ("voltage=95", "write voltage=PERCENT%"),
        ("voltage=200%", "150%"),
        ("voltage", "write voltage=PERCENT%"),
        ("frequenzy=1", "did you mean 'frequency'?"),
    ],
)
def test_a_wrong_disturbance_is_told_and_changes_nothing(many: Profile, text: str, said: str) -> None:
    def scene(site: TwinSite, panel: FaultPanel) -> None:
        with pytest.raises(ValueError, match=re.escape(said)):
            panel.apply(["voltage=90%", text])
        assert panel.listing() == []

    _with_panel(many, scene)
