"""A DNP3 master of another make commands the real gateway in front of a simulated plant."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from bessai.model import Endpoint
from bessai.registry import load_profile
from bessai.twin.server import TwinServer
from bessai.twin.site import TwinBus, TwinSite, TwinUnit
from support.gateway import GatewayProcess, power
from support.processes import free_port

pytest.importorskip("dnp3", reason="dnp3py is not installed")

from support.dnp3 import Master

INVERTER = load_profile("huawei_sun2000")


def _site_file(folder: Path, inverter: int, port: int) -> Path:
    path = folder / "site.yaml"
    path.write_text(
        f"""
site: site-1
devices:
  inverter: {{profile: huawei_sun2000, role: inverter, endpoint: "127.0.0.1:{inverter}", control: true}}
scada:
  dnp3: {{listen: 127.0.0.1, port: {port}, masters: [127.0.0.1], commands: true,
          link_loss: {{after: 1, fallback: release}}}}
  points:
    - {{ioa: 1, name: battery_power, dead_band: 0.1}}
    - {{ioa: 2, name: decision.setpoint, dead_band: 0.1}}
    - {{ioa: 3, name: soc}}
    - {{ioa: 4, name: gateway.alive, type: single}}
    - {{ioa: 5, name: decision.state, type: scaled}}
  commands:
    - {{ioa: 11, target: active_power, feedback: 2}}
""",
        encoding="utf-8",
    )
    return path


@pytest.mark.soak
def test_a_set_point_reaches_the_plant_and_comes_back_as_an_event(tmp_path: Path) -> None:
    async def run() -> None:
        unit = TwinUnit(name="inverter", profile=INVERTER, unit=INVERTER.connection.unit)
        bus = TwinBus(Endpoint(host="127.0.0.1", port=0), [unit])
        async with TwinSite([bus], seed=3) as plant:
            (server,) = plant.buses
            assert isinstance(server, TwinServer)
            port = free_port()
            file = _site_file(tmp_path, server.port, port)
            with GatewayProcess(tmp_path / "data", SITE_FILE=str(file), INVERTER_IP="") as gateway:
                await gateway.until(lambda s: s["control"]["state"] == "normal")
                await asyncio.to_thread(_command, gateway, port)
                await gateway.until(lambda s: abs(power(s)) < 0.2)

    asyncio.run(run())


def _command(gateway: GatewayProcess, port: int) -> None:
    with Master(port) as master:
        master.started()
        deadline = time.monotonic() + 60
        while not master.told["Group1Var2", 0]["value"]:  # the service plane begins after the control plane
            assert time.monotonic() < deadline, "no cycles arrive"
            master.scan(0)
        told = {key: line["value"] for key, line in master.told.items()}
        assert told["Group30Var5", 3] == 1.0, "the guard's state: normal"
        assert 0 < told["Group30Var5", 2] <= 100
        assert master.command("operate", "analog", 0, 2.0) == ("SUCCESS", ["SUCCESS"])
        while not [e for e in master.events if e["index"] == 0 and abs(e["value"] - 2.0) < 0.2]:
            assert time.monotonic() < deadline, "the power does not come back"
            master.scan(1, 2, 3)
        assert all(event["time"] > 0 for event in master.events)
        control = gateway.status()["control"]
        assert (control["source"], control["setpoint"]) == ("dnp3", 2.0)
    # the master is gone: its set-point is released
