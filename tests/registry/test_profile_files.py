"""The profiles that ship, and hand-computed vectors for each."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from bessai.model import Quality
from bessai.registry import (
    CompiledProfile,
    check_golden,
    compile_profile,
    golden_path,
    list_profiles,
    load_golden,
    load_profile,
    profile_directory,
    profile_json_schema,
)
from bessai.registry.docs import registry_markdown

PROFILES = list_profiles()


def _document(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def huawei() -> CompiledProfile:
    return compile_profile(load_profile("huawei_sun2000"))


def test_the_registry_is_not_empty() -> None:
    assert "huawei_sun2000" in {path.stem for path in PROFILES}


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_loads_compiles_and_meets_the_published_schema(path: Path) -> None:
    compiled = compile_profile(load_profile(path))
    assert compiled.id == path.stem
    assert compiled.plans
    schema = _document(profile_directory() / "profile.schema.json")
    jsonschema.Draft202012Validator(schema).validate(_document(path))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_golden_vectors_hold_both_ways(path: Path) -> None:
    if not golden_path(path).exists():
        pytest.fail(f"{golden_path(path)} is missing")
    assert check_golden(compile_profile(load_profile(path)), load_golden(golden_path(path))) == []


def test_the_published_schema_is_the_generated_one() -> None:
    published = _document(profile_directory() / "profile.schema.json")
    assert published == json.loads(json.dumps(profile_json_schema()))
    jsonschema.Draft202012Validator.check_schema(published)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("points", "soc", "gian"), 0.1),
        (("points", "soc", "type"), "u17"),
        (("points", "Soc"), {"address": 1, "type": "u16"}),
        (("connection", "max_registers"), 126),
        (("dead_man", "kind"), "hope"),
    ],
)
def test_an_editor_with_the_published_schema_sees_mistakes(where: tuple[str, ...], value: Any) -> None:
    document = _document(profile_directory() / "huawei_sun2000.json")
    at = document
    for key in where[:-1]:
        at = at[key]
    at[where[-1]] = value
    validator = jsonschema.Draft202012Validator(_document(profile_directory() / "profile.schema.json"))
    assert not validator.is_valid(document)


# Huawei SUN2000 with LUNA2000


def test_huawei_has_the_points_of_a_plant(huawei: CompiledProfile) -> None:
    assert len(huawei.layout) >= 45
    assert {"model_name", "serial_number"} <= set(huawei.text_names)
    needed = {"soc", "battery_power", "battery_temperature", "battery_status", "active_power", "grid_power"}
    needed |= {"device_status", "energy_capacity", "charge_power_max", "discharge_power_max", "frequency"}
    assert needed <= set(huawei.layout.names)


def test_huawei_reads_its_evidence_in_few_requests(huawei: CompiledProfile) -> None:
    assert huawei.control is not None
    fast = huawei.plans["fast"]
    assert len(fast.blocks) <= 4
    assert set(huawei.control.evidence) <= {name for block in fast.blocks for name in block.names}
    for plan in huawei.plans.values():
        assert all(block.count <= 64 for block in plan.blocks)


def test_huawei_reads_no_meter_register_together_with_another(huawei: CompiledProfile) -> None:
    # an offline meter makes the inverter close the connection: nothing fast may depend on such a read
    meter = range(37101, 37139)
    for poll, plan in huawei.plans.items():
        for block in plan.blocks:
            touched = set(range(block.address, block.address + block.count)) & set(meter)
            assert not touched or (poll == "slow" and block.address in meter), block


# name, registers as the device sends them, value
READINGS = [
    ("soc", "0217", 53.5),
    ("battery_power", "000009C4", -2.5),  # 2500 W, which the device calls charging
    ("battery_power", "FFFFF63C", 2.5),
    ("battery_power", "00000000", 0.0),
    ("battery_voltage", "11BE", 454.2),
    ("battery_temperature", "FFCE", -5.0),
    ("battery_status", "0002", 2.0),
    ("battery_remaining_time", "0002", 2.0),
    ("energy_capacity", "00002710", 10.0),
    ("charge_power_max", "00001388", 5.0),
    ("active_power", "00000FA0", 4.0),
    ("active_power", "FFFFFF38", -0.2),
    ("reactive_power", "FFFFFFFF", -0.001),
    ("power_factor", "FC18", -1.0),
    ("frequency", "138A", 50.02),
    ("efficiency", "26AC", 99.0),
    ("internal_temperature", "00F4", 24.4),
    ("device_status", "0200", 512.0),
    ("line_voltage_ab", "091E", 233.4),
    ("phase_current_a", "00000198", 0.408),
    ("pv_1_voltage", "0B3E", 287.8),
    ("pv_2_current", "FFF6", -0.1),
    ("alarm_1", "FFFF", 65535.0),  # every alarm at once, not a sentinel
    ("energy_charged_total", "0001AB72", 1094.26),
    ("grid_power", "FFFFFF69", -0.151),  # drawn from the grid
    ("energy_exported_total", "00029A45", 1705.65),
    ("forced_duration", "0002", 2.0),
    ("forced_charge_power", "000009C4", 2.5),
    ("charge_cutoff_soc", "03E8", 100.0),
]


@pytest.mark.parametrize(("name", "registers", "value"), READINGS)
def test_huawei_reading(huawei: CompiledProfile, name: str, registers: str, value: float) -> None:
    assert huawei.decode(name, bytes.fromhex(registers)) == pytest.approx(value, abs=1e-9)
    read, quality = _read(huawei, name, registers)
    assert read == pytest.approx(value, abs=1e-9)
    assert quality == Quality.GOOD


@pytest.mark.parametrize(
    ("name", "registers", "quality"),
    [
        ("soc", "FFFF", Quality.NOT_AVAILABLE),
        ("battery_temperature", "7FFF", Quality.NOT_AVAILABLE),
        ("battery_power", "7FFFFFFF", Quality.NOT_AVAILABLE),
        ("energy_capacity", "FFFFFFFF", Quality.NOT_AVAILABLE),
        ("device_status", "FFFF", Quality.NOT_AVAILABLE),
        ("soc", "03E9", Quality.OUT_OF_RANGE),  # 100.1 %
        ("battery_power", "80000000", Quality.OUT_OF_RANGE),
        ("battery_temperature", "FE0C", Quality.OUT_OF_RANGE),  # -50 °C
        ("frequency", "0000", Quality.OUT_OF_RANGE),
    ],
)
def test_huawei_bad_reading(huawei: CompiledProfile, name: str, registers: str, quality: Quality) -> None:
    value, measured = _read(huawei, name, registers)
    assert measured == quality
    assert np.isnan(value) == (quality == Quality.NOT_AVAILABLE)


def _read(profile: CompiledProfile, name: str, registers: str) -> tuple[float, int]:
    """One point by way of its plan; every other register of its block is 0."""
    plan = profile.plans[profile.points[name].poll]
    (block,) = [block for block in plan.blocks if name in block.names]
    data = bytearray(2 * block.count)
    start = 2 * (profile.points[name].address - block.address)
    data[start : start + len(registers) // 2] = bytes.fromhex(registers)
    raw = np.zeros(len(plan.columns))
    raw[block.columns] = block.unpack(bytes(data))
    values, quality = plan.scale(raw)
    column = list(plan.columns).index(profile.layout.index[name])
    return float(values[column]), int(quality[column])


def test_huawei_a_running_inverter_never_decodes_as_faulted(huawei: CompiledProfile) -> None:
    meaning = huawei.layout.meaning
    assert meaning("device_status", 0x0200) == "on-grid"
    assert meaning("device_status", 0x0300) == "shutdown: fault"
    assert meaning("battery_status", 2) == "running"
    assert meaning("alarm_1", 0b1000_0001) == ["high string input voltage", "grid loss"]
    assert huawei.control is not None
    for name, states in huawei.control.running_states.items():
        for state in states:
            text = meaning(name, state)
            assert isinstance(text, str)
            assert not any(word in text for word in ("fault", "shutdown", "off", "sleep")), text


@pytest.mark.parametrize(
    ("name", "value", "registers"),
    [
        ("forced_charge_power", 2.5, "000009C4"),
        ("forced_discharge_power", 0.0, "00000000"),
        ("forced_discharge_power", 12.345, "00003039"),
        ("forced_duration", 2.0, "0002"),
        ("forced_mode", 1.0, "0001"),
        ("charge_limit", 5.0, "00001388"),
        ("battery_power", -2.5, "000009C4"),  # what a simulated device answers while it charges
        ("battery_power", 2.5, "FFFFF63C"),
    ],
)
def test_huawei_write(huawei: CompiledProfile, name: str, value: float, registers: str) -> None:
    assert huawei.encode(name, value) == bytes.fromhex(registers)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("forced_charge_power", -0.001, "outside 0 … 100 kW"),
        ("forced_charge_power", 100.5, "outside 0 … 100 kW"),
        ("forced_duration", 1441.0, "outside 0 … 1440 min"),
        ("forced_mode", 65535.0, "not available"),
        ("forced_mode", 65536.0, "does not fit"),
        ("charge_limit", float("nan"), "not a number"),
    ],
)
def test_huawei_refused_write(huawei: CompiledProfile, name: str, value: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        huawei.encode(name, value)


@pytest.mark.parametrize(
    ("sequence", "setpoint", "writes"),
    [
        ("charge", -3.2, [(47247, 3200, 2), (47083, 2, 1), (47246, 0, 1), (47100, 1, 1)]),
        ("discharge", 3.2, [(47249, 3200, 2), (47083, 2, 1), (47246, 0, 1), (47100, 2, 1)]),
        ("zero", 0.0, [(47249, 0, 2), (47083, 2, 1), (47246, 0, 1), (47100, 2, 1)]),
        ("stop", 0.0, [(47100, 0, 1)]),
        ("charge_limit", 4.0, [(47075, 4000, 2)]),
        ("discharge_limit", 4.0, [(47077, 4000, 2)]),
    ],
)
def test_huawei_setpoint_to_writes(
    huawei: CompiledProfile, sequence: str, setpoint: float, writes: list[tuple[int, int, int]]
) -> None:
    assert huawei.control is not None
    assert huawei.dead_man is not None
    assert huawei.dead_man.kind == "duration"
    quantities = {"magnitude": abs(setpoint), "limit": setpoint, "dead_man_time": huawei.dead_man.time / 60}
    done = []
    for step in getattr(huawei.control, sequence):
        value = quantities[step.quantity] if step.value is None else step.value
        data = huawei.encode(step.point, value)
        done.append((huawei.points[step.point].address, int.from_bytes(data, "big"), len(data) // 2))
    assert done == writes


def test_huawei_texts(huawei: CompiledProfile) -> None:
    (block,) = [block for block in huawei.plans["once"].blocks if block.address == 30000]
    data = bytearray(2 * block.count)
    struct.pack_into("30s20s", data, 0, b"SUN2000-8KTL-M1", b"HV0000000000")
    texts = block.unpack_texts(bytes(data))
    assert texts["model_name"] == "SUN2000-8KTL-M1"
    assert texts["serial_number"] == "HV0000000000"
    assert texts["part_number"] == ""


def test_the_page_of_devices_is_the_generated_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "registry.md"
    assert page.read_text(encoding="utf-8") == registry_markdown()
