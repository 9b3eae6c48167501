"""What `bessai status` shows of units, trips, maintenance and the way to a target, in 80 columns."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from bessai.cli.view import overview


def _unit(state: str = "normal", setpoint: float | None = 4.0, **more: Any) -> dict[str, Any]:
    return {
        "state": state, "setpoint": setpoint, "measured": 3.98, "bounds": [-10.0, 10.0], "reactive": None,
        "limited_by": [], "connected": True, "dead_man": {"armed": True, "withheld": False, "refusal": None},
    } | more  # fmt: skip


def _status(
    units: dict[str, dict[str, Any]], control: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "site": "plant-1", "healthy": True, "uptime": 12.0, "problems": [], "conditions": [],
        "device": {"name": next(iter(units)), "model": "Converter", "address": "10.0.0.1:502", "connected": True},
        "devices": {"total": 7, "well": 7, "problems": {}},
        "control": {"state": "normal", "setpoint": 12.0, "target": 12.0, "bounds": [-30.0, 30.0], "asked": 12.0,
                    "source": "operator", "limited_by": []} | (control or {}),
        "cycle": {"cycles": 9, "verified": 9, "fed": 2, "missed": 0, "duration_max": 0.02},
        "journal": {}, "service_plane": {"running": False}, "points": {}, "units": units, "trips": [],
        "maintenance": None,
    } | more  # fmt: skip


def shown(status: dict[str, Any]) -> str:
    """The page, with everything that was wrapped on one line."""
    console = Console(width=80, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(overview(status))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80
    return text


def _flat(text: str) -> str:
    return " ".join(" ".join(line.strip("│ ") for line in text.splitlines()).split())


THREE = {
    "pcs_1": _unit("tripped", 0.0, measured=0.0, bounds=[0.0, 0.0], limited_by=["cell_voltage_high"]),
    "pcs_2": _unit("hold", 0.0, measured=None, bounds=[0.0, 0.0], connected=False),
    "pcs_3": _unit("derated", 12.0, limited_by=["soc_low"], bounds=[-10.0, 12.5]),
}


def test_each_unit_has_a_line() -> None:
    text = shown(_status(THREE))
    rows = {
        line.strip("│ ").split()[0]: line.strip("│ ").split() for line in text.splitlines() if "pcs_" in line
    }
    assert rows == {
        "pcs_1": ["pcs_1", "tripped", "+0.00", "+0.00", "+0.0…+0.0", "cell_voltage_high"],
        "pcs_2": ["pcs_2", "hold", "+0.00", "–", "+0.0…+0.0", "not", "connected"],
        "pcs_3": ["pcs_3", "derated", "+12.00", "+3.98", "-10.0…+12.5", "soc_low"],
    }  # fmt: skip
    assert "Converter at" not in text, "no single device stands for several"


def test_one_device_needs_no_table() -> None:
    text = shown(_status({"": _unit()}))
    assert "Converter at 10.0.0.1:502" in text
    assert "told kW" not in text


def test_many_units_are_cut_and_those_in_trouble_stay() -> None:
    units = {f"pcs_{n:02}": _unit("hold" if n == 50 else "normal") for n in range(1, 61)}
    text = shown(_status(units))
    assert "pcs_50" in text
    assert "… 40 more" in text
    assert sum("pcs_" in line for line in text.splitlines()) == 20


@pytest.mark.parametrize(
    ("dead_man", "said"),
    [
        ({"armed": False, "withheld": False, "refusal": None}, "dead-man not armed"),
        ({"armed": False, "withheld": True, "refusal": None}, "dead-man test"),
        ({"armed": False, "withheld": False, "refusal": "no dead-man"}, "control refused"),
    ],
)
def test_a_dead_man_that_does_not_count_is_told(dead_man: dict[str, Any], said: str) -> None:
    assert said in shown(_status({"a": _unit(dead_man=dead_man), "b": _unit()}))


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ({}, "normal setpoint +12.00 kW in -30.0 … +30.0 asked +12.00 by operator"),
        ({"setpoint": 2.0, "limited_by": ["ramp_up"]}, "setpoint +2.00 kW on its way to +12.00"),
        ({"reactive": -2.0, "reactive_asked": -5.0}, "reactive -2.00 kvar (asked -5.00)"),
        ({"asked": None}, "asked by operator"),
        ({"bounds": [None, 4.0]}, "in -∞ … +4.0"),
        ({"setpoint": None, "target": None, "state": "monitor"}, "control monitor"),
    ],
)
def test_the_control_line(control: dict[str, Any], said: str) -> None:
    assert said in _flat(shown(_status({"": _unit()}, control)))


def test_trips_and_maintenance_say_how_they_end() -> None:
    trip = {
        "code": "cell_voltage_high",
        "unit": "pcs_1",
        "plant_wide": False,
        "wall_ns": 0,
        "reset": "engineer",
    }
    fire = {"code": "fire_alarm", "unit": "pcs_1", "plant_wide": True, "wall_ns": 0, "reset": "engineer"}
    people = {"user": "ana", "reason": "[fan]", "wall_ns": 0}
    text = _flat(shown(_status(THREE, trips=[trip, fire], maintenance=people)))
    for part in (
        "cell_voltage_high of pcs_1 since 1970-01-01 00:00 UTC; ends with `bessai reset cell_voltage_high` (engineer)",
        "fire_alarm of the whole plant",
        "since 1970-01-01 00:00 UTC, ana: [fan]; ends with `bessai maintenance off`",
    ):  # fmt: skip
        assert part in text, text
