"""A plant of several devices, with cells and a schedule: what the reading routes make of it, up to the JSON."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bessai.core.socket_file import socket_path
from bessai.model import Endpoint
from bessai.registry import load_profile
from bessai.twin.server import TwinServer
from bessai.twin.site import TwinBus, TwinSite, TwinUnit
from support.api_server import Api, plain_context, served
from support.gateway import GatewayProcess, power

PCS, RACK = load_profile("huawei_sun2000"), load_profile("soltaro_rack")
HOUR = 3600


def test_several_devices_their_cells_and_the_schedule(tmp_path: Path) -> None:
    begin = int(time.time()) // HOUR * HOUR
    (tmp_path / "schedule.csv").write_text(
        "start,end,power_kw,soc_target_pct,reason\n"
        f"{_iso(begin - HOUR)},{_iso(begin + 2 * HOUR)},-2.5,,valley\n"
        f"{_iso(begin + 3 * HOUR)},{_iso(begin + 4 * HOUR)},,80,evening peak\n"
        f"{_iso(begin + 20 * 24 * HOUR)},{_iso(begin + 21 * 24 * HOUR)},1,,far away\n"
    )

    async def run() -> None:
        async with _plant() as plant:
            environment = {
                "SITE_FILE": str(_site_file(tmp_path, plant)),
                "SCHEDULE_FILE": str(tmp_path / "schedule.csv"),
                "INVERTER_IP": "",
                "OTEL_SDK_DISABLED": "true",
            }
            with GatewayProcess(tmp_path / "data", **environment) as gateway:
                await gateway.until(
                    lambda s: (
                        s["control"]["state"] in {"normal", "derated"}
                        and s["control"].get("asked") == -2.5
                        and power(s) < -1
                    ),
                    120,
                )
                await asyncio.to_thread(look, tmp_path, begin)

    asyncio.run(run())


def look(folder: Path, begin: int) -> None:
    with served(plain_context(folder / "data", socket_path(folder / "data")), live=True) as api:
        _until_the_cells_are_read(api)
        for part in (devices, points, cells, overview):
            part(api)
        schedule(api, folder / "schedule.csv", begin)


def _until_the_cells_are_read(api: Api) -> None:
    deadline = time.monotonic() + 120
    while True:
        groups = api.get("/cells").json()["groups"]
        if len(groups) == 4 and all(set(group["quality"]) == {"good"} for group in groups):
            return
        assert time.monotonic() < deadline, [Counter(group["quality"]) for group in groups]
        time.sleep(0.2)


def devices(api: Api) -> None:
    told = {one["name"]: one for one in api.get("/devices").json()["devices"]}
    assert list(told) == ["inverter", "rack_1", "rack_2"]
    assert [one["role"] for one in told.values()] == ["inverter", "battery", "battery"]
    assert [one["control"] for one in told.values()] == [True, False, False]
    assert all(one["connected"] and one["replies"] > 0 and one["problem"] is None for one in told.values())
    assert all(one["oldest"] > 0 for one in told.values())
    for name, one in told.items():
        detail = api.get(f"/devices/{name}").json()
        assert len(detail["points"]) == one["points"] > 10
        assert {point["name"].rpartition(".")[0] for point in detail["points"]} == {name}
    assert api.get("/devices/inverter").json()["writes"]
    assert api.get("/devices/rack_1").json()["writes"] == {}
    assert api.get("/devices/-").status == 404
    assert api.get("/devices/rack").json()["code"] == "no_such_device"


def points(api: Api) -> None:
    listed = api.get("/points", limit=20_000).json()
    assert listed["total"] == len(listed["points"])
    assert api.get("/points").json()["total"] == listed["total"]
    owners = Counter(point["device"] for point in listed["points"])
    assert set(owners) == {None, "inverter", "rack_1", "rack_2"}
    assert (
        owners["rack_1"] == owners["rack_2"] == api.get("/points", device="rack_2", limit=1).json()["total"]
    )
    assert api.get("/points", device="rack").json()["total"] == 0
    plant = api.get("/points/lowest_soc").json()
    assert (plant["device"], plant["address"], plant["unit"]) == (None, None, "%")
    assert plant["computed_from"] == ["rack_1", "rack_2"]
    racks = [api.get(f"/points/rack_{n}.soc").json() for n in (1, 2)]
    assert [one["device"] for one in racks] == ["rack_1", "rack_2"]
    assert plant["value"] == min(one["value"] for one in racks)
    assert {one["profile"] for one in racks} == {"soltaro_rack"}
    assert racks[0]["address"] == RACK.points["soc"].address


def cells(api: Api) -> None:
    groups = {(one["device"], one["kind"]): one for one in api.get("/cells").json()["groups"]}
    assert set(groups) == {(f"rack_{n}", kind) for n in (1, 2) for kind in ("voltage", "temperature")}
    values = {one["name"]: one for one in api.get("/points", limit=20_000).json()["points"]}
    for (device, kind), group in groups.items():
        numbers = [int(name.rpartition("_")[2]) for name in group["names"]]
        assert numbers == list(range(1, len(numbers) + 1))
        assert group["names"][0] == f"{device}.cell_{kind}_001"
        assert (
            group["unit"] == {"voltage": "V", "temperature": "°C"}[kind] == values[group["names"][0]]["unit"]
        )
        assert len({len(group[column]) for column in ("names", "values", "quality", "ages")}) == 1
        good = [
            value
            for value, quality in zip(group["values"], group["quality"], strict=True)
            if quality == "good"
        ]
        assert len(good) == len(numbers) == {"voltage": 216, "temperature": 108}[kind]
        if kind == "voltage":
            assert 2.5 < min(good) < max(good) < 3.7
        assert (group["min"], group["max"]) == (min(good), max(good))
        assert abs(group["mean"] - sum(good) / len(good)) < 1e-9


def overview(api: Api) -> None:
    told = api.get("/overview").json()
    values = api.get("/status").json()["points"]
    for flow, point in {"battery": "battery_power", "inverter": "active_power", "grid": "grid_power"}.items():
        known = values.get(point)
        assert (told["flows"][flow] is None) == (known is None or known["quality"] != "good"), flow
        assert told["flows"][flow] is None or told["flows"][flow]["point"] == point
    assert told["flows"]["battery"]["value"] < 0
    assert abs(told["soc"] - values["soc"]["value"]) < 1
    assert (told["soc_low"], told["soc_high"]) == (10.0, 95.0)
    assert told["seconds_to_empty"] is None


def schedule(api: Api, file: Path, begin: int) -> None:
    told = api.get("/schedule").json()
    assert (told["file"], told["problem"]) == (str(file), None)
    rows: list[tuple[Any, ...]] = [
        (_seconds(one["start"]), _seconds(one["end"]), one["power"], one["soc_target"])
        for one in told["entries"]
    ]
    assert rows[-1] == (begin + 3 * HOUR, begin + 4 * HOUR, None, 80)
    assert rows[0][1:] == (begin + 2 * HOUR, -2.5, None)
    assert [one["reason"] for one in told["entries"]] == ["valley", "evening peak"]
    assert [one["where"] for one in told["entries"]] == ["line 2", "line 3"]
    assert [one["reason"] for one in api.get("/schedule", days=31).json()["entries"]][-1] == "far away"
    text = file.read_text()
    file.write_text(text.replace("-2.5", "much"))
    broken = api.get("/schedule").json()
    assert broken["entries"] == []
    assert "much" in broken["problem"]
    file.unlink()
    assert api.get("/schedule").json()["problem"]


def _plant() -> TwinSite:
    def bus(*units: TwinUnit) -> TwinBus:
        return TwinBus(Endpoint(host="127.0.0.1", port=0), units)

    racks = [TwinUnit(name=f"rack_{n}", profile=RACK, unit=n) for n in (1, 2)]
    return TwinSite(
        [bus(TwinUnit(name="inverter", profile=PCS, unit=PCS.connection.unit)), bus(*racks)], seed=3
    )


def _site_file(folder: Path, plant: TwinSite) -> Path:
    inverter, line = (f"127.0.0.1:{bus.port}" for bus in plant.buses if isinstance(bus, TwinServer))
    path = folder / "site.yaml"
    path.write_text(
        f'site: site-1\nbuses: {{line: "{line}"}}\ndevices:\n'
        f'  inverter: {{profile: huawei_sun2000, role: inverter, endpoint: "{inverter}", control: true}}\n'
        "  rack_{n}: {count: 2, profile: soltaro_rack, role: battery, bus: line, unit: '{n}'}\n"
        "points:\n  lowest_soc: {min: soc, of: battery}\n"
    )
    return path


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: Any) -> float:
    return datetime.fromisoformat(str(text)).timestamp()
