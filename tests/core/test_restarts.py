"""A hundred restarts while tripped: guard, latch and its file are made anew each time, as at a start."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from bessai.core.deadman import DeadMan
from bessai.core.guard import SafetyGuard
from bessai.core.keeping import Keeper, take_up
from bessai.core.limits import Limits
from bessai.core.state_file import DiskState
from bessai.core.unit import Unit
from bessai.model import Operation, Priority, ProcessImage, Quality, Request, Role, SystemClock, Trip
from bessai.registry import CompiledProfile
from support.profiles import battery

RESTARTS = 100
TRIP = Trip(
    code="cell_voltage_high",
    unit="",
    point="cell_voltage_max",
    value=3.7,
    message="above 3.65 V",
    wall_ns=1,
    reset=Role.ENGINEER,
)


def image_of(profile: CompiledProfile, now: float) -> ProcessImage:
    """A battery that is well."""
    values = {
        "soc": 50.0, "battery_power": 0.0, "battery_temperature": 25.0, "device_status": 1.0,
        "charge_power_max": 50.0, "discharge_power_max": 50.0,
    }  # fmt: skip
    layout = profile.layout
    columns = np.array([values.get(name, np.nan) for name in layout.names])
    quality = np.array([Quality.GOOD if n in values else Quality.MISSING for n in layout.names], np.uint8)
    return ProcessImage(layout, 0, now, 7, columns, quality, np.full(len(layout), now))


def _durable(keeper: Keeper) -> int:
    """Hand everything to the disk; the revision that arrived there."""
    found = None
    deadline = time.monotonic() + 30
    while found is None:
        assert time.monotonic() < deadline
        found = keeper.tick()
        time.sleep(0.001)
    return found


def test_a_hundred_restarts_reset_nothing(tmp_path: Path) -> None:
    profile = battery(tmp_path)
    (tmp_path / "data").mkdir()
    request = Request(source="test", priority=Priority.OPERATOR, power=5.0, expires=1e12)
    reset = Operation(kind="reset", code="all", user="ana", role=Role.ENGINEER, reason="healed")
    operator = Operation(kind="reset", code="all", user="ben", role=Role.OPERATOR, reason="why not")
    for restart in range(RESTARTS + 1):
        state = DiskState(tmp_path / "data")
        keeper = take_up(state, SystemClock())
        guard = SafetyGuard([Unit(profile, Limits(), DeadMan(profile, 1.0))], latch=keeper.latch)
        if restart == 0:
            guard.latch.trip(TRIP)
            assert _durable(keeper)
        assert guard.latch.standing == (TRIP,)
        assert guard.operate(reset, 0.0, 2) is not None, "nobody has looked at the plant yet"
        for cycle in range(5):
            now = 1000.0 + cycle
            decision = guard.decide({"": image_of(profile, now)}, (request,), fresh=frozenset({""}))
            assert decision.state.value == "tripped"
            assert decision.setpoint == 0.0
            command = guard.command("", now)
            assert command is None or command.kind == "zero"
        assert guard.operate(operator, 1010.0, 2) is not None
        assert keeper.latch.standing == (TRIP,)
        if restart % 2:
            assert state.close(10)  # otherwise it ends as a kill ends it: nothing more is said to the disk
    assert guard.operate(reset, 1020.0, 3) is None
    guard.settled(_durable(keeper))
    assert guard.latch.standing == ()


@pytest.mark.parametrize("role", list(Role))
def test_nothing_is_reset_before_the_first_look(tmp_path: Path, role: Role) -> None:
    profile = battery(tmp_path)
    guard = SafetyGuard([Unit(profile, Limits(), DeadMan(profile, 1.0))])
    guard.latch.trip(TRIP)
    why = guard.operate(Operation(kind="reset", code="all", user="ana", role=role, reason="x"), 0.0, 2)
    assert why is not None
