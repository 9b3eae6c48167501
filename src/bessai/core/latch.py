"""The latch: trips that stand until a person resets them, maintenance, and proofs of the dead-man.

    latch = Latch()
    latch.trip(Trip(code="cell_voltage_high", unit="", point="cell_voltage_max", value=3.71))
    latch.tripped("")                                   # True, also after a restart
    latch.reset(operation, still=(), now_wall=...)      # refused while the cause is there or the role too low
    latch.settled(latch.memory.revision)                # on disk: now the trip is gone

A trip counts at once. A reset counts in two steps: it leaves the record that is written to disk, and only when
that record is durable (`settled`) may power flow again. A crash in between starts tripped, or reset and recorded.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bessai.model import ALL, Operation, Role, Trip

FORMAT = 1
"""Version of the plain form that goes to disk."""

Plain = str | float | bool | None
Cause = tuple[str, str, str | None]
"""What makes two trips the same: code, unit and point."""


class OperationRefused(Exception):  # noqa: N818 - an answer to a person, not a fault
    """An operation is not carried out; the text says why, and what to do."""


class ResetRefused(OperationRefused):
    """A reset is not carried out; every trip that was selected still stands."""


@dataclass(slots=True, kw_only=True)
class Maintenance:
    """People work on the plant."""

    user: str
    reason: str
    role: int
    """The role that switched it on; a lower one cannot switch it off."""
    wall_ns: int


@dataclass(slots=True, kw_only=True)
class DeadManTest:
    """The last test of a device's own fall-back."""

    fingerprint: str
    """What the test is valid for: another profile, timeout or device has another fingerprint."""
    passed: bool
    user: str
    wall_ns: int
    evidence: dict[str, Plain] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class LatchMemory:
    """Everything that the latch remembers, as plain data."""

    revision: int = 0
    """Counts changes."""
    trips: list[dict[str, Plain]] = field(default_factory=list)
    """Standing trips, oldest first."""
    leaving: list[dict[str, Plain]] = field(default_factory=list)
    """Trips that were reset, in a record that is not known to be durable; they count as standing."""
    leaving_revision: int = 0
    """The revision that must be durable before those are gone."""
    maintenance: Maintenance | None = None
    tests: dict[str, DeadManTest] = field(default_factory=dict)
    """By unit."""


class Latch:
    """Remembers what must not be forgotten.

    Args:
        memory: taken over, not copied.
    """

    def __init__(self, memory: LatchMemory | None = None) -> None:
        self.memory = memory or LatchMemory()

    @property
    def standing(self) -> tuple[Trip, ...]:
        """The trips that stand, oldest first; those whose reset is not yet durable among them."""
        trips, leaving = self.memory.trips, self.memory.leaving
        if not (trips or leaving):
            return ()
        again = {_cause(trip) for trip in trips}
        rest = [trip for trip in leaving if _cause(trip) not in again]
        return tuple(_trip(trip) for trip in (*rest, *trips))

    @property
    def maintenance(self) -> Maintenance | None:
        """Who has the plant in maintenance, or None."""
        return self.memory.maintenance

    def trip(self, trip: Trip) -> bool:
        """Latch a trip. False when the same cause stands already: the first one is kept."""
        plain = _plain(trip)
        if any(_cause(other) == _cause(plain) for other in self.memory.trips):
            return False
        self.memory.trips.append(plain)
        self.memory.revision += 1
        return True

    def tripped(self, unit: str) -> bool:
        """True when the unit must not run, because of a trip of its own or of the whole plant."""
        standing = (*self.memory.leaving, *self.memory.trips)
        return bool(standing) and any(trip["plant_wide"] or trip["unit"] == unit for trip in standing)

    def reset(self, operation: Operation, still: Collection[Cause], now_wall: int) -> list[Trip]:
        """Reset the trips that an operation selects: all of them or none. Returns them.

        They stop the plant until `settled` is told that the record without them is durable.

        Args:
            operation: a code or `all`; with a unit only that unit's trips, without one those of every unit and
                of the whole plant.
            still: causes that are there now. A cause that cannot be judged, for want of good evidence, belongs here.
            now_wall: UTC nanoseconds, to say how long a trip stood.

        Raises:
            ResetRefused: nothing matches, the role is too low, or a cause is still there.
        """
        selected = [
            trip
            for trip in self.memory.trips
            if operation.code in (ALL, trip["code"]) and operation.unit in ("", trip["unit"])
        ]
        if not selected:
            raise ResetRefused(self._nothing(operation))
        problems = []
        for trip in map(_trip, selected):
            stood = f"{max(0, now_wall - trip.wall_ns) / 1e9:.0f}"
            if operation.role < trip.reset:
                problems.append(
                    f"{_name(trip)} stands for {stood} s: only the role {trip.reset.label} may reset it, "
                    f"{operation.user} acts as {operation.role.label}"
                )
            if (trip.code, trip.unit, trip.point) in still:
                problems.append(
                    f"{_name(trip)} stands for {stood} s: its cause is still there, or cannot be judged; "
                    "remove it first"
                )
        if problems:
            raise ResetRefused("; ".join(problems))
        memory = self.memory
        memory.trips = [trip for trip in memory.trips if trip not in selected]
        memory.leaving += selected
        memory.revision += 1
        memory.leaving_revision = memory.revision
        return [_trip(trip) for trip in selected]

    def settled(self, revision: int) -> tuple[Trip, ...]:
        """The record of a revision is durable. Returns the trips that are gone by it."""
        if not self.memory.leaving or revision < self.memory.leaving_revision:
            return ()
        gone = tuple(map(_trip, self.memory.leaving))
        self.memory.leaving = []
        return gone

    def switch_maintenance(self, operation: Operation, now_wall: int) -> bool:
        """Begin or end maintenance. False when nothing changes.

        Raises:
            OperationRefused: somebody else has begun it already, or a higher role than this one.
        """
        present = self.memory.maintenance
        if operation.kind == "maintenance_on":
            if present is not None and present.user != operation.user:
                raise OperationRefused(
                    f"{present.user} has the plant in maintenance already: {present.reason}"
                )
            if present is not None:
                return False
            self.memory.maintenance = Maintenance(
                user=operation.user, reason=operation.reason, role=int(operation.role), wall_ns=now_wall
            )
        else:
            if present is None:
                return False
            if operation.role < present.role:
                raise OperationRefused(
                    f"{present.user} began maintenance as {Role(present.role).label}: "
                    f"{operation.user} cannot end it as {operation.role.label}"
                )
            self.memory.maintenance = None
        self.memory.revision += 1
        return True

    def note_test(
        self,
        unit: str,
        fingerprint: str,
        passed: bool,
        user: str,
        wall_ns: int,
        evidence: Mapping[str, Plain],
    ) -> None:
        """Keep the outcome of a dead-man test; a newer one replaces it."""
        self.memory.tests[unit] = DeadManTest(
            fingerprint=fingerprint, passed=passed, user=user, wall_ns=wall_ns, evidence=dict(evidence)
        )
        self.memory.revision += 1

    def test_of(self, unit: str) -> DeadManTest | None:
        """The last dead-man test of a unit; compare its fingerprint before trusting it."""
        return self.memory.tests.get(unit)

    def _nothing(self, operation: Operation) -> str:
        where = f" of {operation.unit}" if operation.unit else ""
        names = ", ".join(_name(_trip(trip)) for trip in self.memory.trips)
        wanted = "trip" if operation.code == ALL else repr(operation.code)
        return f"no {wanted}{where} stands; " + (f"these do: {names}" if names else "nothing is tripped")


def to_state(memory: LatchMemory) -> dict[str, Any]:
    """The plain form for the disk. Trips that are being reset are not in it: that is what makes the reset last."""
    return {
        "format": FORMAT,
        "trips": [dict(trip) for trip in memory.trips],
        "maintenance": None if memory.maintenance is None else asdict(memory.maintenance),
        "tests": {unit: asdict(test) for unit, test in memory.tests.items()},
    }


def from_state(state: Mapping[str, Any]) -> LatchMemory:
    """The memory that `to_state` described.

    Raises:
        ValueError: it is of a newer format, or not what this gateway writes.
    """
    version = state.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(f"format {version} is newer than this gateway's ({FORMAT}): run the newer version")
    if version != FORMAT:
        raise ValueError(f"format {version!r} is unknown")
    try:
        return LatchMemory(
            trips=[_plain(_trip(trip)) for trip in state["trips"]],
            maintenance=None if state["maintenance"] is None else Maintenance(**state["maintenance"]),
            tests={str(unit): DeadManTest(**test) for unit, test in state["tests"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not a record of trips: {type(error).__name__}: {error}") from error


def trip_status(trip: Trip) -> dict[str, Any]:
    """A trip as plain data for the status, with the role's name."""
    return {**_plain(trip), "reset": trip.reset.label}


def _plain(trip: Trip) -> dict[str, Plain]:
    finite = trip.value is not None and math.isfinite(trip.value)
    return {**asdict(trip), "value": trip.value if finite else None, "reset": int(trip.reset)}


def _trip(plain: Mapping[str, Any]) -> Trip:
    return Trip(**{**plain, "reset": Role(plain["reset"])})


def _cause(plain: Mapping[str, Plain]) -> tuple[Plain, Plain, Plain]:
    return plain["code"], plain["unit"], plain["point"]


def _name(trip: Trip) -> str:
    return trip.code + (f" of {trip.unit}" if trip.unit else "") + (f" ({trip.point})" if trip.point else "")
