"""Many devices behind one cycle, on real sockets: what control may believe of a plant, and what it says of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessai.core import plant as plant_module
from bessai.core.cycle import ControlCycle
from bessai.core.deadman import DeadMan
from bessai.core.guard import SafetyGuard
from bessai.core.limits import Limits
from bessai.core.plant import Plant
from bessai.core.requests import RequestBook
from bessai.core.unit import Unit
from bessai.model import Condition, CycleRecord, Event, GuardState, Priority, Quality, Request, SystemClock
from bessai.registry import NO_DEVICE
from bessai.site import load_site
from support.modbus_device import ScriptedDevice, frame
from support.profiles import BATTERY, CONTROL, DEAD_MAN, REGISTERS, document

PERIOD = 0.1
STALE = 1.0
RACK: dict[str, Any] = {
    "soc": BATTERY["soc"],
    "cell_voltage_max": {"address": 1, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
    "cell_voltage_min": {"address": 2, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
    "beat": {"address": 3, "type": "u16", "poll": "fast"},
}
RACK_REGISTERS = {0: 500, 1: 3300, 2: 3200, 3: 0}
MANNERS = {"timeout": 0.4, "timeout_min": 0.4, "retries": 0}


class Units(ScriptedDevice):
    """Several units on one connection, each with registers of its own; a unit in `dead` is silent."""

    def __init__(self, units: dict[int, dict[int, int]]) -> None:
        super().__init__()
        self.units = units
        self.dead: set[int] = set()
        self.asked: list[int] = []
        self.hook = self._by_unit

    async def _by_unit(self, transaction: int, unit: int, pdu: bytes) -> bytes | None:
        self.asked.append(unit)
        if unit in self.dead:
            return None
        self.registers = self.units[unit]
        return frame(transaction, unit, self.answer(pdu))


class Rig:
    """A site file on scripted devices: plant, guard and cycle."""

    def __init__(self, folder: Path, text: str, limits: Limits | None = None) -> None:
        path = folder / "site.yaml"
        path.write_text(text)
        self.site = load_site(path)
        self.clock = SystemClock()
        self.plant = Plant(self.site, self.clock, cycle=PERIOD, stale_after=STALE)
        device = self.site.controlled
        profile = device.compiled if device else NO_DEVICE
        self.unit = Unit(
            profile,
            limits or Limits(),
            DeadMan(profile, 0.2),
            name=device.name if device else "",
            control=device is not None,
            foreign=self.site.view.foreign,
        )
        self.guard = SafetyGuard([self.unit])
        self.book = RequestBook()
        self.events: list[Event] = []
        self.cycle = ControlCycle(self.plant, self.guard, self.book, self, self.clock, PERIOD)

    def append(self, record: CycleRecord) -> None:
        self.events += record.events

    def append_event(self, event: Event) -> None:
        self.events.append(event)

    def ask(self, power: float) -> None:
        now = self.clock.monotonic()
        self.book.put(Request(source="test", priority=Priority.OPERATOR, power=power, expires=now + 600))

    async def until(self, check: Callable[[CycleRecord], bool], limit: int = 400) -> CycleRecord:
        for _ in range(limit):
            record = await self.cycle.step()
            if check(record):
                return record
            await asyncio.sleep(PERIOD / 2)
        raise AssertionError(f"not reached in {limit} cycles; {self.cycle.last}; {self.plant.status()}")

    async def at(self, setpoint: float) -> None:
        await self.until(lambda r: r.decision.setpoint == setpoint and r.verified)

    def quality(self, name: str) -> Quality:
        return self.plant.images.whole(0).quality_of(name)

    def said(self, code: str, *, active: bool = True) -> list[str]:
        return [event.message for event in self.events if event.code == code and event.active is active]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def write(name: str, **content: Any) -> None:
        whole = {"connection": MANNERS, **content}
        (tmp_path / f"{name}.json").write_text(json.dumps({**document(**whole), "id": name}))

    write("pcs", points=BATTERY, control=CONTROL, dead_man=DEAD_MAN)
    write("rack", points=RACK)
    write("living_rack", points=RACK, alive={"point": "beat", "within": 0.5})
    bms = {
        "charge_power_max": {"address": 4, "type": "u16", "unit": "kW", "poll": "fast"},
        "discharge_power_max": {"address": 5, "type": "u16", "unit": "kW", "poll": "fast"},
    }
    write("limiting_rack", points=RACK | bms)
    points = {name: point for name, point in BATTERY.items() if name not in bms}
    control = CONTROL | dict.fromkeys(bms)
    write("plain_pcs", points=points, control=control, dead_man=DEAD_MAN)
    return tmp_path


def _text(pcs: ScriptedDevice | None, racks: ScriptedDevice, count: int = 2, **more: str) -> str:
    profile = more.get("profile", "rack")
    control = "" if pcs is None else (
        f"  pcs: {{profile: {more.get('commanded', 'pcs')}.json, role: pcs, "
        f'endpoint: "127.0.0.1:{pcs.port}", control: true}}\n'
    )  # fmt: skip
    return (
        f"devices:\n{control}"
        f"  rack_{{n}}: {{count: {count}, profile: {profile}.json, role: battery, capacity: 100, "
        f'endpoint: "127.0.0.1:{racks.port}", unit: "{{n}}", period: {more.get("period", PERIOD)}}}\n'
        + more.get("points", "")
    )


def _racks(count: int = 2) -> Units:
    return Units({n: dict(RACK_REGISTERS) for n in range(1, count + 1)})


def _play(
    folder: Path,
    body: Callable[[Rig, ScriptedDevice, Units], Awaitable[None]],
    *,
    racks: Units | None = None,
    control: bool = True,
    limits: Limits | None = None,
    **more: str,
) -> None:
    racks = racks or _racks()

    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as pcs, racks:
            text = _text(pcs if control else None, racks, len(racks.units), **more)
            rig = Rig(folder, text, limits)
            rig.plant.start()
            try:
                await body(rig, pcs, racks)
            finally:
                await rig.plant.close()

    asyncio.run(run())


def _normal(record: CycleRecord) -> bool:
    return record.decision.state is GuardState.NORMAL and record.verified


def test_the_worst_cell_of_any_rack_limits_the_commanded_device(folder: Path) -> None:
    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        rig.ask(-10.0)
        await rig.at(-10.0)
        assert (pcs.registers[22], pcs.registers[20]) == (10_000, 1)
        racks.units[2][1] = 3660
        await rig.at(0.0)
        assert pcs.registers[20] == 2
        assert "cell_voltage_max is beyond its limit: no charge" in rig.said("limit_reached")

    _play(folder, body)


def test_one_rack_lost_means_the_safe_state_and_an_alarm_that_names_it(folder: Path) -> None:
    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        rig.ask(10.0)
        await rig.at(10.0)
        racks.dead.add(2)
        await rig.until(lambda r: r.decision.state is GuardState.HOLD)
        assert rig.cycle.view is not None
        assert rig.cycle.view.quality_of("soc") is Quality.STALE
        await rig.until(lambda _: pcs.registers[24] == 0)
        await rig.until(lambda _: bool(rig.said("device_unavailable")))
        assert rig.said("device_unavailable")[0].startswith("rack_2: the device does not answer")
        assert rig.said("evidence_lost")
        assert rig.quality("rack_1.soc") is Quality.GOOD, "the other one on the line is read as before"
        racks.dead.clear()
        await rig.at(10.0)
        await rig.until(lambda _: bool(rig.said("device_unavailable", active=False)))

    _play(folder, body)


def test_a_rack_that_has_no_such_point_does_not_excuse_the_others(folder: Path) -> None:
    racks = _racks()
    del racks.units[1][1]

    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        rig.ask(-10.0)
        racks.units[2][1] = 3700  # a cell that must not be charged
        await rig.until(
            lambda _: (
                rig.quality("rack_1.cell_voltage_max") is Quality.ABSENT
                and rig.quality("rack_2.cell_voltage_max") is Quality.GOOD
            )
        )
        assert rig.quality("cell_voltage_max") is Quality.MISSING
        for _ in range(20):
            record = await rig.cycle.step()
            assert record.decision.setpoint == 0.0
            await asyncio.sleep(PERIOD / 2)
        assert pcs.registers[20] != 1

    _play(folder, body, racks=racks)


def test_what_no_rack_has_is_no_evidence_that_is_missing(folder: Path) -> None:
    racks = _racks()
    for registers in racks.units.values():
        del registers[1]

    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        await rig.until(_normal)
        assert rig.quality("cell_voltage_max") is Quality.ABSENT

    _play(folder, body, racks=racks)


def test_values_of_others_do_not_prove_the_commanded_device(folder: Path) -> None:
    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        async def ill(transaction: int, unit: int, pdu: bytes) -> bytes:
            return frame(transaction, unit, bytes((pdu[0] | 0x80, 4)))

        pcs.hook = ill
        await rig.until(lambda _: rig.quality("soc") is Quality.GOOD and pcs.requests != [])
        for _ in range(10):
            await rig.cycle.step()
            await asyncio.sleep(PERIOD / 2)
        assert {pdu[0] for pdu in pcs.requests} == {3}, (
            "nothing is written to a device that never said a word"
        )
        pcs.hook = None
        await rig.until(_normal)

    _play(folder, body)


def test_the_mean_of_others_does_not_stand_for_the_commanded_battery(folder: Path) -> None:
    async def run() -> None:
        async with (
            ScriptedDevice({**REGISTERS, 0: 50}) as empty,
            ScriptedDevice({**REGISTERS, 0: 950}) as full,
        ):
            rig = Rig(
                folder,
                "devices:\n"
                f'  a: {{profile: pcs.json, role: inverter, endpoint: "127.0.0.1:{empty.port}", control: true}}\n'
                f'  b: {{profile: pcs.json, role: inverter, endpoint: "127.0.0.1:{full.port}", period: 0.1}}\n',
            )
            rig.plant.start()
            rig.ask(10.0)
            await rig.until(lambda _: rig.quality("soc") is Quality.GOOD)
            record = await rig.until(lambda r: r.verified and r.decision.state is GuardState.DERATED)
            assert record.image.good("soc") == 50.0
            assert rig.cycle.view is not None
            assert rig.cycle.view.good("soc") == 5.0
            assert record.decision.setpoint == 0.0
            await rig.plant.close()

    asyncio.run(run())


def test_the_racks_own_power_limits_count(folder: Path) -> None:
    racks = _racks()
    for registers in racks.units.values():
        registers.update({4: 20, 5: 15})

    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        rig.ask(80.0)
        await rig.at(30.0)
        racks.units[1][5] = 0
        await rig.at(15.0)

    _play(
        folder,
        body,
        racks=racks,
        limits=Limits(charge_power_max=100.0, discharge_power_max=100.0),
        profile="limiting_rack",
        commanded="plain_pcs",
    )


def test_a_dead_unit_costs_the_others_nothing_but_time(folder: Path) -> None:
    racks = _racks(4)
    racks.dead.add(3)

    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        await rig.until(lambda _: rig.plant.status()["well"] == 4 and racks.asked.count(3) >= 2)
        status = rig.plant.status()
        assert (status["total"], status["links"], list(status["problems"])) == (5, 2, ["rack_3"])
        assert racks.connections == 1, "the line stays up"
        device = rig.plant.device_status("rack_3")
        assert device is not None
        assert (device["name"], device["role"], device["profile"], device["unit"]) == (
            "rack_3", "battery", "rack", 3,
        )  # fmt: skip
        assert "does not answer" in device["problem"]
        assert rig.plant.device_status("rack_9") is None
        racks.dead.clear()
        await rig.until(lambda _: rig.plant.status()["well"] == 5)

    _play(folder, body, racks=racks)


def test_a_lost_line_is_made_anew_once_for_all(folder: Path) -> None:
    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        await rig.until(lambda _: rig.plant.status()["well"] == 5)
        racks.drop()
        await rig.until(lambda _: racks.connections >= 2)
        await rig.until(lambda _: rig.plant.status()["well"] == 5)
        assert racks.connections == 2

    _play(folder, body, racks=_racks(4))


def test_all_on_one_line_and_it_breaks(folder: Path) -> None:
    """Whoever makes the connection anew, the commanded device is armed and told again."""
    line = _racks()
    line.units[9] = dict(REGISTERS)

    async def run() -> None:
        async with line:
            text = _text(line, line).replace("control: true", "control: true, unit: 9")
            rig = Rig(folder, text)
            rig.plant.start()
            rig.ask(5.0)
            await rig.at(5.0)
            for _ in range(5):
                line.units[9].update({20: 0, 24: 0, 25: 0})  # it forgets
                line.drop()
                await asyncio.sleep(PERIOD / 2)
                await rig.at(5.0)
                assert (line.units[9][20], line.units[9][24], line.units[9][25]) == (2, 5_000, 20)
            await rig.plant.close()

    asyncio.run(run())


def test_every_device_is_read_soon_also_those_with_a_long_period(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plant_module, "FIRST_ROUND", 0.5)

    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        await rig.until(lambda _: rig.plant.status()["well"] == 8)
        assert sorted(racks.asked) == list(range(1, 9)), "once each, then they wait for their hour"

    _play(folder, body, racks=_racks(8), control=False, period="3600")


def test_a_counter_that_stands_still_freezes_its_rack_and_what_is_made_of_it(folder: Path) -> None:
    racks = _racks()

    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        async def count() -> None:
            while True:
                racks.units[1][3] = (racks.units[1][3] + 1) % 1000
                await asyncio.sleep(PERIOD / 4)

        counting = asyncio.create_task(count())
        await rig.until(lambda _: rig.quality("rack_2.soc") is Quality.FROZEN)
        await rig.until(
            lambda _: rig.quality("rack_1.soc") is Quality.GOOD and rig.quality("soc") is Quality.FROZEN
        )
        counting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await counting

    _play(folder, body, racks=racks, profile="living_rack")


def test_an_image_does_not_change_any_more(folder: Path) -> None:
    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        await rig.until(lambda _: rig.quality("soc") is Quality.GOOD)
        image = rig.plant.images.whole(1)
        view, (views, part) = rig.plant.images.view(image), rig.plant.images.quick(1)
        (quick,) = views.values()
        assert quick.layout.names == view.layout.names
        assert np.array_equal(quick.values, view.values, equal_nan=True)
        assert np.array_equal(quick.quality, view.quality)
        racks.units[1][0] = 400
        await rig.until(lambda _: rig.plant.images.whole(2).good("rack_1.soc") == 40.0)
        assert (image.good("rack_1.soc"), image.good("soc"), view.good("soc")) == (50.0, 50.0, 50.0)
        assert "rack_1.soc" not in part.layout.index
        assert part.good("pcs.soc") == 55.5
        for frozen in (image, view, part):
            with pytest.raises(ValueError, match="read-only"):
                frozen.values[0] = 1.0

    _play(folder, body)


def test_a_rule_that_breaks_spoils_its_own_point_only(folder: Path) -> None:
    class Broken:
        column = 0
        inputs: frozenset[int] = frozenset()

        def apply(self, *_: Any) -> None:
            raise ArithmeticError("bug")

    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        rig.ask(10.0)
        await rig.at(10.0)
        name = "soc"
        broken = Broken()
        broken.column = rig.site.layout.index[name]
        rules = tuple(rule for rule in rig.site.rules if rule.column != broken.column)
        object.__setattr__(rig.site, "rules", (broken, *rules))
        await rig.until(lambda r: r.decision.state is GuardState.HOLD and pcs.registers[24] == 0)
        assert rig.quality(name) is Quality.INVALID
        assert rig.quality("cell_voltage_max") is Quality.GOOD

    _play(folder, body)


def test_a_site_without_a_commanded_device_is_watched_only(folder: Path) -> None:
    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        rig.ask(5.0)
        await rig.until(lambda _: rig.plant.status()["well"] == 2)
        record = await rig.cycle.step()
        assert record.decision.state is GuardState.MONITOR
        assert record.verified
        assert record.decision.setpoint is None
        assert not rig.plant.units
        assert {pdu[0] for pdu in racks.requests} == {3}
        racks.dead |= {1, 2}
        await rig.until(lambda _: len(rig.said("device_unavailable")) == 2)

    _play(folder, body, control=False)


def test_a_device_whose_reading_hangs_is_told_of(folder: Path) -> None:
    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        await rig.until(lambda _: rig.plant.status()["well"] == 3)

        async def hang() -> bool:
            await asyncio.Event().wait()
            return True

        driver = rig.plant._members[1].driver
        driver.read_fast = hang  # type: ignore[method-assign]

        def told() -> list[Condition]:
            return [c for c in rig.plant.conditions() if c.code == "device_unavailable"]

        await rig.until(lambda _: bool(told()))
        assert [condition.message for condition in told()] == ["rack_1: delivers nothing new"]

    _play(folder, body)


def test_a_write_that_breaks_is_not_taken_for_done(folder: Path) -> None:
    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        rig.ask(5.0)
        await rig.at(5.0)
        (driver,) = rig.plant.units.values()
        assert driver is not None
        write = driver.write

        async def broken(_: Any) -> Any:
            raise RuntimeError("bug")

        driver.write = broken  # type: ignore[method-assign,assignment]
        rig.ask(7.0)
        record = await rig.until(lambda r: r.outcome is not None and not r.outcome.verified)
        assert record.outcome is not None
        assert "RuntimeError: bug" in (record.outcome.error or "")
        assert rig.unit.standing is None, "nobody knows what the device has now"
        pcs.registers[24] = 1_234
        driver.write = write  # type: ignore[method-assign]
        rig.ask(5.0)
        await rig.at(5.0)
        assert pcs.registers[24] == 5_000

    _play(folder, body)


def test_two_hundred_devices(folder: Path) -> None:
    racks = Units({n: {**RACK_REGISTERS, 0: n} for n in range(1, 201)})

    async def body(rig: Rig, pcs: ScriptedDevice, racks: Units) -> None:
        await rig.until(lambda _: rig.plant.status()["well"] == 200)
        image = rig.plant.images.whole(0)
        assert image.good("soc") == pytest.approx(np.mean(range(1, 201)) / 10)
        assert image.good("rack_137.soc") == pytest.approx(13.7)
        assert rig.plant.status()["oldest_value"] is not None
        device = rig.plant.device_status("rack_137")
        assert device is not None
        assert device["problem"] is None
        assert len(json.dumps(rig.plant.status())) < 500
        await racks.stop()
        await rig.until(lambda _: rig.plant.status()["well"] == 0)
        assert len(rig.plant.status()["problems"]) == 50, "a status stays short"

    _play(folder, body, racks=racks, control=False, period="1.0")
