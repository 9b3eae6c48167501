"""A dip of the grid's frequency, from the meter's registers to the printed event."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bessai.model import Endpoint
from bessai.registry import load_profile
from bessai.twin import TwinServer
from bessai.twin.grid import GridConfig, GridEvent
from bessai.twin.plant import PlantConfig
from bessai.twin.site import TwinBus, TwinSite, TwinUnit
from support.gateway import GatewayProcess, bessai

SITE = """
site: site-1
devices:
  inverter: {{profile: huawei_sun2000, role: inverter, endpoint: "127.0.0.1:{inverter}", control: true}}
  meter: {{profile: eastron_sdm630, role: meter, endpoint: "127.0.0.1:{meter}", unit: 1, period: 0.1}}
points:
  grid_voltage: {{formula: meter.phase_voltage_a, unit: V}}
"""
GRID = """
plant: {rated_power: 10, rated_apparent_power: 11, nominal_voltage: 230}
values: {frequency.enabled: true}
records: {after: 2}
"""


@pytest.mark.soak
def test_a_dip_is_recorded_with_what_was_before_and_after(tmp_path: Path) -> None:
    site, grid, data = tmp_path / "site.yaml", tmp_path / "grid.yaml", tmp_path / "data"

    def ask(*arguments: str) -> dict[str, Any]:
        done = bessai("performance", *arguments, "--json", "--grid-file", str(grid), "--data-dir", str(data))
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    async def play() -> None:
        inverter, meter = load_profile("huawei_sun2000"), load_profile("eastron_sdm630")
        units = [
            TwinUnit(name="inverter", profile=inverter, unit=inverter.connection.unit),
            TwinUnit(name="meter", profile=meter, unit=1),
        ]
        buses = [TwinBus(Endpoint(host="127.0.0.1", port=0), [unit]) for unit in units]
        dip = GridEvent(start=40, duration=5, frequency_offset=-0.5)
        async with TwinSite(buses, config=PlantConfig(grid=GridConfig(events=[dip])), seed=3) as twin:
            first, second = (server.port for server in twin.buses if isinstance(server, TwinServer))
            site.write_text(SITE.format(inverter=first, meter=second))
            grid.write_text(GRID)
            environment = {
                "SITE_FILE": str(site),
                "GRID_FILE": str(grid),
                "INVERTER_IP": "",
                "CYCLE_TIME": "0.2",
            }
            with GatewayProcess(data, **environment) as gateway:
                await gateway.until(lambda s: s["control"]["state"] == "normal")
                found: list[Any] = []
                while not [one for one in found if one["ending"] == "returned"]:
                    await asyncio.sleep(3)
                    found = (await asyncio.to_thread(ask, "events", "--kind", "frequency"))["rows"]
        (event,) = found
        assert event["minimum"] == pytest.approx(49.5, abs=0.1)
        assert event["duration_s"] == pytest.approx(5, abs=1.5)
        rows = ask("event", str(event["id"]))["rows"]
        assert len(rows) == event["records"] > 40
        assert rows[0]["frequency"] > 49.8
        assert rows[-1]["frequency"] > 49.8
        steepest = ask("rocof", "--since", "-1h")["rows"][-1]
        assert steepest["lowest_hz_s"] < -0.5 < 0.5 < steepest["highest_hz_s"]

    asyncio.run(play())
