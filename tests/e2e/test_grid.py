"""The whole house at the grid: frequency moves, the plant answers, the operator commands it by IEC 60870-5-104."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bessai.cli.common import ask_gateway
from bessai.iec104 import Client, Refused, TypeId
from bessai.journal import JournalReader
from bessai.model import Endpoint
from bessai.registry import load_profile
from bessai.twin.grid import GridConfig, GridEvent
from bessai.twin.meter import LoadConfig
from bessai.twin.plant import PlantConfig
from bessai.twin.server import TwinServer
from bessai.twin.site import TwinBus, TwinSite, TwinUnit
from support.gateway import GatewayProcess, typed
from support.processes import free_port

SITE = """
site: site-1
devices:
  inverter: {{profile: huawei_sun2000, role: inverter, endpoint: "127.0.0.1:{inverter}", control: true}}
  meter: {{profile: eastron_sdm630, role: meter, endpoint: "127.0.0.1:{meter}", period: 0.5}}
scada:
  iec104:
    listen: 127.0.0.1
    port: {scada}
    masters: [127.0.0.1]
    command: [127.0.0.1]
    link_loss: {{after: 2, fallback: release}}
  points:
    - {{ioa: 1, name: grid_power, dead_band: 0.1}}
    - {{ioa: 2, name: decision.setpoint, dead_band: 0.1}}
    - {{ioa: 3, name: grid_frequency}}
  commands:
    - {{ioa: 11, target: active_power, feedback: 2, min: -5, max: 5}}
    - {{ioa: 12, target: frequency.enabled, type: single}}
"""

GRID = """
plant: {rated_power: 10, rated_apparent_power: 10, nominal_voltage: 400, converters: gfm}
points: {voltage: null}
values: {frequency.enabled: true, frequency.droop: 5, frequency.dead_band: 30}
"""


@asynccontextmanager
async def _house(folder: Path) -> AsyncIterator[tuple[TwinSite, GatewayProcess, int]]:
    units = [
        TwinUnit(name=name, profile=profile, unit=profile.connection.unit)
        for name, profile in (
            ("inverter", load_profile("huawei_sun2000")),
            ("meter", load_profile("eastron_sdm630")),
        )
    ]
    calm = PlantConfig(
        grid=GridConfig(frequency_deviation=0.0, voltage_deviation=0.0),
        load=LoadConfig(base=0.0, morning=0.0, evening=0.0, deviation=0.0),
    )
    buses = [TwinBus(Endpoint(host="127.0.0.1", port=0), [unit]) for unit in units]
    async with TwinSite(buses, seed=3, config=calm) as plant:
        inverter, meter = (bus.port for bus in plant.buses if isinstance(bus, TwinServer))
        port = free_port()
        (folder / "site.yaml").write_text(SITE.format(inverter=inverter, meter=meter, scada=port))
        (folder / "grid.yaml").write_text(GRID)
        environment = {"SITE_FILE": str(folder / "site.yaml"), "GRID_FILE": str(folder / "grid.yaml")}
        with GatewayProcess(folder / "data", INVERTER_IP="", **environment) as gateway:
            await gateway.until(lambda s: s["control"]["state"] == "normal")
            yield plant, gateway, port


async def _client(port: int) -> Client:
    while True:
        try:
            client = await Client.connect("127.0.0.1", port)
        except OSError:  # the service plane begins after the control plane
            await asyncio.sleep(0.2)
            continue
        await client.start()
        return client


def _told(power: float, offset: float | None) -> Any:
    def check(status: dict[str, Any]) -> bool:
        control = status["control"]
        close = control["setpoint"] is not None and abs(control["setpoint"] - power) < 0.05
        same = control["offset"] is None if offset is None else abs((control["offset"] or 0) - offset) < 0.05
        return close and same and control["verified"]

    return check


@pytest.mark.timeout(170)
def test_the_plant_answers_the_grid_and_its_operator(tmp_path: Path) -> None:
    asyncio.run(_answers(tmp_path))


async def _answers(folder: Path) -> None:
    async with _house(folder) as (plant, gateway, port):
        await gateway.until(_told(0.0, 0.0))
        dip = GridEvent(start=plant.connection.time, duration=1e6, frequency_offset=-0.28)
        plant.connection.grid.events.append(dip)
        # (0.28 - 0.03) / (0.05 * 50) of 10 kW
        await gateway.until(_told(1.0, 1.0))
        client = await _client(port)
        async with client:
            with pytest.raises(Refused):
                await client.command(TypeId.C_SE_NC_1, 11, 9.0, select=True)  # beyond its maximum
            await client.command(TypeId.C_SE_NC_1, 11, 3.0, select=True)
            status = await gateway.until(_told(4.0, 1.0))
            assert status["control"]["source"] == "iec104"
            # a schedule does not take the operator's set-point over
            wish = {
                "op": "request",
                "source": "schedule",
                "priority": "schedule",
                "power": -4,
                "for": 60,
                "reason": "t",
            }
            assert (await asyncio.to_thread(ask_gateway, gateway.data, wish) or {})["ok"]
            status = await gateway.until(
                lambda s: any(r["source"] == "schedule" for r in s["control"]["requests"])
            )
            assert _told(4.0, 1.0)(status), status["control"]
            points = {
                item.address: item.value for asdu in await client.interrogate() for item in asdu.objects
            }
            assert points[3] == pytest.approx(49.72, abs=0.02)
            await client.command(TypeId.C_SC_NA_1, 12, False, select=True)
            await gateway.until(_told(3.0, None))
        # the link is lost: the set-point is released, and the schedule counts
        await gateway.until(_told(-4.0, None))
        shown = typed("grid", "status", "--json", "--data-dir", str(gateway.data))
        assert shown.returncode == 0, shown.stderr
        refused = typed(
            "grid", "set", "frequency.dead_band", "150", "--role", "engineer", "--reason", "t",
            "--authorisation", "x", "--user", "ana", "--data-dir", str(gateway.data),
        )  # fmt: skip
        assert refused.returncode != 0
        assert "30" in refused.stderr + refused.stdout
        changed = typed(
            "grid", "set", "frequency.droop", "4", "--role", "engineer", "--reason", "study 7",
            "--authorisation", "CEN-1", "--user", "ana", "--data-dir", str(gateway.data),
        )  # fmt: skip
        assert changed.returncode == 0, changed.stderr
        assert gateway.end(signal.SIGTERM) == 0
        codes = [e.code for entry in JournalReader(gateway.data).read(0, 10_000) for e in entry.events]
        assert "grid_parameter_changed" in codes
        # what was changed is still so after a restart, and the file's value is a difference that is told
        with GatewayProcess(
            gateway.data,
            INVERTER_IP="",
            SITE_FILE=str(folder / "site.yaml"),
            GRID_FILE=str(folder / "grid.yaml"),
        ) as again:
            await again.until(
                lambda s: s["grid"]["file_differs"].get("frequency.droop") == {"file": 5.0, "in_force": 4.0}
            )
            pid = (await again.until(lambda s: s["service_plane"].get("pid")))["service_plane"]["pid"]
            os.kill(pid, signal.SIGKILL)  # the battery does not notice, and the operator's link comes back
            async with await _client(port) as client:
                await client.interrogate()
