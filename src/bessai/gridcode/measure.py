"""Times of a step response from samples, as the annex defines them (AT-IBR Art. 1-4).

* *reaction*: from the change of the input to the start of the change of the output;
* *rise*: output from 10 to 90 % of its final value, which is the settled mean;
* *settling*: until the output enters the settling band and stays there. The annex counts from the controller's
  detection; counted from the step it is never shorter, and both are told;
* *overshoot*: (extreme - settled) / actual change from the initial to the settled value.

Between two samples nobody knows what the output did, so a time ends at the sample that shows it: what is measured is
an upper bound, by at most one interval. `resolves` says whether the samples are dense enough to judge a limit at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLES_IN_LIMIT = 4
"""A time is judged only where at least so many sampling intervals fit into its limit."""
_START = 0.02
"""Share of the whole change at which the output has begun to change, where noise does not hide it."""
_NOISE = 6.0
"""Standard deviations of the output before the step that count as noise."""
_TAIL = 0.25
"""Share of the time after the step, at its end, over which the settled mean is taken."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResponse:
    """What one step shows. Times in seconds; None: not measurable, or did not happen (`why`)."""

    initial: float
    """Mean of the output before the step."""
    final: float
    """Mean of the settled output."""
    interval: float
    """Longest time between two samples, from the last one before the step on."""
    reaction: float | None = None
    rise: float | None = None
    settling: float | None = None
    """From the step."""
    settling_from_detection: float | None = None
    """From the controller's detection; None also where nobody told when that was."""
    overshoot: float | None = None
    """Share of the change, 0 … ."""
    why: str = ""
    """Why a figure is missing."""

    @property
    def change(self) -> float:
        """From the initial to the settled value, with its sign."""
        return self.final - self.initial

    def resolves(self, limit: float) -> bool:
        """True when the samples are dense enough to judge a time limit in seconds."""
        return SAMPLES_IN_LIMIT * self.interval <= limit * (1 + 1e-6)


def step_response(
    times: Sequence[float] | NDArray[np.float64],
    values: Sequence[float] | NDArray[np.float64],
    *,
    step_at: float,
    band: float,
    detected_at: float | None = None,
) -> StepResponse:
    """Measure the response to a step of the input.

    Args:
        times: of the samples in seconds, ascending.
        values: the output; NaN where a sample is not good, which counts as a gap.
        step_at: when the input changed.
        band: half width of the settling band, as a share of the change.
        detected_at: when the controller saw the change, where that is known.

    Raises:
        ValueError: there is no good sample before the step, or fewer than four after it.
    """
    all_times, all_values = np.asarray(times, float), np.asarray(values, float)
    good = np.isfinite(all_values)
    t, y = all_times[good], all_values[good]
    before, after = t < step_at - _ROUNDING, t >= step_at - _ROUNDING
    if not before.any() or after.sum() < 4:
        raise ValueError("a step needs a good sample before it and four after it")
    start = t[before][-1]
    interval = float(np.diff(t[t >= start - _ROUNDING]).max())
    since, output = t[after] - step_at, y[after]
    initial, noise = float(y[before].mean()), float(y[before].std())
    tail = output[since >= since[-1] * (1 - _TAIL) - _ROUNDING]
    final = float(tail.mean())
    change = final - initial
    least = max(_NOISE * noise, _NOISE * float(tail.std()) / 4, _ROUNDING * max(1.0, abs(initial)))
    if abs(change) <= least:
        return StepResponse(
            initial=initial, final=final, interval=interval, why="the output did not change beyond its noise"
        )
    along = (output - initial) / change
    begin = max(_START, _NOISE * noise / abs(change))
    inside = np.abs(along - 1) <= band + _ROUNDING
    settled = _stays(since, inside)
    detection = None if detected_at is None else max(0.0, detected_at - step_at)
    return StepResponse(
        initial=initial,
        final=final,
        interval=interval,
        reaction=_first(since, along > begin),
        rise=_rise(since, along),
        settling=settled,
        settling_from_detection=(
            None if settled is None or detection is None else max(0.0, settled - detection)
        ),
        overshoot=max(0.0, float(along.max()) - 1.0),
        why="" if settled is not None else f"not inside ±{100 * band:g} % at the end of the record",
    )


def _first(since: NDArray[np.float64], holds: NDArray[np.bool_]) -> float | None:
    return float(since[int(holds.argmax())]) if holds.any() else None


def _stays(since: NDArray[np.float64], inside: NDArray[np.bool_]) -> float | None:
    """The first sample from which on all are inside; None when the last is not, or only the last quarter is."""
    outside = np.flatnonzero(~inside)
    if not len(outside):
        return float(since[0])
    begin = int(outside[-1]) + 1
    if begin >= len(since) or since[begin] > since[-1] * (1 - _TAIL) + _ROUNDING:
        return None  # the settled mean itself is then in doubt
    return float(since[begin])


def _rise(since: NDArray[np.float64], along: NDArray[np.float64]) -> float | None:
    """From the last sample below 10 % to the first one at 90 %: never shorter than the true rise."""
    if not (along >= 0.9).any():
        return None
    high = int((along >= 0.9).argmax())
    below = np.flatnonzero(along[:high] <= 0.1)
    low = float(since[below[-1]]) if len(below) else 0.0
    return float(since[high]) - low


def steady_error(response: StepResponse, expected: float, base: float) -> float:
    """Settled value minus what was expected, as a share of a base (rated power, rated apparent power)."""
    return (response.final - expected) / base if base > 0 else math.nan
