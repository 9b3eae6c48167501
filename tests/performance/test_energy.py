from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.performance.quarters import Quarters
from bessai.performance.samples import Column
from performance import oracle
from performance.conftest import SECOND, START_NS, Write, course, fold, near, plant

EVER = (0, 1 << 62)


def test_integrated_power_is_that_of_all_samples(write: Write, tmp_path: Path) -> None:
    chance = np.random.default_rng(4)
    t = np.cumsum(chance.choice([3.0, 7.0, 9.0, 11.0], 400, p=[0.3, 0.3, 0.3, 0.1]))
    power = 300 * np.sin(t / 300) + chance.normal(0, 80, len(t))
    power[chance.random(len(t)) < 0.05] = np.nan
    one = course(t, active_power=power, energy_exported=np.nan, energy_imported=np.nan)
    write(one)
    found = {pd.Timestamp(e.start_ns, tz="UTC"): e for e in fold(tmp_path, plant(), every=50).energy(*EVER)}
    expected = oracle.energy(oracle.frame(one), 10.0)
    assert set(expected) == set(found)
    assert len(found) > 2
    for at, (exported, imported, seconds) in expected.items():
        assert found[at].exported == near(exported, rel=1e-3, abs=1e-3)
        assert found[at].imported == near(imported, rel=1e-3, abs=1e-3)
        assert found[at].coverage == near(seconds / 900, rel=1e-2)
        assert found[at].basis_exported == "power, incomplete"


def test_counters_tell_the_energy_although_data_between_are_missing(write: Write, tmp_path: Path) -> None:
    t = np.arange(-60, 2760, 5.0)
    counter = 1000 + np.clip(t, 0, None) / 900 * 25  # 100 kW
    power = np.full(len(t), 100.0)
    missing = (t > 200) & (t < 800)
    counter[missing] = power[missing] = np.nan
    write(course(t, active_power=power, energy_exported=counter))
    found = fold(tmp_path, plant()).energy(*EVER)
    quarter = found[1]
    assert quarter.start_ns == START_NS
    assert (quarter.exported, quarter.basis_exported) == (near(25.0), "counter")
    assert (quarter.imported, quarter.basis_imported) == (near(0.0), "counter")
    assert quarter.coverage < 0.4
    assert quarter.integrated_exported < 10
    assert (found[2].exported, found[2].basis_exported, found[2].coverage) == (
        near(25),
        "counter",
        1.0,
    )


@pytest.mark.parametrize(
    ("counter", "why"),
    [
        (lambda t: np.where(t < 400, 1000 + t / 36, t / 36), "it was replaced"),
        (lambda t: np.where(t < 400, 1000.0, 9000.0), "it cannot jump that far"),
        (lambda t: np.where((t > -100) & (t < 100), np.nan, 1000 + t / 36), "it was not read at the end"),
    ],
)
def test_a_counter_that_cannot_be_trusted_is_not(
    write: Write, tmp_path: Path, counter: Any, why: str
) -> None:
    t = np.arange(-900, 1800, 5.0)
    write(course(t, active_power=100.0, energy_exported=counter(t)))
    found = next(one for one in fold(tmp_path, plant()).energy(*EVER) if one.start_ns == START_NS)
    assert (found.exported, found.basis_exported) == (near(25.0), "power"), why


def test_what_is_not_known_is_unknown(write: Write, tmp_path: Path) -> None:
    hole: dict[str, Any] = {"active_power": 100.0, "energy_exported": np.nan, "energy_imported": np.nan}
    write(course(np.arange(0, 900, 5.0), **hole), course(np.arange(2700, 3600, 5.0), **hole))
    found = fold(tmp_path, plant()).energy(*EVER)
    assert [one.basis_exported for one in found] == ["power", "unknown", "unknown", "power"]
    assert found[1].exported is None


def test_energy_keeps_when_the_clock_is_set_back(write: Write, tmp_path: Path) -> None:
    """What flowed is counted once, where the clock says; only the step itself is a gap."""
    none: dict[str, Any] = {"energy_exported": np.nan, "energy_imported": np.nan}
    write(
        course(
            np.concatenate([np.arange(0, 1800, 5.0), np.arange(900, 1800, 5.0)]), active_power=36.0, **none
        )
    )
    found = fold(tmp_path, plant(), every=10).energy(*EVER)
    assert sum(one.exported or 0 for one in found) == near(36 * (1795 + 895) / 3600)
    assert [one.coverage for one in found] == [1.0, 1.0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 9.9), st.floats(-500, 500)), min_size=2, max_size=80),
    st.integers(1, 20),
)
def test_pieces_add_up_to_the_whole(samples: list[tuple[float, float]], at: int) -> None:
    times = START_NS + (np.cumsum([gap for gap, _ in samples]) * SECOND * 3 % (1 << 62)).astype(np.int64)
    values = np.array([value for _, value in samples])
    whole, pieces = Quarters(60), Quarters(60)
    whole.power(Column(times=times, values=values))
    for part in (slice(0, at), slice(at, at + 1), slice(at + 1, None)):
        pieces.power(Column(times=times[part], values=values[part]))
    for name in ("exported", "imported", "seconds"):
        one = sum(getattr(quarter, name) for quarter in whole.quarters.values())
        other = sum(getattr(quarter, name) for quarter in pieces.quarters.values())
        assert one == near(other)
    length = (times[-1] - times[0]) / SECOND
    assert sum(quarter.seconds for quarter in whole.quarters.values()) == near(length)
    net = sum(q.exported - q.imported for q in whole.quarters.values())
    assert net == near(np.trapezoid(values, times / SECOND) / 3600, abs=1e-4)
