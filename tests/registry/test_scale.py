"""Exponents written by hand in a profile, as SolarEdge and Fronius need them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessai.model import Quality
from bessai.registry import CompiledProfile
from bessai.registry.commands import WriteStep
from bessai.registry.sequences import NotKnownError, exponent_of, fill
from support.profiles import compiled

EXPONENT = {"type": "i16", "sentinel": -32768, "valid": [-10, 10]}
POINTS: dict[str, dict[str, Any]] = {
    "active_power": {"address": 0, "type": "i16", "gain": 0.001, "unit": "kW", "scale": "power_exponent"},
    "power_exponent": {"address": 1, **EXPONENT},
    "rate": {"address": 300, "type": "i16", "unit": "%", "scale": "rate_exponent", "access": "rw"},
    "rate_exponent": {"address": 301, **EXPONENT},
    "charge_power_max": {"address": 302, "type": "u16", "gain": 0.001, "unit": "kW"},
}


def _read(profile: CompiledProfile, words: dict[int, int], quality: np.ndarray, values: np.ndarray) -> None:
    for plan in profile.plans.values():
        raw = np.concatenate(
            [
                block.unpack(
                    b"".join(
                        struct.pack(">H", words.get(block.address + i, 0) & 0xFFFF)
                        for i in range(block.count)
                    )
                )
                for block in plan.blocks
            ]
        )
        plan.place(raw.astype(np.float64), values, quality)


@pytest.fixture
def profile(tmp_path: Path) -> CompiledProfile:
    return compiled(tmp_path, POINTS)


@pytest.mark.parametrize(
    ("raw", "exponent", "value"), [(1234, 0, 1.234), (1234, 1, 12.34), (-1234, -2, -0.01234), (0, 10, 0.0)]
)
def test_values_follow_their_exponent(
    profile: CompiledProfile, raw: int, exponent: int, value: float
) -> None:
    values = np.full(len(profile.layout), np.nan)
    quality = np.full(len(profile.layout), Quality.MISSING, np.uint8)
    _read(profile, {0: 999, 1: 3}, quality, values)
    _read(profile, {0: raw, 1: exponent}, quality, values)
    i = profile.layout.index["active_power"]
    assert (values[i], quality[i]) == (pytest.approx(value), Quality.GOOD)
    assert profile.decode("active_power", struct.pack(">h", raw), exponent) == pytest.approx(value)
    assert profile.encode("active_power", value, exponent) == struct.pack(">h", raw)


@pytest.mark.parametrize(
    ("exponent", "mark"),
    [(-32768, Quality.NOT_AVAILABLE), (11, Quality.OUT_OF_RANGE), (-11, Quality.OUT_OF_RANGE)],
)
def test_a_value_is_as_bad_as_its_exponent(profile: CompiledProfile, exponent: int, mark: Quality) -> None:
    values = np.full(len(profile.layout), np.nan)
    quality = np.full(len(profile.layout), Quality.MISSING, np.uint8)
    _read(profile, {0: 1234, 1: exponent}, quality, values)
    i = profile.layout.index["active_power"]
    assert np.isnan(values[i])
    assert quality[i] == mark


def test_a_percentage_is_written_with_the_present_exponent(profile: CompiledProfile) -> None:
    steps = [WriteStep(point="rate", quantity="power", of="charge_power_max")]
    known = {"charge_power_max": 8.0, "rate_exponent": -2.0}
    ((name, value),) = fill(steps, profile.points, -1.0, 60, known.get)
    assert name == "rate"
    assert value == pytest.approx(-12.5)
    assert profile.encode(name, value, exponent_of(profile.points[name], known.get)) == struct.pack(
        ">h", -1250
    )
    ((_, coarse),) = fill(steps, profile.points, -1.0, 60, (known | {"rate_exponent": 0.0}).get)
    assert coarse == -12.0  # towards zero, never more than asked for
    for missing in known:
        with pytest.raises(NotKnownError, match=missing):
            fill(steps, profile.points, -1.0, 60, {k: v for k, v in known.items() if k != missing}.get)
