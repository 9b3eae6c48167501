"""Active power: ramp by AT-IBR Art. 4-7; maximum and set-point, for which no number was found."""

from __future__ import annotations

import numpy as np

from bessai.gridcode.clauses import clauses
from bessai.gridcode.judging import range_row, traces
from bessai.gridcode.lab import Lab, Setup
from bessai.gridcode.rows import Row, Text, judged, number

RAMPS = (20.0, 10.0)
"""% Pn/min."""
_RAMP_TIME = 8.0
_RAMP_ERROR = 0.05
"""Share of the adjusted ramp by which the measured one may differ."""
_ACCURACY = 0.02
"""Share of Pn within which a set-point counts as followed; ours."""
_FAR = 0.6
"""Share of Pn that the schedule asks for."""
_POWER: Text = {"en": "active power, gateway's records", "es": "potencia activa, registros del gateway"}
_OURS: Text = {
    "en": "no number was found in the code; the response is measured and our own limit judges",
    "es": "no se encontró un número en el código; la respuesta se mide y juzga un límite propio",
}


def ramps(setup: Setup) -> list[Row]:
    """The slope of a scheduled change at two ramps, both ways, and the range that may be set."""
    rows = []
    rated = setup.sizes.rated_power
    with Lab(setup, "active/ramp", {}) as lab:
        lab.bench.wait(1.0)
        for percent, target in zip(RAMPS, (_FAR, -_FAR), strict=True):
            lab.set("active.ramp", percent)
            lab.bench.wait(0.5)
            at = lab.bench.now
            lab.schedule(target * rated)
            lab.bench.wait(_RAMP_TIME)
            times, power = lab.records("grid_power", at, lab.bench.now)
            steady = times > at + 2.0
            slope = abs(float(np.polyfit(times[steady], power[steady], 1)[0])) * 60 / rated * 100
            rows.append(
                Row(
                    name=f"active_ramp.r{percent:g}",
                    clause=clauses()["ramp"],
                    limit={"expected": percent, "unit": "% Pn/min", "within_percent": 100 * _RAMP_ERROR},
                    measured={"value": number(slope, 2), "unit": "% Pn/min"},
                    verdict=judged(abs(slope - percent) <= _RAMP_ERROR * percent),
                    evidence=traces(
                        {"en": f"Ramp of {percent:g} % Pn/min", "es": f"Rampa de {percent:g} % Pn/min"},
                        at, None, (_POWER, "kW", (times, power), False),
                    ),
                    note={"en": "the text is for grid-following plants; how exact a ramp must be was not found",
                          "es": "el texto es para seguidoras de red; no se encontró qué exactitud exige a la rampa"},
                    ours=True,
                )
            )  # fmt: skip

        def refusals(*values: float) -> dict[float, str | None]:
            return {
                value: lab.refusal("grid_set", name="active.ramp", value=value, authorisation="SELFTEST")
                for value in values
            }

        rows.append(
            range_row(
                "active_ramp.range", "ramp", refusals(-1.0, 20.1, 40.0), refusals(0.0, 20.0),
                {"low": 0.0, "high": 20.0, "unit": "% Pn/min"},
            )
        )  # fmt: skip
    return rows


def maximum(setup: Setup) -> list[Row]:
    """A curtailment while the schedule asks for more: how long it takes, and whether it holds."""
    rated = setup.sizes.rated_power
    limit = 0.3 * rated
    with Lab(setup, "active/maximum", {}) as lab:
        lab.schedule(_FAR * rated)
        lab.bench.wait(5.0)
        at = lab.command("active.maximum", limit)
        lab.bench.wait(10.0)
        times, power = lab.records("grid_power", at, lab.bench.now)
        told = [event for event in lab.bench.recorder.events if event.code == "curtailment_reached"]
        allowed = float(lab.functions.values["active.curtailment_time"])
    above = power > limit + 0.01 * rated
    late = times[above & (times > at)]
    good = bool(np.isfinite(power).all())
    following = times[times > late[-1]] if len(late) else times[times > at]
    seconds = float(following[0] - at) if good and len(following) else None
    reported = told[0].value if len(told) == 1 else None
    agrees = seconds is not None and reported is not None and abs(seconds - reported) <= 2 * lab.bench.cycle
    return [
        Row(
            name="active_maximum.response",
            clause=clauses()["curtailment"],
            limit={"below": allowed, "unit": "s", "must": "reached, kept, and told with the time that it took"},
            measured={
                "value": number(seconds, 3),
                "unit": "s",
                "told_by_gateway_s": number(reported, 3),
                "maximum_kw": limit,
                "power_at_the_end_kw": number(float(power[-1]), 2),
            },
            verdict=judged(seconds is not None and seconds < allowed and agrees),
            evidence=traces(
                {"en": "Curtailment", "es": "Limitación de potencia"},
                at, None, (_POWER, "kW", (times, power), False),
            ),
            note=_OURS,
        )
    ]  # fmt: skip


def setpoint(setup: Setup) -> list[Row]:
    """The operator's set-point: refused while the plant takes no part in AGC, followed while it does."""
    rated = setup.sizes.rated_power
    wanted = 0.25 * rated
    rule = clauses()["setpoint"]
    system = {"source": "iec104", "role": "grid_operator"}
    with Lab(setup, "active/setpoint", {}) as lab:
        lab.schedule(_FAR * rated)
        lab.bench.wait(5.0)
        why = lab.refusal("grid_command", name="active.setpoint", value=wanted, **system)
        lab.bench.wait(2.0)
        before = float(lab.bench.recorder.series("grid_power")[1][-1])
        lab.command("active.agc", True)
        at = lab.bench.now
        accepted = lab.refusal("grid_command", name="active.setpoint", value=wanted, **system) is None
        lab.bench.wait(8.0)
        times, power = lab.records("grid_power", at, lab.bench.now)
    near = np.abs(power - wanted) <= _ACCURACY * rated
    away = times[~near]
    arrived = float(times[times > away[-1]][0] - at) if near[-1] and len(away) else None
    unmoved = abs(before - _FAR * rated) <= _ACCURACY * rated
    return [
        Row(
            name="active_setpoint.refused",
            clause=rule,
            limit={"must": "refused while the plant takes no part in AGC, and nothing moves"},
            measured={
                "found": "refused" if why is not None else "accepted",
                "power_kw": number(before, 2),
            },
            verdict=judged(why is not None and unmoved),
            note=_OURS,
        ),
        Row(
            name="active_setpoint.followed",
            clause=rule,
            limit={"expected": wanted, "unit": "kW", "within_percent_of_pn": 100 * _ACCURACY},
            measured={
                "value": number(float(power[-1]), 2),
                "unit": "kW",
                "seconds": number(arrived, 3),
                "accepted": accepted,
            },
            verdict=judged(accepted and arrived is not None),
            evidence=traces(
                {"en": "AGC set-point", "es": "Consigna de AGC"},
                at,
                None,
                (_POWER, "kW", (times, power), False),
            ),
            note=_OURS,
        ),
    ]
