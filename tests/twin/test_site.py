"""Whole plants: what stands behind each device, many devices at once, and simulations of site files."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from bessai.model import Endpoint, parse_endpoint
from bessai.registry import Profile
from bessai.twin import LoadConfig, PlantConfig, TwinBus, TwinSerial, TwinServer, TwinSite, TwinUnit
from bessai.twin.roles import Traits
from bessai.twin.site import from_site
from bessai.twin.site_file import simulated_file

from .conftest import MakeProfile
from .wire import answer, raw, request

LOCAL = Endpoint(host="127.0.0.1", port=0)


@pytest.fixture
def pcs(make_profile: MakeProfile) -> Profile:
    return make_profile(id="pcs", connection={"unit": 1})


@pytest.fixture
def rack(make_profile: MakeProfile) -> Profile:
    points = {
        name: point.model_dump(exclude_unset=True)
        for name, point in make_profile().points.items()
        if name in {"soc", "battery_power", "battery_voltage"}
    }
    return make_profile(id="rack", kinds=["bms"], points=points, control=None, dead_man=None, connection={})


@pytest.fixture
def meter(make_profile: MakeProfile) -> Profile:
    points = {
        "grid_power": {"address": 0, "type": "f32", "unit": "kW"},
        "active_power": {"address": 2, "type": "f32", "unit": "kW"},
        "load_power": {"address": 4, "type": "f32", "unit": "kW"},
    }
    return make_profile(
        id="meter", kinds=["meter"], points=points, control=None, dead_man=None, connection={"unit": 50}
    )


def _units(profile: Profile, count: int, first: int = 1) -> list[TwinUnit]:
    return [
        TwinUnit(name=f"{profile.id}_{n}", profile=profile, unit=first + n - 1) for n in range(1, count + 1)
    ]


def test_the_meter_sees_the_sum_of_the_plants_minus_the_load(pcs: Profile, meter: Profile) -> None:
    site = TwinSite([TwinBus(LOCAL, [*_units(pcs, 3), *_units(meter, 1, 50)])], seed=2)
    site.devices["pcs_1"].write("holding", 200, [2, 0, 300, 60])  # 3 kW out
    site.devices["pcs_2"].write("holding", 200, [1, 500, 0, 60])  # 5 kW in
    site.clock.advance(30)
    plants = [site.devices[f"pcs_{n}"].plant for n in (1, 2, 3)]
    assert plants[0].battery.power == pytest.approx(3.0)
    assert plants[1].battery.power == pytest.approx(-5.0)
    seen = site.devices["meter_1"]
    expected = sum(plant.pcs.active_power for plant in plants) - site.connection.load.active_power
    assert seen.value("grid_power") == pytest.approx(expected, abs=1e-6)
    assert seen.value("active_power") == pytest.approx(expected, abs=1e-6)
    assert seen.value("load_power") == pytest.approx(site.connection.load.active_power, abs=1e-6)
    assert expected < -2


def test_racks_share_the_battery_of_the_device_that_is_commanded(pcs: Profile, rack: Profile) -> None:
    site = TwinSite([TwinBus(LOCAL, [*_units(pcs, 1), *_units(rack, 3, 11)])])
    leader = site.devices["pcs_1"]
    leader.write("holding", 200, [2, 0, 600, 60])
    site.clock.advance(600)
    racks = [site.devices[f"rack_{n}"] for n in (1, 2, 3)]
    assert sum(device.value("battery_power") for device in racks) == pytest.approx(6.0, abs=0.01)
    for device in racks:
        assert device.plant.battery.soc == pytest.approx(leader.plant.battery.soc, abs=1e-6)
        assert device.plant.battery.voltage == pytest.approx(leader.plant.battery.voltage, abs=1e-6)
    assert leader.plant.battery.soc < 45
    stored = sum(device.plant.battery.stored_energy for device in racks)
    assert stored == pytest.approx(leader.plant.battery.stored_energy, rel=1e-6)


def test_racks_are_dealt_to_several_leaders(pcs: Profile, rack: Profile) -> None:
    site = TwinSite([TwinBus(LOCAL, [*_units(pcs, 2), *_units(rack, 4, 11)])])
    site.devices["pcs_2"].write("holding", 200, [2, 0, 400, 60])
    site.clock.advance(30)
    powers = [site.devices[f"rack_{n}"].value("battery_power") for n in (1, 2, 3, 4)]
    assert powers == pytest.approx([0.0, 2.0, 0.0, 2.0], abs=0.01)


def test_the_dead_man_works_in_a_site(pcs: Profile, rack: Profile) -> None:
    site = TwinSite([TwinBus(LOCAL, [*_units(pcs, 1), *_units(rack, 1, 11)])])
    site.devices["pcs_1"].write("holding", 200, [2, 0, 300, 1])
    site.clock.advance(59)
    assert site.devices["pcs_1"].fallbacks == 0
    site.clock.advance(2)
    assert site.devices["pcs_1"].fallbacks == 1


def test_names_and_units_are_unique(pcs: Profile) -> None:
    twice = [TwinUnit(name="a", profile=pcs, unit=1), TwinUnit(name="a", profile=pcs, unit=2)]
    with pytest.raises(ValueError, match="two devices are called 'a'"):
        TwinSite([TwinBus(LOCAL, twice)])
    twice = [TwinUnit(name="a", profile=pcs, unit=1), TwinUnit(name="b", profile=pcs, unit=1)]
    with pytest.raises(ValueError, match="unit 1 is taken twice"):
        TwinSite([TwinBus(LOCAL, twice)])


def test_a_port_in_use_leaves_nothing_running(pcs: Profile) -> None:
    async def play() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            busy = Endpoint(host="127.0.0.1", port=taken.getsockname()[1])
            site = TwinSite([
                TwinBus(LOCAL, [TwinUnit(name="a", profile=pcs, unit=1)]),
                TwinBus(busy, [TwinUnit(name="b", profile=pcs, unit=1)]),
            ])  # fmt: skip
            with pytest.raises(OSError, match="in use"):
                await site.start()
            first = site.buses[0]
            assert isinstance(first, TwinServer)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*first.address)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(play())


def test_two_hundred_devices_are_all_read(pcs: Profile, rack: Profile, meter: Profile) -> None:
    config = PlantConfig(load=LoadConfig(base=100.0))

    async def read_all(server: TwinServer) -> int:
        async with raw(server) as wire:
            for unit in server.units:
                wire.send(request(unit, 100, 3, unit=unit))
            for unit in server.units:
                got = await wire.get(15)
                assert got[:11] == answer(unit, 500, 0, 0, unit=unit)[:11]
        return len(server.units)

    async def play() -> None:
        buses = [TwinBus(LOCAL, [TwinUnit(name="pcs", profile=pcs, unit=1)])]
        buses += [
            TwinBus(LOCAL, [TwinUnit(name=f"b{bus}_{n}", profile=rack, unit=n) for n in range(1, 100)])
            for bus in (1, 2)
        ]
        buses.append(TwinBus(LOCAL, [TwinUnit(name="meter", profile=meter, unit=50)]))
        async with TwinSite(buses, config=config) as site:
            assert len(site.devices) == 200
            servers = [bus for bus in site.buses if isinstance(bus, TwinServer)]
            assert await asyncio.gather(*(read_all(server) for server in servers[:3])) == [1, 99, 99]
            async with raw(servers[3]) as wire:
                power = struct.unpack(">f", (await wire.ask(1, 13, address=0, count=2, unit=50))[9:])[0]
                assert power < -90

    asyncio.run(asyncio.wait_for(play(), 60))


def test_faults_reach_one_device_of_a_site(pcs: Profile) -> None:
    async def play() -> None:
        async with TwinSite([TwinBus(LOCAL, _units(pcs, 2))]) as site:
            server = site.buses[0]
            assert isinstance(server, TwinServer)
            site.devices["pcs_2"].faults.silent = True
            async with raw(server) as wire:
                wire.send(request(1, unit=2))
                assert await wire.silent(0.1)
                assert await wire.ask(2, unit=1) == answer(2, 500, unit=1)
            bus, device = site.members["pcs_2"]
            assert (bus, device) == (server, site.devices["pcs_2"])

    asyncio.run(asyncio.wait_for(play(), 60))


@dataclass
class _Device:
    name: str
    profile: Profile
    endpoint: Endpoint
    unit: int
    role: str = "battery"
    stations: dict[str, int] = field(default_factory=dict)


def _real(pcs: Profile, rack: Profile) -> list[_Device]:
    shared, line = parse_endpoint("10.1.2.3"), parse_endpoint("rtu:///dev/ttyUSB0?baudrate=19200")
    return [
        _Device("pcs", pcs, shared, 1, "pcs"),
        _Device("rack_1", rack, shared, 11),
        _Device("rack_2", rack, line, 1),
        _Device("rack_3", rack, Endpoint(transport="rtu+tcp", host="10.1.2.4"), 1),
        _Device("rack_4", rack, parse_endpoint("10.1.2.10:502"), 1),
        _Device("rack_5", rack, parse_endpoint("10.1.2.11:502"), 1),
    ]


def test_a_site_is_simulated_bus_by_bus(pcs: Profile, rack: Profile) -> None:
    async def play() -> None:
        devices = _real(pcs, rack)
        site, buses = from_site(devices, port=0)
        async with site:
            assert len(site.buses) == 5
            both = buses[devices[0].endpoint]
            assert both.units == [1, 11]
            assert isinstance(buses[devices[2].endpoint], TwinSerial)
            serial = buses[devices[3].endpoint]
            assert isinstance(serial, TwinServer)
            assert serial.transport == "rtu+tcp"
            assert isinstance(both, TwinServer)
            async with raw(both) as wire:
                assert await wire.ask(1, unit=11) == answer(1, 500, unit=11)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_ports_count_up_from_the_first(pcs: Profile, rack: Profile) -> None:
    async def play() -> None:
        site, _ = from_site(_real(pcs, rack), port=20_000)
        assert [bus.port for bus in site.buses if isinstance(bus, TwinServer)] == [
            20_000,
            20_001,
            20_002,
            20_003,
        ]

    asyncio.run(play())


_SITE: dict[str, Any] = {
    "site": "demo",
    "buses": {"hall": "10.1.2.3", "spare": "10.9.9.9"},
    "devices": {
        "pcs": {"profile": "own.json", "role": "pcs", "bus": "hall", "control": True},
        "rack_1": {"profile": "huawei_sun2000", "role": "battery", "bus": "hall", "unit": 11},
        "rack_2": {"profile": "rack", "role": "battery", "endpoint": "rtu:///dev/ttyUSB0?baudrate=19200"},
        "rack_{n}": {"profile": "rack", "role": "battery", "endpoint": "10.1.2.{n+9}:502", "count": 2},
    },
    "points": {"soc": {"mean": "soc"}},
}


def _write(tmp_path: Path, second: str) -> Any:
    source, target = tmp_path / "site.yaml", tmp_path / "out" / "sim.yaml"
    target.parent.mkdir()
    (tmp_path / "own.json").write_text("{}")
    source.write_text(yaml.safe_dump(_SITE))
    texts = {
        "10.1.2.3": "127.0.0.1:5020",
        "rtu:///dev/ttyUSB0?baudrate=19200": "rtu:///dev/pts/3",
        "10.1.2.10:502": "127.0.0.1:5021",
        "10.1.2.11:502": second,
    }
    simulated_file(source, target, {parse_endpoint(real): text for real, text in texts.items()})
    return yaml.safe_load(target.read_text())


def test_the_site_file_of_a_simulation_differs_in_its_endpoints_only(tmp_path: Path) -> None:
    written = _write(tmp_path, "127.0.0.1:5022")
    assert written["buses"] == {"hall": "127.0.0.1:5020", "spare": "10.9.9.9"}
    devices = written["devices"]
    assert devices["pcs"]["profile"] == str(tmp_path / "own.json")
    assert devices["rack_1"] == _SITE["devices"]["rack_1"]
    assert devices["rack_2"]["endpoint"] == "rtu:///dev/pts/3"
    assert devices["rack_{n}"]["endpoint"] == "127.0.0.1:{n+5020}"
    assert written["points"] == _SITE["points"]


def test_endpoints_that_do_not_count_up_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"devices.rack_\{n\}.endpoint"):
        _write(tmp_path, "127.0.0.1:7000")


def test_each_converter_moves_the_racks_that_it_names(pcs: Profile, rack: Profile) -> None:
    racks = {
        "rack_1": Traits(capacity=10.0, soc=80.0),
        "rack_2": Traits(capacity=30.0, soc=40.0),
        "rack_3": Traits(capacity=20.0, soc=20.0),
    }
    site = TwinSite(
        [
            TwinBus(
                LOCAL,
                [
                    TwinUnit(name="a", profile=pcs, unit=1, traits=Traits(batteries=("rack_1", "rack_2"))),
                    TwinUnit(name="b", profile=pcs, unit=2, traits=Traits(batteries=("rack_3",))),
                    *(
                        TwinUnit(name=name, profile=rack, unit=n, traits=traits)
                        for n, (name, traits) in enumerate(racks.items(), 11)
                    ),
                ],
            )
        ]
    )
    batteries = {name: device.plant.battery for name, device in site.devices.items()}
    assert {name: batteries[name].soc for name in racks} == pytest.approx(
        {"rack_1": 80, "rack_2": 40, "rack_3": 20}
    )
    assert {name: batteries[name].config.energy_capacity for name in ("a", "b", *racks)} == pytest.approx(
        {"a": 40, "b": 20, "rack_1": 10, "rack_2": 30, "rack_3": 20}
    )
    assert batteries["a"].soc == pytest.approx(50), "the racks' mean by capacity"
    site.devices["a"].write("holding", 200, [2, 0, 400, 60])  # 4 kW out
    site.clock.advance(600)
    assert {name: batteries[name].power for name in racks} == pytest.approx(
        {"rack_1": 1.0, "rack_2": 3.0, "rack_3": 0.0}, abs=0.01
    )
    taken = (80 - batteries["rack_1"].soc) * 0.10, (40 - batteries["rack_2"].soc) * 0.30
    assert taken[1] == pytest.approx(3 * taken[0], rel=0.1)
    assert batteries["rack_3"].soc == pytest.approx(20)


def test_the_first_rack_at_its_limit_stops_its_converter(pcs: Profile, rack: Profile) -> None:
    units = [
        TwinUnit(name="a", profile=pcs, unit=1, traits=Traits(batteries=("empty", "full"))),
        TwinUnit(name="empty", profile=rack, unit=11, traits=Traits(capacity=10.0, soc=5.0)),
        TwinUnit(name="full", profile=rack, unit=12, traits=Traits(capacity=10.0, soc=90.0)),
    ]
    site = TwinSite([TwinBus(LOCAL, units)])
    site.devices["a"].write("holding", 200, [2, 0, 400, 60])  # 4 kW out
    site.clock.advance(30)
    assert site.devices["a"].plant.battery.power == pytest.approx(0.0, abs=0.01)
    site.devices["a"].write("holding", 200, [1, 400, 0, 60])  # 4 kW in
    site.clock.advance(30)
    assert site.devices["a"].plant.battery.power == pytest.approx(-4.0, abs=0.01)


@pytest.mark.parametrize(("raw", "power"), [(0, 0.0), (100, 0.0), (199, 0.0), (200, 2.0), (300, 3.0)])
def test_a_converter_with_a_smallest_power_stands_still_below_it(
    pcs: Profile, raw: int, power: float
) -> None:
    site = TwinSite([TwinBus(LOCAL, [TwinUnit(name="a", profile=pcs, unit=1, traits=Traits(power_min=2.0))])])
    site.devices["a"].write("holding", 200, [2, 0, raw, 60])
    site.clock.advance(30)
    assert site.devices["a"].plant.battery.power == pytest.approx(power, abs=0.01)


def test_a_state_of_charge_of_nobody_is_told() -> None:
    with pytest.raises(ValueError, match="no device 'rack_9'"):
        from_site([], soc={"rack_9": 20.0})
