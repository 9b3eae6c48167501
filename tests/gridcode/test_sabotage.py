"""A deliberate fault makes its rows fail, and no other: else the self-test would prove nothing."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytest

from bessai.grid.curves import droop_response
from bessai.gridcode.lab import Setup
from bessai.gridcode.rows import Verdict
from bessai.gridcode.sabotage import KINDS, parse
from bessai.gridcode.suite import run

VALUES = ("frequency_droop.s2_*", "frequency_droop.s3_*", "frequency_droop.s5_*")
ITS_ROWS: dict[str, tuple[str, ...]] = {
    "droop=8": VALUES,
    "dead_band=150": (*VALUES, "frequency_dead_band.edge"),
    "delay=2": ("frequency_reaction.*",),
    "ramp=40": ("active_ramp.r20", "active_ramp.r10"),
    "overshoot=0.5": ("voltage_overshoot.*",),
}
"""Fault to the rows that must fail, and no others of the whole test."""

NEAR: dict[str, tuple[str, ...]] = {
    "droop=8": ("frequency_*.s5*", "frequency_droop.range"),
    "dead_band=150": ("frequency_dead_band*",),
    "delay=2": ("frequency_*.s2*",),
    "ramp=40": ("active_ramp.r20", "active_ramp.r10", "active_ramp.range"),
    "overshoot=0.5": ("voltage_*.setpoint_*",),
}
"""What is run in every test session; the whole test is run with each fault in the long tests."""


def _failing(fault: str, only: Sequence[str]) -> tuple[set[str], set[str]]:
    """The rows that fail, and those that must."""
    rows = run(Setup(seed=1, sabotage=parse(fault)), only)
    tested = [row for row in rows if row.verdict is not Verdict.NOT_TESTED]
    must = {row.name for row in tested if any(fnmatchcase(row.name, pattern) for pattern in ITS_ROWS[fault])}
    return {row.name for row in tested if row.verdict is Verdict.FAIL}, must


@pytest.mark.parametrize("fault", ITS_ROWS)
def test_its_rows_fail_and_no_others(fault: str) -> None:
    failed, must = _failing(fault, NEAR[fault])
    assert must
    assert failed == must


@pytest.mark.soak
@pytest.mark.parametrize("fault", ITS_ROWS)
def test_of_the_whole_test_no_others_fail(fault: str) -> None:
    failed, must = _failing(fault, ())
    assert failed == must


def test_every_fault_is_tried_here() -> None:
    assert {fault.partition("=")[0] for fault in ITS_ROWS} == set(KINDS)


@pytest.mark.parametrize("text", ["speed=2", "droop", "droop=fast", "droop=-1", "droop=1e9", ""])
def test_a_fault_that_is_none_is_refused_with_the_mend(text: str) -> None:
    with pytest.raises(ValueError, match=r"use one of|give a number"):
        parse(text)


def _verdicts(only: str) -> dict[str, Verdict]:
    return {row.name: row.verdict for row in run(Setup(seed=1), [only])}


def test_a_dead_band_on_one_side_only_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_sided(deviation: float, dead_band: float, droop: float, *, step: bool = False) -> float:
        return droop_response(deviation, dead_band if deviation < 0 else 0.0, droop, step=step)

    monkeypatch.setattr("bessai.grid.frequency.droop_response", one_sided)
    assert _verdicts("frequency_dead_band.edge") == {"frequency_dead_band.edge": Verdict.FAIL}


def test_an_answer_in_the_wrong_direction_is_not_symmetrical(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(deviation: float, dead_band: float, droop: float, *, step: bool = False) -> float:
        return -droop_response(deviation, dead_band, droop, step=step)

    monkeypatch.setattr("bessai.grid.frequency.droop_response", wrong)
    assert _verdicts("frequency_symmetry.s3") == {"frequency_symmetry.s3": Verdict.FAIL}


def test_modes_of_a_plant_that_does_nothing_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bessai.grid.voltage.ReactiveControl.step", lambda *_: 0.0)
    assert set(_verdicts("voltage_modes").values()) == {Verdict.FAIL}
