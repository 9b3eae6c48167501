from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.performance.rocof import resolution, slopes

SECOND = 1_000_000_000


def naive(times: list[int], values: list[float], window: float) -> list[float]:
    """The same by a fit of each window on its own."""
    found = []
    for t in times:
        inside = [i for i, one in enumerate(times) if t - window * SECOND - 1_000_000 <= one <= t]
        x = [(times[i] - t) / SECOND for i in inside]
        measurable = len(inside) >= 3 and -x[0] >= window / 2
        found.append(np.polyfit(x, [values[i] for i in inside], 1)[0] if measurable else np.nan)
    return found


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(2, 900), st.floats(-3, 3)), min_size=1, max_size=60),
    st.sampled_from([0.1, 0.5, 1.0]),
)
def test_it_is_the_line_of_least_squares(samples: list[tuple[int, float]], window: float) -> None:
    times = (np.cumsum([gap for gap, _ in samples]) * 1_000_000).tolist()
    values = [50 + value for _, value in samples]
    found = slopes(np.array(times, np.int64), np.array(values), window)
    np.testing.assert_allclose(found, naive(times, values, window), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("rate", [-4.0, -0.5, 0.0, 2.0])
@pytest.mark.parametrize("spacing", [0.02, 0.1, 0.2])
def test_a_ramp_has_its_rate(rate: float, spacing: float) -> None:
    t = np.arange(0, 5, spacing)
    found = slopes((t * SECOND).astype(np.int64), 50 + rate * t, 0.5)
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[t >= 0.5], rate, atol=1e-6)


def test_what_is_sampled_slower_than_the_window_is_not_measurable() -> None:
    t = np.arange(0, 60, 0.6)
    assert np.isnan(slopes((t * SECOND).astype(np.int64), 50 - t, 0.5)).all()


def test_a_few_samples_close_together_are_not_enough() -> None:
    t = np.array([0.0, 0.02, 0.04, 0.06])
    assert np.isnan(slopes((t * SECOND).astype(np.int64), 50 - t, 0.5)).all()


@pytest.mark.parametrize("place", range(1, 26))
def test_one_step_of_the_meter_is_no_more_than_the_resolution(place: int) -> None:
    t = np.arange(26) * 0.02
    found = slopes((t * SECOND).astype(np.int64), np.where(np.arange(26) < place, 50.0, 50.01), 0.5)
    assert 0 < found[-1] <= resolution(0.01, 0.5) * 1.05
