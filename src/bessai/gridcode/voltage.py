"""The voltage rows: steps of set-point and grid, droop and accuracy, AT-IBR Art. 3-3.

The reaction time is that of the closed loop at the point of connection. The converter and the network have their part
in it; the row tells when the gateway saw the step and when its write reached the converter, which is the gateway's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from bessai.gridcode.clauses import clauses
from bessai.gridcode.judging import band_of, range_row, time_row, traces
from bessai.gridcode.lab import Lab, Response, Setup, response
from bessai.gridcode.rows import Evidence, Plain, Row, Text, judged, number
from bessai.model import CycleRecord

BAND_SHARE = 0.05
_HOLD = 7.5
"""Seconds of a step: the settling limit must end before the last quarter, of which the settled mean is taken."""
_DIP = 0.02
"""Share of the voltage by which the grid steps."""
DROOPS = (2.0, 5.0, 10.0)
_SHARE: Text = {
    "en": "of the closed loop; the gateway's own part is from seeing the step to writing, computing time not counted",
    "es": "del lazo cerrado; la parte del gateway va desde ver el escalón hasta escribir, sin contar el tiempo de "
    "cómputo",
}
_LABELS: dict[str, tuple[Text, Text]] = {
    "grid_voltage": (
        {"en": "voltage, gateway's records", "es": "tensión, registros del gateway"},
        {"en": "voltage, witness", "es": "tensión, testigo"},
    ),
    "grid_reactive_power": (
        {"en": "reactive power, gateway's records", "es": "potencia reactiva, registros del gateway"},
        {"en": "reactive power, witness", "es": "potencia reactiva, testigo"},
    ),
}
_QUANTITY = {"grid_voltage": ("voltage", "V"), "grid_reactive_power": ("reactive", "kvar")}


def setpoint_steps(setup: Setup) -> list[Row]:
    """Steps of the set-point, which the voltage follows."""
    rows: list[Row] = []
    with Lab(setup, "voltage/setpoint", {"voltage.mode": "voltage"}) as lab:
        lab.schedule(100.0)
        lab.bench.wait(4.0)
        for case, setpoint in (("setpoint_up", 101.0), ("setpoint_down", 100.0)):
            lab.bench.wait(lab.bench.part_of_a_cycle())
            at = lab.command("voltage.setpoint", setpoint)
            lab.bench.wait(_HOLD)
            rows += _step_rows(lab, case, "grid_voltage", at, lab.bench.seen_at(lambda _: True, since=at))
    return rows


def grid_steps(setup: Setup) -> list[Row]:
    """Steps of the grid's voltage, which reactive power answers."""
    rows: list[Row] = []
    with Lab(setup, "voltage/grid", {"voltage.mode": "voltage"}) as lab:
        lab.schedule(100.0)
        for case, change in (("grid_down", -_DIP), ("grid_up", _DIP)):
            lab.bench.wait(3.0)
            at = lab.bench.disturb(voltage=change, seconds=_HOLD)
            lab.bench.wait(at + _HOLD - lab.bench.now)
            rows += _step_rows(
                lab, case, "grid_reactive_power", at, lab.bench.seen_at(_dipped(lab), since=at)
            )
    return rows


def _dipped(lab: Lab) -> Callable[[CycleRecord], bool]:
    """True of a record that shows the step of the grid."""
    nominal = lab.sizes.nominal_voltage
    return lambda record: abs((record.image.good("grid_voltage") or nominal) - nominal) > _DIP / 2 * nominal


def _step_rows(lab: Lab, case: str, point: str, at: float, seen: float | None) -> list[Row]:
    quantity, unit = _QUANTITY[point]
    until = at + _HOLD - 0.2
    records, witness = lab.records(point, at, until), lab.witness(quantity, at, until)
    found = response(records, witness, step_at=at, band=BAND_SHARE, detected_at=seen)
    label, true = _LABELS[point]
    evidence = traces(
        {"en": f"Voltage control: {case.replace('_', ' ')}", "es": f"Control de tensión: {_CASES[case]}"},
        at,
        band_of(found.records, BAND_SHARE),
        (label, unit, records, False),
        (true, unit, witness, False),
    )
    return [
        time_row(
            f"voltage_reaction.{case}", "voltage-reaction", "reaction", found, evidence,
            _own_share(lab, at, seen), _SHARE,
        ),
        time_row(f"voltage_rise.{case}", "voltage-rise", "rise", found, evidence),
        time_row(f"voltage_settling.{case}", "voltage-settling", "settling", found, evidence),
        _overshoot_row(f"voltage_overshoot.{case}", found, evidence),
    ]  # fmt: skip


_CASES = {
    "setpoint_up": "consigna arriba", "setpoint_down": "consigna abajo", "grid_down": "red abajo",
    "grid_up": "red arriba",
}  # fmt: skip


def _own_share(lab: Lab, at: float, seen: float | None) -> dict[str, Plain]:
    """When the gateway saw the step and how long its first write then took to reach the converter."""
    if seen is None:
        return {"seen_after": None, "written_after_seen": None}
    written = next((when for when in lab.bench.writes if when >= seen), None)
    return {
        "seen_after": number(seen - at),
        "written_after_seen": None if written is None else number(written - seen),
    }


def _overshoot_row(name: str, found: Response, evidence: Evidence) -> Row:
    rule = clauses()["voltage-overshoot"]
    seen = [r.overshoot for r in (found.records, found.witness)]
    known = [value for value in seen if value is not None]
    worst = max(known) if len(known) == len(seen) else None
    return Row(
        name=name, clause=rule, limit={"at_most": 5.0, "unit": "%"},
        measured={"value": None if worst is None else number(100 * worst, 2), "unit": "%"},
        verdict=judged(worst is not None and 100 * worst <= float(rule.limit["at_most"])), evidence=evidence,
    )  # fmt: skip


def droop(setup: Setup) -> list[Row]:
    """The settled reactive power against the droop's law, and the range that may be set."""
    rows = []
    sizes = setup.sizes
    with Lab(setup, "voltage/droop", {"voltage.mode": "voltage_droop"}) as lab:
        lab.bench.wait(3.0)
        for percent in DROOPS:
            lab.set("voltage.droop", percent)
            lab.bench.wait(0.5)
            at = lab.bench.disturb(voltage=-_DIP, seconds=6.0)
            lab.bench.wait(at + 5.8 - lab.bench.now)
            volts, kvar = (_mean(lab, point, at + 4.0) for point in ("grid_voltage", "grid_reactive_power"))
            lab.bench.wait(2.0)
            rows.append(_droop_row(percent, volts, kvar, sizes.nominal_voltage, sizes.rated_apparent_power))

        def refusals(*values: float) -> dict[float, str | None]:
            return {
                value: lab.refusal("grid_set", name="voltage.droop", value=value, authorisation="SELFTEST")
                for value in values
            }

        rows.append(
            range_row(
                "voltage_droop.range", "voltage-droop", refusals(1.9, 10.1), refusals(2.0, 10.0),
                {"low": 2.0, "high": 10.0, "unit": "%"},
            )
        )  # fmt: skip
    return rows


def _droop_row(percent: float, volts: float, kvar: float, nominal: float, apparent: float) -> Row:
    wanted = (1.0 - volts / nominal) / (percent / 100) * apparent
    error = (kvar - wanted) / apparent
    return Row(
        name=f"voltage_droop.s{percent:g}",
        clause=clauses()["voltage-droop"],
        limit={"expected": number(wanted, 2), "unit": "kvar", "within_percent_of_sn": 100 * BAND_SHARE},
        measured={
            "value": number(kvar, 2),
            "unit": "kvar",
            "voltage_percent": number(100 * volts / nominal, 3),
            "effective_droop_percent": number(100 * (1.0 - volts / nominal) / (kvar / apparent), 2)
            if kvar
            else None,
            "error_percent_of_sn": number(100 * error, 2),
        },
        verdict=judged(abs(error) <= BAND_SHARE),
    )


def accuracy(setup: Setup) -> list[Row]:
    """Power factor and reactive power set-points against the settled mean at the point of connection."""
    rows = []
    apparent = setup.sizes.rated_apparent_power
    half = 0.5 * setup.sizes.rated_power
    with Lab(setup, "voltage/accuracy", {"voltage.mode": "power_factor"}) as lab:
        for case, power, factor in (
            ("export", half, 0.95),
            ("absorb", half, -0.95),
            ("charging", -half, 0.95),
        ):
            lab.schedule(power)
            lab.command("voltage.power_factor", factor)
            lab.bench.wait(5.0)
            since = lab.bench.now - 1.5
            active, reactive = (_mean(lab, point, since) for point in ("grid_power", "grid_reactive_power"))
            wanted = math.copysign(abs(active) * math.tan(math.acos(abs(factor))), factor)
            rows.append(
                _accuracy_row(
                    f"power_factor_accuracy.{case}", "power-factor-accuracy", reactive, wanted, apparent,
                    {"active_power_kw": number(active, 2), "power_factor": factor},
                )
            )  # fmt: skip
        lab.command("voltage.mode", "reactive_power")
        for case, wanted in (("export", 0.3 * apparent), ("absorb", -0.3 * apparent)):
            lab.command("voltage.reactive_power", wanted)
            lab.bench.wait(5.0)
            reactive = _mean(lab, "grid_reactive_power", lab.bench.now - 1.5)
            rows.append(
                _accuracy_row(
                    f"reactive_power_accuracy.{case}",
                    "reactive-power-accuracy",
                    reactive,
                    wanted,
                    apparent,
                    {},
                )
            )
    return rows


def _accuracy_row(
    name: str, clause: str, found: float, wanted: float, apparent: float, extra: dict[str, Plain]
) -> Row:
    rule = clauses()[clause]
    error = 100 * (found - wanted) / apparent
    return Row(
        name=name, clause=rule, limit={"within": float(rule.limit["within"]), "unit": "% Sn"},
        measured={"value": number(error, 3), "unit": "% Sn", "reactive_power_kvar": number(found, 2),
                  "expected_kvar": number(wanted, 2), **extra},
        verdict=judged(abs(error) <= float(rule.limit["within"])),
    )  # fmt: skip


def _mean(lab: Lab, point: str, since: float) -> float:
    """Mean of the good samples since a time; NaN when one is not good."""
    _, values = lab.bench.recorder.series(point, since=since)
    return float(values.mean())
