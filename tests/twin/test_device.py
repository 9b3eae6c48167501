from __future__ import annotations

import math
import struct

import pytest

from bessai.registry import Profile, list_profiles, load_profile
from bessai.twin import BatteryConfig, Exc, Plant, PlantConfig, RefusedError, TwinDevice

from .conftest import MakeProfile


@pytest.fixture
def device(mini: Profile) -> TwinDevice:
    return TwinDevice(mini, Plant(seed=5))


def _refusal(device: TwinDevice, address: int, words: list[int] | int, table: str = "holding") -> Exc:
    def call() -> None:
        if isinstance(words, int):
            device.read(table, address, words)
        else:
            device.write(table, address, words)

    with pytest.raises(RefusedError) as refused:
        call()
    return refused.value.code


def test_live_points_stand_in_the_profiles_types_orders_and_gains(device: TwinDevice) -> None:
    device.write("holding", 201, [500])
    device.write("holding", 203, [60])
    device.write("holding", 200, [1])
    device.advance(60)
    plant = device.plant
    soc, low, high, *voltage = device.read("holding", 100, 5)
    assert soc == round(plant.battery.soc * 10)
    # word order little, gain -0.001: the device counts charging in positive watts
    assert struct.unpack(">i", struct.pack(">HH", high, low))[0] == round(-plant.battery.power * 1000) == 5000
    assert struct.unpack(">f", struct.pack(">HH", *voltage))[0] == pytest.approx(plant.battery.voltage)
    assert device.read("input", 10, 1) == [round(plant.grid.frequency * 1000)]
    plant.meter.energy_exported = 2.58
    assert device.read("holding", 116, 2) == [0x0000, 0x0201]  # 258 with the bytes of each register exchanged


def test_what_is_not_modelled_is_not_available(device: TwinDevice) -> None:
    assert device.read("holding", 105, 2) == [0x7FFF, 0xFFFF]
    assert math.isnan(struct.unpack(">f", struct.pack(">HH", *device.read("holding", 107, 2)))[0])
    assert math.isnan(device.value("pv_power"))
    assert device.read("holding", 109, 1) == [0]  # no alarm
    assert device.read("holding", 110, 1) == [7]  # running
    assert _refusal(device, 111, 1) is Exc.ILLEGAL_ADDRESS  # no sentinel: the twin does not have it
    assert _refusal(device, 4, 1, "discrete") is Exc.ILLEGAL_ADDRESS
    assert struct.pack(">4H", *device.read("holding", 112, 4)) == b"Mini 1\0\0"


def test_reads_fail_whole_across_a_missing_register_unless_dense(mini: Profile) -> None:
    strict, dense = TwinDevice(mini, Plant()), TwinDevice(mini, Plant(), dense=True)
    assert len(strict.read("holding", 200, 4)) == 4
    assert _refusal(strict, 203, 3) is Exc.ILLEGAL_ADDRESS
    assert dense.read("holding", 203, 3)[1] == 0
    assert _refusal(dense, 110, 2) is Exc.ILLEGAL_ADDRESS  # a named point that the twin has not
    assert _refusal(dense, 207, 1) is Exc.ILLEGAL_ADDRESS  # write-only
    assert _refusal(dense, 100, 41) is Exc.ILLEGAL_VALUE  # longer than connection.max_registers
    assert _refusal(dense, 65535, 2) is Exc.ILLEGAL_ADDRESS


@pytest.mark.parametrize(
    ("address", "words", "code"),
    [
        (100, [500], Exc.ILLEGAL_ADDRESS),  # read-only
        (112, [0, 0, 0, 0], Exc.ILLEGAL_ADDRESS),  # a text
        (205, [1], Exc.ILLEGAL_ADDRESS),  # half a value
        (204, [1], Exc.ILLEGAL_ADDRESS),  # nobody's
        (203, [5, 0], Exc.ILLEGAL_ADDRESS),  # one of them nobody's
        (203, [1441], Exc.ILLEGAL_VALUE),  # outside `valid`
        (203, [0xFFFF], Exc.ILLEGAL_VALUE),  # means not available
        (200, [3], Exc.ILLEGAL_VALUE),  # not in the enumeration
        (201, [1001], Exc.ILLEGAL_VALUE),  # above charge_power_max, inside `valid`
        (205, [0, 10_001], Exc.ILLEGAL_VALUE),  # a standing limit above it
    ],
)
def test_writes_that_a_device_refuses(device: TwinDevice, address: int, words: list[int], code: Exc) -> None:
    before = [device.registers.words_of(name) for name in device.profile.points]
    assert _refusal(device, address, words) is code
    assert [device.registers.words_of(name) for name in device.profile.points] == before
    assert not device.log


def test_a_refused_part_refuses_the_whole_write(device: TwinDevice) -> None:
    assert _refusal(device, 200, [1, 5000]) is Exc.ILLEGAL_VALUE
    assert device.value("mode") == 0
    assert device.order is not None
    assert device.order.kind == "stop"


def test_settings_keep_what_was_written(device: TwinDevice) -> None:
    assert device.value("charge_limit") == 10.0  # the maximum until somebody lowers it
    device.write("holding", 205, [0, 2500])
    device.write("coil", 7, [1])
    device.write("holding", 207, [42])
    assert device.plant.charge_limit == 2.5
    assert device.read("coil", 7, 1) == [1]
    assert [(entry.point, entry.value) for entry in device.log] == [
        ("charge_limit", 2.5), ("heater", 1.0), ("unlock", 42.0)
    ]  # fmt: skip
    device.write("holding", 200, [1, 800, 0, 5])
    device.advance(10)
    assert device.value("battery_power") == -2.5


def test_duration_ends_the_command_by_itself(device: TwinDevice) -> None:
    device.write("holding", 200, [2, 0, 300, 1])
    device.advance(59)
    assert device.value("battery_power") == 3.0
    device.write("holding", 200, [2])  # the feed starts the minute again
    device.advance(59)
    assert (device.value("battery_power"), device.fallbacks) == (3.0, 0)
    device.advance(1)
    assert (device.value("mode"), device.fallbacks, device.active) == (0.0, 1, False)
    device.advance(10)
    assert device.value("battery_power") == 0.0
    device.write("holding", 200, [2])
    device.advance(10)
    assert device.value("battery_power") == 3.0


def test_only_the_feed_feeds(device: TwinDevice) -> None:
    device.write("holding", 200, [2, 0, 300, 1])
    device.advance(50)
    device.write("holding", 202, [200])
    device.advance(5)
    assert device.value("battery_power") == 2.0
    device.advance(5)
    assert device.fallbacks == 1


def test_dead_man_acts_in_the_very_step(device: TwinDevice) -> None:
    device.write("holding", 200, [2, 0, 300, 1])
    device.advance(1000)
    times_at_power = device.plant.battery.energy_discharged / 3.0 * 3600
    assert times_at_power == pytest.approx(60.0, abs=1.0)


def test_clients_can_be_told_something_else(device: TwinDevice) -> None:
    device.force("soc", 5.0)
    device.force("battery_voltage", math.nan)
    device.force("pv_power", 1e6)
    device.force("device_status", raw=1)
    assert device.read("holding", 100, 1) == [50]
    assert math.isnan(device.value("battery_voltage"))
    assert device.value("pv_power") == 1e6
    assert device.read("holding", 110, 1) == [1]
    device.force("soc", 250.0)  # out of `valid`, but a register holds it
    assert device.value("soc") == 250.0
    device.force("soc")
    assert device.read("holding", 100, 1) == [0xFFFF]
    device.force("energy_exported_total", 655.36)
    assert (
        device.read("holding", 115, 2)[1] == 0x0100
    )  # the upper half of a value whose lower half is not read
    with pytest.raises(ValueError, match="does not fit type u16"):
        device.force("soc", 1e9)
    with pytest.raises(ValueError, match="cannot be not available"):
        device.force("alarms")
    with pytest.raises(KeyError):
        device.force("nonsense", 1)
    device.release("soc")
    assert device.value("soc") == pytest.approx(50.0, abs=0.05)
    device.release()
    assert device.value("battery_voltage") == pytest.approx(device.plant.battery.voltage)
    assert device.plant.battery.soc == pytest.approx(50.0)


def test_frozen_values_stay_while_the_plant_runs(device: TwinDevice) -> None:
    device.write("holding", 200, [2, 0, 900, 60])
    device.advance(10)
    device.freeze()
    seen = device.read("holding", 100, 5)
    device.advance(600)
    assert device.read("holding", 100, 5) == seen
    device.write("holding", 200, [0])
    assert device.read("holding", 200, 1) == [0]  # settings are not measurements
    device.release()
    assert device.read("holding", 100, 5) != seen


def test_a_removed_point_is_missing_until_released(device: TwinDevice) -> None:
    device.remove("soc")
    assert _refusal(device, 100, 3) is Exc.ILLEGAL_ADDRESS
    assert len(device.read("holding", 101, 2)) == 2
    device.release("soc")
    assert len(device.read("holding", 100, 3)) == 3
    device.release()
    assert _refusal(device, 111, 1) is Exc.ILLEGAL_ADDRESS  # never was there
    with pytest.raises(KeyError):
        device.remove("nonsense")


def test_a_deaf_device_takes_writes_and_does_nothing(device: TwinDevice) -> None:
    device.deaf = True
    device.write("holding", 200, [2, 0, 300, 1])
    device.advance(10)
    assert (device.value("mode"), device.value("battery_power")) == (2.0, 0.0)


def test_a_value_too_large_for_its_register_is_not_available(mini: Profile) -> None:
    battery = BatteryConfig(charge_power_max=7000.0, energy_capacity=10_000)
    device = TwinDevice(mini, Plant(PlantConfig(battery=battery)))
    assert device.read("holding", 118, 1) == [0xFFFF]


def test_states_are_found_by_meaning_and_listed_states(make_profile: MakeProfile, mini: Profile) -> None:
    points = {name: point.model_dump(exclude_unset=True) for name, point in mini.points.items()}
    points["meter_status"] = {"address": 300, "type": "u16", "enum": {"0": "offline", "4": "Normal"}}
    points["grid_code"] = {"address": 301, "type": "u16", "enum": {"1": "normal"}}
    device = TwinDevice(make_profile(points=points), Plant())
    assert device.read("holding", 300, 1) == [4]
    assert device.read("holding", 301, 1) == [0xFFFF]  # a setting that nobody made


@pytest.mark.parametrize("path", list_profiles(), ids=lambda path: path.stem)
def test_every_profile_that_ships_starts_and_has_its_evidence(path: object) -> None:
    profile = load_profile(path)  # type: ignore[arg-type]
    device = TwinDevice(profile, Plant(seed=1))
    for name, point in profile.points.items():
        if point.access != "w" and name not in device.registers.absent:
            unit = profile.connection.stations.get(point.station or "")
            assert len(device.read(point.table, point.address, point.registers, unit=unit)) == point.registers
    if profile.control is not None:
        for name in profile.control.evidence:
            assert not math.isnan(device.value(name)), f"{name} is evidence and not available"
        for name, states in profile.control.running_states.items():
            assert device.value(name) in states
