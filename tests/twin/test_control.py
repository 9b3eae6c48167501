"""Sequences of several kinds of device, recognised from their registers; and the dead-man kinds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bessai.registry import compile_profile
from bessai.registry.sequences import fill
from bessai.twin import Plant, RefusedError, TwinDevice
from bessai.twin.control import Order, recognise

from .conftest import MakeProfile

SIGNED = {
    "charge": [{"point": "enable", "value": 802}, {"point": "setpoint", "quantity": "power"}],
    "discharge": [{"point": "enable", "value": 802}, {"point": "setpoint", "quantity": "power"}],
    "zero": [{"point": "enable", "value": 802}, {"point": "setpoint", "value": 0}],
    "stop": [{"point": "enable", "value": 803}],
}
LIMITS = {
    "charge": [
        {"point": "enable", "value": 4},
        {"point": "give", "value": 0},
        {"point": "take", "quantity": "magnitude"},
    ],
    "discharge": [
        {"point": "enable", "value": 4},
        {"point": "take", "value": 0},
        {"point": "give", "quantity": "magnitude"},
    ],
    "zero": [
        {"point": "enable", "value": 4},
        {"point": "take", "value": 0},
        {"point": "give", "value": 0},
    ],
    "stop": [{"point": "enable", "value": 7}],
}
BARE = {
    "charge": [{"point": "setpoint", "quantity": "power"}],
    "discharge": [{"point": "setpoint", "quantity": "power"}],
    "zero": [{"point": "setpoint", "value": 0}],
    "stop": [{"point": "setpoint", "value": 0}],
}
POINTS: dict[str, Any] = {
    "battery_power": {"address": 1, "type": "i32", "gain": 0.001, "unit": "kW", "poll": "fast"},
    "active_power": {"address": 3, "type": "i32", "gain": 0.001, "unit": "kW", "poll": "fast"},
    "charge_power_max": {"address": 5, "type": "u16", "gain": 0.1, "unit": "kW"},
    "enable": {"address": 10, "type": "u16", "access": "rw"},
    "setpoint": {"address": 11, "type": "i32", "gain": -0.001, "unit": "kW", "access": "rw"},
    "take": {"address": 13, "type": "u16", "gain": 0.01, "unit": "kW", "access": "rw"},
    "give": {"address": 14, "type": "u16", "gain": 0.01, "unit": "kW", "access": "rw"},
    "counter": {"address": 15, "type": "u16", "access": "rw"},
    "timeout": {"address": 16, "type": "u16", "unit": "s", "access": "rw"},
}
EVIDENCE = {
    "measured": "battery_power",
    "evidence": ["battery_power"],
    "charge_power_max": "charge_power_max",
}


def _sections(sequences: dict[str, Any], **dead_man: Any) -> dict[str, Any]:
    return {
        "points": POINTS,
        "control": sequences | EVIDENCE,
        "dead_man": {"kind": "none", "fallback": "none"} | dead_man,
    }


@pytest.mark.parametrize(
    ("sequences", "values", "expected"),
    [
        (SIGNED, {"enable": 802, "setpoint": -5}, Order("charge", -5)),
        (SIGNED, {"enable": 802, "setpoint": 5}, Order("charge", 5)),
        (SIGNED, {"enable": 802, "setpoint": 0}, Order("zero", 0)),
        (SIGNED, {"enable": 803, "setpoint": -5}, Order("stop", None)),
        (SIGNED, {"enable": 1, "setpoint": -5}, None),
        (SIGNED, {"enable": 802, "setpoint": math.nan}, None),
        (LIMITS, {"enable": 4, "take": 3, "give": 0}, Order("charge", -3)),
        (LIMITS, {"enable": 4, "take": 0, "give": 3}, Order("discharge", 3)),
        (LIMITS, {"enable": 4, "take": 0, "give": 0}, Order("zero", 0)),
        (LIMITS, {"enable": 4, "take": 1, "give": 1}, None),
        (LIMITS, {"enable": 7, "take": 3, "give": 0}, Order("stop", None)),
        (BARE, {"setpoint": -2}, Order("charge", -2)),
        (BARE, {"setpoint": 2}, Order("charge", 2)),
        (BARE, {"setpoint": 0}, Order("stop", None)),
    ],
)
def test_registers_amount_to_an_order(
    make_profile: MakeProfile,
    sequences: dict[str, Any],
    values: dict[str, float],
    expected: Order | None,
) -> None:
    compiled = compile_profile(make_profile(**_sections(sequences)))
    assert recognise(compiled, values.__getitem__) == expected


def test_a_profile_without_control_orders_nothing(make_profile: MakeProfile) -> None:
    device = TwinDevice(make_profile(control=None, dead_man=None), Plant())
    device.write("holding", 200, [1])
    assert device.order is None
    assert not device.active


def _start(device: TwinDevice, kw: float) -> None:
    device.write("holding", 11, [(round(-kw * 1000) >> 16) & 0xFFFF, round(-kw * 1000) & 0xFFFF])


def _power(device: TwinDevice) -> float:
    return round(device.value("battery_power"), 2)


def test_signed_setpoint_moves_the_plant_and_stops_at_the_maximum(make_profile: MakeProfile) -> None:
    device = TwinDevice(make_profile(**_sections(SIGNED)), Plant(seed=1))
    device.write("holding", 10, [802])
    _start(device, -4)
    device.advance(10)
    assert _power(device) == -4
    with pytest.raises(Exception, match="exception 3"):
        _start(device, -10.1)
    _start(device, 6)
    device.advance(3600 * 1.0)
    assert _power(device) == 6
    assert device.fallbacks == 0  # no dead-man: for ever


def test_measured_active_power_is_commanded_at_the_ac_side(make_profile: MakeProfile) -> None:
    sections = _sections(SIGNED)
    sections["control"] |= {"measured": "active_power", "evidence": ["active_power"]}
    device = TwinDevice(make_profile(**sections), Plant(seed=1))
    device.write("holding", 10, [802])
    _start(device, 5)
    device.advance(10)
    assert device.value("active_power") == pytest.approx(5.0, abs=0.001)
    assert device.value("battery_power") > 5.05


def test_timeout_register_off_armed_fed_and_over(make_profile: MakeProfile) -> None:
    dead_man = {
        "kind": "timeout",
        "point": "timeout",
        "feed": ["setpoint"],
        "time": 30,
        "fallback": "own mode",
    }
    device = TwinDevice(make_profile(**_sections(SIGNED, **dead_man)), Plant(seed=1))
    device.write("holding", 10, [802])
    _start(device, 3)
    device.advance(1000)
    assert (_power(device), device.fallbacks) == (3, 0)  # 0 in the register: off
    _start(device, 3)
    device.write("holding", 16, [30])
    device.advance(29)
    _start(device, 3)
    device.advance(29)
    assert _power(device) == 3
    device.advance(10)
    assert (_power(device), device.fallbacks, device.fallen_back) == (0, 1, True)
    device.write("holding", 16, [30])
    device.advance(10)
    assert _power(device) == 0  # no feed
    _start(device, 2)
    device.advance(10)
    assert (_power(device), device.fallen_back) == (2, False)


def test_heartbeat_must_change(make_profile: MakeProfile) -> None:
    dead_man = {"kind": "heartbeat", "point": "counter", "time": 10, "fallback": "own mode"}
    device = TwinDevice(make_profile(**_sections(SIGNED, **dead_man)), Plant(seed=1))
    device.write("holding", 10, [802])
    _start(device, 3)
    for count in range(1, 6):
        device.write("holding", 15, [count])
        device.advance(8)
    assert (_power(device), device.fallbacks) == (3, 0)
    device.write("holding", 15, [5])
    device.advance(8)
    assert (device.fallbacks, device.active) == (1, False)
    device.write("holding", 15, [6])
    device.advance(5)
    assert _power(device) == 3


def test_setpoint_must_be_written_again(make_profile: MakeProfile) -> None:
    dead_man = {"kind": "rewrite", "feed": ["setpoint"], "time": 60, "fallback": "own mode"}
    device = TwinDevice(make_profile(**_sections(BARE, **dead_man)), Plant(seed=1))
    for _ in range(3):
        _start(device, -1)
        device.advance(50)
    assert _power(device) == -1
    assert device.deadline == pytest.approx(160, abs=0.2)
    device.advance(15)
    assert (_power(device), device.fallbacks) == (0, 1)


def test_percentages_of_a_point_are_recognised(make_profile: MakeProfile) -> None:
    exponent = {"address": 19, "type": "i16", "valid": [-10, 10]}
    points = POINTS | {
        "rate": {"address": 18, "type": "i16", "unit": "%", "access": "rw", "scale": "exponent"},
        "exponent": exponent,
    }
    step = {"point": "rate", "quantity": "magnitude", "of": "charge_power_max"}
    constant = {"point": "enable", "value": 4}
    sequences = {
        "charge": [constant, step],
        "discharge": [{"point": "enable", "value": 5}, step],
        "zero": [constant, {"point": "rate", "value": 0}],
        "stop": [{"point": "enable", "value": 7}],
    }
    sections = _sections(sequences) | {"points": points}
    compiled = compile_profile(make_profile(**sections))
    values = {"enable": 4.0, "rate": 12.5, "charge_power_max": 8.0}
    assert recognise(compiled, values.__getitem__) == Order("charge", -1.0)
    device = TwinDevice(make_profile(**sections), Plant(seed=1))
    device.write("holding", 10, [4])
    fits = round(device.value("exponent"))
    device.write("holding", 18, [round(25 / 10**fits)])
    device.advance(10)
    assert _power(device) == -2.5  # a quarter of 10 kW


KVAR: dict[str, Any] = {
    "reactive_power": {"address": 20, "type": "i32", "gain": 0.001, "unit": "kvar"},
    "reactive_power_max": {"address": 22, "type": "u16", "gain": 0.01, "unit": "kvar"},
    "apparent_power_max": {"address": 23, "type": "u16", "gain": 0.01, "unit": "kVA"},
    "reactive_enable": {"address": 24, "type": "u16", "access": "rw", "enum": {"0": "own", "1": "told"}},
    "reactive_kvar": {"address": 25, "type": "i16", "gain": 0.01, "unit": "kvar", "access": "rw"},
    "reactive_share": {"address": 26, "type": "i16", "gain": -0.1, "unit": "%", "access": "rw"},
}


def _told_kvar(make_profile: MakeProfile, step: dict[str, Any]) -> TwinDevice:
    sections = _sections(SIGNED)
    sections["points"] = POINTS | KVAR
    sections["control"] |= {
        "reactive": [{"point": "reactive_enable", "value": 1}, {"quantity": "reactive", **step}],
        "stop": [{"point": "reactive_enable", "value": 0}, {"point": "enable", "value": 803}],
        "reactive_power_max": "reactive_power_max",
        "apparent_power_max": "apparent_power_max",
    }
    return TwinDevice(make_profile(**sections), Plant(seed=1))


@pytest.mark.parametrize(
    "step",
    [{"point": "reactive_kvar"}, {"point": "reactive_share", "of": "apparent_power_max"}],
    ids=["in kvar", "in % of kVA, counted the other way round"],
)
def test_reactive_power_is_obeyed_as_the_profile_says(
    make_profile: MakeProfile, step: dict[str, Any]
) -> None:
    device = _told_kvar(make_profile, step)
    compiled, control = compile_profile(device.profile), device.profile.control
    assert control is not None
    assert control.reactive is not None

    def write(name: str, value: float) -> None:
        point = device.profile.points[name]
        raw = round((value - point.offset) / point.gain) % 2 ** (16 * point.registers)
        device.write("holding", point.address, [raw >> 16, raw & 0xFFFF][2 - point.registers :])

    def tell(kvar: float) -> None:
        for point, value in fill(control.reactive or (), compiled.points, 0.0, 0.0, device.value, kvar):
            write(point, value)

    tell(3.0)
    device.advance(5)
    assert device.value("reactive_power") == 0.0, "nobody has taken over the device yet"
    write("enable", 802)
    for kvar in (3.0, -4.0, 0.0, 10.0):
        tell(kvar)
        device.advance(5)
        assert device.value("reactive_power") == pytest.approx(kvar, abs=0.02)
    write("setpoint", -6.0)
    device.advance(20)
    assert abs(device.value("active_power")) > 5.5
    assert device.value("reactive_power") == pytest.approx(8.0, abs=0.3), "active power comes first"
    with pytest.raises(RefusedError):
        tell(11.0)
    write("reactive_enable", 0)
    device.advance(5)
    assert device.value("reactive_power") == 0.0
