"""A SunSpec twin: found by an independent client and by ours, read alike, commanded, and falling back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bessai.drivers import UniversalDriver
from bessai.drivers.modbus import Manners, ModbusClient
from bessai.drivers.sunspec import Discovery, NotSunSpecError, discover
from bessai.model import Endpoint, Quality, Write
from bessai.model.command import _issue
from bessai.registry import compile_profile
from bessai.registry.sequences import fill
from bessai.twin import Plant, TwinDevice, TwinServer
from support.gateway import bessai
from support.modbus_device import ScriptedDevice
from support.sunspec import DER, LEGACY, demo_profile, registers

STRINGS = DER | {803: 26 + 3 * 32}


async def _discover(port: int) -> Discovery:
    client = ModbusClient(Endpoint(host="127.0.0.1", port=port))
    await client.connect()
    try:
        return await discover(client, 1)
    finally:
        client.close()


def _scan(port: int) -> dict[int, dict[str, Any]]:
    """What pysunspec2's own client finds: model id to point to value."""
    client = pytest.importorskip("sunspec2.modbus.client")
    device = client.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port)
    try:
        device.scan()
        return {
            key: {name: point.cvalue for name, point in models[0].points.items()}
            for key, models in device.models.items()
            if isinstance(key, int)
        }
    finally:
        device.close()


def _good(driver: UniversalDriver, name: str) -> float:
    values, quality, _ = driver.columns(asyncio.get_running_loop().time())
    i = driver.profile.layout.index[name]
    assert quality[i] == Quality.GOOD, name
    return float(values[i])


@pytest.mark.parametrize("models", [STRINGS, LEGACY])
def test_both_clients_find_the_same_models(models: dict[int, int | None]) -> None:
    async def run() -> None:
        async with TwinServer(demo_profile(models), seed=1, dense=True) as twin:
            theirs = await asyncio.to_thread(_scan, twin.port)
            ours = await _discover(twin.port)
        assert list(theirs) == [at.id for at in ours.chain.models] == list(models)
        assert ours.chain.problem is None

    asyncio.run(run())


def test_both_clients_read_the_same_values() -> None:
    async def run() -> None:
        async with TwinServer(demo_profile(STRINGS), seed=1, dense=True, speed=0.001) as twin:
            for name, value in {"active_power": -3.25, "soc": 51.5, "cell_voltage_max": 3.377}.items():
                twin.device.force(name, value)
            theirs = await asyncio.to_thread(_scan, twin.port)
            found = await _discover(twin.port)
            driver = UniversalDriver(compile_profile(found.profile), "127.0.0.1", twin.port)
            await driver.read_all()
            assert driver.problem is None
            for model, point, name, factor in (
                (701, "W", "active_power", 0.001),
                (701, "VL1", "phase_voltage_a", 1),
                (713, "SoC", "soc", 1),
                (713, "WHRtg", "energy_capacity", 0.001),
                (702, "WChaRteMax", "charge_power_max", 0.001),
                (802, "V", "battery_voltage", 1),
                (802, "CellVMax", "cell_voltage_max", 1),
            ):
                assert _good(driver, name) == pytest.approx(theirs[model][point] * factor), name
            assert _good(driver, "active_power") == -3.25
            assert driver.texts["manufacturer"] == theirs[1]["Mn"] != ""
            assert found.profile.control is not None
            await driver.close()

    asyncio.run(run())


def test_a_scale_factor_that_changes_is_right_in_the_next_read() -> None:
    async def run() -> None:
        async with TwinServer(demo_profile(), seed=1, dense=True, speed=0.001) as twin:
            driver = UniversalDriver(compile_profile(demo_profile()), "127.0.0.1", twin.port)
            await driver.read_all()
            before = _good(driver, "phase_voltage_a")
            twin.device.force("m701_v_sf", 0)
            await driver.read_all()
            assert before == pytest.approx(230, abs=2)
            assert _good(driver, "phase_voltage_a") == pytest.approx(before, abs=0.5)
            twin.device.force("m701_v_sf", None)
            await driver.read_all()
            quality = driver.columns(asyncio.get_running_loop().time())[1]
            assert quality[driver.profile.layout.index["phase_voltage_a"]] == Quality.NOT_AVAILABLE
            await driver.close()

    asyncio.run(run())


def test_the_driver_commands_the_plant_and_silence_ends_it() -> None:
    async def run() -> None:
        async with TwinServer(demo_profile(), seed=1, dense=True, speed=0.001) as twin:
            profile = compile_profile((await _discover(twin.port)).profile)
            assert profile.control is not None
            driver = UniversalDriver(profile, "127.0.0.1", twin.port)
            await driver.read_all()
            steps = fill(profile.control.charge, profile.points, -4.321, 60, lambda n: _good(driver, n))
            outcome = await driver.write(_issue("charge", -4.321, tuple(Write(n, v) for n, v in steps)))
            assert outcome.error is None
            assert outcome.verified
            device = twin.device
            device.advance(50)
            assert device.value("active_power") == pytest.approx(-4.321, abs=0.01)
            assert device.value("m704_w_set_rvrt_rem") == pytest.approx(10, abs=1)
            feed = (Write("m704_w_set_rvrt_tms", 60.0),)
            assert (await driver.write(_issue("feed", None, feed, feed=True))).verified
            device.advance(50)
            assert device.value("active_power") == pytest.approx(-4.321, abs=0.01)
            device.advance(20)
            assert device.fallbacks == 1
            assert abs(device.value("active_power")) < 0.1
            assert device.value("m704_w_set_ena") == 0
            await driver.close()

    asyncio.run(run())


def test_vars_reach_the_plant_and_end_with_the_power() -> None:
    async def run() -> None:
        async with TwinServer(demo_profile(), seed=1, dense=True, speed=0.001) as twin:
            profile = compile_profile((await _discover(twin.port)).profile)
            control, device = profile.control, twin.device
            assert control is not None
            assert control.reactive is not None
            assert control.measured_reactive == "m701_var"
            driver = UniversalDriver(profile, "127.0.0.1", twin.port)
            await driver.read_all()
            for power, kvar in ((0.0, 3.25), (-4.0, -2.5)):
                own = control.charge if power else control.zero
                steps = fill(
                    [*own, *control.reactive], profile.points, power, 60, lambda n: _good(driver, n), kvar
                )
                outcome = await driver.write(_issue("charge", power, tuple(Write(n, v) for n, v in steps)))
                assert outcome.verified, outcome.error
                device.advance(20)
                assert device.value("m701_var") == pytest.approx(kvar, abs=0.01)
            device.advance(60)
            assert device.fallbacks == 1
            assert device.value("m701_var") == 0.0
            await driver.close()

    asyncio.run(run())


def test_nothing_is_written_while_the_exponent_is_unknown() -> None:
    async def run() -> None:
        async with TwinServer(demo_profile(), seed=1, dense=True) as twin:
            driver = UniversalDriver(compile_profile(demo_profile()), "127.0.0.1", twin.port)
            twin.device.force("m704_w_set_sf", None)
            await driver.read_all()
            outcome = await driver.write(_issue("charge", -1.0, (Write("m704_w_set", -1.0),)))
            assert not outcome.verified
            assert "m704_w_set_sf is not known" in (outcome.error or "")
            assert not twin.device.log
            await driver.close()

    asyncio.run(run())


def test_the_heartbeat_counts_seconds() -> None:
    device = TwinDevice(demo_profile(), Plant(seed=1), dense=True)
    before = device.value("m715_der_hb")
    device.advance(7)
    assert device.value("m715_der_hb") == before + 7


def test_what_is_no_sunspec_device_says_so() -> None:
    async def run() -> None:
        async with ScriptedDevice(registers([(64999, 4)])) as device:
            with pytest.raises(NotSunSpecError, match="official definition"):
                await _discover(device.port)
        async with ScriptedDevice({0: 1}) as device:
            with pytest.raises(NotSunSpecError, match="no SunSpec marker"):
                await _discover(device.port)

    asyncio.run(run())


def test_a_silent_device_is_given_up() -> None:
    async def run() -> None:
        async with TwinServer(demo_profile(), seed=1, dense=True) as twin:
            twin.faults.silent = True
            client = ModbusClient(Endpoint(host="127.0.0.1", port=twin.port), manners=Manners(timeout=0.05))
            await client.connect()
            with pytest.raises(NotSunSpecError, match="unit 1"):
                await discover(client, 1)
            assert client.stats.requests <= 3
            client.close()

    asyncio.run(run())


def test_read_command_discovers_first() -> None:
    async def run() -> None:
        async with TwinServer(demo_profile(), seed=1, dense=True) as twin:
            address = f"127.0.0.1:{twin.port}"
            done = await asyncio.to_thread(bessai, "read", address, "--profile", "sunspec", "--json")
        assert done.returncode in {0, 3}, done.stderr
        points = json.loads(done.stdout)["points"]
        assert (points["soc"]["value"], points["soc"]["quality"]) == (50.0, "good")
        async with ScriptedDevice({0: 1}) as device:
            done = await asyncio.to_thread(bessai, "read", f"127.0.0.1:{device.port}", "-p", "sunspec")
        assert done.returncode == 1
        assert "no SunSpec marker" in done.stderr

    asyncio.run(run())
