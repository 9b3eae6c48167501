"""The SafetyGuard: the only issuer of commands.

Each cycle it checks the evidence of every unit, narrows what is allowed, resolves the requests inside it, brings the
plant there by its ramps, splits the power over the units and turns it into the writes of their profiles. Unsafe or
unproved means the safe state: zero power, commanded, not hoped for.

Its methods are its only inputs, time included: the same calls on the same memory give the same decisions, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bessai.core.approach import ApproachMemory, SocApproach
from bessai.core.conditions import Condition
from bessai.core.dynamics import Dynamics, DynamicsMemory, RampLimits
from bessai.core.facts import facts_of
from bessai.core.latch import Latch, LatchMemory, OperationRefused
from bessai.core.recheck import objection
from bessai.core.requests import Resolution, resolve
from bessai.core.sharing import Sharing, SharingMemory
from bessai.core.unit import GRANTING, SAFE_STATES, Look, Unit, kind_of
from bessai.core.unit import Memory as UnitMemory
from bessai.model import (
    Bounds,
    Command,
    Decision,
    Event,
    GuardState,
    Operation,
    ProcessImage,
    Request,
    Severity,
    Trip,
    UnitDecision,
    WriteOutcome,
)
from bessai.model.command import _issue
from bessai.registry.sequences import NotKnownError

_DEADBAND = 0.005
"""Share of the rated power by which a clipped setpoint must rise before it is written again."""

_ZERO = Bounds(0.0, 0.0)
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
    dynamics: DynamicsMemory = field(default_factory=DynamicsMemory)
    approach: ApproachMemory = field(default_factory=ApproachMemory)
    sharing: SharingMemory = field(default_factory=SharingMemory)


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
        self._dynamics = dynamics or Dynamics(RampLimits())
        self._approach = SocApproach()
        self._sharing = Sharing()
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
            dynamics=self._dynamics.memory,
            approach=self._approach.memory,
            sharing=self._sharing.memory,
        )

    def remember(self, memory: Memory) -> None:
        """Go on from a memory of an equal guard."""
        for name, unit in memory.units.items():
            self.units[name].memory = unit
        self.latch.memory = memory.latch
        self._dynamics.memory = memory.dynamics
        self._approach.memory = memory.approach
        self._sharing.memory = memory.sharing

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
        looks = {name: unit.look(images[name]) for name, unit in self.units.items()}
        self._looks = looks
        for name, look in looks.items():
            for trip in look.trips:
                self.latch.trip(replace(trip, unit=name))
        maintenance = self.latch.maintenance is not None
        states = {
            name: unit.judge(
                looks[name],
                fresh=name in fresh,
                tripped=self.latch.tripped(name),
                maintenance=maintenance,
            )
            for name, unit in self.units.items()
        }
        image = next(iter(images.values()))
        self.conditions = self._all_conditions(looks)
        reasons = tuple(dict.fromkeys(c.message for c in self.conditions if c.severity >= Severity.WARNING))
        state = min(states.values(), key=_RANK.index)
        if state is GuardState.MONITOR:
            decision = Decision(
                state=state,
                setpoint=None,
                bounds=_ZERO,
                reasons=reasons,
                trips=self.latch.standing,
                units=tuple(
                    UnitDecision(unit=name, state=state, setpoint=None, bounds=_ZERO) for name in states
                ),
            )
        else:
            decision = self._grant(image, requests, states, state, reasons)
        self._decision = decision
        self._told = {unit.unit: unit for unit in decision.units}
        return decision

    def fall_back(self, why: str) -> Decision:
        """The safe state for all units, when a decision failed."""
        units = tuple(
            UnitDecision(
                unit=name,
                state=unit.memory.state if unit.memory.state is GuardState.MONITOR else GuardState.HOLD,
                setpoint=None if unit.memory.state is GuardState.MONITOR else 0.0,
                bounds=_ZERO,
            )
            for name, unit in self.units.items()
        )
        for unit in self.units.values():
            unit.memory.valid = 0
        self._decision = Decision(
            state=GuardState.HOLD,
            setpoint=0.0,
            bounds=_ZERO,
            reasons=(why,),
            trips=self.latch.standing,
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
        if not memory.known or device.withheld:
            return None  # no good value ever: this may not be our device at all
        setpoint, reactive = told.setpoint, told.reactive
        kind, armed = kind_of(setpoint), device.dead_man.armed(now)
        due = told.state in SAFE_STATES and device.dead_man.due(now)
        if (
            (memory.kind, memory.setpoint, memory.reactive) == (kind, setpoint, reactive)
            and armed
            and not due
        ):
            return None
        if device.refused(kind, now):
            return None
        why = self._objection(told, device, armed=armed)
        if why is not None:
            self._objections[unit] = why
            kind, setpoint, reactive = "zero", 0.0, None if reactive is None else 0.0
        elif kind != "zero":
            self._objections.pop(unit, None)
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
            message = self._operate(operation, now, wall_ns)
        except OperationRefused as error:
            return str(error)
        by = f"{message} by {operation.user} ({operation.role.label}): {operation.reason}"
        self._events.append(
            Event(code=_CODES[operation.kind], severity=Severity.WARNING, message=by, wall_ns=wall_ns)
        )
        return None

    def settled(self, revision: int) -> None:
        """The latch's record of a revision is durable: what was reset by it is gone."""
        self.latch.settled(revision)

    def _operate(self, operation: Operation, now: float, wall_ns: int) -> str:
        unit = self.units.get(operation.unit)
        if operation.kind == "reset":
            gone = self.latch.reset(operation, self._still(), wall_ns)
            for device in self.units.values():
                device.memory.disobeyed = []
            return f"reset {', '.join(dict.fromkeys(trip.code for trip in gone))}"
        if operation.kind in {"maintenance_on", "maintenance_off"}:
            changed = self.latch.switch_maintenance(operation, wall_ns)
            return f"maintenance {operation.kind[12:]}" + ("" if changed else " (as before)")
        if unit is None:
            raise OperationRefused(f"there is no unit {operation.unit!r}; use one of {sorted(self.units)}")
        where = f" of {unit.name}" if unit.name else ""
        if operation.kind == "deadman_test":
            if unit.withheld:
                raise OperationRefused(f"a dead-man test{where} runs already")
            if unit.memory.state not in GRANTING or not unit.standing:
                raise OperationRefused(
                    f"a dead-man test{where} needs power that flows and is verified; ask for a small power first"
                )
            unit.withhold(now + 2 * unit.dead_man.time + 30.0)
            return f"dead-man test{where} begun"
        if not unit.withheld and operation.passed:
            raise OperationRefused(f"no dead-man test{where} runs")
        if unit.withheld:
            unit.resume()
        passed = bool(operation.passed)
        self.latch.note_test(unit.name, unit.profile.id, passed, operation.user, wall_ns, operation.evidence)
        if not passed:
            self.latch.trip(
                Trip(
                    code="dead_man_test_failed",
                    unit=unit.name,
                    message="the device did not fall back by itself when it was tested",
                    wall_ns=wall_ns,
                )
            )
        return f"dead-man test{where} {'passed' if passed else 'failed'}"

    def _still(self) -> set[tuple[str, str, str | None]]:
        """Causes of trips that are there now, or that nobody can judge now."""
        still = set()
        for name, look in self._looks.items():
            image = self.units[name].image
            present = {(c.code, c.point) for c in look.envelope.conditions if c.severity >= Severity.ALARM}
            present |= {(trip.code, trip.point) for trip in look.trips}
            for trip in self.latch.standing:
                if trip.unit != name:
                    continue
                unknown = (
                    image is not None
                    and trip.point is not None
                    and trip.point in image.layout.index
                    and image.good(trip.point) is None
                )
                if unknown or (trip.code, trip.point) in present:
                    still.add((trip.code, trip.unit, trip.point))
        return still

    def _all_conditions(self, looks: Mapping[str, Look]) -> tuple[Condition, ...]:
        found: dict[tuple[str, str | None], Condition] = {}
        for trip in self.latch.standing:
            condition = _named(
                trip.unit,
                Condition(
                    code=trip.code,
                    severity=Severity.ALARM,
                    message=f"tripped, waits for a reset: {trip.message}",
                    point=trip.point,
                    value=trip.value,
                ),
            )
            found[condition.code, condition.point] = condition
        if (people := self.latch.maintenance) is not None:
            message = f"maintenance since {people.user} said so: {people.reason}"
            found["maintenance_on", None] = Condition(
                code="maintenance_on", severity=Severity.WARNING, message=message
            )
        for name, look in looks.items():
            own = list(look.conditions)
            if self.units[name].withheld:
                message = "a dead-man test runs: nothing is written to the device"
                own.append(Condition(code="dead_man_test", severity=Severity.WARNING, message=message))
            if (why := self._objections.get(name)) is not None:
                message = f"the second look refused a setpoint: {why}"
                own.append(Condition(code="recheck_refused", severity=Severity.ALARM, message=message))
            for condition in own:
                named = _named(name, condition)
                found.setdefault((named.code, named.point), named)
        return tuple(found.values())

    def _grant(
        self,
        image: ProcessImage,
        requests: Sequence[Request],
        states: Mapping[str, GuardState],
        state: GuardState,
        reasons: tuple[str, ...],
    ) -> Decision:
        now = image.monotonic
        looks = self._looks
        granted = [name for name, s in states.items() if s in GRANTING]
        running = bool(granted)
        rated = _sum(look.envelope.rated for n, look in looks.items() if states[n] is not GuardState.MONITOR)
        allowed = {name: looks[name].envelope.bounds if name in granted else _ZERO for name in looks}
        envelope = _sum(allowed[name] for name in granted)
        reactive_caps = {name: self._reactive_cap(self.units[name]) for name in granted}
        most = sum(reactive_caps.values())
        resolution = resolve(requests, envelope, now, Bounds(-most, most))
        winner, limited = resolution.winner, list(resolution.limited_by)
        offers = self._sharing.offers(self.units, allowed, granted)
        wanted, asked = self._wanted(
            resolution, offers_least=self._sharing.least(offers, resolution.power), now=now
        )
        target = self._settled(wanted, resolution, rated)
        least = self._sharing.least(offers, target)
        step = self._dynamics.step(target, resolution.bounds, rated, now, running=running, least=least)
        limited += step.limited_by
        shares, left = self._sharing.split(step.power, offers, now)
        units = []
        for name, device in self.units.items():
            units.append(
                self._unit_decision(
                    device, states[name], allowed[name], shares.get(name, 0.0), resolution, reactive_caps, now
                )
            )
        told = [unit.setpoint for unit in units if unit.setpoint is not None]
        setpoint = round(math.fsum(told), 3) + 0.0 if len(told) > 1 else told[0]
        self._dynamics.commanded(setpoint, now, left=left)
        limited += [why for unit in units for why in unit.limited_by if why in _OWN_LIMITS]
        if winner is not None and asked is not None and target != asked:
            limited += [why for look in looks.values() for why in look.envelope.limited_by]
            limited += ["plant"] if running and rated.clip(asked) != asked else []
            limited += [] if running else [state.value]
        if resolution.reactive_asked is not None and not most:
            limited.append("reactive_not_supported" if running else state.value)
        given = [unit.reactive for unit in units if unit.reactive is not None]
        return Decision(
            state=state,
            setpoint=setpoint,
            bounds=resolution.bounds,
            asked=asked if winner else None,
            source=winner.source if winner else None,
            request_id=(winner.id or None) if winner else None,
            reason=winner.reason if winner else "",
            target=target,
            reactive=math.fsum(given) if given else None,
            reactive_asked=resolution.reactive_asked,
            limited_by=tuple(dict.fromkeys(limited)),
            reasons=reasons,
            considered=resolution.considered,
            trips=self.latch.standing,
            units=tuple(units),
        )

    def _wanted(
        self, resolution: Resolution, *, offers_least: float, now: float
    ) -> tuple[float, float | None]:
        """The power that the winner is given inside the bounds, and the one that it asked for."""
        winner = resolution.winner
        if winner is None or winner.soc_target is None:
            return resolution.power, winner.power if winner is not None else None
        soc, capacity = self._sharing.state_of_charge(self.units)
        most = math.inf if winner.power is None else abs(winner.power)
        power = self._approach.step(
            soc, winner.soc_target, most, resolution.bounds, capacity, now, least=offers_least
        )
        return resolution.bounds.clip(power), power

    def _settled(self, power: float, resolution: Resolution, rated: Bounds) -> float:
        """The target in whole watts, towards zero; a clipped one does not follow every flicker upwards."""
        target = resolution.bounds.clip(math.trunc(round(power * 1000, 6)) / 1000) + 0.0  # no negative zero
        standings = [unit.standing for unit in self.units.values()]
        standing = None if None in standings else math.fsum(s for s in standings if s is not None)
        wanted = resolution.winner.power if resolution.winner else None
        if standing and wanted is not None and target != wanted and standing * target > 0:
            rise = abs(target) - abs(standing)
            band = _DEADBAND * max(-rated.low, rated.high)
            if 0 < rise < band and resolution.bounds.clip(standing) == standing:
                return standing
        return target

    def _unit_decision(
        self,
        device: Unit,
        state: GuardState,
        bounds: Bounds,
        share: float,
        resolution: Resolution,
        reactive_caps: Mapping[str, float],
        now: float,
    ) -> UnitDecision:
        """What one unit is told: whole watts inside its bounds, no faster than it bears to be written to."""
        if state is GuardState.MONITOR:
            return UnitDecision(unit=device.name, state=state, setpoint=None, bounds=_ZERO)
        limited = [*self._looks[device.name].envelope.limited_by]
        setpoint = bounds.clip(math.trunc(round(share * 1000, 6)) / 1000) + 0.0
        reactive = self._reactive_share(device, resolution, reactive_caps)
        if device.withheld and device.standing is not None:
            setpoint, reactive = device.standing, device.memory.reactive
        standing = device.standing
        if setpoint and standing is not None and setpoint != standing:
            rises = abs(setpoint) > abs(standing) or setpoint * standing < 0
            inside = bounds.clip(standing) == standing
            if rises and inside and not device.may_write(now):
                setpoint = standing
                limited.append("write_interval")
        if setpoint and device.refused(kind_of(setpoint), now):
            setpoint = 0.0
            limited.append("refused")
        return UnitDecision(
            unit=device.name,
            state=state,
            setpoint=setpoint,
            bounds=bounds,
            reactive=reactive,
            limited_by=tuple(dict.fromkeys(limited)),
        )

    def _reactive_cap(self, device: Unit) -> float:
        control, image = device.profile.control, device.image
        if control is None or control.reactive_power_max is None or image is None:
            return 0.0
        return max(0.0, image.good(control.reactive_power_max) or 0.0)

    def _reactive_share(
        self, device: Unit, resolution: Resolution, caps: Mapping[str, float]
    ) -> float | None:
        """kvar of one unit: by what it can; 0 when nobody asks, None when it cannot be told."""
        if device.profile.control is None or device.profile.control.reactive is None:
            return None
        most, own = sum(caps.values()), caps.get(device.name, 0.0)
        if not resolution.reactive or not most or not own:
            return 0.0
        share = resolution.reactive * own / most
        return max(-own, min(own, math.trunc(round(share * 1000, 6)) / 1000)) + 0.0

    def _objection(self, told: UnitDecision, device: Unit, *, armed: bool) -> str | None:
        """The second look, written differently: whatever went wrong before, no power leaves its bounds."""
        if not told.setpoint:
            return None
        decision = self._decision
        granted = told.state in GRANTING and not self.latch.tripped(device.name)
        if decision is None or device.image is None:
            return "there is no decision"
        alone = len(self.units) == 1
        low, high = (
            (decision.bounds.low, decision.bounds.high) if alone else (told.bounds.low, told.bounds.high)
        )
        rise, fall = self._dynamics.most_in_a_step(self._sum_rated()) if alone else (math.inf, math.inf)
        facts = facts_of(device, armed=armed, granted=granted, low=low, high=high, rise=rise, fall=fall)
        return objection(told.setpoint, facts)

    def _sum_rated(self) -> Bounds:
        return _sum(look.envelope.rated for look in self._looks.values())


_OWN_LIMITS = frozenset({"write_interval", "refused"})
_CODES = {
    "reset": "trip_reset",
    "maintenance_on": "maintenance_on",
    "maintenance_off": "maintenance_off",
    "deadman_test": "dead_man_test",
    "deadman_test_end": "dead_man_test",
}


def _named(unit: str, condition: Condition) -> Condition:
    """A condition of one of several devices says which."""
    if not unit:
        return condition
    point = unit if condition.point is None else f"{unit}.{condition.point}"
    return replace(condition, point=point, message=f"{unit}: {condition.message}")


def _sum(bounds: object) -> Bounds:
    low, high = 0.0, 0.0
    for one in bounds:  # type: ignore[attr-defined]
        low, high = low + one.low, high + one.high
    return Bounds(low + 0.0, high + 0.0)
