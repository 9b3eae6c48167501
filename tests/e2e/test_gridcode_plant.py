"""`bessai gridcode test --plant` against the real gateway and a simulated plant on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bessai.cli.common import ask_gateway
from bessai.gridcode.bench_plant import pcs_profile
from bessai.model import Endpoint
from bessai.registry import load_profile
from bessai.twin import GridConfig, LoadConfig, PlantConfig
from bessai.twin.server import TwinServer
from bessai.twin.site import TwinBus, TwinSite, TwinUnit
from support.gateway import GatewayProcess, typed

WHO = ("--user", "ana", "--role", "engineer", "--reason", "acceptance", "--authorisation", "CEN-2026-7")
ARMED = ("--plant", "--armed", "--max-minutes", "5", *WHO)


@contextlib.asynccontextmanager
async def _plant(folder: Path) -> AsyncIterator[GatewayProcess]:
    """A calm plant of 10 kW with grid functions, and its gateway, ready."""
    calm = PlantConfig(
        grid=GridConfig(frequency_deviation=0.0002, voltage_deviation=0.01, short_circuit_power=50.0),
        load=LoadConfig(base=0.0, morning=0.0, evening=0.0, deviation=0.0),
        step=0.02,
    )
    pcs, meter = pcs_profile(), load_profile("janitza_umg")
    buses = [
        TwinBus(Endpoint(host="127.0.0.1", port=0), [TwinUnit(name=name, profile=profile, unit=1)])
        for name, profile in (("pcs", pcs), ("meter", meter))
    ]
    async with TwinSite(buses, config=calm, seed=5, dense=True) as plant:
        first, second = (f"127.0.0.1:{bus.port}" for bus in plant.buses if isinstance(bus, TwinServer))
        (folder / "sunspec.json").write_text(pcs.model_dump_json(by_alias=True, exclude_defaults=True))
        (folder / "site.yaml").write_text(
            "site: site-1\n"
            "devices:\n"
            f'  pcs: {{profile: sunspec.json, role: pcs, endpoint: "{first}", unit: 1, control: true}}\n'
            f'  meter: {{profile: janitza_umg, role: meter, endpoint: "{second}", unit: 1, period: 0.2}}\n'
            'points: {soc: {formula: pcs.soc, unit: "%"}}\n'
        )
        (folder / "grid.yaml").write_text(
            "plant: {rated_power: 10, rated_apparent_power: 10, nominal_voltage: 400, short_circuit_power: 50}\n"
            "values: {frequency.enabled: true, frequency.droop: 2, voltage.mode: voltage_droop}\n"
            "bounds: {active.maximum: [0, 5]}\n"  # narrower than the rated power, of which a droop is a share
        )
        environment = {
            "SITE_FILE": str(folder / "site.yaml"), "GRID_FILE": str(folder / "grid.yaml"), "INVERTER_IP": "",
            "CYCLE_TIME": "0.2",
        }  # fmt: skip
        with GatewayProcess(folder / "data", **environment) as gateway:
            await gateway.until(lambda s: s["control"]["state"] == "normal")
            yield gateway


async def _test(gateway: GatewayProcess, *arguments: str) -> tuple[int, str, str]:
    done = await asyncio.to_thread(
        typed, "gridcode", "test", "--json", *arguments, "--data-dir", str(gateway.data)
    )
    return done.returncode, done.stdout, done.stderr


async def _grid(gateway: GatewayProcess) -> dict[str, Any]:
    answer = await asyncio.to_thread(ask_gateway, gateway.data, {"op": "grid"})
    assert answer is not None
    grid: dict[str, Any] = answer["grid"]
    return grid


def test_what_leaves_the_limit_is_not_tried_or_ended(tmp_path: Path) -> None:
    async def play() -> None:
        async with _plant(tmp_path) as gateway:
            code, out, err = await _test(
                gateway, *ARMED, "--max-power", "1.5", "--only", "frequency_*.plant_down"
            )
            assert code == 0, err
            rows = json.loads(out)["rows"]
            assert {row["name"] for row in rows} == {
                f"frequency_{what}.plant_down" for what in ("reaction", "rise", "settling", "droop")
            }
            assert {row["verdict"] for row in rows} == {"not tested"}, "1.7 kW would leave 1.5 kW"
            assert "highest power" in rows[0]["measured"]["note"]

            # somebody else's request takes the power beyond the limit while the run watches
            await asyncio.to_thread(gateway.request, 4.0)
            code, _, err = await _test(
                gateway, *ARMED, "--max-power", "3", "--only", "frequency_*.plant_down"
            )
            assert (code, "beyond 3 kW" in err) == (1, True), err
            assert (await _grid(gateway))["functions"]["test"] is None

    asyncio.run(play())


@pytest.mark.soak
def test_the_plants_answer_is_measured_and_the_signal_is_taken_back(tmp_path: Path) -> None:
    async def play() -> None:
        async with _plant(tmp_path) as gateway:
            code, out, err = await _test(
                gateway, *ARMED, "--max-power", "8", "--out", str(tmp_path / "report"), "--lang", "es"
            )
            rows = {row["name"]: row for row in json.loads(out)["rows"]}
            tested = {name: row for name, row in rows.items() if row["verdict"] != "not tested"}
            assert code == 0, (err, tested)
            for way, sign in (("down", 1.0), ("up", -1.0)):
                value = tested[f"frequency_droop.plant_{way}"]["measured"]["value"]
                assert value == pytest.approx(sign * 1.7, rel=0.05)
                assert tested[f"frequency_settling.plant_{way}"]["verdict"] == "pass"
            assert tested["voltage_settling.plant_low"]["verdict"] == "pass"
            assert rows["voltage_reaction.plant_low"]["verdict"] == "not tested", (
                "cycles of 0.2 s are too coarse"
            )
            assert rows["frequency_dead_band.edge"]["verdict"] == "not tested"
            assert (tmp_path / "report" / "report.es.html").read_text().count("<svg") == 3
            assert (await _grid(gateway))["functions"]["test"] is None
            answer = await asyncio.to_thread(ask_gateway, gateway.data, {"op": "grid_history"})
            assert answer is not None
            text = json.dumps(answer["history"])
            assert "CEN-2026-7" in text
            assert "ana" in text

    asyncio.run(play())


def test_power_is_not_moved_without_arm_limits_and_a_name(tmp_path: Path) -> None:
    done = typed("gridcode", "test", "--plant", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    for word in (
        "--armed",
        "--max-power",
        "--max-minutes",
        "--user",
        "--role",
        "--reason",
        "--authorisation",
    ):
        assert word in done.stderr, word
    done = typed(
        "gridcode", "test", *ARMED, "--max-power", "5", "--role", "operator", "--data-dir", str(tmp_path)
    )
    assert (done.returncode, "takes the role engineer" in done.stderr) == (2, True)
    done = typed("gridcode", "test", *ARMED, "--max-power", "5", "--data-dir", str(tmp_path))
    assert (done.returncode, "no gateway is running" in done.stderr) == (3, True)
