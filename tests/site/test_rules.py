"""Aggregations and formulas over columns: values, qualities and times."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bessai.model import Quality
from bessai.site.formula import parse
from bessai.site.rules import Aggregation, Computation, Kind, Rule

G, S, M = Quality.GOOD, Quality.STALE, Quality.MISSING


def _apply(rule: Rule, values: list[float], quality: list[Quality]) -> tuple[float, Quality, float]:
    image = np.array([math.nan, *values])
    marks = np.array([M, *quality], np.uint8)
    times = np.array([math.nan, *range(10, 10 + len(values))], np.float64)
    rule.apply(image, marks, times)
    return float(image[0]), Quality(int(marks[0])), float(times[0])


def _aggregation(kind: Kind, sources: list[int], **more: object) -> Aggregation:
    return Aggregation(column=0, kind=kind, sources=np.array(sources, np.intp), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "expected"), [("sum", 60.0), ("mean", 20.0), ("min", 10.0), ("max", 30.0)])
def test_aggregates(kind: Kind, expected: float) -> None:
    assert _apply(_aggregation(kind, [1, 2, 3]), [10, 20, 30], [G, G, G]) == (expected, G, 10.0)


def test_one_bad_input_spoils_the_result() -> None:
    value, quality, _ = _apply(_aggregation("max", [1, 2, 3]), [10, 20, 30], [G, S, G])
    assert math.isnan(value)
    assert quality is S


@pytest.mark.parametrize("mark", [Quality.ABSENT, Quality.NOT_AVAILABLE])
def test_one_device_without_the_point_excuses_nobody(mark: Quality) -> None:
    rule = _aggregation("max", [1, 2, 3])
    assert _apply(rule, [10, 20, 30], [mark, G, G])[1] is M
    assert _apply(rule, [10, 20, 30], [mark, S, G])[1] is S, "the lost one shows, wherever it stands"
    assert _apply(rule, [10, 20, 30], [mark] * 3)[1] is mark
    formula = Computation(column=0, sources=np.array([1, 2], np.intp), evaluate=parse("a + b").evaluate)
    assert _apply(formula, [10, 20], [mark, G])[1] is M
    assert _apply(formula, [10, 20], [mark, mark])[1] is mark


def test_skip_leaves_out_what_is_not_good_but_not_everything() -> None:
    rule = _aggregation("sum", [1, 2, 3], skip=True)
    assert _apply(rule, [10, 20, 30], [G, S, G])[:2] == (40.0, G)
    value, quality, _ = _apply(rule, [10, 20, 30], [S, M, S])
    assert math.isnan(value)
    assert quality in {S, M}


def test_a_mean_weighed_by_capacity() -> None:
    rule = _aggregation("mean", [1, 2], weights=np.array([3, 4], np.intp))
    assert _apply(rule, [80, 20, 10, 30], [G] * 4)[:2] == (35.0, G)
    assert _apply(rule, [80, 20, 10, 30], [G, G, G, M])[1] is M, "an unknown weight is no evidence"
    assert _apply(rule, [80, 20, 0, 0], [G] * 4)[1] is Quality.INVALID
    assert _apply(_aggregation("mean", [1, 2], shares=np.array([1.0, 3.0])), [80, 20], [G, G])[0] == 35.0


def test_a_formula() -> None:
    formula = parse("a - b")
    rule = Computation(column=0, sources=np.array([2, 1], np.intp), evaluate=formula.evaluate)
    assert _apply(rule, [10, 25], [G, G]) == (15.0, G, 10.0)
    assert _apply(rule, [10, 25], [S, G])[1] is S
    assert _apply(rule, [10, 25], [G, M])[1] is M
    divide = Computation(column=0, sources=np.array([1, 2], np.intp), evaluate=parse("a / b").evaluate)
    assert _apply(divide, [1, 0], [G, G])[1] is Quality.INVALID
