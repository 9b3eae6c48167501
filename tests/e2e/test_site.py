"""A plant of several devices behind the real gateway: one command, one rack pulled, one file full of mistakes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bessai.cli.common import ask_gateway
from bessai.journal import JournalReader
from bessai.model import Endpoint
from bessai.registry import load_profile
from bessai.twin.server import TwinServer
from bessai.twin.site import TwinBus, TwinSite, TwinUnit
from support.gateway import GatewayProcess, bessai, power

PCS = load_profile("huawei_sun2000")
RACK = load_profile("soltaro_rack")


def _plant() -> TwinSite:
    """An inverter, two racks on one line and one on its own."""

    def bus(*units: TwinUnit) -> TwinBus:
        return TwinBus(Endpoint(host="127.0.0.1", port=0), units)

    racks = [TwinUnit(name=f"rack_{n}", profile=RACK, unit=n) for n in (1, 2, 3)]
    inverter = TwinUnit(name="inverter", profile=PCS, unit=PCS.connection.unit)
    return TwinSite([bus(inverter), bus(*racks[:2]), bus(racks[2])], seed=3)


def _site_file(folder: Path, plant: TwinSite, *, control: bool = True) -> Path:
    inverter, line, single = (f"127.0.0.1:{bus.port}" for bus in plant.buses if isinstance(bus, TwinServer))
    commanded = ", control: true" if control else ""
    path = folder / "site.yaml"
    path.write_text(
        "site: site-1\n"
        f'buses: {{line: "{line}"}}\n'
        "devices:\n"
        f'  inverter: {{profile: huawei_sun2000, role: inverter, endpoint: "{inverter}"{commanded}}}\n'
        "  rack_{n}: {count: 2, profile: soltaro_rack, role: battery, bus: line, unit: '{n}'}\n"
        f'  rack_3: {{profile: soltaro_rack, role: battery, endpoint: "{single}", unit: 3}}\n'
        "points:\n"
        "  lowest_soc: {min: soc, of: battery}\n"
    )
    return path


def _conditions(status: dict[str, Any]) -> set[tuple[str, str | None]]:
    return {(condition["code"], condition["point"]) for condition in status["conditions"]}


def test_a_plant_is_commanded_loses_a_rack_and_heals(tmp_path: Path) -> None:
    async def run() -> None:
        async with _plant() as plant:
            file = _site_file(tmp_path, plant)
            with GatewayProcess(tmp_path / "data", SITE_FILE=str(file), INVERTER_IP="") as gateway:
                status = await gateway.until(lambda s: s["control"]["state"] in {"normal", "derated"})
                assert status["healthy"], status["problems"]
                assert not [c for c in status["conditions"] if c["code"] == "evidence_lost"]
                assert (status["devices"]["total"], status["devices"]["links"]) == (4, 3)
                assert status["device"]["name"] == "inverter"
                assert {"soc", "lowest_soc", "battery_power"} <= set(status["points"])
                await asyncio.to_thread(gateway.request, 2.0)
                await gateway.until(lambda s: s["control"]["verified"] and abs(power(s) - 2.0) < 0.2)

                await plant.buses[2].unplug()  # type: ignore[union-attr]
                status = await gateway.until(
                    lambda s: (
                        s["control"]["state"] == "hold" and ("device_unavailable", "rack_3") in _conditions(s)
                    )
                )
                assert status["control"]["setpoint"] == 0.0
                assert not status["healthy"]
                assert list(status["devices"]["problems"]) == ["rack_3"]
                assert ("evidence_lost", "soc") in _conditions(status)
                await gateway.until(lambda s: abs(power(s)) < 0.1)
                answer = await asyncio.to_thread(
                    ask_gateway, gateway.data, {"op": "device", "name": "rack_3"}
                )
                assert answer is not None
                assert (answer["device"]["connected"], answer["device"]["role"]) == (False, "battery")
                shown = await asyncio.to_thread(bessai, "status", "--data-dir", str(gateway.data))
                assert shown.returncode == 1
                assert "rack_3" in shown.stdout

                await plant.buses[2].plug_in()  # type: ignore[union-attr]
                await gateway.until(lambda s: s["control"]["verified"] and abs(power(s) - 2.0) < 0.2)
                status = await gateway.until(lambda s: not _conditions(s))
                assert status["healthy"], status["problems"]
                assert await asyncio.to_thread(gateway.end) == 0
            entries = JournalReader(gateway.data).read(0, 100_000)
            events = [event for entry in entries for event in entry.events]
            lost = [e.active for e in events if (e.code, e.point) == ("device_unavailable", "rack_3")]
            assert lost == [True, False], "told once when it began and once when it ended"
            assert any("rack_3.soc" in entry.layout.index for entry in entries), "every value is kept as well"

    asyncio.run(run())


def test_a_plant_that_is_only_watched(tmp_path: Path) -> None:
    async def run() -> None:
        async with _plant() as plant:
            file = _site_file(tmp_path, plant, control=False)
            with GatewayProcess(tmp_path / "data", SITE_FILE=str(file), INVERTER_IP="") as gateway:
                status = await gateway.until(lambda s: s["healthy"] and s["devices"]["well"] == 4)
                assert status["device"] is None
                assert status["control"]["state"] == "monitor"
                for bus in plant.buses:
                    await bus.unplug()  # type: ignore[union-attr]
                status = await gateway.until(lambda s: not s["healthy"])
                assert "no device delivers" in status["problems"]
                assert await asyncio.to_thread(gateway.end) == 0
            assert not any(device.log for device in plant.devices.values())

    asyncio.run(run())


BAD = """
site: other
devices:
  pcs: {profile: huawei_sun200, role: inverter, endpoint: "10.0.0.1:99999", control: true}
  rack_{n}: {profile: soltaro_rack, role: battery, endpoint: "10.0.1.1"}
  meter: {profile: eastron_sdm630, role: meter, bus: lyne}
"""


def test_a_bad_site_file_tells_everything_at_once(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(BAD)
    done = bessai(
        "run", SITE_ID="site-1", SITE_FILE=str(path), INVERTER_PORT="1502", SOC_MIN="99", DATA_DIR=str(tmp_path / "d")
    )  # fmt: skip
    assert done.returncode == 2
    for part in (
        "did you mean huawei_sun2000", "99999", "needs `count`", "there is no bus 'lyne'", "SOC_MIN=99",
        "INVERTER_PORT=1502",
    ):  # fmt: skip
        assert part in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("site", "period", "said"),
    [
        ("other", 1, "the site file says 'other'"),
        ("site-1", 60, "control judges the battery by its part in"),
    ],
)
def test_a_site_file_that_does_not_fit_the_settings(
    tmp_path: Path, site: str, period: int, said: str
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(
        f"site: {site}\n"
        "devices:\n"
        '  inverter: {profile: huawei_sun2000, role: inverter, endpoint: "10.0.0.1", control: true}\n'
        f'  rack: {{profile: soltaro_rack, role: battery, endpoint: "10.0.0.2", period: {period}}}\n'
    )
    done = bessai("run", SITE_ID="site-1", SITE_FILE=str(path), DATA_DIR=str(tmp_path / "d"))
    assert done.returncode == 2
    assert said in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1
