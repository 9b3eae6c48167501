"""The frequency–power tests: AT-IBR Art. 3-6, and symmetry by Art. 3-1 e.

The grid itself steps, in the twin; the gateway sees it through the meter, as on a plant. Droop and dead band are also
computed back from two settled answers, so that what counts is what the plant does and not what was set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bessai.gridcode.clauses import clauses
from bessai.gridcode.judging import band_of, range_row, time_row, traces
from bessai.gridcode.lab import Lab, Response, Setup, response
from bessai.gridcode.rows import Evidence, Row, Text, judged, number

DROOPS = (2.0, 3.0, 5.0)
"""% of the steps."""
CHANGE = 0.2
"""Hz of the steps."""
BAND_SHARE = 0.05
_HOLD, _PAUSE = 14.0, 4.0
"""Seconds of a step (its last quarter is the settled mean and must begin after the settling limit), and between two."""
_STEADY = 5.0
"""Seconds of a small step of which the end is taken as settled."""
_SCHEDULE = 100.0
_NOISE_MHZ = 3.0
"""mHz by which the edge may be mistaken: the response moves in steps of 0.1 % of Pn, 1 mHz of each answer."""
_QUIET = 0.002
"""Share of the rated power that counts as no response."""
_WAYS = {"down": -1.0, "up": 1.0}
_POWER: Text = {"en": "active power, gateway's records", "es": "potencia activa, registros del gateway"}
_TRUE: Text = {"en": "active power, witness", "es": "potencia activa, testigo"}
_FREQUENCY: Text = {"en": "frequency", "es": "frecuencia"}


def expected(change: float, droop: float, dead_band: float, rated: float, nominal: float = 50.0) -> float:
    """The droop's answer in kW to a deviation in Hz, dead band in Hz as an offset: the vector of the code."""
    beyond = max(0.0, abs(change) - dead_band)
    return -math.copysign(beyond, change) / (droop / 100 * nominal) * rated


def droop_steps(setup: Setup, droop: float) -> list[Row]:
    """Steps of the frequency down and up at one droop."""
    values = {"frequency.enabled": True, "frequency.dead_band": 30.0}
    rows: list[Row] = []
    sizes: dict[str, float] = {}
    with Lab(setup, f"frequency/{droop:g}", values) as lab:
        lab.set("frequency.droop", droop)
        lab.schedule(_SCHEDULE)
        lab.bench.wait(_PAUSE)
        for way, sign in _WAYS.items():
            step = sign * CHANGE
            at = lab.bench.disturb(frequency=step, seconds=_HOLD)
            lab.bench.wait(at + _HOLD - lab.bench.now)
            found, evidence = _measured(lab, at, step, droop, way)
            case = f"s{droop:g}_{way}"
            rows += [
                time_row(f"frequency_reaction.{case}", "frequency-reaction", "reaction", found, evidence),
                time_row(f"frequency_rise.{case}", "frequency-rise", "rise", found, evidence),
                time_row(f"frequency_settling.{case}", "frequency-settling", "settling", found, evidence),
                _value_row(f"frequency_droop.{case}", found, step, droop, lab.sizes.rated_power, evidence),
            ]
            sizes[way] = found.records.change
            lab.bench.wait(_PAUSE)
    rows.append(_symmetry_row(f"frequency_symmetry.s{droop:g}", sizes))
    return rows


def _measured(lab: Lab, at: float, step: float, droop: float, way: str) -> tuple[Response, Evidence]:
    until = at + _HOLD - 0.2
    records, witness = lab.records("grid_power", at, until), lab.witness("power", at, until)
    seen = lab.bench.seen_at(
        lambda record: abs((record.image.good("grid_frequency") or 50.0) - 50.0) > abs(step) / 2, since=at
    )
    found = response(records, witness, step_at=at, band=BAND_SHARE, detected_at=seen)
    evidence = traces(
        {
            "en": f"Frequency step {step:+g} Hz, droop {droop:g} %",
            "es": f"Escalón de frecuencia {step:+g} Hz, estatismo {droop:g} %",
        },
        at,
        band_of(found.records, BAND_SHARE),
        (_POWER, "kW", records, False),
        (_TRUE, "kW", witness, False),
        (_FREQUENCY, "Hz", lab.witness("frequency", at, until), True),
    )
    return found, evidence


def _value_row(
    name: str, found: Response, step: float, droop: float, rated: float, evidence: Evidence
) -> Row:
    wanted = expected(step, droop, 0.030, rated)
    error = (found.records.change - wanted) / abs(wanted)
    return Row(
        name=name,
        clause=clauses()["frequency-droop"],
        limit={"expected": number(wanted, 2), "unit": "kW", "within_percent": 100 * BAND_SHARE},
        measured={
            "value": number(found.records.change, 2),
            "unit": "kW",
            "error_percent": number(100 * error, 2),
            "of_rated_percent": number(100 * found.records.change / rated, 2),
        },
        verdict=judged(abs(error) <= BAND_SHARE),
        evidence=evidence,
        note={
            "en": f"droop {droop:g} %, dead band 30 mHz as an offset; the annex shows two shapes, ask the Coordinator",
            "es": f"estatismo {droop:g} %, banda muerta de 30 mHz como desplazamiento; el anexo muestra dos formas, "
            "consulte al Coordinador",
        },
    )


def _symmetry_row(name: str, changes: dict[str, float]) -> Row:
    up, down = abs(changes["up"]), abs(changes["down"])
    larger = max(up, down)
    difference = abs(up - down) / larger if larger > 0 else 1.0
    return Row(
        name=name,
        clause=clauses()["symmetry"],
        limit={"must": "equivalent both ways", "within_percent": 100 * BAND_SHARE},
        measured={
            "value": number(100 * difference, 2),
            "unit": "%",
            "low_frequency_kw": number(changes["down"], 2),
            "high_frequency_kw": number(changes["up"], 2),
        },
        ours=True,
        verdict=judged(difference <= BAND_SHARE),
        note={
            "en": "the code gives no number for equivalent; the settling band is taken",
            "es": "el código no da un número para equivalente; se toma la banda de establecimiento",
        },
    )


def dead_band(setup: Setup) -> list[Row]:
    """No response inside the dead band, and where it really ends."""
    values = {"frequency.enabled": True, "frequency.droop": 2.0, "frequency.dead_band": 30.0}
    rated = setup.sizes.rated_power
    with Lab(setup, "dead_band", values) as lab:
        lab.schedule(_SCHEDULE)
        lab.bench.wait(_PAUSE)
        inside = [_settled(lab, step) for step in (-0.025, 0.025)]
        lab.set("frequency.dead_band", 20.0)
        lab.bench.wait(1.0)
        answers = {step: _settled(lab, step) for step in (-0.10, -0.06, 0.06, 0.10)}
    worst = max(abs(change) for change in inside)
    rule = clauses()["frequency-dead-band"]
    return [
        Row(
            name="frequency_dead_band.inside",
            clause=rule,
            limit={"must": "no response at ±25 mHz with 30 mHz set", "at_most": 100 * _QUIET, "unit": "% Pn"},
            measured={"value": number(100 * worst / rated, 3), "unit": "% Pn"},
            verdict=judged(worst <= _QUIET * rated),
        ),
        _edge_row(answers, rated),
    ]


def _settled(lab: Lab, step: float) -> float:
    """The change of power in kW once a small step of the frequency is answered."""
    at = lab.bench.disturb(frequency=step, seconds=_STEADY)
    lab.bench.wait(at + _STEADY - lab.bench.now)
    times, power = lab.records("grid_power", at, at + _STEADY - 0.2)
    change = float(power[times > at + 0.6 * _STEADY].mean() - power[times < at].mean())
    lab.bench.wait(0.7 * _STEADY)
    return change


def _edge_row(answers: dict[float, float], rated: float) -> Row:
    """Where the line through two answers meets zero, on each side."""
    edges: list[float] = []
    for sign in (-1.0, 1.0):
        near, far = abs(answers[sign * 0.06]), abs(answers[sign * 0.10])
        if far <= _QUIET * rated:
            edges.append(100.0)  # nothing even there
        elif near <= _QUIET * rated or far <= near:
            edges.append(60.0)
        else:
            edges.append(60.0 - near * 40.0 / (far - near))
    widest = max(edges)
    return Row(
        name="frequency_dead_band.edge",
        clause=clauses()["frequency-dead-band"],
        limit={"at_most": 30.0, "unit": "mHz"},
        measured={
            "value": number(widest, 2),
            "unit": "mHz",
            "set": 20.0,
            "uncertainty": _NOISE_MHZ,
            "answer_at_60_mhz_kw": number(answers[-0.06], 2),
            "answer_at_100_mhz_kw": number(answers[-0.10], 2),
        },
        verdict=judged(widest <= 30.0 and abs(widest - 20.0) <= _NOISE_MHZ),
        note={
            "en": "computed back from the answers to 60 and 100 mHz; no answer at all counts as wider",
            "es": "calculada desde las respuestas a 60 y 100 mHz; sin respuesta alguna cuenta como más ancha",
        },
    )


def ranges(setup: Setup) -> list[Row]:
    """What change control says to values outside and at the ends of the ranges."""
    with Lab(setup, "frequency/ranges", {}) as lab:

        def refusals(name: str, values: Sequence[float]) -> dict[float, str | None]:
            return {
                value: lab.refusal("grid_set", name=name, value=value, authorisation="SELFTEST")
                for value in values
            }

        droop, band = "frequency.droop", "frequency.dead_band"
        return [
            range_row(
                "frequency_droop.range", "frequency-droop", refusals(droop, (1.9, 5.1)),
                refusals(droop, (2.0, 5.0)), {"low": 2.0, "high": 5.0, "unit": "%"},
            ),
            range_row(
                "frequency_dead_band.range", "frequency-dead-band", refusals(band, (-1.0, 30.1, 150.0)),
                refusals(band, (0.0, 30.0)), {"at_most": 30.0, "unit": "mHz"},
            ),
        ]  # fmt: skip
