"""Shares in proportion to weights, each between a low and a high, that sum to a total (water-filling)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def level(weight: Vector, low: Vector, high: Vector, total: float) -> float:
    """The level at which `level * weight`, kept between low and high, sums to the total.

    The sum is a line between the levels at which one share leaves its low or meets its high, so these are
    sorted once and the total is looked up. inf where all highs together are not more than the total.
    """
    if total >= high.sum():
        return math.inf
    at = np.concatenate((low / weight, high / weight))
    order = np.argsort(at, kind="stable")
    at = at[order]
    slope = np.cumsum(np.concatenate((weight, -weight))[order])
    sums = low.sum() + np.concatenate(([0.0], np.cumsum(slope[:-1] * np.diff(at))))
    i = max(int(np.searchsorted(sums, total, side="right")) - 1, 0)
    if i + 1 >= len(at) or not slope[i] > 0:
        return float(at[i])
    return float(min(at[i] + (total - sums[i]) / slope[i], at[i + 1]))


def shares(weight: Vector, low: Vector, high: Vector, total: float) -> Vector:
    """Whole numbers in proportion to the weights that sum to the total; all arguments but the weights are whole."""
    at = level(weight, low, high, total)
    exact = high if math.isinf(at) else np.clip(at * weight, low, high)
    whole = np.floor(exact)
    rest = total - float(whole.sum())
    for i in np.argsort(whole - exact, kind="stable"):  # largest fraction first, then in order
        if rest < 1:
            break
        if whole[i] < high[i]:
            whole[i] += 1
            rest -= 1
    return whole
