"""Step responses against their closed forms: the measured time is the true one, at most one interval late."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bessai.gridcode.measure import StepResponse, step_response

INTERVAL = 0.05
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _measure(
    curve: Curve,
    *,
    interval: float = INTERVAL,
    phase: float = 0.0,
    seconds: float = 30.0,
    scale: float = 1.0,
    start: float = 0.0,
    band: float = 0.05,
    detected: float | None = None,
) -> StepResponse:
    """The response of a curve of the time since the step, sampled from 5 s before it."""
    times = np.arange(-5.0 + phase, seconds, interval)
    values = start + scale * np.where(times < 0, 0.0, curve(np.maximum(times, 0.0)))
    at = 100.0
    return step_response(
        times + at, values, step_at=at, band=band, detected_at=None if detected is None else at + detected
    )


def _first_order(delay: float, tau: float) -> Curve:
    return lambda t: 1 - np.exp(-np.maximum(t - delay, 0.0) / tau)


scales = st.floats(0.01, 1e4).flatmap(lambda size: st.sampled_from([size, -size]))


@settings(max_examples=60)
@given(
    delay=st.floats(0.0, 2.0),
    tau=st.floats(0.1, 2.0),
    phase=st.floats(0.0, INTERVAL * 0.99),
    scale=scales,
    start=st.floats(-1e3, 1e3),
)
def test_a_first_order_response(delay: float, tau: float, phase: float, scale: float, start: float) -> None:
    found = _measure(_first_order(delay, tau), phase=phase, scale=scale, start=start)
    slack = INTERVAL * 1.001
    assert found.change == pytest.approx(scale, rel=1e-3)
    assert found.reaction is not None
    assert found.rise is not None
    assert found.settling is not None
    assert delay <= found.reaction <= delay + tau * -math.log(0.98) + slack
    rise = tau * math.log(9)
    assert rise - 0.02 * tau <= found.rise <= rise + 2 * slack + 0.02 * tau
    settling = delay + tau * math.log(20)
    assert settling - 0.02 * tau <= found.settling <= settling + slack + 0.02 * tau
    assert found.overshoot == pytest.approx(0.0, abs=1e-3)


@settings(max_examples=40)
@given(damping=st.floats(0.3, 0.9), natural=st.floats(2.0, 8.0), scale=scales)
def test_the_overshoot_of_a_second_order_response(damping: float, natural: float, scale: float) -> None:
    damped = natural * math.sqrt(1 - damping**2)

    def curve(t: NDArray[np.float64]) -> NDArray[np.float64]:
        wave = np.cos(damped * t) + damping / math.sqrt(1 - damping**2) * np.sin(damped * t)
        return 1 - np.exp(-damping * natural * t) * wave

    found = _measure(curve, scale=scale, interval=0.01)
    expected = math.exp(-math.pi * damping / math.sqrt(1 - damping**2))
    assert found.overshoot == pytest.approx(expected, abs=0.01)
    times = np.arange(0, 30, 0.0005)
    outside = np.abs(curve(times) - 1) > 0.05
    settling = times[np.flatnonzero(outside)[-1]]
    assert found.settling == pytest.approx(settling, abs=0.03)


def test_settling_is_told_from_the_step_and_from_the_detection() -> None:
    found = _measure(_first_order(0.5, 1.0), detected=0.4)
    assert found.settling is not None
    assert found.settling_from_detection == pytest.approx(found.settling - 0.4)
    assert _measure(_first_order(0.5, 1.0)).settling_from_detection is None


def test_the_band_decides_the_settling() -> None:
    wide, narrow = (_measure(_first_order(0.0, 1.0), band=band).settling for band in (0.1, 0.05))
    assert wide is not None
    assert narrow is not None
    assert narrow - wide == pytest.approx(math.log(2), abs=2 * INTERVAL)


def test_an_output_that_leaves_the_band_again_has_not_settled_before() -> None:
    def curve(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where((t > 8) & (t < 9), 0.9, 1.0) * np.where(t >= 0.2, 1.0, 0.0)

    assert _measure(curve).settling == pytest.approx(9.0, abs=INTERVAL * 1.01)


def test_an_oscillation_never_settles() -> None:
    found = _measure(lambda t: 1 + 0.2 * np.sin(2 * t))
    assert found.settling is None
    assert "±5 %" in found.why


def test_a_creeping_output_is_not_called_settled_by_its_last_samples() -> None:
    assert _measure(lambda t: t / 30).settling is None


def test_no_change_is_no_response() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0.0, 0.1, 10_000)
    found = _measure(lambda t: noise[: len(t)] * 0.1 + 0.005)
    assert (found.reaction, found.rise, found.settling) == (None, None, None)
    assert "noise" in found.why


def test_noise_before_the_step_is_no_reaction() -> None:
    rng = np.random.default_rng(2)
    times = np.arange(-10.0, 30.0, INTERVAL)
    values = np.where(times < 1.0, 0.0, 1.0) + rng.normal(0.0, 0.01, len(times))
    found = step_response(times, values, step_at=0.0, band=0.05)
    assert found.reaction == pytest.approx(1.0, abs=INTERVAL * 1.01)


@pytest.mark.parametrize(
    ("interval", "limit", "judged"),
    [(0.1, 1.0, True), (0.1, 0.4, True), (0.1, 0.2, False), (0.1, 0.01, False), (0.002, 0.01, True)],
)
def test_samples_that_are_too_coarse_do_not_judge(interval: float, limit: float, *, judged: bool) -> None:
    assert _measure(_first_order(0.0, 1.0), interval=interval).resolves(limit) is judged


def test_a_gap_is_the_interval() -> None:
    times = np.arange(-1.0, 10.0, 0.1)
    values = np.where(times >= 0.5, 1.0, 0.0)
    values[(times > 0.2) & (times < 1.5)] = np.nan
    found = step_response(times, values, step_at=0.0, band=0.05)
    assert found.interval == pytest.approx(1.3, abs=0.11)
    assert not found.resolves(4.0)
    assert found.reaction == pytest.approx(1.5, abs=0.11), "when it was seen, not when it may have been"


def test_samples_only_after_the_step_are_refused() -> None:
    with pytest.raises(ValueError, match="before"):
        step_response([1.0, 2.0, 3.0, 4.0], [0.0] * 4, step_at=0.5, band=0.05)
