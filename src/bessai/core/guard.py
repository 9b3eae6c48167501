"""The SafetyGuard: the only issuer of commands.

Each cycle it checks the evidence of every unit, narrows what is allowed, resolves the requests inside it, brings the
plant there by its ramps, splits the power over the units and turns it into the writes of their profiles. Unsafe or
unproved means the safe state: zero power, commanded, not hoped for.

Its methods are its only inputs, time included: the same calls on the same memory give the same decisions, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bessai.core.dynamics import Dynamics, RampLimits
from bessai.core.facts import facts_of
from bessai.core.granting import Granting, GrantingMemory
from bessai.core.latch import Latch, LatchMemory, OperationRefused
from bessai.core.operating import Desk
from bessai.core.recheck import Facts, objection, reactive_objection
from bessai.core.telling import conditions_of
from bessai.core.unit import Look, Unit, kind_of
from bessai.core.unit_memory import GRANTING, SAFE_STATES
from bessai.core.unit_memory import Memory as UnitMemory
from bessai.model import (
    Bounds,
    Command,
    Condition,
    Decision,
    Event,
    GuardState,
    Operation,
    ProcessImage,
    Request,
    Severity,
    UnitDecision,
    WriteOutcome,
)
from bessai.model.command import _issue
from bessai.registry.sequences import NotKnownError

_ZERO = Bounds(0.0, 0.0)
_STOPPED = {GuardState.TRIPPED, GuardState.MAINTENANCE}
_RANK = (
    *(GuardState.NORMAL, GuardState.DERATED, GuardState.STARTING, GuardState.HOLD),
    *(GuardState.MAINTENANCE, GuardState.TRIPPED, GuardState.MONITOR),
)
"""Of several units' states the first one here is the plant's: it can still do that much."""


@dataclass(slots=True, kw_only=True)
class Memory:
    """Everything that the guard keeps between cycles."""

    units: dict[str, UnitMemory] = field(default_factory=dict)
    latch: LatchMemory = field(default_factory=LatchMemory)
    granting: GrantingMemory = field(default_factory=GrantingMemory)
    objections: dict[str, str] = field(default_factory=dict)
    """By unit, why the second look refused its last setpoint."""


def plant_state(states: Iterable[GuardState]) -> GuardState:
    """The plant's state: the best of its units'."""
    return min(states, key=_RANK.index)


class SafetyGuard:
    """Decides, and issues what may be written.

    Args:
        units: the devices that may be commanded; at least one, which may be there to be watched only.
        dynamics: ramps and dwell times; None: none.
        latch: the trips and the maintenance that stand from before; None: none.
    """

    def __init__(
        self, units: Sequence[Unit], *, dynamics: Dynamics | None = None, latch: Latch | None = None
    ) -> None:
        self.units = {unit.name: unit for unit in units}
        self.latch = latch or Latch()
        self.conditions: tuple[Condition, ...] = ()
        """What is true of the plant in this cycle."""
        self._granting = Granting(self.units, dynamics or Dynamics(RampLimits()))
        self._desk = Desk(self.units, self.latch)
        self._looks: dict[str, Look] = {}
        self._decision: Decision | None = None
        self._told: dict[str, UnitDecision] = {}
        self._objections: dict[str, str] = {}
        self._events: list[Event] = []

    @property
    def memory(self) -> Memory:
        """Everything that is kept between cycles, as plain data; shared, not a copy."""
        return Memory(
            units={name: unit.memory for name, unit in self.units.items()},
            latch=self.latch.memory,
            granting=self._granting.memory,
            objections=self._objections,
        )

    def remember(self, memory: Memory) -> None:
        """Go on from a memory of an equal guard."""
        for name, unit in memory.units.items():
            self.units[name].memory = unit
        self.latch.memory = memory.latch
        self._granting.memory = memory.granting
        self._objections = memory.objections

    @property
    def untested(self) -> list[str]:
        """Units that may be commanded and whose dead-man nobody has tested here with this profile."""
        tests = {name: self.latch.test_of(name) for name in self.units}
        return [
            name
            for name, unit in self.units.items()
            if unit.controllable
            and not ((test := tests[name]) and test.passed and test.fingerprint == unit.profile.id)
        ]

    @property
    def granting(self) -> Granting:
        """Who grants power to the units."""
        return self._granting

    @property
    def looks(self) -> Mapping[str, Look]:
        """What the last images said of the units; none before the first decision."""
        return self._looks

    def states(self) -> dict[str, GuardState]:
        """The state of each unit as it was judged last, or as a trip or maintenance has made it since."""
        stopped = GuardState.MAINTENANCE if self.latch.maintenance is not None else None
        return {
            name: state
            if (state := unit.memory.state) is GuardState.MONITOR
            else GuardState.TRIPPED
            if self._tripped(name)
            else stopped or (GuardState.HOLD if state in _STOPPED else state)
            for name, unit in self.units.items()
        }

    def take_events(self) -> list[Event]:
        """What people did since the last call."""
        events, self._events = self._events, []
        return events

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        """The setpoint of this cycle, and why.

        Args:
            images: what control looks at, by unit; all of the same instant.
            requests: the live ones, highest priority first.
            fresh: units whose evidence was read completely since the last cycle.
        """
        self._told = {}  # whatever goes wrong below, nothing of the last cycle is told again
        looks = self._looks = self._look(images)
        maintenance = self.latch.maintenance is not None
        states = {
            name: unit.judge(
                looks[name],
                fresh=name in fresh,
                tripped=self._tripped(name),
                maintenance=maintenance,
            )
            for name, unit in self.units.items()
        }
        image = next(iter(images.values()))
        trips = self.latch.standing
        self.conditions = conditions_of(trips, self.latch.maintenance, self.units, looks, self._objections)
        reasons = tuple(dict.fromkeys(c.message for c in self.conditions if c.severity >= Severity.WARNING))
        state = plant_state(states.values())
        if state is GuardState.MONITOR:
            decision = Decision(
                state=state,
                setpoint=None,
                bounds=_ZERO,
                reasons=reasons,
                trips=trips,
                units=tuple(
                    UnitDecision(unit=name, state=state, setpoint=None, bounds=_ZERO) for name in states
                ),
            )
        else:
            decision = self._granting.grant(
                image, requests, states, looks, state, reasons=reasons, trips=trips
            )
        self._decision = decision
        self._told = {unit.unit: unit for unit in decision.units}
        return decision

    def _look(self, images: Mapping[str, ProcessImage]) -> dict[str, Look]:
        """Look at every unit. One that cannot be looked at fails the decision, after the others' trips are latched."""
        looks: dict[str, Look] = {}
        failures: list[Exception] = []
        for name, unit in self.units.items():
            try:
                look = looks[name] = unit.look(images[name])
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)
                continue
            for trip in look.trips:
                self.latch.trip(replace(trip, unit=name))
        if failures:
            raise failures[0]
        return looks

    def fall_back(self, why: str) -> Decision:
        """The safe state for all units, when a decision failed."""
        states = {name: unit.fall_back() for name, unit in self.units.items()}
        units = tuple(
            UnitDecision(
                unit=name,
                state=state,
                setpoint=None if state is GuardState.MONITOR else 0.0,
                bounds=_ZERO,
            )
            for name, state in states.items()
        )
        trips, maintenance = self.latch.standing, self.latch.maintenance
        self.conditions = conditions_of(trips, maintenance, self.units, {}, {}, why)
        self._decision = Decision(
            state=GuardState.HOLD,
            setpoint=0.0,
            bounds=_ZERO,
            reasons=(why,),
            trips=trips,
            units=units,
        )
        self._told = {unit.unit: unit for unit in units}
        return self._decision

    def command(self, unit: str, now: float) -> Command | None:
        """What must be written to a unit for the last decision; None when the device already has it."""
        told, device = self._told.get(unit), self.units[unit]
        if told is None or told.setpoint is None or device.profile.control is None:
            return None
        memory = device.memory
        if not memory.known or device.withheld or device.watched:
            return None  # no good value ever: this may not be our device at all
        setpoint, reactive = told.setpoint, told.reactive
        kind, armed = kind_of(setpoint), device.dead_man.armed(now)
        due = told.state in SAFE_STATES and device.dead_man.due(now)
        why, against_kvar = self._second_look(told, device, armed=armed)  # also to what stands
        if why is None and against_kvar is None:
            self._objections.pop(unit, None)
        elif armed:  # else an answer that came late disproved the dead-man: the decision could not know
            self._objections[unit] = why or against_kvar or ""
        if why is not None:
            self._granting.refused(setpoint, now)
            kind, setpoint, reactive = "zero", 0.0, None if reactive is None else 0.0
            due = device.dead_man.due(now)
        elif against_kvar is not None:  # the power stands by itself: only the kvar end
            reactive = 0.0
            self._told[unit] = replace(told, reactive=reactive)
        has_it = (memory.kind, memory.setpoint, memory.reactive) == (kind, setpoint, reactive)
        if (has_it and armed and not due) or device.refused(kind, now):
            return None
        try:
            writes = device.writes(setpoint, reactive)
        except NotKnownError as error:
            device.refuse(kind, str(error), now)
            return None
        device.issued(kind, setpoint, reactive, feed=False)
        return _issue(kind, setpoint, writes)

    def feed(self, unit: str, now: float) -> Command | None:
        """What keeps a unit's dead-man alive; to be asked only at the end of a complete, verified cycle."""
        device = self.units[unit]
        if device.withheld or not device.dead_man.armed(now) or not device.dead_man.due(now):
            return None
        writes = device.dead_man.feeding()
        if not writes:
            return None
        device.issued("feed", None, None, feed=True)
        return _issue("feed", None, writes, feed=True)

    def release(self, unit: str) -> Command | None:
        """What ends external control at a clean stop; None when the gateway never wrote to the device."""
        device = self.units[unit]
        writes = device.stop_writes()
        if writes is None:
            return None
        device.issued("stop", None, None, feed=False)
        return _issue("stop", None, writes)

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        """Learn what became of the command under way to a unit."""
        self.units[unit].wrote(outcome, now)

    def connection_changed(self, unit: str) -> None:
        """The device may have forgotten what it was told."""
        self.units[unit].connection_changed()

    def told(self, unit: str) -> UnitDecision | None:
        """What was decided for a unit last."""
        return self._told.get(unit)

    def standing(self, unit: str) -> bool:
        """True when the unit is known to have what was decided for it last."""
        told = self._told.get(unit)
        device = self.units[unit]
        return (
            told is not None
            and device.standing == told.setpoint
            and (told.reactive is None or device.memory.reactive == told.reactive)
        )

    def operate(self, operation: Operation, now: float, wall_ns: int) -> str | None:
        """Do what a person asks for. Returns why not, or None."""
        try:
            event = self._desk.perform(operation, self._looks, now, wall_ns)
        except OperationRefused as error:
            return str(error)
        self._events += [] if event is None else [event]
        return None

    def settled(self, revision: int) -> None:
        """The latch's record of a revision is durable: what was reset by it is gone."""
        self.latch.settled(revision)

    def _tripped(self, unit: str) -> bool:
        """A trip of a unit that is not here (it was renamed, or its device replaced) stops all: it is one of these."""
        memory = self.latch.memory
        return self.latch.tripped(unit) or any(
            trip["unit"] not in self.units for trip in (*memory.leaving, *memory.trips)
        )

    def _second_look(self, told: UnitDecision, device: Unit, *, armed: bool) -> tuple[str | None, str | None]:
        """The second look, written differently: whatever went wrong before, no power leaves its bounds.

        Returns:
            Why not the power, and why not the reactive power beside it.
        """
        if not told.setpoint and not told.reactive:
            return None, None
        if self._decision is None or device.image is None:
            return "there is no decision", None
        facts = self._facts(told, device, self._decision, armed=armed)
        power = told.setpoint or 0.0
        return objection(power, facts), reactive_objection(told.reactive or 0.0, power, facts)

    def _facts(self, told: UnitDecision, device: Unit, decision: Decision, *, armed: bool) -> Facts:
        granted = told.state in GRANTING and not self._tripped(device.name)
        alone = len(self.units) == 1
        rise, fall = self._granting.most if alone else (math.inf, math.inf)
        low, high = (
            (decision.bounds.low, decision.bounds.high) if alone else (told.bounds.low, told.bounds.high)
        )
        return facts_of(
            device,
            armed=armed,
            granted=granted,
            bounds=Bounds(min(low, 0.0), max(high, 0.0)),
            last=self._granting.before if alone else device.standing,
            rise=rise,
            fall=fall,
        )
