"""The second look as a truth table, and against a plain restatement in floating point."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bessai.core.recheck
from bessai.core.recheck import Curve, Facts, objection, reactive_objection

INF, NAN = math.inf, math.nan
VALUES = {"soc": 50.0, "cell_voltage_max": 3.3, "device_status": 1.0}
FACTS = Facts(
    values=VALUES,
    evidence=("soc", "cell_voltage_max", "device_status"),
    running={"device_status": (1, 3)},
    caps_charge=(50.0, 60.0),
    caps_discharge=(40.0,),
    soc_min=10.0,
    soc_max=95.0,
    curves=(("cell_voltage_max", ((3.45, 1.0), (3.65, 0.0)), ()),),
    trips=(("cell_voltage_max", "high", 3.65), ("cell_voltage_max", "low", 2.5)),
    armed=True,
    granted=True,
    last=0.0,
)


def of(**values: float | None) -> dict[str, Any]:
    """The usual values but for these; None takes one away."""
    return {"values": {k: v for k, v in {**VALUES, **values}.items() if v is not None}}


FREE = "may be written"


@pytest.mark.parametrize(
    ("power", "facts", "why"),
    [
        (10.0, {}, FREE),
        (-10.0, {}, FREE),
        (NAN, {}, "not a number"),
        (INF, {}, "not a number"),
        (-INF, {}, "not a number"),
        (10.0, {"granted": False}, "the state allows no power"),
        (10.0, {"armed": False}, "not armed"),
        # evidence
        (10.0, of(soc=None), "soc is not known"),
        (10.0, of(cell_voltage_max=None), "cell_voltage_max is not known"),
        (10.0, of(device_status=None), "device_status is not known"),
        (10.0, {**of(soc=None, soc_highest=50.0), "evidence": ()}, "not known"),
        (10.0, of(soc=NAN), "not a number"),
        (10.0, of(elsewhere=-INF), "not a number"),
        (10.0, of(device_status=2.0), "not a state"),
        (10.0, of(cell_voltage_max=-1e308), "too large to be true"),
        (10.0, {"caps_discharge": (1e308,)}, "too large to be true"),
        (1e308, {"caps_discharge": (1e308,)}, "too large to be true"),
        (10.0, of(device_status=1.5), "not a state"),
        (10.0, of(device_status=3.0), FREE),
        (10.0, {"running": {}}, FREE),
        (10.0, {"running": {"contactor": (1,)}}, "contactor None"),
        # the allowed current is a cap of its own: no curve takes a share of it
        (20.0, {"currents_discharge": (19.0,)}, "allowed current"),
        (-20.0, {"currents_discharge": (19.0,)}, FREE),
        (-20.0, {"currents_charge": (19.0,)}, "allowed current"),
        (-20.0, {**of(cell_voltage_max=3.55), "currents_charge": (20.0,)}, FREE),
        (-26.0, {**of(cell_voltage_max=3.55), "currents_charge": (40.0,)}, "cell_voltage_max 3.55 allows"),
        (20.0, {"currents_discharge": (NAN,)}, "allowed current"),
        # state of charge
        (10.0, of(soc=10.0), "no discharge"),
        (10.0, of(soc=10.1), FREE),
        (-10.0, of(soc=10.0), FREE),
        (-10.0, of(soc=95.0), "no charge"),
        (-10.0, of(soc=94.9), FREE),
        (10.0, of(soc=95.0), FREE),
        (-10.0, of(soc_highest=95.0), "no charge"),
        (10.0, of(soc_highest=95.0, soc_lowest=40.0), FREE),
        (10.0, of(soc_lowest=10.0), "no discharge"),
        (-10.0, of(soc_lowest=10.0), FREE),
        (-10.0, {"soc_max": NAN}, "not known"),
        # caps
        (40.0, {}, FREE),
        (40.001, {}, FREE),
        (40.0011, {}, "the cap of 40 kW"),
        (-50.0, {}, FREE),
        (-50.0011, {}, "the cap of 50 kW"),
        (10.0, {"caps_discharge": ()}, "a cap of this direction is not known"),
        (-10.0, {"caps_discharge": ()}, FREE),
        (10.0, {"caps_discharge": (40.0, NAN)}, "not known"),
        (10.0, {"caps_discharge": (INF,)}, "not known"),
        (10.0, {"caps_discharge": (-40.0,)}, "the cap of -40 kW"),
        # curves: half of the charge power at 3.55 V
        (-25.0, of(cell_voltage_max=3.55), FREE),
        (-25.001, of(cell_voltage_max=3.55), FREE),
        (-25.002, of(cell_voltage_max=3.55), "cell_voltage_max 3.55 allows"),
        (-0.0011, {**of(cell_voltage_max=3.65), "trips": ()}, "cell_voltage_max 3.65 allows"),
        (40.0, {**of(cell_voltage_max=3.65), "trips": ()}, FREE),
        (-50.0, of(cell_voltage_max=3.45), FREE),
        (-10.0, {"curves": (("cell_voltage_max", ((4.0, 1.0), (3.0, 0.0)), ()),)}, "cannot be judged"),
        (-10.0, {"curves": (("cell_voltage_max", ((4.0, NAN),), ()),)}, "cannot be judged"),
        (-10.0, {"curves": (("cell_voltage_max", ((4.0, 1.1),), ()),)}, "cannot be judged"),
        (-10.0, {"curves": (("cell_voltage_max", ((NAN, 1.0),), ()),)}, "cannot be judged"),
        (-10.0, {"curves": (("elsewhere", ((0.0, 0.0),), ()),)}, FREE),
        # trips
        (10.0, of(cell_voltage_max=3.649), FREE),
        (10.0, of(cell_voltage_max=3.65), "beyond its trip level 3.65"),
        (10.0, of(cell_voltage_max=3.651), "beyond its trip level 3.65"),
        (10.0, of(cell_voltage_max=3650 * 0.001 - 1e-15), "beyond its trip level 3.65"),
        (-10.0, of(cell_voltage_max=2.501), FREE),
        (-10.0, of(cell_voltage_max=2.5), "beyond its trip level 2.5"),
        (-10.0, of(cell_voltage_max=2.499), "beyond its trip level 2.5"),
        (10.0, {"trips": (("cell_voltage_max", "up", 9.0),)}, "cannot be judged"),
        (10.0, {"trips": (("cell_voltage_max", "high", NAN),)}, "cannot be judged"),
        # requests' bounds
        (10.0, {"high": 10.0}, FREE),
        (10.002, {"high": 10.0}, "outside the requests' bounds"),
        (10.0, {"low": 10.0}, FREE),
        (9.998, {"low": 10.0}, "outside the requests' bounds"),
        (10.0, {"low": NAN}, "outside the requests' bounds"),
        (10.0, {"high": NAN}, "outside the requests' bounds"),
        (10.0, {"low": 20.0, "high": 5.0}, "outside the requests' bounds"),
        # ramps
        (10.0, {"max_rise": 10.0}, FREE),
        (10.001, {"max_rise": 10.0}, FREE),
        (10.002, {"max_rise": 10.0}, "the ramp allows 10 kW"),
        (-10.0, {"max_rise": 0.0, "max_fall": 10.0}, FREE),
        (-10.002, {"max_fall": 10.0}, "the ramp allows 10 kW"),
        (10.0, {"last": None, "max_rise": 9.0}, "the ramp allows 9 kW"),
        (10.0, {"last": 40.0, "max_fall": 1.0}, FREE),
        (-10.0, {"last": -40.0, "max_rise": 1.0}, FREE),
        (-1.0, {"last": 1.0, "max_fall": 1.0}, "the ramp allows 1 kW"),
        (-1.0, {"last": 1.0, "max_fall": 2.0}, FREE),
        (10.0, {"max_rise": NAN}, "the ramp allows nan kW"),
        (10.0, {"last": NAN}, "standing setpoint nan"),
    ],
)
def test_one_fact_at_a_time(power: float, facts: dict[str, Any], why: str) -> None:
    against = objection(power, replace(FACTS, **facts))
    assert against is None if why == FREE else why in str(against)
    assert objection(0.0, replace(FACTS, **facts)) is None
    assert objection(-0.0, replace(FACTS, **facts)) is None


def test_it_shares_nothing_with_the_rest_of_the_gateway() -> None:
    tree = ast.parse(Path(bessai.core.recheck.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"__future__", "collections.abc", "dataclasses", "math"}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))


def interpolated(points: Curve, x: float) -> float:
    """By weights instead of slopes."""
    if x <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= x < x1:
            weight = (x - x0) / (x1 - x0)
            return y0 * (1 - weight) + y1 * weight
    return points[-1][1]


curves = st.lists(
    st.tuples(st.integers(-500, 5000).map(lambda n: n / 1000), st.integers(0, 20).map(lambda n: n / 20)),
    min_size=1,
    max_size=5,
    unique_by=lambda point: point[0],
).map(lambda points: tuple(sorted(points)))
kilowatts = st.integers(0, 2_000_000).map(lambda watts: watts / 1000)


@given(curve=curves, value=st.integers(-1000, 6000).map(lambda n: n / 1000), cap=kilowatts, power=kilowatts)
def test_power_on_a_curve(curve: Curve, value: float, cap: float, power: float) -> None:
    facts = replace(FACTS, **of(x=value), caps_discharge=(cap,), curves=(("x", (), curve),), trips=())
    allowed = cap * interpolated(curve, value) + 0.001
    against = objection(power, facts)
    if power > allowed + 1e-6:
        assert against is not None
    elif power < allowed - 1e-6:
        assert against is None


@given(
    power=st.floats(allow_nan=True) | kilowatts | kilowatts.map(lambda p: -p),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "last": st.none() | st.floats(-100, 100),
            "max_rise": st.floats(0, 100) | st.just(INF),
            "max_fall": st.floats(0, 100) | st.just(INF),
            "low": st.floats(-100, 100),
            "high": st.floats(-100, 100),
            "soc_min": st.floats(allow_nan=True),
            "caps_charge": st.lists(st.floats(allow_nan=True), max_size=3),
            "armed": st.booleans(),
        },
    ),
)
def test_what_passes_is_inside_everything(power: float, changes: dict[str, Any]) -> None:
    facts = replace(FACTS, **changes)
    if objection(power, facts) is not None or power == 0:
        return
    caps = facts.caps_discharge if power > 0 else facts.caps_charge
    last = facts.last or 0.0
    slack = 0.0011  # the tolerance and the rounding to milliwatts
    assert facts.armed
    assert abs(power) <= min(caps) + slack
    assert facts.low - slack <= power <= facts.high + slack
    towards_zero = power * last > 0 and abs(power) <= abs(last)
    assert towards_zero or -facts.max_fall - slack <= power - last <= facts.max_rise + slack


KVAR: dict[str, Any] = {"exported": 20.0, "absorbed": 12.0, "apparent": 50.0}


@pytest.mark.parametrize(
    ("reactive", "power", "facts", "why"),
    [
        (5.0, 0.0, {}, FREE),
        (-5.0, 10.0, {}, FREE),
        (5.0, -10.0, {}, FREE),
        (NAN, 0.0, {}, "not a number"),
        (INF, 0.0, {}, "not a number"),
        (5.0, NAN, {}, "not a number"),
        (5.0, 0.0, {"granted": False}, "the state allows none"),
        (5.0, 0.0, {"armed": False}, "not armed"),
        # evidence, as for power; the state of charge allows and forbids nothing here
        (5.0, 0.0, of(soc=None), "soc is not known"),
        (5.0, 0.0, of(device_status=2.0), "not a state"),
        (5.0, 0.0, of(cell_voltage_max=3.65), "beyond its trip level 3.65"),
        (5.0, 0.0, of(soc=5.0), FREE),
        (5.0, 0.0, of(soc=100.0), FREE),
        (5.0, 0.0, {"caps_charge": (), "caps_discharge": ()}, FREE),
        # the device's own limits
        (20.0, 0.0, {}, FREE),
        (20.001, 0.0, {}, FREE),
        (20.0011, 0.0, {}, "the 20 kvar that the device takes"),
        (-12.0, 0.0, {}, FREE),
        (-12.0011, 0.0, {}, "the 12 kvar that the device takes"),
        (5.0, 0.0, {"exported": None}, "not known"),
        (5.0, 0.0, {"absorbed": None}, "not known"),
        (-5.0, 0.0, {"exported": NAN}, "not known"),
        (5.0, 0.0, {"exported": INF}, "not known"),
        (5.0, 0.0, {"exported": -20.0}, "not known"),
        (5.0, 0.0, {"exported": 1e308}, "too large to be true"),
        # beside active power: 30, 40, 50 and 48, 14, 50
        (14.0, 48.0, {}, FREE),
        (14.001, 48.0, {}, FREE),
        (14.0011, 48.0, {}, "more than 50 kVA"),
        (-12.0, -48.0, {}, FREE),
        (-12.0, 48.6, {}, "more than 50 kVA"),
        (0.0011, 50.0, {}, "more than 50 kVA"),
        (1.0, 51.0, {}, "more than 50 kVA"),
        (20.0, 48.0, {"apparent": INF}, FREE),
        (5.0, 0.0, {"apparent": None}, "not known"),
        (5.0, 0.0, {"apparent": NAN}, "not known"),
        (5.0, 0.0, {"apparent": 0.0}, "not known"),
    ],
)
def test_reactive_power_one_fact_at_a_time(
    reactive: float, power: float, facts: dict[str, Any], why: str
) -> None:
    known = replace(FACTS, **{**KVAR, **facts})
    against = reactive_objection(reactive, power, known)
    assert against is None if why == FREE else why in str(against)
    assert reactive_objection(0.0, power, known) is None
    assert reactive_objection(-0.0, power, known) is None


def test_a_device_that_tells_nothing_takes_no_reactive_power() -> None:
    assert reactive_objection(0.1, 0.0, FACTS) is not None


signed = kilowatts | kilowatts.map(lambda p: -p)


@given(reactive=signed, power=signed, exported=kilowatts, absorbed=kilowatts, apparent=kilowatts)
def test_reactive_power_on_the_circle(
    reactive: float, power: float, exported: float, absorbed: float, apparent: float
) -> None:
    """Against the same in floating point."""
    facts = replace(FACTS, exported=exported, absorbed=absorbed, apparent=apparent)
    against = reactive_objection(reactive, power, facts)
    room = math.sqrt(max(0.0, apparent**2 - power**2))
    allowed = min(exported if reactive > 0 else absorbed, room)
    if abs(reactive) > allowed + 0.0011:
        assert against is not None
    elif 0 < abs(reactive) < allowed - 0.0011:
        assert against is None
