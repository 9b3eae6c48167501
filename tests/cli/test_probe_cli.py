"""`bessai probe` as it is typed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner

from bessai.cli.app import make_app
from bessai.registry import load_profile
from bessai.twin import Plant, TwinDevice, TwinSerial, TwinServer
from support.modbus_device import ScriptedDevice
from support.sunspec import demo_profile

QUICK = ("--pause", "0", "--timeout", "5")

Device = TypeVar("Device")


@contextlib.contextmanager
def serving(make: Callable[[], AbstractAsyncContextManager[Device]]) -> Iterator[Device]:
    """Run a device in a loop of its own, as another program would."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def enter() -> tuple[AbstractAsyncContextManager[Device], Device]:
        manager = make()
        return manager, await manager.__aenter__()

    try:
        manager, device = asyncio.run_coroutine_threadsafe(enter(), loop).result(30)
        try:
            yield device
        finally:
            asyncio.run_coroutine_threadsafe(manager.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(make_app(), ["probe", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def meter() -> TwinServer:
    return TwinServer(load_profile("eastron_sdm630"))


def test_a_known_device_is_named_read_and_the_next_step_told() -> None:
    with serving(meter) as twin:
        code, out, err = run(twin.endpoint, "--unit", "1", "-p", "eastron_sdm630", *QUICK)
    assert code == 0
    assert "unit 1 answers" in out
    assert "eastron_sdm630 fits" in out
    assert "serial_number is 1000000: plausible" in out
    assert "grid_power" in out
    assert f"bessai read {twin.endpoint} --profile eastron_sdm630 --unit 1" in out
    assert f"INVERTER_PORT={twin.port}" in out
    assert "role: meter" in out
    assert "nothing was written" in out
    assert "at most 1000 requests in 300 s; reads only" in err


def test_the_next_command_works_and_a_near_miss_is_told() -> None:
    with serving(lambda: TwinServer(load_profile("sma_tripower_smart_energy"))) as twin:
        code, out, _ = run(twin.endpoint, "--unit", "3", "-p", "sma_tripower_smart_energy", "--json", *QUICK)
        document = json.loads(out)
        command = document["units"][0]["next"][0].split()
        assert command[:2] == ["bessai", "read"]
        assert CliRunner().invoke(make_app(), command[1:]).exit_code in {0, 3}
        twin.device.force("soc", 101.0)
        missed, text, _ = run(twin.endpoint, "--unit", "3", "-p", "sma_tripower_smart_energy", *QUICK)
    assert (code, missed) == (0, 3)
    (unit,) = document["units"]
    assert (unit["unit"], unit["profiles"][0]["profile"]) == (3, "sma_tripower_smart_energy")
    assert unit["reading"]["values"]["soc"]["quality"] == "good"
    assert document["draft"] is None
    assert "soc is 101 %: out of range" in text
    assert "--draft my_device.json" in text


def test_a_profile_of_ones_own_is_named_by_its_file(tmp_path: Path) -> None:
    own = tmp_path / "own_meter.json"
    document = load_profile("eastron_sdm630").model_dump(mode="json", by_alias=True, exclude_defaults=True)
    own.write_text(json.dumps({"schema_version": 1, **document, "id": "own_meter"}))
    with serving(meter) as twin:
        both = run(twin.endpoint, "--unit", "1", "-p", "eastron_sdm630", "-p", str(own), *QUICK)
        alone = run(twin.endpoint, "--unit", "1", "-p", str(own), *QUICK)
    assert both[0] == alone[0] == 0
    assert "own_meter fits equally (weight" in both[1]
    assert f"--profile {own} --unit 1" in alone[1]


def test_units_on_one_port_are_listed_and_the_absent_too() -> None:
    def site() -> TwinServer:
        profile = load_profile("eastron_sdm630")
        return TwinServer(devices={n: TwinDevice(profile, Plant(seed=n)) for n in (1, 3)})

    with serving(site) as twin:
        code, out, _ = run(twin.endpoint, "--units", "1-3", "-p", "eastron_sdm630", "--json", *QUICK)
    document = json.loads(out)
    assert code == 0
    assert [unit["unit"] for unit in document["units"]] == [1, 3]
    assert list(document["silent"]) == ["2"]


def test_a_serial_line() -> None:
    with serving(lambda: TwinSerial(load_profile("eastron_sdm630"))) as line:
        code, out, _ = run(f"{line.endpoint}?baudrate=19200", "--unit", "1", "-p", "eastron_sdm630", *QUICK)
    assert code == 0
    assert f"bessai read 'rtu://{line.path}?baudrate=19200" in out
    assert "INVERTER_IP" not in out
    assert f"endpoint: rtu://{line.path}?baudrate=19200" in out


def test_nobody_there_is_exit_code_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        code, out, err = run(f"127.0.0.1:{taken.getsockname()[1]}", "--unit", "1")
    assert (code, out) == (1, "")
    assert "error: cannot connect" in err


def test_a_silent_device_is_exit_code_1() -> None:
    with serving(meter) as twin:
        twin.faults.silent = True
        code, out, _ = run(twin.endpoint, "--units", "1,2", "--pause", "0", "--timeout", "0.1")
    assert code == 1
    assert "no unit answers" in out
    assert "silent: unit 1, 2" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["h", "--unit", "1", "--units", "2"], "not both"),
        (["h", "--units", "1-300"], "1-10,100"),
        (["rtu:///dev/ttyX", "--units", "0,1"], "everybody"),
        (["h:port"], "not a number"),
        (["h", "-p", "eastron"], "eastron_sdm630"),
        (["h", "--draft", "My-Device.json"], "lower-case"),
        (["h", "--draft", "device.yaml"], ".json"),
        (["h", "--draft", "nowhere/device.json"], "no directory"),
        (["h", "--draft", "device.json", "--registers", "9-1"], "FIRST-LAST"),
        (["h", "--draft", "device.json", "--table", "coil"], "holding or input"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_sent(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert says in err
    assert err.count("\n") == 1


def unknown() -> ScriptedDevice:
    return ScriptedDevice({address: address + 7 for address in range(40, 60)})


def test_a_draft_of_an_unknown_device_is_a_valid_profile(tmp_path: Path) -> None:
    file = tmp_path / "my_device.json"
    where: Any = ["--unit", "4", "--draft", str(file), "--registers", "0-99", "-p", "eastron_sdm630", *QUICK]
    with serving(unknown) as device:
        address = f"127.0.0.1:{device.port}"
        code, out, _ = run(address, *where)
        assert code == 3
        assert "no profile fits" in out
        assert f"bessai profile check {file}" in out
        before = file.read_text()
        again, _, err = run(address, *where)
        assert again == 2
        assert "--force" in err
        assert file.read_text() == before
        assert run(address, *where, "--force")[0] == 3
        assert len(device.requests) <= 2 * 220  # two probes, each with a scan of at most 200
        assert {pdu[0] for pdu in device.requests} <= {3, 4, 43}
        port = device.port
    assert CliRunner().invoke(make_app(), ["profile", "check", str(file)]).exit_code == 0
    profile = load_profile(file)
    assert (profile.id, profile.manufacturer, profile.model) == ("my_device", "unknown", "unknown")
    assert (profile.connection.port, profile.connection.unit) == (port, 4)
    assert list(profile.points) == [f"holding_{address}" for address in range(40, 60)]
    assert "held 47 (0x002f)" in profile.points["holding_40"].description


def test_nothing_readable_is_no_draft(tmp_path: Path) -> None:
    file = tmp_path / "my_device.json"
    with serving(unknown) as device:
        code, _, err = run(
            f"127.0.0.1:{device.port}", "--unit", "1", "--draft", str(file), "--registers", "0-9",
            "-p", "eastron_sdm630", *QUICK,
        )  # fmt: skip
    assert code == 2
    assert "no register of the spans can be read" in err
    assert not file.exists()


def test_a_draft_is_refused_where_a_profile_fits(tmp_path: Path) -> None:
    file = tmp_path / "my_device.json"
    where = ["--unit", "1", "--draft", str(file), "--registers", "0-20", "-p", "eastron_sdm630", *QUICK]
    with serving(meter) as twin:
        code, _, err = run(twin.endpoint, *where)
        assert code == 2
        assert "profile eastron_sdm630 fits" in err
        assert not file.exists()
        assert run(twin.endpoint, *where, "--force")[0] == 0
    assert load_profile(file).points


def test_which_unit_to_draft_must_be_said(tmp_path: Path) -> None:
    file = tmp_path / "my_device.json"
    with serving(unknown) as device:
        code, _, err = run(
            f"127.0.0.1:{device.port}", "--units", "1-2", "--draft", str(file), "-p", "eastron_sdm630", *QUICK
        )
    assert code == 2
    assert "several units answer (1, 2); say with --unit" in err


def test_a_sunspec_device_writes_its_own_profile(tmp_path: Path) -> None:
    file = tmp_path / "my_inverter.json"
    with serving(lambda: TwinServer(demo_profile(), dense=True)) as twin:
        code, out, _ = run(
            twin.endpoint, "--unit", "1", "-p", "eastron_sdm630", "--draft", str(file), "--json", *QUICK
        )
        document = json.loads(out)
        following = document["units"][0]["next"]
        assert CliRunner().invoke(make_app(), following[0].split()[1:]).exit_code in {0, 3}
    assert code == 0
    assert document["draft"] == str(file)
    assert "--draft" in following[-1]
    assert {"id": 802, "name": "Battery Base Model"} in document["units"][0]["sunspec"]["models"]
    profile = load_profile(file)
    assert profile.id == "my_inverter"
    assert profile.control is not None
    assert "soc" in profile.points


def test_the_help_says_why_these_units() -> None:
    code, out, _ = run("--help")
    assert code == 0
    words = " ".join(out.replace("│", " ").split())
    for told in ("247", "GoodWe", "Victron", "never writes", "Exit codes"):
        assert told in words
