"""A master on IEC 60870-5-104 sees and commands the real gateway in front of a simulated plant."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bessai.iec104 import Asdu, TypeId
from bessai.iec104.client import Client, Refused
from bessai.model import Endpoint
from bessai.registry import load_profile
from bessai.twin.server import TwinServer
from bessai.twin.site import TwinBus, TwinSite, TwinUnit
from support.gateway import GatewayProcess, power
from support.outstation_scene import objects, spontaneous
from support.processes import free_port
from support.raw_master import STARTDT, TESTFR, RawMaster

INVERTER = load_profile("huawei_sun2000")
POWER, SETPOINT, SOC, ALIVE, STATE, SET_POWER, SET_MAX = 1, 2, 3, 4, 5, 11, 12


def _site_file(folder: Path, inverter: int, port: int) -> Path:
    path = folder / "site.yaml"
    path.write_text(
        f"""
site: site-1
devices:
  inverter: {{profile: huawei_sun2000, role: inverter, endpoint: "127.0.0.1:{inverter}", control: true}}
scada:
  iec104: {{listen: 127.0.0.1, port: {port}, masters: [127.0.0.0/8], command: [127.0.0.1],
            link_loss: {{after: 1, fallback: release}}}}
  points:
    - {{ioa: {POWER}, name: battery_power, dead_band: 0.1}}
    - {{ioa: {SETPOINT}, name: decision.setpoint, dead_band: 0.1}}
    - {{ioa: {SOC}, name: soc}}
    - {{ioa: {ALIVE}, name: gateway.alive, type: single}}
    - {{ioa: {STATE}, name: decision.state, type: scaled}}
  commands:
    - {{ioa: {SET_POWER}, target: active_power, feedback: {SETPOINT}}}
    - {{ioa: {SET_MAX}, target: active_power_max, sbo: false}}
""",
        encoding="utf-8",
    )
    return path


async def _command(gateway: GatewayProcess, port: int) -> None:
    async with await Client.connect("127.0.0.1", port) as master:
        await master.start()
        found = objects(await master.interrogate())
        assert (found[ALIVE].value, found[ALIVE].quality) == (True, 0)
        assert found[STATE].value == 1, "normal"
        assert 0 < float(found[SOC].value or 0) <= 100

        def told(asdu: Asdu) -> bool:
            item = asdu.objects[0]
            return spontaneous(asdu) and item.address == POWER and abs(float(item.value or 0) - 2.0) < 0.2

        await master.command(TypeId.C_SE_NC_1, SET_POWER, 2.0, select=True)
        event = (await master.take(told)).objects[0]
        assert event.time is not None
        control = (await asyncio.to_thread(gateway.status))["control"]
        assert (control["source"], control["setpoint"]) == ("iec104", 2.0)
        gateway.request(4.0)  # the local operator is outranked by what the grid operator holds firm
        await gateway.until(lambda s: len(s["control"]["requests"]) == 2 and s["control"]["setpoint"] == 2.0)
        await master.command(TypeId.C_SE_NC_1, SET_MAX, 1.0)
        await gateway.until(lambda s: s["control"]["setpoint"] == 1.0)
        with pytest.raises(Refused):
            await master.command(TypeId.C_SE_NC_1, SET_POWER, float("inf"), select=True)
        sinks = (await asyncio.to_thread(gateway.status))["service_plane"]["sinks"]
        details = next(sink["details"] for sink in sinks if sink["name"] == "iec104")
        assert details["in_command"] == "127.0.0.1"
        assert details["feed"]["problem"] is None


async def _flood(port: int) -> None:
    """A master that asks for a test of the link without end, and never reads an answer."""
    greedy = await RawMaster.connect(port, "127.0.0.2", limit=1)
    while True:
        greedy.write(TESTFR * 500)
        await greedy.writer.drain()
        await asyncio.sleep(0.005)


def test_a_set_point_reaches_the_plant_and_ends_with_its_link(tmp_path: Path) -> None:
    async def run() -> None:
        unit = TwinUnit(name="inverter", profile=INVERTER, unit=INVERTER.connection.unit)
        bus = TwinBus(Endpoint(host="127.0.0.1", port=0), [unit])
        async with TwinSite([bus], seed=3) as plant:
            (server,) = plant.buses
            assert isinstance(server, TwinServer)
            port = free_port()
            file = _site_file(tmp_path, server.port, port)
            with GatewayProcess(tmp_path / "data", SITE_FILE=str(file), INVERTER_IP="") as gateway:
                await gateway.until(
                    lambda s: (
                        s["control"]["state"] == "normal"
                        and any(sink["name"] == "iec104" for sink in s["service_plane"].get("sinks", ()))
                    )
                )
                silent = await RawMaster.connect(port, "127.0.0.3")
                slow = await RawMaster.connect(port, "127.0.0.4")
                slow.write(STARTDT)  # and acknowledges nothing
                flood = asyncio.create_task(_flood(port))
                cycle = gateway.status()["cycle"]["cycles"]
                await _command(gateway, port)
                await gateway.until(lambda s: s["cycle"]["cycles"] > cycle + 3)
                flood.cancel()
                silent.close()
                slow.close()
                # the master is gone: its set-point is released, and the local operator's counts
                await gateway.until(lambda s: abs(power(s) - 4.0) < 0.3)

    asyncio.run(run())
