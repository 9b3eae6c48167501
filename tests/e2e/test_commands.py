"""The command line as a user types it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bessai.registry import load_profile
from bessai.twin import TwinServer
from support.gateway import GatewayProcess, bessai, typed
from support.modbus_device import ScriptedDevice

HUAWEI = load_profile("huawei_sun2000")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody serves."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def _read(port: int, *more: str) -> Any:
    return bessai("read", f"127.0.0.1:{port}", "--profile", "huawei_sun2000", *more)


def test_read_against_the_twin() -> None:
    async def run() -> None:
        async with TwinServer(HUAWEI, seed=3) as twin:
            done = await asyncio.to_thread(_read, twin.port, "--json")
        assert done.returncode == 3  # a twin without PV says so
        result = json.loads(done.stdout)
        assert result["device"]["profile"] == "huawei_sun2000"
        soc = result["points"]["soc"]
        assert (soc["value"], soc["unit"], soc["quality"], soc["address"]) == (50.0, "%", "good", 37760)
        assert soc["time"].endswith("Z")
        status = result["points"]["device_status"]
        assert (status["value"], status["raw"]) == ("on-grid", 0x0200)
        assert result["points"]["alarm_1"]["value"] == []
        assert result["points"]["pv_1_voltage"]["quality"] == "not_available"
        assert result["points"]["pv_1_voltage"]["value"] is None

    asyncio.run(run())


def test_read_every_point_good(tmp_path: Path) -> None:
    profile = {
        "schema_version": 1,
        "id": "meter",
        "manufacturer": "Test",
        "model": "Meter",
        "kinds": ["meter"],
        "status": "documented",
        "sources": {"t": {"title": "test", "kind": "project", "where": "here"}},
        "points": {"grid_power": {"address": 7, "type": "i16", "gain": 0.1, "unit": "kW", "sources": ["t"]}},
    }
    path = tmp_path / "meter.json"
    path.write_text(json.dumps(profile))

    async def run() -> None:
        async with ScriptedDevice({7: 0xFFFF}) as device:
            done = await asyncio.to_thread(
                bessai, "read", f"127.0.0.1:{device.port}", "--profile", str(path), "--json"
            )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["points"]["grid_power"]["value"] == pytest.approx(-0.1)

    asyncio.run(run())


def test_read_without_an_answer(closed_port: int) -> None:
    done = _read(closed_port)
    assert done.returncode == 1
    assert f"127.0.0.1 port {closed_port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_read_from_something_that_is_no_device() -> None:
    async def run() -> None:
        async with ScriptedDevice() as device:

            async def web(*_: object) -> bytes:
                return b"HTTP/1.1 400 Bad Request\r\n\r\n"

            device.hook = web
            done = await asyncio.to_thread(_read, device.port)
        assert done.returncode == 1
        assert "not a Modbus TCP frame" in done.stderr

    asyncio.run(run())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("read", "127.0.0.1:99999", "--profile", "huawei_sun2000"), "port '99999'"),
        (("read", "127.0.0.1", "--profile", "huawei_sun200"), "did you mean huawei_sun2000?"),
        (("read", "127.0.0.1", "--profile", "/no/such.json"), "no such profile"),
        (("profile", "show", "nothing"), "no such profile"),
        (("profile", "check", "/no/such.json"), "no such profile"),
        (("request", "--power", "1", "--for", "soon", "--reason", "x"), "give a number with s, m or h"),
        (("simulate", "--profile", "nothing"), "no such profile"),
    ],
)
def test_wrong_arguments_end_with_2(arguments: tuple[str, ...], said: str) -> None:
    done = typed(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_profile_commands() -> None:
    assert typed("profile", "check", "registry/huawei_sun2000.json").returncode == 0
    listed = json.loads(typed("profile", "list", "--json").stdout)
    assert "huawei_sun2000" in [profile["name"] for profile in listed]
    shown = json.loads(typed("profile", "show", "huawei_sun2000", "--json").stdout)
    assert shown["points"]["soc"]["address"] == 37760
    assert "dead-man" in typed("profile", "show", "huawei_sun2000").stdout


def test_profile_errors_come_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    document = json.loads(Path("registry/huawei_sun2000.json").read_text())
    document["points"]["soc"]["gian"] = 0.1
    document["points"]["soc"]["type"] = "u17"
    path.write_text(json.dumps(document))
    done = typed("profile", "check", str(path), "--json")
    assert done.returncode == 2
    problems = json.loads(done.stdout)["problems"]
    assert {problem["field"] for problem in problems} >= {"points.soc.gian", "points.soc.type"}
    assert any("did you mean `gain`?" in problem["mend"] for problem in problems)


def test_config_check(tmp_path: Path) -> None:
    good: dict[str, Any] = {"SITE_ID": "a", "INVERTER_IP": "192.0.2.1", "DATA_DIR": str(tmp_path)}
    done = typed("config", "check", "--json", **good)
    assert done.returncode == 0
    assert json.loads(done.stdout)["settings"]["INVERTER_IP"] == "192.0.2.1"
    assert "valid" in typed("config", "check", **good).stdout
    (tmp_path / "file").write_text("")
    done = typed(
        "config", "check",
        INVERTER_IP="x:1", DRIVER_PROFILE_PATH="huwei", DATA_DIR=str(tmp_path / "file" / "d"),
    )  # fmt: skip
    assert done.returncode == 2
    for said in ("SITE_ID is missing", "INVERTER_IP=x:1", "DRIVER_PROFILE_PATH", "DATA_DIR="):
        assert said in done.stderr


def test_run_refuses_what_cannot_work(tmp_path: Path) -> None:
    done = bessai(
        "run", SITE_ID="a", INVERTER_IP="192.0.2.1", DRIVER_PROFILE_PATH="huawei", DATA_DIR=str(tmp_path)
    )
    assert done.returncode == 2
    assert "huawei_sun2000" in done.stderr


def test_nothing_runs(tmp_path: Path) -> None:
    assert typed("status", "--data-dir", str(tmp_path)).returncode == 3
    assert json.loads(typed("status", "--json", DATA_DIR=str(tmp_path)).stdout)["running"] is False
    assert typed("request", "--power", "1", "--reason", "x", "--data-dir", str(tmp_path)).returncode == 3


def test_a_gateway_without_its_device(tmp_path: Path, closed_port: int) -> None:
    async def run() -> None:
        with GatewayProcess(tmp_path / "data", INVERTER_PORT=str(closed_port)) as gateway:
            status = await gateway.until(lambda s: s["cycle"]["cycles"] > 2)
            assert not status["healthy"]
            done = bessai("status", "--data-dir", str(gateway.data))
            assert done.returncode == 1
            assert str(closed_port) in done.stdout
            second = bessai("run", SITE_ID="b", INVERTER_IP="127.0.0.1", DATA_DIR=str(gateway.data))
            assert second.returncode == 2
            assert str(gateway.data) in second.stderr
            assert gateway.end(signal.SIGINT) == 0

    asyncio.run(run())


def test_request_and_status(tmp_path: Path) -> None:
    async def run() -> None:
        async with TwinServer(HUAWEI, seed=3) as twin:
            with GatewayProcess(tmp_path / "data", INVERTER_PORT=str(twin.port)) as gateway:
                await gateway.until(lambda s: s["control"]["state"] == "normal")
                data = ("--data-dir", str(gateway.data))
                ask = ("request", *data, "--json", "--reason", "test", "--power")
                done = await asyncio.to_thread(bessai, *ask, "2")
                assert done.returncode == 0, done.stderr
                assert json.loads(done.stdout)["setpoint"] == 2.0
                done = await asyncio.to_thread(bessai, *ask, "500")
                assert done.returncode == 1
                clipped = json.loads(done.stdout)
                assert clipped["setpoint"] == 10.0
                assert "plant" in clipped["limited_by"]
                twin.device.force("soc", raw=65535)
                await gateway.until(lambda s: s["control"]["state"] == "hold")
                done = await asyncio.to_thread(bessai, "status", *data)
                assert done.returncode == 1
                assert "soc is not_available" in done.stdout
                twin.device.release("soc")
                await gateway.until(lambda s: s["healthy"] and s["control"]["setpoint"] == 10.0)
                done = await asyncio.to_thread(bessai, "status", *data, "--json")
                assert done.returncode == 0
                assert json.loads(done.stdout)["points"]["soc"]["quality"] == "good"
                assert gateway.end() == 0

    asyncio.run(run())


def test_the_demo_shows_a_plant(tmp_path: Path) -> None:
    done = bessai("demo", "--plain", "--for", "30", "--data-dir", str(tmp_path / "demo"))
    assert done.returncode == 0, done.stderr
    assert "serving huawei_sun2000 on 127.0.0.1:" in done.stdout
    assert "/#/setup?token=" in done.stdout, "the link of the page"
    assert "soc 50.00 %" in done.stdout
    assert bessai("journal", "stats", "--data-dir", str(tmp_path / "demo")).returncode == 0


def test_help_teaches() -> None:
    done = bessai("--help")
    assert done.returncode == 0
    for command in ("run", "demo", "simulate", "read", "profile", "config", "status", "journal", "schema"):
        assert command in done.stdout
