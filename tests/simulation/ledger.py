"""What stops a plant until somebody says otherwise: trips, maintenance, dead-man tests; kept apart from the gateway.

The ledger knows what the truth demands (levels, flags and delays of its own), what people did and what they were
answered, and what lies on the disk. It compares that with the trips that the gateway tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from bessai.model import ALL, CycleRecord, Operation, Role
from simulation.levels import TRIPS
from simulation.oracle import Oracle
from simulation.state import Cause, SimState

CYCLES = 2
RECORD_LOST: Cause = ("trip_record_lost", "", None)
TEST_FAILED = "dead_man_test_failed"


class Ledger:
    """Of one plant.

    Args:
        oracles: by unit.
        state: the disk.
        cycle: seconds.
    """

    def __init__(self, oracles: dict[str, Oracle], state: SimState, cycle: float) -> None:
        self.oracles = oracles
        self.state = state
        self.cycle = cycle
        self.standing: dict[Cause, float] = {}
        """Since when each trip is told."""
        self.wide: set[Cause] = set()
        self.maintenance: float | None = None
        """Since when."""
        self.tripped = 0
        self.resets = 0
        self.refused = 0
        self.tests = 0
        self._reset: dict[Cause, float] = {}
        """When each was reset, by whoever may; gone when the disk says so."""
        self._demanded: dict[Cause, float] = {}
        self._beyond: dict[Cause, tuple[float, int]] = {}
        """By level: since when, and the records since."""
        self._works_since = -math.inf
        self._levels = {
            unit: [level for level in TRIPS if level[1] in oracle.watched] for unit, oracle in oracles.items()
        }

    def recorded(self, record: CycleRecord, now: float) -> Iterator[str]:
        """Take a cycle's record; tells what is wrong with it."""
        told = {(trip.code, trip.unit, trip.point): trip for trip in record.decision.trips}
        self.wide = {cause for cause, trip in told.items() if trip.plant_wide}
        kept = self.state.causes
        if self.state.stuck:
            self._works_since = math.inf
        elif self._works_since == math.inf:
            self._works_since = now
        patience = CYCLES * self.cycle
        for cause in [cause for cause in self.standing if cause not in told]:
            if cause not in self._reset:
                yield f"trips_stay: {cause[0]} is gone and nobody reset it"
            elif cause in kept:
                yield f"trips_stay: {cause[0]} is gone before the disk knows of its reset"
            del self.standing[cause]
            self._reset.pop(cause, None)
        for cause in [cause for cause, since in self._reset.items() if now - since > patience]:
            if cause not in told:
                del self._reset[cause]  # before any record told of it
        for cause in told:
            if cause not in self.standing:
                self.standing[cause] = now
                self.tripped += 1
            since = max(self.standing[cause], self._works_since)
            if cause in kept and now - self._reset.get(cause, now) > patience and now - since > patience:
                del self._reset[cause]  # it tripped again
            if now - since > patience and cause not in kept and cause not in self._reset:
                yield f"trips_are_kept: {cause[0]} stands for {now - since:.1f} s and is not on the disk"
        for cause, since in list(self._demanded.items()):
            if cause in told:
                del self._demanded[cause]
            elif now - since > patience:
                yield f"trips_come: {cause[0]} does not stand {now - since:.1f} s after it had to"
                del self._demanded[cause]
        for unit, oracle in self.oracles.items():
            yield from self._judge(unit, oracle, told.keys(), now)
        decision = record.decision
        if self.maintenance is not None and now - self.maintenance > patience and decision.setpoint:
            yield f"maintenance_is_zero: {decision.setpoint:g} kW decided"
        self._tell()

    def _judge(self, unit: str, oracle: Oracle, told: object, now: float) -> Iterator[str]:
        fresh = oracle.fresh(now)
        for code, point, low, high, delay in self._levels[unit]:
            cause, value = (code, unit, point), oracle.seen.get(point)
            if value is not None and not low <= value <= high:
                self._beyond.pop(cause, None)
            elif cause in self._beyond or (value is not None and fresh):
                since, seen = self._beyond.get(cause, (now, 0))
                self._beyond[cause] = since, seen + 1
                late = now - since > delay + CYCLES * self.cycle and seen > CYCLES
                if late and cause not in told:  # type: ignore[operator]
                    yield f"trips_come: {point} is at {value} for {now - since:.1f} s, and {code} does not stand"

    def present(self, cause: Cause) -> bool:
        """Whether a trip's cause was there in the last two records at least."""
        _, unit, point = cause
        return (
            self._beyond.get(cause, (0.0, 0))[1] > CYCLES
            and self.oracles[unit].seen.get(point or "") is not None
        )

    def operated(self, operation: Operation, objection: str | None, now: float) -> str | None:
        """Take what a person did, and the answer; tells what is wrong with it."""
        if objection is not None:
            self.refused += 1
            return None
        if operation.kind == "reset":
            self.resets += 1
            broken = None
            for cause in (
                self.standing | self._demanded
            ):  # the gateway may have latched what no record tells yet
                if operation.code in {ALL, cause[0]} and operation.unit in {"", cause[1]}:
                    if operation.role < Role.ENGINEER:
                        broken = f"resets_are_earned: an operator reset {cause[0]}"
                    if self.present(cause):
                        broken = f"resets_are_earned: {cause[0]} was reset while its cause was there"
                    self._reset[cause] = now
                    self._demanded.pop(cause, None)
            return broken
        if operation.kind == "maintenance_on":
            self.maintenance = now if self.maintenance is None else self.maintenance
        elif operation.kind == "maintenance_off":
            self.maintenance = None
        elif operation.kind == "deadman_test":
            self.tests += 1
            self.oracles[operation.unit].test_began(now)
        elif operation.kind == "deadman_test_end":
            self.oracles[operation.unit].test_ended(now)
            if not operation.passed:
                cause = (TEST_FAILED, operation.unit, None)
                self._demanded[cause] = now
                self._reset.pop(cause, None)
        self._tell()
        return None

    def killed(self, now: float) -> None:
        """The gateway is gone: what is on the disk is what stands."""
        kept = self.state.causes
        self.standing = {cause: self.standing.get(cause, now) for cause in kept}
        self.maintenance = (
            None if self.state.kept.get("maintenance") is None or self.state.lost
            else now if self.maintenance is None else self.maintenance
        )  # fmt: skip
        self._reset.clear()
        self._demanded.clear()
        for oracle in self.oracles.values():
            oracle.test_ended(now)

    def started(self, now: float) -> None:
        """A new gateway reads the disk, and its delays begin anew."""
        self._beyond.clear()
        if self.state.lost:
            self.standing.clear()
            self._demanded[RECORD_LOST] = now
        self._tell()

    def _tell(self) -> None:
        for unit, oracle in self.oracles.items():
            causes = [s for c, s in self.standing.items() if c[1] == unit or c in self.wide or not c[1]]
            causes += [since for cause, since in self._demanded.items() if cause[1] in {"", unit}]
            causes += [] if self.maintenance is None else [self.maintenance]
            oracle.stopped_since = min(causes, default=math.inf)
