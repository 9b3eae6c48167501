"""From what the units may do and what people ask for to what each unit is told.

Requests are resolved inside the sum of the units' bounds, a state-of-charge target becomes a power, ramps and dwell
times bring the plant there, what answers the grid is added, and the power is shared. What safety narrows is immediate;
only wishes are slowed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from bessai.core.approach import ApproachMemory, SocApproach
from bessai.core.dynamics import Dynamics, DynamicsMemory
from bessai.core.reactive import reactive_bounds, supported, with_reactive
from bessai.core.requests import Resolution, resolve
from bessai.core.sharing import Sharing, SharingMemory
from bessai.core.split import Offer
from bessai.core.summing import total
from bessai.core.unit import Look, Unit, kind_of
from bessai.core.unit_memory import GRANTING
from bessai.model import Bounds, Decision, GuardState, ProcessImage, Request, Trip, UnitDecision

_DEADBAND = 0.005
"""Share of the rated power by which a clipped setpoint must rise before it is written again."""

_ZERO = Bounds(0.0, 0.0)
_OWN_LIMITS = frozenset({"write_interval", "refused"})


@dataclass(slots=True, kw_only=True)
class GrantingMemory:
    """What is kept between cycles."""

    dynamics: DynamicsMemory = field(default_factory=DynamicsMemory)
    approach: ApproachMemory = field(default_factory=ApproachMemory)
    sharing: SharingMemory = field(default_factory=SharingMemory)
    offset: float = 0.0
    """kW of what the plant was told last that answered the grid, on top of what was preferred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Where requests would bring the plant."""

    units: tuple[UnitDecision, ...]
    """What each unit would be told in the end."""
    target: float
    """kW inside the bounds, without what answers the grid."""
    asked: float | None
    """kW that the winner asked for."""
    limited_by: tuple[str, ...]


class Granting:
    """Grants power to the units of one plant.

    Args:
        units: by name.
        dynamics: ramps and dwell times.
    """

    def __init__(self, units: Mapping[str, Unit], dynamics: Dynamics) -> None:
        self.before = 0.0
        """kW that the plant was told in the cycle before."""
        self.most = (math.inf, math.inf)
        """kW that the ramps let it rise and fall in this cycle."""
        self._units = units
        self._dynamics = dynamics
        self._approach = SocApproach()
        self._sharing = Sharing()
        self._reactive = partial(with_reactive, units)
        self._offset = 0.0

    @property
    def memory(self) -> GrantingMemory:
        """What is kept between cycles."""
        return GrantingMemory(
            dynamics=self._dynamics.memory,
            approach=self._approach.memory,
            sharing=self._sharing.memory,
            offset=self._offset,
        )

    @memory.setter
    def memory(self, memory: GrantingMemory) -> None:
        self._dynamics.memory = memory.dynamics
        self._approach.memory = memory.approach
        self._sharing.memory = memory.sharing
        self._offset = memory.offset

    def grant(
        self,
        image: ProcessImage,
        requests: Sequence[Request],
        states: Mapping[str, GuardState],
        looks: Mapping[str, Look],
        state: GuardState,
        *,
        reasons: tuple[str, ...],
        trips: tuple[Trip, ...],
    ) -> Decision:
        """The decision of this cycle.

        Args:
            image: for its time.
            requests: the live ones, highest priority first.
            states: of the units; at least one is not `MONITOR`.
            looks: of the units.
            state: the plant's.
            reasons: told with the decision, as `trips` are.
            trips: those that stand.
        """
        now = image.monotonic
        granted = [name for name, s in states.items() if s in GRANTING]
        running = bool(granted)
        rated = total(look.envelope.rated for n, look in looks.items() if states[n] is not GuardState.MONITOR)
        allowed = {name: looks[name].envelope.bounds if name in granted else _ZERO for name in looks}
        envelope = total(allowed[name] for name in granted)
        reactive_caps = {
            name: reactive_bounds(self._units[name]) for name in granted if supported(self._units[name])
        }
        resolution = resolve(requests, envelope, now, total(reactive_caps.values()))
        winner, limited = resolution.winner, list(resolution.limited_by)
        standing = math.fsum(unit.standing or 0.0 for unit in self._units.values())
        around = resolution.sum_bounds
        held = Bounds(min(around.low, 0.0), max(around.high, 0.0))
        in_requests = held.clip(standing) == standing
        tested = [name for name in granted if self._units[name].withheld]
        if tested and not in_requests:  # who outranks a test ends it
            for name in tested:
                self._units[name].stop_test()
            ended = {name: self._units[name].memory.state for name in tested}
            after = {**states, **ended}
            state = state if any(s in GRANTING for s in after.values()) else GuardState.HOLD
            return self.grant(image, requests, after, looks, state, reasons=reasons, trips=trips)
        offers, target, asked = self._aim(resolution, allowed, granted, rated, now)
        least = self._sharing.least(offers, target)
        dynamics = self._dynamics
        elapsed = math.inf if dynamics.memory.time is None else now - dynamics.memory.time
        preferred = dynamics.memory.told
        most = dynamics.most_in_a_step(rated, elapsed, least, resolution.ramp)
        low, high = resolution.bounds.low, resolution.bounds.high
        way = Bounds(min(low, 0.0), max(high, 0.0))  # a power that must flow is reached by the ramp, too
        step = dynamics.step(target, way, rated, now, running=running, least=least, ramp=resolution.ramp)
        limited += step.limited_by
        power = _with_offset(step.power, resolution) if running else step.power
        offset = power - step.power
        self.before = preferred + self._offset
        self.most = _most(most, step.power - preferred, preferred, offset - self._offset)
        limited += ["grid_support"] if running and _cut(offset, resolution.offset) else []
        shares, left, why_left = self._sharing.split(power, offers, now)
        limited += why_left
        clipped = target != asked
        # once the ramp has arrived, this is all that the units can make of it
        if left and power == target:
            target = math.trunc(round((target - left) * 1000, 6)) / 1000 + 0.0
        units = []
        for name, device in self._units.items():
            units.append(
                self._unit_decision(
                    device,
                    looks[name],
                    states[name],
                    allowed[name],
                    shares.get(name, 0.0),
                    now,
                    may_stand=in_requests,
                )
            )
        units, reactive_limits = self._reactive(units, resolution, reactive_caps, state)
        told = [unit.setpoint for unit in units if unit.setpoint is not None]
        setpoint = round(math.fsum(told), 3) + 0.0 if len(told) > 1 else told[0]
        self._offset, short = _given(setpoint, step.power, offset, self._offset)
        dynamics.commanded(round(setpoint - self._offset, 3) + 0.0, now, left=left - short)
        limited += [why for unit in units for why in unit.limited_by if why in _OWN_LIMITS]
        if winner is not None and asked is not None and clipped:
            limited += [why for look in looks.values() for why in look.envelope.limited_by]
            limited += ["plant"] if running and rated.clip(asked) != asked else []
            limited += [] if running else [state.value]
        limited += reactive_limits
        given = [unit.reactive for unit in units if unit.reactive is not None]
        return Decision(
            state=state,
            setpoint=setpoint,
            bounds=around,
            asked=asked if winner else None,
            source=winner.source if winner else None,
            request_id=(winner.id or None) if winner else None,
            reason=winner.reason if winner else "",
            target=target,
            offset=None if resolution.offset is None or not running else round(offset, 3) + 0.0,
            reactive=round(math.fsum(given), 3) + 0.0 if given else None,
            reactive_asked=resolution.reactive_asked,
            limited_by=tuple(dict.fromkeys(limited)),
            considered=resolution.considered,
            reasons=reasons,
            trips=trips,
            units=tuple(units),
        )

    def rehearse(
        self,
        resolution: Resolution,
        states: Mapping[str, GuardState],
        looks: Mapping[str, Look],
        caps: Mapping[str, Bounds],
        state: GuardState,
        rated: Bounds,
        now: float,
    ) -> Rehearsal:
        """What `grant` would come to once ramps and dwell times are over. Changes nothing.

        Args:
            resolution: of the requests.
            states: of the units.
            looks: of the units.
            caps: kvar of those that are granted power.
            state: the plant's.
            rated: kW that the ramps are a share of.
            now: monotonic seconds.
        """
        own = self._rehearsed()
        granted = [name for name, s in states.items() if s in GRANTING]
        allowed = {name: looks[name].envelope.bounds if name in granted else _ZERO for name in states}
        offers, target, asked = own._aim(resolution, allowed, granted, rated, now)
        dynamics = own._dynamics
        limited: list[str] = []
        way = Bounds(min(resolution.bounds.low, 0.0), max(resolution.bounds.high, 0.0))
        least = own._sharing.least(offers, target)
        at = now if dynamics.memory.time is None else max(now, dynamics.memory.time + dynamics.cycle)
        running = bool(granted)
        step = dynamics.step(target, way, rated, at, running=running, least=least, ramp=resolution.ramp)
        limited += step.limited_by
        power = _with_offset(target, resolution) if running else 0.0
        limited += ["grid_support"] if running and _cut(power - target, resolution.offset) else []
        shares, left, why_left = own._sharing.split(power, offers, at)
        limited += why_left
        if left and power == target:
            target = math.trunc(round((target - left) * 1000, 6)) / 1000 + 0.0
        told = []
        for name, device in self._units.items():
            if states[name] is GuardState.MONITOR:
                told.append(UnitDecision(unit=name, state=states[name], setpoint=None, bounds=_ZERO))
                continue
            share_ = allowed[name].clip(math.trunc(round(shares.get(name, 0.0) * 1000, 6)) / 1000) + 0.0
            if name in granted and device.withheld and device.standing is not None:
                share_ = device.standing
                limited.append("dead_man_test")
            if share_ and device.refused(kind_of(share_), now):
                share_ = 0.0
                limited.append("refused")
            told.append(UnitDecision(unit=name, state=states[name], setpoint=share_, bounds=allowed[name]))
        told, reactive_limits = self._reactive(told, resolution, caps, state)
        return Rehearsal(
            units=tuple(told), target=target, asked=asked, limited_by=(*limited, *reactive_limits)
        )

    def _rehearsed(self) -> Granting:
        """An equal one with a memory of its own; the units are the same ones."""
        own = Granting(self._units, self._dynamics.rehearsed())
        memory = self._sharing.memory
        own._approach.memory = replace(self._approach.memory)
        own._sharing.memory = replace(memory, shares=dict(memory.shares))
        own._offset = self._offset
        return own

    def _aim(
        self,
        resolution: Resolution,
        allowed: Mapping[str, Bounds],
        granted: Sequence[str],
        rated: Bounds,
        now: float,
    ) -> tuple[list[Offer], float, float | None]:
        """What the units offer, where the plant shall go in kW, and the kW that the winner asked for."""
        offers = self._sharing.offers(self._units, allowed, granted)
        wanted, asked = self._wanted(
            resolution, offers_least=self._sharing.least(offers, resolution.power), now=now
        )
        return offers, self._settled(wanted, resolution, rated), asked

    def refused(self, power: float, now: float) -> None:
        """A unit's power (kW) of this cycle will not be written: the ramps go on from what is left."""
        memory = self._dynamics.memory
        told = memory.told + self._offset
        left = round(told - power, 3) + 0.0
        share = left / told if told and math.isfinite(left) else 0.0
        self._offset = round(self._offset * share, 3) + 0.0
        self._dynamics.commanded(round(memory.told * share, 3) + 0.0, now, left=memory.left)

    def _wanted(
        self, resolution: Resolution, *, offers_least: float, now: float
    ) -> tuple[float, float | None]:
        """The power that the winner is given inside the bounds, and the one that it asked for."""
        winner = resolution.winner
        if winner is None or winner.soc_target is None:
            return resolution.power, winner.power if winner is not None else None
        soc, capacity = self._sharing.state_of_charge(self._units)
        most = math.inf if winner.power is None else abs(winner.power)
        power = self._approach.step(
            soc, winner.soc_target, most, resolution.bounds, capacity, now, least=offers_least
        )
        return resolution.bounds.clip(power), power

    def _settled(self, power: float, resolution: Resolution, rated: Bounds) -> float:
        """The target in whole watts, towards zero; a clipped one does not follow every flicker upwards."""
        target = resolution.bounds.clip(math.trunc(round(power * 1000, 6)) / 1000) + 0.0  # no negative zero
        standings = [unit.standing for unit in self._units.values()]
        standing = (
            None if None in standings else math.fsum(s for s in standings if s is not None) - self._offset
        )
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
        look: Look,
        state: GuardState,
        bounds: Bounds,
        share: float,
        now: float,
        *,
        may_stand: bool,
    ) -> UnitDecision:
        """What one unit is told: whole watts inside its bounds, no faster than it bears to be written to."""
        if state is GuardState.MONITOR:
            return UnitDecision(unit=device.name, state=state, setpoint=None, bounds=_ZERO)
        limited = [*look.envelope.limited_by]
        setpoint = bounds.clip(math.trunc(round(share * 1000, 6)) / 1000) + 0.0
        if device.withheld and device.standing is not None:
            setpoint = device.standing
        standing = device.standing
        if setpoint and standing is not None and setpoint != standing:
            rises = abs(setpoint) > abs(standing) or setpoint * standing < 0
            inside = may_stand and bounds.clip(standing) == standing
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
            limited_by=tuple(dict.fromkeys(limited)),
        )


def _with_offset(power: float, resolution: Resolution) -> float:
    """The power and what answers the grid, in whole watts towards zero."""
    if resolution.offset is None:
        return power
    bounds = resolution.sum_bounds  # and the ramp may be on its way to them
    within = Bounds(min(bounds.low, power), max(bounds.high, power))
    wanted = math.trunc(round((power + resolution.offset) * 1000, 6)) / 1000
    return within.clip(wanted) + 0.0


def _given(setpoint: float, preferred: float, offset: float, before: float) -> tuple[float, float]:
    """What of the setpoint answers the grid, and how much less that is than was meant.

    A power that the units were not told is missing from the offset first: a ramp that started beyond what was preferred
    would keep the next answer from the grid, and end in a power that nobody wants.
    """
    given = min(max(setpoint - preferred, min(0.0, offset, before)), max(0.0, offset, before))
    return given, offset - given


def _most(ramps: tuple[float, float], move: float, preferred: float, offset: float) -> tuple[float, float]:
    """The kW that the sum may rise and fall: by the ramps, at once towards zero, and by the change of the offset."""
    rise, fall = ramps
    base = preferred + move
    if base * preferred >= 0 and abs(base) <= abs(preferred):  # less of the same is never too fast
        rise, fall = max(rise, move), max(fall, -move)
    return rise + max(0.0, offset), fall + max(0.0, -offset)


def _cut(offset: float, offered: float | None) -> bool:
    """True when the plant gives less than was offered, by more than rounding."""
    return offered is not None and abs(offered - offset) > 0.0015
