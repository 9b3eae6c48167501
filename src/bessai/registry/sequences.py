"""What a control sequence amounts to for one setpoint: pure, so that the guard, the twin and the tests agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from bessai.registry.commands import WriteStep
from bessai.registry.schema import Point


class NotKnownError(LookupError):
    """A value that the sequence depends on is not known."""


def fill(
    steps: Iterable[WriteStep],
    points: Mapping[str, Point],
    setpoint: float,
    dead_man_time: float,
    good: Callable[[str], float | None],
    reactive: float = 0.0,
) -> list[tuple[str, float]]:
    """The points to write, in order, each with its value in the point's unit.

    Args:
        steps: the sequence.
        points: the profile's points.
        setpoint: kW, + = discharge.
        dead_man_time: seconds.
        good: the present value of a point, None when it is no evidence.
        reactive: kvar, + = export.

    Raises:
        NotKnownError: a power is written as a percentage (or with an exponent) of something that is not known.
    """
    return [
        (step.point, _value(step, points[step.point], setpoint, dead_man_time, good, reactive))
        for step in steps
    ]


def exponent_of(point: Point, good: Callable[[str], float | None], value: float | None = None) -> int:
    """The present exponent of ten of a point, 0 where it has none or where `value` needs none.

    Raises:
        NotKnownError: it has one, which is not known.
    """
    if point.scale is None or value == point.offset:  # a raw 0 is 0 with every exponent
        return 0
    exponent = good(point.scale)
    if exponent is None:
        raise NotKnownError(f"{point.scale} is not known")
    return int(exponent)


def _value(
    step: WriteStep,
    point: Point,
    setpoint: float,
    dead_man_time: float,
    good: Callable[[str], float | None],
    reactive: float,
) -> float:
    if step.value is not None:
        return step.value
    if step.quantity == "dead_man_time":
        return dead_man_time / 60 if point.unit == "min" else dead_man_time
    given = {"power": setpoint, "reactive": reactive}
    value = given.get(step.quantity or "", abs(setpoint))
    if step.of is not None and value:
        whole = good(step.of)
        if whole is None or not whole > 0:
            raise NotKnownError(f"{step.of} is not known, so {step.point} cannot be a percentage of it")
        value = 100 * value / whole
    return value if step.quantity == "limit" or not value else _towards_zero(point, value, good)


def _towards_zero(point: Point, value: float, good: Callable[[str], float | None]) -> float:
    """The nearest value that the register can hold and that is no larger."""
    if point.type.startswith("f"):
        return value
    step = abs(point.gain) * 10.0 ** exponent_of(point, good)
    return math.trunc(round(value / step, 6)) * step
