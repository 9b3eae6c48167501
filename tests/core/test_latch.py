"""The latch: what stands, who may reset it, and what its record holds."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bessai.core.keeping import RECORD_LOST, Keeper, recovered
from bessai.core.latch import (
    Cause,
    Latch,
    LatchMemory,
    OperationRefused,
    ResetRefused,
    from_state,
    to_state,
    trip_status,
)
from bessai.core.state_file import MemoryState
from bessai.model import Operation, Role, Trip

HIGH = Trip(code="cell_voltage_high", unit="a", point="cell_voltage_max", value=3.71, wall_ns=5)
HOT = Trip(code="cell_hot", unit="b", point="cell_temperature_max", value=61.0, reset=Role.OPERATOR)
FIRE = Trip(code="fire", unit="", plant_wide=True, message="fire alarm")


def op(kind: str = "reset", code: str = "all", *, role: Role = Role.ENGINEER, **more: Any) -> Operation:
    return Operation(kind=kind, code=code, **{"user": "ana", "role": role, "reason": "checked", **more})


def latched(*trips: Trip) -> Latch:
    latch = Latch()
    for trip in trips:
        latch.trip(trip)
    return latch


def cause(trip: Trip) -> Cause:
    return trip.code, trip.unit, trip.point


@pytest.mark.parametrize(
    ("trips", "tripped"),
    [
        ((), ""),
        ((HIGH,), "a"),
        ((HOT,), "b"),
        ((HIGH, HOT), "ab"),
        ((FIRE,), "abc"),
    ],
)
def test_a_trip_stops_its_unit_and_a_plant_wide_one_stops_all(trips: tuple[Trip, ...], tripped: str) -> None:
    latch = latched(*trips)
    assert "".join(unit for unit in "abc" if latch.tripped(unit)) == tripped


def test_the_first_trip_of_a_cause_is_kept() -> None:
    latch = latched(HIGH)
    assert not latch.trip(replace(HIGH, value=3.9, wall_ns=9, reset=Role.OPERATOR))
    assert latch.standing == (HIGH,)
    assert latch.memory.revision == 1
    assert latch.trip(replace(HIGH, unit="b"))
    assert latch.trip(replace(HIGH, point=None))
    assert len(latch.standing) == 3


# What stands / reset / causes still there / what is reset, or why not.
@pytest.mark.parametrize(
    ("trips", "operation", "still", "outcome"),
    [
        ((HIGH,), op(code="cell_voltage_high"), (), (HIGH,)),
        ((HIGH,), op(), (), (HIGH,)),
        ((HIGH, HOT, FIRE), op(), (), (HIGH, HOT, FIRE)),
        ((HIGH, HOT), op(unit="b"), (), (HOT,)),
        ((HIGH, HOT), op(unit="b"), (HIGH,), (HOT,)),
        ((HOT,), op(role=Role.OPERATOR), (), (HOT,)),
        ((HIGH,), op(role=Role.OPERATOR), (), "only the role engineer may reset it"),
        ((HIGH, HOT), op(role=Role.OPERATOR), (), "only the role engineer may reset it"),
        ((HIGH,), op(), (HIGH,), "its cause is still there"),
        ((HIGH, HOT), op(), (HOT,), "cell_hot of b"),
        ((HIGH,), op(code="cell_hot"), (), "no 'cell_hot' stands; these do: cell_voltage_high of a"),
        ((HIGH,), op(code="cell_voltage_high", unit="b"), (), "of b stands"),
        ((FIRE,), op(unit="a"), (), "no trip of a stands; these do: fire"),
        ((), op(), (), "nothing is tripped"),
    ],
)
def test_a_reset_takes_all_that_it_selects_or_nothing(
    trips: tuple[Trip, ...], operation: Operation, still: tuple[Trip, ...], outcome: tuple[Trip, ...] | str
) -> None:
    latch = latched(*trips)
    before = asdict(latch.memory)
    causes = [cause(trip) for trip in still]
    if isinstance(outcome, str):
        with pytest.raises(ResetRefused) as refused:
            latch.reset(operation, causes, 10)
        assert outcome in str(refused.value)
        assert asdict(latch.memory) == before
        return
    assert tuple(latch.reset(operation, causes, 10)) == outcome
    assert all(latch.tripped(unit) == any(t.plant_wide or t.unit == unit for t in trips) for unit in "abc")
    assert latch.settled(latch.memory.revision) == outcome
    assert latch.standing == tuple(trip for trip in trips if trip not in outcome)


def test_a_refused_reset_names_every_obstacle() -> None:
    latch = latched(HIGH, HOT)
    with pytest.raises(ResetRefused) as refused:
        latch.reset(op(role=Role.OPERATOR), [cause(HOT), cause(HIGH)], 0)
    assert str(refused.value).count("cause is still there") == 2
    assert str(refused.value).count("only the role") == 1


def test_a_reset_counts_only_when_its_record_is_durable() -> None:
    latch = latched(HIGH)
    revision = latch.memory.revision
    latch.reset(op(), (), 0)
    assert latch.tripped("a")
    assert latch.standing == (HIGH,)
    assert to_state(latch.memory)["trips"] == [], "the record that makes it durable is without the trip"
    assert latch.settled(revision) == ()
    assert latch.tripped("a"), "an older record says nothing about this reset"
    assert latch.settled(latch.memory.revision) == (HIGH,)
    assert not latch.tripped("a")


def test_the_same_cause_during_a_reset_is_a_new_trip() -> None:
    latch = latched(HIGH)
    latch.reset(op(), (), 0)
    again = replace(HIGH, value=3.8)
    assert latch.trip(again)
    assert latch.standing == (again,)
    latch.settled(latch.memory.revision)
    assert latch.standing == (again,)
    assert latch.tripped("a")


MAINTENANCE = "maintenance_on", "maintenance_off"


@pytest.mark.parametrize(
    ("steps", "ends"),
    [
        ([("on", "ana", Role.OPERATOR)], "ana"),
        ([("on", "ana", Role.OPERATOR), ("off", "ana", Role.OPERATOR)], None),
        ([("on", "ana", Role.OPERATOR), ("off", "ben", Role.OPERATOR)], None),
        ([("on", "ana", Role.ENGINEER), ("off", "ben", Role.OPERATOR)], "refused"),
        ([("on", "ana", Role.ENGINEER), ("off", "ben", Role.ENGINEER)], None),
        ([("on", "ana", Role.OPERATOR), ("on", "ben", Role.ENGINEER)], "refused"),
        ([("on", "ana", Role.OPERATOR), ("on", "ana", Role.OPERATOR)], "ana"),
        ([("off", "ana", Role.OPERATOR)], None),
    ],
)
def test_maintenance(steps: list[tuple[str, str, Role]], ends: str | None) -> None:
    latch = Latch()
    *first, (switch, user, role) = steps
    for a, b, c in first:
        latch.switch_maintenance(op(f"maintenance_{a}", user=b, role=c), 1)
    before = asdict(latch.memory)
    last = op(f"maintenance_{switch}", user=user, role=role)
    if ends == "refused":
        with pytest.raises(OperationRefused, match="ana"):
            latch.switch_maintenance(last, 2)
        assert asdict(latch.memory) == before
    else:
        changed = latch.switch_maintenance(last, 2)
        assert (latch.maintenance.user if latch.maintenance else None) == ends
        assert changed == (latch.memory.revision > before["revision"])


def test_maintenance_resets_no_trip() -> None:
    latch = latched(HIGH)
    for kind in MAINTENANCE:
        latch.switch_maintenance(op(kind), 1)
    assert latch.standing == (HIGH,)


def test_the_last_dead_man_test_of_a_unit_is_kept() -> None:
    latch = Latch()
    assert latch.test_of("a") is None
    latch.note_test("a", "profile-1", True, "ana", 7, {"kw": 0.0})
    latch.note_test("a", "profile-2", False, "ben", 8, {"kw": 12.0, "why": None})
    test = latch.test_of("a")
    assert test is not None
    assert (test.fingerprint, test.passed, test.user, test.wall_ns) == ("profile-2", False, "ben", 8)
    assert latch.test_of("b") is None


trips = st.builds(
    Trip,
    code=st.sampled_from(["x", "y"]) | st.text(max_size=5),
    unit=st.sampled_from(["", "a", "b"]),
    plant_wide=st.booleans(),
    point=st.none() | st.text(max_size=5),
    value=st.none() | st.floats(),
    message=st.text(max_size=20),
    wall_ns=st.integers(0, 2**63),
    reset=st.sampled_from(Role),
)


@given(st.lists(trips), st.booleans(), st.dictionaries(st.text(max_size=4), st.booleans()))
def test_the_record_restores_exactly_what_was_kept(
    several: list[Trip], maintained: bool, tests: dict[str, bool]
) -> None:
    latch = latched(*several)
    if maintained:
        latch.switch_maintenance(op("maintenance_on"), 3)
    for unit, passed in tests.items():
        latch.note_test(unit, "f", passed, "ana", 4, {"kw": 0.25, "why": None, "fell": True})
    text = json.dumps(to_state(latch.memory), allow_nan=False)
    back = Latch(from_state(json.loads(text)))
    assert asdict(back.memory) | {"revision": 0} == asdict(latch.memory) | {"revision": 0}
    assert back.standing == latch.standing
    for trip in several:
        assert back.tripped(trip.unit)


def test_the_memory_is_plain() -> None:
    latch = latched(HIGH, HOT)
    latch.reset(op(unit="b"), (), 1)
    latch.switch_maintenance(op("maintenance_on"), 3)
    plain = asdict(latch.memory)
    assert json.loads(json.dumps(plain)) == plain


def test_a_value_that_is_no_number_is_kept_as_none() -> None:
    (trip,) = latched(replace(HIGH, value=math.nan)).standing
    assert trip.value is None
    assert trip_status(trip)["reset"] == "engineer"


GOOD = to_state(LatchMemory())


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (GOOD | {"format": 2}, "format 2 is newer than this gateway's"),
        (GOOD | {"format": 0}, "format 0 is unknown"),
        ({}, "format None is unknown"),
        ({"format": 1}, "not a record of trips"),
        (GOOD | {"trips": [{"code": "x"}]}, "not a record of trips"),
        (GOOD | {"trips": [{"code": "x", "unit": "", "reset": 15}]}, "not a record of trips"),
        (GOOD | {"trips": None}, "not a record of trips"),
        (GOOD | {"maintenance": {"who": "ana"}}, "not a record of trips"),
        (GOOD | {"tests": [1]}, "not a record of trips"),
    ],
)
def test_a_record_that_is_not_understood_trips_the_plant(state: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        from_state(state)
    file = MemoryState()
    file.save(state)
    latch = recovered(file, 77)
    (trip,) = latch.standing
    assert (trip.code, trip.plant_wide, trip.reset, trip.wall_ns) == (RECORD_LOST, True, Role.ENGINEER, 77)
    assert problem in trip.message
    assert latch.tripped("any")


def test_a_lost_record_trips_until_an_engineer_resets_it() -> None:
    file = MemoryState()
    file.lost = "both copies are damaged"
    latch = recovered(file, 1)
    keeper = Keeper(latch, file)
    keeper.tick()
    assert recovered(file, 2).standing == latch.standing, "the next start does not forget it"
    with pytest.raises(ResetRefused):
        latch.reset(op(role=Role.OPERATOR), (), 3)
    latch.reset(op(code=RECORD_LOST), (), 3)
    assert latch.settled(keeper.tick() or 0)
    assert recovered(file, 4).standing == ()


def test_a_disk_that_refuses_holds_a_reset_back_but_no_trip() -> None:
    file = MemoryState()
    latch = recovered(file, 0)
    keeper = Keeper(latch, file)
    latch.trip(HIGH)
    assert keeper.tick() == latch.memory.revision
    file.stuck = True
    latch.reset(op(code=HIGH.code), (), 1)
    latch.trip(HOT)
    for _ in range(3):
        assert keeper.tick() is None
    assert latch.tripped("a")
    assert latch.tripped("b")
    assert recovered(file, 2).standing == (HIGH,), "a crash now starts tripped"
    file.stuck = False
    keeper = Keeper(latch, file)
    revision = keeper.tick()
    assert revision is not None
    assert latch.settled(revision) == (HIGH,)
    assert recovered(file, 3).standing == (HOT,)


class Restarts(RuleBasedStateMachine):
    """Trips, resets, a disk that refuses, and crashes, against an oracle of sets."""

    def __init__(self) -> None:
        super().__init__()
        self.file = MemoryState()
        self.latch = recovered(self.file, 0)
        self.keeper = Keeper(self.latch, self.file)
        self.standing: set[Cause] = set()
        """Causes that tripped, and whose reset is not known to be durable."""
        self.reset: set[Cause] = set()
        """Of those, the ones with a reset under way."""
        self.recorded: set[Cause] = set()
        """Causes whose trip was reported durable, less those with a reset under way or done."""

    @rule(code=st.sampled_from("xy"), unit=st.sampled_from(["", "a"]), wide=st.booleans())
    def trip(self, code: str, unit: str, wide: bool) -> None:
        self.latch.trip(Trip(code=code, unit=unit, plant_wide=wide))
        self.standing.add((code, unit, None))
        self.reset.discard((code, unit, None))

    @rule(code=st.sampled_from(["x", "y", "all"]), unit=st.sampled_from(["", "a"]))
    def ask_for_a_reset(self, code: str, unit: str) -> None:
        try:
            gone = {cause(trip) for trip in self.latch.reset(op(code=code, unit=unit), (), 0)}
        except ResetRefused:
            gone = set()
        self.reset |= gone
        self.recorded -= gone

    @rule()
    def tick(self) -> None:
        if (revision := self.keeper.tick()) is None:
            return
        if revision == self.latch.memory.revision:
            self.recorded = self.standing - self.reset
        gone = {cause(trip) for trip in self.latch.settled(revision)}
        self.standing -= gone & self.reset
        self.reset -= gone

    @rule(stuck=st.booleans())
    def disk(self, stuck: bool) -> None:
        self.file.stuck = stuck

    @rule()
    def crash(self) -> None:
        self.latch = recovered(self.file, 0)
        self.keeper = Keeper(self.latch, self.file)
        after = {cause(trip) for trip in self.latch.standing}
        assert self.recorded <= after, "a trip that was reported durable is lost"
        assert after <= self.standing, "a trip came back after its reset was reported durable"
        self.standing, self.reset = after, set()
        self.recorded = set(after)

    @invariant()
    def nothing_runs_while_anything_stands(self) -> None:
        assert {cause(trip) for trip in self.latch.standing} == self.standing
        assert not self.standing or any(self.latch.tripped(unit) for unit in ("", "a"))
        for _, unit, _ in self.standing:
            assert self.latch.tripped(unit)


def test_restarts_and_refusing_disks_lose_no_trip() -> None:
    run_state_machine_as_test(Restarts)
