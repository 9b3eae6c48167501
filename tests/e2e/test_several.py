"""A plant of three commanded converters, each with racks of its own, behind the real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bessai.cli.common import ask_gateway
from bessai.journal import JournalReader
from bessai.site import load_site
from bessai.twin.server import TwinServer
from bessai.twin.site import TwinSite, from_site
from bessai.twin.site_file import simulated_file
from support.gateway import GatewayProcess, bessai

UNITS = ("pcs_1", "pcs_2", "pcs_3")
LEAST = 1.5
SITE = "site: site-1\ndevices:\n" + "".join(
    f"  {name}: {{profile: huawei_sun2000, role: pcs, endpoint: '10.0.0.{n}', control: true, "
    f"batteries: ['rack_{n}_*'], power_min: {LEAST}}}\n"
    for n, name in enumerate(UNITS, 1)
)
for _n, (_rack, _capacity) in enumerate({"1_1": 10, "1_2": 10, "2_1": 15, "3_1": 15}.items(), 11):
    SITE += (
        f"  rack_{_rack}: {{profile: soltaro_rack, role: battery, endpoint: '10.0.0.{_n}', "
        f"capacity: {_capacity}}}\n"
    )
SOC = {"rack_1_1": 80.0, "rack_1_2": 80.0, "rack_2_1": 60.0, "rack_3_1": 40.0}
"""14, 7.5 and 4.5 kWh behind the three above the 10 % at which discharging ends."""


@asynccontextmanager
async def gateway_of(folder: Path) -> AsyncIterator[tuple[TwinSite, GatewayProcess]]:
    """The simulated plant, and a gateway that runs it."""
    source, target = folder / "plant.yaml", folder / "site.yaml"
    source.write_text(SITE)
    simulation, buses = from_site(load_site(source).devices, seed=3, port=0, soc=SOC)
    async with simulation:
        simulated_file(source, target, {endpoint: bus.endpoint for endpoint, bus in buses.items()})
        with GatewayProcess(folder / "data", SITE_FILE=str(target), INVERTER_IP="") as gateway:
            await gateway.until(lambda s: set(states(s)) <= {"normal", "derated"})
            yield simulation, gateway


def _of_units(status: Mapping[str, Any], key: str) -> list[Any]:
    units = status.get("units", {})
    return [units.get(name, {}).get(key) for name in UNITS]


def states(status: Mapping[str, Any]) -> list[Any]:
    return _of_units(status, "state")


def setpoints(status: Mapping[str, Any]) -> list[float]:
    return [value or 0.0 for value in _of_units(status, "setpoint")]


def follows(status: Mapping[str, Any], power: float, *without: str) -> bool:
    """The plant is told this power, and every unit but these, which are away, verifiably does its part of it."""
    told, done = setpoints(status), _of_units(status, "measured")
    alike = [
        m is not None and abs(m - s) < 0.1
        for name, s, m in zip(UNITS, told, done, strict=True)
        if name not in without
    ]
    return (
        status["control"]["setpoint"] == power
        and all(alike)
        and (bool(without) or status["control"]["verified"])
    )


def conditions(status: Mapping[str, Any]) -> set[tuple[str, str | None]]:
    return {(condition["code"], condition["point"]) for condition in status["conditions"]}


def on_the_wire(simulation: TwinSite, *units: str) -> list[float]:
    """Every power in kW that these converters were ever told."""
    return [
        written.value
        for name in units or UNITS
        for written in simulation.devices[name].log
        if written.point in {"forced_charge_power", "forced_discharge_power"}
    ]


async def run(*arguments: str, gateway: GatewayProcess) -> tuple[int, str]:
    done = await asyncio.to_thread(bessai, *arguments, "--data-dir", str(gateway.data), COLUMNS="80")
    return done.returncode, done.stdout + done.stderr


def test_power_is_shared_by_energy_and_never_inside_an_exclusion_zone(tmp_path: Path) -> None:
    async def play() -> None:
        async with gateway_of(tmp_path) as (simulation, gateway):
            meter = simulation.connection
            await asyncio.to_thread(gateway.request, 13.0)
            status = await gateway.until(lambda s: follows(s, 13.0))
            assert setpoints(status) == pytest.approx([7.0, 3.75, 2.25], abs=0.1)
            flows = [simulation.devices[name].plant.pcs.active_power for name in UNITS]
            assert sum(flows) == pytest.approx(13.0, abs=0.7), "less what the converters lose"
            assert meter.meter.active_power == pytest.approx(sum(flows) - meter.load.active_power, abs=0.2)
            racks = [simulation.devices[name].plant.battery for name in SOC]
            assert racks[0].power == pytest.approx(setpoints(status)[0] / 2, abs=0.1)
            assert racks[3].power == pytest.approx(setpoints(status)[2], abs=0.1)

            code, text = await run("request", "--power", "4", "--reason", "small", gateway=gateway)
            assert (code, "granted 4 kW" in text) == (0, True), text
            status = await gateway.until(lambda s: follows(s, 4.0))
            assert [s == 0 or s >= LEAST for s in setpoints(status)] == [True] * 3
            assert setpoints(status)[2] == 0.0, "the emptiest stands still before it runs too low"

            code, text = await run("request", "--power", "1", "--reason", "too small", gateway=gateway)
            assert (code, "exclusion_zone" in text) == (1, True), text
            await gateway.until(lambda s: follows(s, 0.0))
            await asyncio.to_thread(gateway.request, -9.0)
            await gateway.until(lambda s: follows(s, -9.0))
            assert await asyncio.to_thread(gateway.end) == 0
            told = on_the_wire(simulation)
            assert len([power for power in told if power]) >= 6
            assert not [power for power in told if 0 < power < LEAST]

    asyncio.run(play())


def test_a_converter_that_is_gone_is_made_up_for_within_bounds(tmp_path: Path) -> None:
    async def play() -> None:
        async with gateway_of(tmp_path) as (simulation, gateway):
            await asyncio.to_thread(gateway.request, 18.0)
            await gateway.until(lambda s: follows(s, 18.0))
            bus, _ = simulation.members["pcs_2"]
            assert isinstance(bus, TwinServer)
            await bus.unplug()
            status = await gateway.until(lambda s: states(s)[1] == "hold" and follows(s, 18.0, "pcs_2"))
            assert setpoints(status)[1] == 0.0
            assert all(0 < power <= 10.0 for power in (setpoints(status)[0], setpoints(status)[2]))
            assert not status["healthy"]
            assert status["control"]["bounds"] == pytest.approx([-20.0, 20.0], abs=0.1)
            await gateway.until(lambda s: ("device_unavailable", "pcs_2") in conditions(s))
            code, text = await run("request", "--power", "24", "--reason", "more", gateway=gateway)
            assert (code, "asked 24 kW for 60 s, granted 1" in text) == (1, True), text
            assert "pcs_2" in text
            code, text = await run("status", gateway=gateway)
            assert code == 1
            assert _row(text, "pcs_2")[:3] == ["pcs_2", "hold", "+0.00"]
            assert "not connected" in text
            assert max(map(len, text.splitlines())) <= 80

            await bus.plug_in()
            await gateway.until(lambda s: follows(s, 24.0))
            assert await asyncio.to_thread(gateway.end) == 0

    asyncio.run(play())


def test_an_unsafe_rack_stops_its_own_converter_only(tmp_path: Path) -> None:
    async def play() -> None:
        async with gateway_of(tmp_path) as (simulation, gateway):
            await asyncio.to_thread(gateway.request, 12.0)
            await gateway.until(lambda s: follows(s, 12.0))
            battery = simulation.devices["rack_1_2"].plant.battery
            well = battery.config
            battery.config = replace(well, cell_voltage_spread=1.0)  # one cell 0.5 V above the others
            status = await gateway.until(lambda s: states(s)[0] == "tripped" and follows(s, 12.0))
            assert setpoints(status)[0] == 0.0
            assert [trip["unit"] for trip in status["trips"]] == ["pcs_1"] * len(status["trips"])
            assert "tripped" not in states(status)[1:]
            assert on_the_wire(simulation, "pcs_1")[-1] == 0.0
            code, text = await run("status", gateway=gateway)
            assert code == 1
            assert _row(text, "pcs_1")[:3] == ["pcs_1", "tripped", "+0.00"]
            assert "bessai reset" in text
            assert max(map(len, text.splitlines())) <= 80
            parts = ("pcs_1: tripped, 0 kW", "pcs_2: ", "trip cell_voltage", "of pcs_1")
            for _ in range(60):  # the status is ahead of the journal by what is not on the disk yet
                code, text = await run("explain", gateway=gateway)
                assert code == 0
                if all(part in text for part in parts):
                    break
            assert all(part in text for part in parts), text

            battery.config = well
            reset = {
                "op": "reset",
                "code": "all",
                "user": "ana",
                "role": "engineer",
                "reason": "cell replaced",
            }
            for _ in range(40):
                answer = await asyncio.to_thread(ask_gateway, gateway.data, reset)
                if answer is not None and answer["ok"]:
                    break
                await asyncio.sleep(0.5)
            await gateway.until(lambda s: not s["trips"] and "tripped" not in states(s) and follows(s, 12.0))
            assert await asyncio.to_thread(gateway.end) == 0
            entries = JournalReader(gateway.data).read(0, 100_000)
            units = [unit for entry in entries for unit in entry.decision.get("units", ())]
            assert {unit["unit"] for unit in units if unit["state"] == "tripped"} == {"pcs_1"}

    asyncio.run(play())


def _row(text: str, unit: str) -> list[str]:
    """The cells of a unit's line."""
    return next(words for line in text.splitlines() if (words := line.strip("│ ").split())[:1] == [unit])
