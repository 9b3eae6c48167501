"""What users and machines do to it at midnight."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from bessai.journal import JournalReader
from bessai.registry import load_profile
from bessai.twin import TwinServer
from support.gateway import BESSAI, GatewayProcess, bessai, power
from support.modbus_device import ScriptedDevice, frame

HUAWEI = load_profile("huawei_sun2000")


def test_the_demo_hears_nothing_of_a_real_site(tmp_path: Path) -> None:
    done = bessai(
        "demo", "--plain", "--for", "20", "--data-dir", str(tmp_path / "demo"),
        GCP_PROJECT_ID="real", LOG_LEVEL="verbose", INVERTER_UNIT="9", SITE_ID="real", DATA_DIR="/nowhere",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "soc 50.00 %" in done.stdout


def test_the_demo_leaves_another_gateway_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with TwinServer(HUAWEI, seed=3) as twin:
            with GatewayProcess(tmp_path / "data", INVERTER_PORT=str(twin.port), SITE_ID="demo") as gateway:
                await gateway.until(lambda s: s["control"]["state"] == "normal")
                arguments = ("demo", "--plain", "--for", "20", "--data-dir", str(gateway.data))
                done = await asyncio.to_thread(bessai, *arguments)
                assert done.returncode == 1
                assert str(gateway.data) in done.stderr
                assert "or give --data-dir another directory" in done.stderr
                assert gateway.end() == 0
                assert all(order == 0 for order in _setpoints(gateway.data))

                # and another site's gateway does not take over what it left
                of_another: dict[str, Any] = {
                    "SITE_ID": "site-2",
                    "INVERTER_IP": "127.0.0.1",
                    "DATA_DIR": str(gateway.data),
                }
                for command in ("config check", "run"):
                    done = await asyncio.to_thread(bessai, *command.split(), **of_another)
                    assert done.returncode == 2
                    assert "holds the records of 'demo'" in done.stdout + done.stderr
                (gateway.data / "site_id").unlink()
                done = await asyncio.to_thread(bessai, "config", "check", **of_another)
                assert done.returncode == 0, done.stderr

    asyncio.run(run())


def _setpoints(data: Path) -> list[float]:
    reader = JournalReader(data)
    entries = reader.read(0, 10_000)
    reader.close()
    return [entry.decision["setpoint"] for entry in entries if entry.kind == "cycle"]


def test_a_killed_demo_leaves_nothing_running(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    with subprocess.Popen(
        [*BESSAI, "demo", "--plain", "--data-dir", str(data)], stdout=subprocess.DEVNULL
    ) as demo:
        pids: set[int] = set()
        deadline = time.monotonic() + 30
        while len(pids) < 3 and time.monotonic() < deadline:
            time.sleep(0.2)
            pids = _with_argument(str(data)) | _children(demo.pid)
        demo.kill()
    assert len(pids) >= 2
    deadline = time.monotonic() + 15
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in pids if _alive(pid)]


def _children(pid: int) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found |= {int(path.parent.name), *_children(int(path.parent.name))}
    return found


def _with_argument(text: str) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found - {os.getpid()}


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_stranger_is_never_written_to(tmp_path: Path) -> None:
    async def run() -> None:
        async with ScriptedDevice() as device:  # refuses every read, would take every write

            async def take(transaction: int, unit: int, pdu: bytes) -> bytes:
                reply = bytes((pdu[0] | 0x80, 2)) if pdu[0] == 3 else pdu[:5]
                return frame(transaction, unit, reply)

            device.hook = take
            with GatewayProcess(tmp_path / "data", INVERTER_PORT=str(device.port)) as gateway:
                await gateway.until(lambda s: s["control"]["state"] == "hold", within=40)
                assert gateway.end() == 0
            assert {pdu[0] for pdu in device.requests} == {3}

    asyncio.run(run())


def test_a_closed_terminal_is_a_clean_stop(tmp_path: Path) -> None:
    async def run() -> None:
        async with TwinServer(HUAWEI, seed=3) as twin:
            with GatewayProcess(tmp_path / "data", INVERTER_PORT=str(twin.port)) as gateway:
                await gateway.until(lambda s: s["control"]["state"] == "normal")
                gateway.request(-2.0)
                await gateway.until(lambda s: power(s) < -1.8)
                assert await asyncio.to_thread(gateway.end, signal.SIGHUP) == 0
                assert twin.device.value("forced_mode") == 0
                assert "control handed back to the device" in gateway.log.read_text()

    asyncio.run(run())


def test_a_stopped_gateway_is_not_called_absent(tmp_path: Path) -> None:
    async def run() -> None:
        async with TwinServer(HUAWEI, seed=3) as twin:
            with GatewayProcess(tmp_path / "data", INVERTER_PORT=str(twin.port)) as gateway:
                await gateway.until(lambda s: s["cycle"]["cycles"] > 0)
                assert gateway.process is not None
                gateway.process.send_signal(signal.SIGSTOP)
                done = await asyncio.to_thread(bessai, "status", "--data-dir", str(gateway.data))
                gateway.process.send_signal(signal.SIGCONT)
                assert done.returncode == 1
                assert "does not answer" in done.stderr
                assert gateway.end() == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"SITE_ID=a\nthis is garbage\nSOC_MAX\n", "line 2: …: is no NAME=value"),
        (b"SITE_ID=a\nSOC_MAX\n", "line 2: SOC_MAX …: is no NAME=value"),
        (b"SITE_ID=\xff\xfe\n", "is not UTF-8 text"),
    ],
)
def test_no_line_of_the_configuration_is_lost(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / ".env").write_bytes(text)
    done = bessai("config", "check", cwd=tmp_path, INVERTER_IP="192.0.2.1")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        ({"SITE_ID": "x[/]"}, 0, "x[/]"),
        ({"SITE_ID": " "}, 2, "printable"),
        ({"SITE_ID": "a", "CHARGE_POWER_MAX": "inf"}, 2, "CHARGE_POWER_MAX=inf"),
        ({"SITE_ID": "a", "PYTHONIOENCODING": "ascii"}, 0, "valid"),
    ],
)
def test_odd_values(tmp_path: Path, environment: dict[str, str], code: int, said: str) -> None:
    more: dict[str, Any] = {
        "INVERTER_IP": "192.0.2.1",
        "DATA_DIR": str(tmp_path),
        "COLUMNS": "200",
        **environment,
    }
    done = bessai("config", "check", **more)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert said in done.stdout + done.stderr


def test_commands_find_the_data_directory_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / ".env").write_text("DATA_DIR=elsewhere\n")
    done = bessai("status", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == {"running": False, "data_dir": "elsewhere"}
