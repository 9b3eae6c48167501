"""What answers the grid is added to what is preferred: a scenario a line."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.core.dynamics import Dynamics, RampLimits
from bessai.core.guard import SafetyGuard
from bessai.core.requests import RequestBook, resolve
from bessai.model import Bounds, Decision, Priority, Request
from core.test_guard import Scene
from support.profiles import battery

NOW = 100.0
Rows = list[tuple[str, Priority, float | None, tuple[float, float], float | None]]


def test_a_firm_power_is_not_taken_over_and_leaves_room_for_the_grid() -> None:
    def asked(source: str, priority: Priority, power: float | None, **more: Any) -> Request:
        return Request(source=source, priority=priority, power=power, expires=NOW + 5, **more)

    book = RequestBook()
    book.put(asked("schedule", Priority.SCHEDULE, 30.0, bounds=Bounds(20, 40)))
    book.put(asked("cen", Priority.GRID_OPERATOR, 10.0))
    assert resolve(book.live(NOW), Bounds(-50, 50), NOW).power == 30.0
    book.put(asked("cen", Priority.GRID_OPERATOR, 10.0, firm=True))
    book.put(asked("grid.frequency", Priority.GRID_SUPPORT, None, offset=8.0))
    found = resolve(book.live(NOW), Bounds(-50, 50), NOW)
    assert (found.power, found.sum_bounds.clip(10.0 + 8.0)) == (10.0, 18.0)
    assert {c.source: c.role for c in found.considered} == {
        "cen": "won", "grid.frequency": "bounds_only", "schedule": "outranked",
    }  # fmt: skip


def sum_of(rows: Rows, envelope: tuple[float, float] = (-50, 50)) -> tuple[float, float]:
    """The preferred power, and the power with the offset."""
    book = RequestBook()
    for source, priority, power, bounds, offset in rows:
        book.put(
            Request(
                source=source,
                priority=priority,
                power=power,
                bounds=Bounds(*bounds),
                offset=offset,
                expires=NOW + 5,
            )
        )
    found = resolve(book.live(NOW), Bounds(*envelope), NOW)
    return found.power, found.sum_bounds.clip(found.power + (found.offset or 0.0))


ANY = (-math.inf, math.inf)
DROOP = ("grid.frequency", Priority.GRID_SUPPORT, None, ANY, 8.0)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([DROOP], (0, 8)),
        ([DROOP, ("schedule", Priority.SCHEDULE, 10, ANY, None)], (10, 18)),
        # a lower priority's bounds limit its own kind, not the answer to the grid
        ([DROOP, ("schedule", Priority.SCHEDULE, 10, (-10, 10), None)], (10, 18)),
        ([DROOP, ("vpp", Priority.POWER_PLANT, None, (-5, 5), None)], (0, 8)),
        # a higher one's do
        ([DROOP, ("cen", Priority.GRID_OPERATOR, None, (-50, 12), None), ("s", Priority.SCHEDULE, 9, ANY, None)],
         (9, 12)),
        ([DROOP, ("ana", Priority.OPERATOR, 10, ANY, None)], (10, 18)),
        ([DROOP, ("ana", Priority.OPERATOR, 10, (10, 10), None)], (10, 10)),
        ([DROOP, ("ana", Priority.OPERATOR, -48, ANY, None)], (-48, -40)),
        ([("f", Priority.GRID_SUPPORT, None, ANY, -8.0), ("ana", Priority.OPERATOR, -48, ANY, None)], (-48, -50)),
    ],
)  # fmt: skip
def test_the_sum(rows: Rows, expected: tuple[float, float]) -> None:
    assert sum_of(rows) == expected


def test_the_guard_s_envelope_limits_the_sum() -> None:
    assert sum_of([DROOP], (-50, 5)) == (0, 5)
    assert sum_of([DROOP], (0, 0)) == (0, 0)


@pytest.mark.parametrize("field", [{"offset": math.nan}, {"ramp": -0.1}, {"ramp": math.inf}])
def test_what_is_no_number_is_refused(field: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"offset|ramp"):
        RequestBook().put(
            Request(source="x", priority=Priority.GRID_SUPPORT, power=None, expires=NOW + 1, **field)  # type: ignore[arg-type]
        )


def test_the_slowest_ramp_counts() -> None:
    book = RequestBook()
    for source, ramp in (("a", 0.1), ("b", 0.01), ("c", None)):
        book.put(
            Request(source=source, priority=Priority.GRID_OPERATOR, power=None, ramp=ramp, expires=NOW + 1)
        )
    assert resolve(book.live(NOW), Bounds(-1, 1), NOW).ramp == 0.01


class Plant:
    """A guarded battery of 50 kW charge and 40 kW discharge that does what it is told; a second a cycle."""

    def __init__(self, folder: Path, ramp: float | None = None) -> None:
        self.scene = Scene(battery(folder))
        self.scene.guard = SafetyGuard([self.scene.unit], dynamics=Dynamics(RampLimits(up=ramp, down=ramp)))
        for _ in range(4):
            self.scene.cycle()

    def cycle(self, offset: float | None, wish: float | None = None, **values: Any) -> Decision:
        now = self.scene.now
        self.scene.book.put(
            Request(source="schedule", priority=Priority.SCHEDULE, power=wish, expires=now + 9)
        )
        self.scene.book.put(
            Request(
                source="grid.frequency",
                priority=Priority.GRID_SUPPORT,
                power=None,
                offset=offset,
                expires=now + 9,
            )
        )
        return self.scene.cycle(**values)


def test_the_ramp_holds_the_wish_and_not_the_answer_to_the_grid(tmp_path: Path) -> None:
    plant = Plant(tmp_path, ramp=0.02)  # 1 kW a second of 50
    told = [plant.cycle(8.0, 20.0) for _ in range(3)]
    assert [(one.setpoint, one.offset, one.target) for one in told] == [
        (9.0, 8.0, 20.0), (10.0, 8.0, 20.0), (11.0, 8.0, 20.0),
    ]  # fmt: skip
    back = [plant.cycle(None, 20.0), plant.cycle(-6.0, 20.0)]
    assert [one.setpoint for one in back] == [4.0, -1.0]
    assert plant.scene.unit.standing == -1.0  # also the second look agreed, and it was written


def test_a_held_plant_answers_nothing(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    assert plant.cycle(8.0).setpoint == 8.0
    assert plant.cycle(8.0, battery_temperature=math.nan).setpoint == 0.0
    held = plant.cycle(8.0, battery_temperature=math.nan)
    assert (held.setpoint, held.offset) == (0.0, None)


def test_limits_cut_the_answer_and_say_so(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    cut = plant.cycle(30.0, 20.0)
    assert (cut.setpoint, cut.offset) == (40.0, 20.0)
    assert "grid_support" in cut.limited_by
    assert "grid_support" not in plant.cycle(8.0, 20.0).limited_by


def test_a_request_may_hold_the_preferred_power_where_it_is(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    assert plant.cycle(None, 5.0).setpoint == 5.0
    plant.scene.book.put(
        Request(
            source="cen", priority=Priority.GRID_OPERATOR, power=None, ramp=0.0, expires=plant.scene.now + 9
        )
    )
    assert (plant.cycle(2.0, 20.0).setpoint, plant.cycle(None, 20.0).limited_by) == (7.0, ("ramp_request",))
    plant.scene.book.cancel("cen")
    assert plant.cycle(None, 20.0).setpoint == 20.0


def test_a_request_says_its_ramp_in_kw_a_second(tmp_path: Path) -> None:
    plant = Plant(tmp_path)

    def cycle(ramp: float) -> float | None:
        now = plant.scene.now
        plant.scene.book.put(
            Request(source="cen", priority=Priority.GRID_OPERATOR, power=None, ramp=ramp, expires=now + 9)
        )
        return plant.cycle(None, 20.0).setpoint

    assert [cycle(2.5), cycle(2.5), cycle(1.0)] == [2.5, 5.0, 6.0], "whatever the devices are rated at"


def test_a_device_that_refuses_for_a_while_leaves_no_power_that_nobody_wants(tmp_path: Path) -> None:
    plant = Plant(tmp_path, ramp=0.002)  # 0.1 kW a second
    plant.cycle(None, 0.0)
    plant.scene.unit.refuse("discharge", "busy", plant.scene.now)
    plant.scene.unit.refuse("discharge", "busy", plant.scene.now)
    assert plant.cycle(20.0, 0.0).setpoint == 0.0
    told = [plant.cycle(offset, 0.0).setpoint for offset in (20.0, 20.0, 10.0, None, None)]
    assert told == [20.0, 20.0, 10.0, 0.0, 0.0]


def test_a_device_that_may_not_be_written_yet_leaves_no_power_that_nobody_wants(tmp_path: Path) -> None:
    plant = Plant(tmp_path, ramp=0.002)
    plant.cycle(5.0, 0.0)
    may_write, plant.scene.unit.may_write = plant.scene.unit.may_write, lambda now: False  # type: ignore[method-assign]
    assert [plant.cycle(offset, 0.0).setpoint for offset in (10.0, 20.0)] == [5.0, 5.0]
    plant.scene.unit.may_write = may_write  # type: ignore[method-assign]
    assert [plant.cycle(offset, 0.0).setpoint for offset in (20.0, -8.0, None)] == [20.0, -8.0, 0.0]


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([None, -60.0, -5.0, 0.0, 3.3, 60.0]),
            st.sampled_from([None, -70.0, -4.0, 0.5, 70.0]),
            st.floats(5, 97),
        ),
        max_size=12,
    ),
    ramp=st.sampled_from([None, 0.01, 0.2]),
)
@settings(max_examples=60, deadline=None)
def test_nothing_leaves_the_envelope_whatever_is_offered(
    rows: list[tuple[float | None, float | None, float]], ramp: float | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plant = Plant(Path(folder), ramp)
    for wish, offset, soc in rows:
        told = plant.cycle(offset, wish, soc=soc)
        unit = told.units[0]
        assert told.setpoint is not None
        assert unit.bounds.clip(told.setpoint) == told.setpoint
        if soc <= 10:
            assert told.setpoint <= 0
        if soc >= 95:
            assert told.setpoint >= 0
        assert plant.scene.unit.standing == told.setpoint  # the second look never had to step in
