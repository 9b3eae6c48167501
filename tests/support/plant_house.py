"""A plant that is worth a look, behind the real gateway: an inverter, racks with thousands of cells, two meters."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bessai.twin.control_socket import ask_simulator
from support.gateway import GatewayProcess
from support.page import House

_PLANT = """
site: {site}
devices:
  inverter: {{profile: huawei_sun2000, role: inverter, endpoint: "127.0.0.1:502", control: true}}
  rack_{{n:02}}:
    {{count: {racks}, profile: soltaro_rack, role: battery, endpoint: "127.0.0.1:503", unit: "{{n}}", capacity: 10}}
  meter_grid: {{profile: eastron_sdm630, role: meter, endpoint: "127.0.0.1:504", period: 0.5}}
  meter_auxiliaries: {{profile: janitza_umg, role: meter, endpoint: "127.0.0.1:505"}}
points:
  grid_power: {{formula: meter_grid.grid_power}}
  grid_reactive_power: {{formula: meter_grid.grid_reactive_power}}
  grid_frequency: {{formula: meter_grid.grid_frequency}}
"""

_GRID = """
plant: {rated_power: 10, rated_apparent_power: 10, nominal_voltage: 400, converters: gfm}
points: {voltage: null}
values: {frequency.enabled: true, frequency.droop: 5, frequency.dead_band: 30}
"""


def _schedule(now: datetime) -> str:
    """A day around now: charge at night and noon, discharge in the evening; the hour that runs asks for 3 kW."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    plan = (
        (-6, -3, -4, "night tariff"), (-3, 0, -2.5, "midday sun"), (0, 2, 3, "evening peak"), (2, 4, 1.5, "evening"),
        (6, 10, -4, "night tariff"),
    )  # fmt: skip
    lines = [
        f"{hour + timedelta(hours=a):%Y-%m-%d %H:%M},{hour + timedelta(hours=b):%Y-%m-%d %H:%M},{power},{reason}"
        for a, b, power, reason in plan
    ]
    return "\n".join(["# timezone: UTC", "start,end,power_kw,reason", *lines, ""])


class PlantHouse(House):
    """Simulated plant of a site file, the gateway with schedule and grid functions, and its page."""

    def __init__(self, folder: Path, *, site: str = "atacama-1", racks: int = 10, **environment: str) -> None:
        super().__init__(folder)
        (folder / "plant.yaml").write_text(_PLANT.format(site=site, racks=racks))
        (folder / "grid.yaml").write_text(_GRID)
        (folder / "schedule.csv").write_text(_schedule(datetime.now(UTC)))
        self.simulated = folder / "site.yaml"
        self.gateway = GatewayProcess(
            folder / "data",
            SITE_ID=site,
            INVERTER_IP="",
            SITE_FILE=str(self.simulated),
            GRID_FILE=str(folder / "grid.yaml"),
            SCHEDULE_FILE=str(folder / "schedule.csv"),
            HTTP_PORT=str(self.port),
            OTEL_SDK_DISABLED="true",
            STALE_AFTER="30",  # test machines are shared, and the devices many
            **environment,
        )

    def start_plant(self) -> None:
        """Serve the simulated plant, each bus on a free port."""
        self._twin = subprocess.Popen(
            [sys.executable, "-m", "bessai.cli", "simulate", "--site", str(self.folder / "plant.yaml"),
             "--write", str(self.simulated), "--port", "0", "--seed", "1", "--soc", "62", "--soc", "rack_03=55",
             "--control", str(self.folder / "plant.sock")],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._runs = True
        assert self._twin.stdout is not None
        while "site file of the simulation" not in self._twin.stdout.readline():
            assert self._twin.poll() is None

    def stop_plant(self) -> None:
        """Pull all devices."""
        if self._runs:
            self._twin.kill()
            self._twin.communicate()
            self._runs = False

    def until_ready(self, seconds: float = 240.0) -> None:
        """Many devices on a busy machine take their time."""
        super().until_ready(seconds)

    def mishap(self, *faults: str) -> None:
        """As `bessai fault` does."""
        answer = ask_simulator(self.folder / "plant.sock", {"op": "set", "faults": list(faults)})
        assert answer is not None
        assert answer["ok"], answer
