"""The modes of reactive power: one at a time, and changed without a bump (AT-IBR Art. 3-3 b, c)."""

from __future__ import annotations

from bessai.gridcode.clauses import clauses
from bessai.gridcode.lab import Lab, Setup
from bessai.gridcode.rows import Row, Text, judged, number

_BUMP = 0.02
"""Share of Sn by which a change of mode may move the reactive power when both modes ask for the same."""
_OURS: Text = {
    "en": "the code gives no number for a bump; this one is ours",
    "es": "el código no da un número para el salto; este es nuestro",
}
_WATCH = 2.0
"""Seconds after a change that are looked at."""


def modes(setup: Setup) -> list[Row]:
    """Bumpless changes, exclusive set-points, and modes that do not exist."""
    sizes = setup.sizes
    with Lab(setup, "voltage/modes", {"voltage.mode": "reactive_power"}) as lab:
        lab.schedule(0.4 * sizes.rated_power)
        lab.command("voltage.reactive_power", 120.0)
        lab.bench.wait(5.0)
        bumps = _bumps(lab)
        idle = _idle_setpoints(lab)
        refused = [
            value
            for value in ("both", "voltage,reactive_power", ["voltage", "power_factor"])
            if lab.refusal("grid_command", name="voltage.mode", value=value) is not None
        ]
    rule = clauses()["voltage-modes"]
    apparent = sizes.rated_apparent_power
    worst, moved = max(bumps.values()), max(idle.values())
    return [
        Row(
            name="voltage_modes.bumpless",
            clause=rule,
            limit={"must": "no bump between modes that ask for the same", "at_most": 100 * _BUMP, "unit": "% Sn"},
            measured={"value": number(100 * worst / apparent, 3), "unit": "% Sn",
                      **{name: number(bump, 2) for name, bump in bumps.items()}},
            verdict=judged(worst <= _BUMP * apparent),
            note=_OURS,
            ours=True,
        ),
        Row(
            name="voltage_modes.exclusive",
            clause=rule,
            limit={"must": "only the set-point of the mode in force counts; one mode at a time", "at_most": 100 * _BUMP,
                   "unit": "% Sn"},
            measured={"value": number(100 * moved / apparent, 3), "unit": "% Sn", "wrong_modes_refused": len(refused)},
            verdict=judged(moved <= _BUMP * apparent and len(refused) == 3),
            note=_OURS,
            ours=True,
        ),
    ]  # fmt: skip


def _bumps(lab: Lab) -> dict[str, float]:
    """Change through all modes, each asked for what flows already: kvar that moved, by change."""
    moved: dict[str, float] = {}
    before = "reactive_power"
    for mode in ("power_factor", "voltage_droop", "voltage", "reactive_power"):
        kvar, active, volts = (
            _last(lab, point) for point in ("grid_reactive_power", "grid_power", "grid_voltage")
        )
        percent = 100 * volts / lab.sizes.nominal_voltage
        if mode == "power_factor":
            factor = abs(active) / (active * active + kvar * kvar) ** 0.5
            lab.command("voltage.power_factor", factor if kvar >= 0 else -factor)
        elif mode == "voltage_droop":
            droop = float(lab.functions.values["voltage.droop"])
            lab.command("voltage.setpoint", percent + droop * kvar / lab.sizes.rated_apparent_power)
        elif mode == "voltage":
            lab.command("voltage.setpoint", percent)
        else:
            lab.command("voltage.reactive_power", kvar)
        at = lab.command("voltage.mode", mode)
        lab.bench.wait(_WATCH)
        _, values = lab.witness("reactive", at, lab.bench.now)
        moved[f"{before}_to_{mode}_kvar"] = float(abs(values - kvar).max())
        before = mode
    return moved


def _idle_setpoints(lab: Lab) -> dict[str, float]:
    """Change the set-points of modes that are not in force: kvar that moved, by mode in force and set-point."""
    moved = {}
    for mode, setpoints in (
        ("reactive_power", {"voltage.setpoint": 95.0, "voltage.power_factor": -0.85}),
        ("voltage", {"voltage.reactive_power": -300.0, "voltage.power_factor": 0.9}),
    ):
        if mode == "voltage":
            lab.command("voltage.setpoint", 100 * _last(lab, "grid_voltage") / lab.sizes.nominal_voltage)
            lab.command("voltage.mode", mode)
            lab.bench.wait(_WATCH)
        for name, value in setpoints.items():
            before = _last(lab, "grid_reactive_power")
            at = lab.command(name, value)
            lab.bench.wait(_WATCH)
            _, values = lab.witness("reactive", at, lab.bench.now)
            moved[f"{mode} {name}"] = float(abs(values - before).max())
    return moved


def _last(lab: Lab, point: str) -> float:
    return float(lab.bench.recorder.series(point, since=lab.bench.now - 1.0 - 2 * lab.bench.cycle)[1][-1])
