"""The presets: every number has a source, they are consistent, and the page tells what they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bessai.core.limits import LFP, PRESETS, Curve, Limits, Preset, preset_limits
from bessai.core.limits.docs import describe, with_presets
from bessai.core.limits.presets import FLAG_BASIS, FLAGS, SERIES_BASIS, series_levels
from bessai.core.limits.schema import KNOWN
from bessai.core.limits.sources import SOURCES
from bessai.model import SHARED_POINTS

DOCS = Path(__file__).parents[3] / "docs"


def _attributed(text: str) -> bool:
    return "judgement" in text or any(key in re.findall(r"[a-z0-9_]+", text) for key in SOURCES)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_number_has_a_source_or_says_that_it_is_judgement(preset: Preset) -> None:
    for limit in preset.levels:
        for part in describe(limit):
            assert _attributed(preset.basis[f"{limit.code}.{part}"]), (limit.code, part)
    assert preset.sources
    assert all(_attributed(FLAG_BASIS[flag.code]) for flag in FLAGS)
    assert set(SERIES_BASIS) == {limit.code for limit in series_levels(preset, 10)}


def test_every_source_is_used_and_has_an_address() -> None:
    told = " ".join(text for preset in PRESETS.values() for text in preset.basis.values())
    told += " ".join(SERIES_BASIS.values())
    assert {key for key in SOURCES if key not in re.findall(r"[a-z0-9_]+", told)} == set()
    assert all("http" in source.where for source in SOURCES.values())


@pytest.mark.parametrize("chemistry", PRESETS)
def test_levels_are_in_order(chemistry: str) -> None:
    """From the normal range outwards: derating, warning, trip; nothing is allowed at the trip of a cell."""
    for limit in preset_limits(chemistry, 200).levels:
        point, side, unit, low, high = KNOWN[limit.code]
        assert (limit.point, limit.side, limit.unit) == (point, side, unit)
        assert SHARED_POINTS[point].unit == unit
        sign = 1.0 if side == "high" else -1.0
        for curve in (limit.charge, limit.discharge):
            if curve is not None:
                xs = [x for x, _ in curve.points]
                assert xs == sorted(set(xs))
                assert all(0 <= share <= 1 for _, share in curve.points)
                assert limit.trip is None or curve(limit.trip.at) == 0.0
        if limit.warning is not None:
            assert low <= limit.warning.at <= high
            assert sign * limit.warning.clear < sign * limit.warning.at
        if limit.warning is not None and limit.trip is not None:
            assert sign * limit.warning.at < sign * limit.trip.at


def test_the_defaults_are_those_of_an_lfp_battery_of_unknown_size() -> None:
    limits = Limits()
    assert limits == preset_limits("lfp")
    assert (limits.soc_min, limits.soc_max, limits.levels) == (10.0, 95.0, LFP.levels)
    assert {state.point for state in limits.states} == {
        "battery_temperature", "cell_temperature_max", "cell_temperature_min", "cell_voltage_max", "cell_voltage_min",
    }  # fmt: skip


def test_a_curve_is_straight_between_its_points_and_flat_beyond() -> None:
    curve = Curve(((0.0, 0.0), (10.0, 1.0), (20.0, 1.0), (30.0, 0.5)))
    assert [curve(x) for x in (-5, 0, 5, 10, 15, 25, 30, 99)] == [0.0, 0.0, 0.5, 1.0, 1.0, 0.75, 0.5, 0.5]
    assert curve.plateau == (10.0, 20.0)
    assert Curve(((0.0, 1.0), (1.0, 0.5), (2.0, 1.0))).plateau == (float("inf"), float("-inf"))


def test_the_page_is_up_to_date() -> None:
    """Renew it with `bessai limits document docs/limits.md`."""
    page = (DOCS / "limits.md").read_text(encoding="utf-8")
    assert page == with_presets(page)
