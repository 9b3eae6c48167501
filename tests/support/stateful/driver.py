"""One episode: cycles of random readings, requests, people and outcomes, each judged."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from bessai.model import (
    Bounds,
    Command,
    Decision,
    GuardState,
    Operation,
    Priority,
    ProcessImage,
    Quality,
    Request,
    Role,
    WriteOutcome,
)
from support.stateful.adapter import GuardUnderTest
from support.stateful.disk import Disk
from support.stateful.judge import Readings, UnitJudge
from support.stateful.plant import PlantJudge
from support.stateful.setup import DURATION, Devices, Setup, UnitSetup
from support.stateful.trips import TripJudge
from support.stateful.world import World

_STARTED = 1000.0
RETRY = 2.0
"""Seconds within which a zero that the device refused again is written again; the first time in the next cycle.

A device that answers *busy* needs a pause, and a battery was once blocked for a day by writes that came too fast
(`core/write_limit.py`). Nothing feeds its dead-man meanwhile, so it also falls back by itself."""
TEST = 2 * DURATION + 30.0
"""Seconds after which a dead-man test that nobody ends is over."""


class Violation(AssertionError):  # noqa: N818  it is one
    """The guard did what it must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How often, a cycle, something happens."""

    wild: float = 0.03
    """A value jumps; as often, one is lost."""
    ask: float = 0.15
    stale: float = 0.02
    """The evidence was not read completely."""
    disobey: float = 0.03
    """The device refuses a command, or stops half-way."""
    late: float = 0.01
    """The device answers a command some cycles later."""
    pause: float = 0.002
    """Nothing runs for longer than the dead-man's time."""
    reconnect: float = 0.004
    restart: float = 0.002
    operate: float = 0.02


QUIET = Mix(wild=0.002, disobey=0.0, late=0.0, pause=0.0, restart=0.0, reconnect=0.001, operate=0.01)


@dataclass(slots=True, kw_only=True)
class Episode:
    """What came of it."""

    states: int = 0
    """Unit states that were decided on."""
    commands: int = 0
    powered: int = 0
    """Commands with power."""
    denied: int = 0
    """Cycles in which power was asked for and zero was right."""
    tripped: int = 0
    resets: int = 0
    restarts: int = 0
    tests: int = 0
    """Dead-man tests that began."""
    ramped: int = 0
    """Cycles in which a ramp or a dwell time held the power back."""
    reactive: int = 0
    """Cycles with reactive power."""
    second_looks: int = 0
    """Setpoints that the guard's own second look refused: its two implementations differed."""
    seen: set[GuardState] = field(default_factory=set)

    def add(self, other: Episode) -> None:
        """Sum up."""
        for name in self.__slots__:
            if name == "seen":
                self.seen |= other.seen
            else:
                setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class _Unit:
    setup: UnitSetup
    world: World
    judge: UnitJudge
    pending: tuple[Command, WriteOutcome, int] | None = None
    """A command whose answer is on its way, and the cycles until it comes."""
    zeros_refused: int = 0
    refused_at: float = -math.inf
    tested_until: float | None = None


def run(
    seed: int,
    cycles: int,
    make: Callable[[Setup], GuardUnderTest],
    setup: Setup | Devices,
    mix: Mix | None = None,
) -> Episode:
    """Run one episode on a setup, or on any that can be made of some devices.

    Raises:
        Violation: with the seed and the last steps.
    """
    random = Random(seed)
    chosen = setup.any(random) if isinstance(setup, Devices) else setup
    driver = Driver(random, make(chosen), chosen, mix or Mix())
    try:
        for _ in range(cycles):
            driver.cycle()
    except Violation as violation:
        steps = "\n".join(one if isinstance(one, str) else one[0](*one[1:]) for one in driver.trace)
        raise Violation(f"seed {seed}: {violation}\n{chosen.text}\nthe last cycles:\n{steps}") from None
    return driver.episode


class Driver:
    """Runs the guard, the devices and the judges, cycle by cycle."""

    def __init__(self, random: Random, guard: GuardUnderTest, setup: Setup, mix: Mix) -> None:
        self.episode = Episode()
        self.trace: deque[str | tuple[Any, ...]] = deque(maxlen=30)
        """Lines, or a function that makes one with its arguments: most are never read."""
        self.setup = setup
        self.units = {
            unit.name: _Unit(unit, World(unit, random, mix.wild), UnitJudge(unit)) for unit in setup.units
        }
        self.now = _STARTED
        self._random, self._guard, self._mix = random, guard, mix
        judges = {name: unit.judge for name, unit in self.units.items()}
        self.trips = TripJudge(judges)
        self._plant = PlantJudge(setup, judges)
        self._disk = Disk(random, guard.state())
        self._kept = -1
        self._requests: dict[str, Request] = {}
        self._number = 0

    def cycle(self) -> None:
        """One cycle, early, late or in time."""
        random, mix = self._random, self._mix
        if random.random() < mix.restart:
            self.restart()
        for name in self.units:
            if random.random() < mix.reconnect:
                self.reconnect(name)
        if random.random() < mix.ask:
            self._ask()
        if random.random() < mix.operate * (4 if self.trips.standing or self.trips.maintenance else 1):
            self._operate()
        seconds = self.setup.cycle * random.choice((1.0, 1.0, 1.0, 1.0, 0.97, 1.04, 1.3, 2.6))
        seconds = 3.0 if random.random() < 0.01 else seconds
        seconds = DURATION + 15.0 if random.random() < mix.pause else seconds
        fresh = frozenset(name for name in self.units if random.random() >= mix.stale)
        self.step(seconds, fresh)

    def restart(self) -> None:
        """The process dies and another one begins, with what is on disk."""
        self.trace.append("restart")
        state, kept = self._disk.crash()
        self._guard.restart(state)
        self._kept = -1
        self._requests.clear()
        self.episode.restarts += 1
        self.trips.restarted(kept)
        self._plant.restarted()
        for unit in self.units.values():
            unit.judge.restarted()
            unit.pending, unit.zeros_refused, unit.tested_until = None, 0, None

    def reconnect(self, name: str) -> None:
        """The device is reached on another connection."""
        self.trace.append(f"new connection of {name!r}")
        unit = self.units[name]
        self._guard.connection_changed(name)
        unit.judge.reconnected()
        unit.zeros_refused = 0
        if unit.pending is not None:  # it speaks of a connection that is gone
            command, outcome, left = unit.pending
            gone = WriteOutcome(verified=False, written=outcome.written, error="the connection changed")
            unit.pending = command, gone, left

    def request(self, request: Request | None, source: str) -> None:
        """Ask for something, or for nothing any more."""
        if request is None:
            self._requests.pop(source, None)
        else:
            self._requests[source] = request

    def step(self, seconds: float, fresh: frozenset[str]) -> None:
        """Let time pass, then read, decide, write and feed."""
        self.now += seconds
        self._number += 1
        guard, now, episode = self._guard, self.now, self.episode
        images: dict[str, ProcessImage] = {}
        for name, unit in self.units.items():
            unit.world.step(now, seconds)
            readings = unit.world.seen()
            images[name] = self._image(unit, readings)
            unit.judge.see(readings, now)
            self.trace.append((_line, name, readings))
        requests = sorted((r for r in self._requests.values() if r.expires > now), key=lambda r: -r.priority)
        decision = guard.decide(images, requests, fresh=fresh)
        self.trace.append((_told, now, fresh, requests, decision))
        episode.seen |= {decision.state, *(unit.state for unit in decision.units)}
        episode.tripped += bool(decision.trips)
        episode.denied += not decision.setpoint and any(r.power for r in requests)
        episode.ramped += any(why.startswith(("ramp", "min_o")) for why in decision.limited_by)
        episode.reactive += bool(decision.reactive)
        self._object(self.trips.check(decision, now))
        for name, unit in self.units.items():
            stopped = self.trips.tripped(name) or self.trips.maintenance is not None
            unit.judge.count(fresh=name in fresh, stopped=stopped)
        self._keep()
        tested = any(unit.tested_until is not None for unit in self.units.values())
        self._object(self._plant.check(decision, requests, now, tested=tested))
        states = {unit.unit: unit for unit in decision.units}
        for name, unit in self.units.items():
            episode.states += 1
            told = states[name]
            self._act(name, unit, told.state, told.setpoint or 0.0, told.reactive, fresh=name in fresh)

    def operate(self, operation: Operation) -> None:
        """Let a person act, and note what the guard says it did."""
        refused = self._guard.operate(operation, self.now, 0)
        self.trace.append(
            f"{operation.kind} {operation.code} {operation.unit} by {operation.role.name}: {refused or 'done'}"
        )
        if refused is not None:
            return
        role, unit = operation.role, self.units.get(operation.unit)
        if operation.kind == "reset":
            self.episode.resets += 1
            self._object(self.trips.reset(operation.code, role, self._guard.revision, self.now))
        elif operation.kind == "deadman_test" and unit is not None:
            self.episode.tests += 1
            unit.tested_until = self.now + TEST
        elif operation.kind == "deadman_test_end" and unit is not None:
            if unit.tested_until is not None:
                unit.judge.reconnected()
            unit.tested_until = None
            if not operation.passed:
                self.trips.must_stand("dead_man_test_failed", operation.unit)
        elif operation.kind.startswith("maintenance"):
            self._object(self.trips.switched(operation.kind == "maintenance_on", role))

    def _object(self, why: str | None) -> None:
        if why is not None:
            raise Violation(why)

    def _keep(self) -> None:
        guard = self._guard
        if guard.revision != self._kept:
            self._kept = guard.revision
            self._disk.save(self._kept, guard.state(), self.trips.to_keep())
        revision = self._disk.tick()
        if revision is not None:
            guard.settled(revision)
            self.trips.settled(revision)

    def _act(
        self,
        name: str,
        unit: _Unit,
        state: GuardState,
        setpoint: float,
        reactive: float | None,
        *,
        fresh: bool,
    ) -> None:
        """What the cycle's hand does with one device."""
        guard, now = self._guard, self.now
        verified, disproved = fresh, False
        if unit.pending is not None:
            late, outcome, left = unit.pending
            if left > 0:
                unit.pending = late, outcome, left - 1
                return
            unit.pending = None
            self._answer(name, unit, late, outcome)
            verified = verified and outcome.verified
            disproved = not outcome.verified  # after the decision: zero is then right, and no difference
        command = guard.command(name, now)
        if command is not None:
            self.episode.commands += 1
            self.episode.powered += bool(command.setpoint)
            if command.setpoint not in {setpoint, 0.0}:
                raise Violation(f"{command.setpoint} kW is commanded, {setpoint:g} kW was decided")
            if command.setpoint != setpoint:
                self.episode.second_looks += not disproved
            if unit.tested_until is not None:
                unit.tested_until = None
                unit.judge.reconnected()
            verified = self._write(name, unit, command, state, reactive) and verified
        else:
            if unit.tested_until is not None and now > unit.tested_until + 1e-6:
                raise Violation("a dead-man test that is over still keeps the unit from being told")
            self._stands(name, unit, state)
        if verified and state not in {GuardState.MONITOR, GuardState.HOLD}:
            feed = guard.feed(name, now) if guard.standing(name) else None
            if feed is not None:
                if unit.tested_until is not None:
                    raise Violation("the dead-man is fed while it is tested")
                self._write(name, unit, feed, state, reactive)

    def _stands(self, name: str, unit: _Unit, state: GuardState) -> None:
        """Nothing was written: what the device has must be allowed, unless a refused zero waits for its next try."""
        waits = unit.zeros_refused > 1 and self.now - unit.refused_at < RETRY
        if not waits:
            self._judge(name, unit, unit.world.target(self.now), state, "stands and nothing was written")

    def _write(
        self, name: str, unit: _Unit, command: Command, state: GuardState, reactive: float | None
    ) -> bool:
        """Let the device carry it out, or not; judge every target that it passes through."""
        world, now, random, mix = unit.world, self.now, self._random, self._mix
        wanted = command.setpoint or 0.0
        before = world.target(now)
        obeys = random.random() >= mix.disobey
        writes = command.writes if obeys else command.writes[: random.randrange(len(command.writes))]
        self.trace.append(
            f"    {name} {command.kind} {command.setpoint} {'' if obeys else f'stops after {len(writes)}'}"
        )
        if not command.feed:
            self._judge(name, unit, wanted, state, "was commanded")
        passing = {before, wanted, 0.0} if not command.feed else {before}
        for target in world.write(writes, now):
            if min(abs(target - one) for one in passing) > 0.001:
                raise Violation(
                    f"on the way from {before:g} to {wanted:g} kW the device was at {target:g} kW"
                )
        if obeys and not command.feed:
            if abs(world.target(now) - wanted) > 0.001:
                raise Violation(f"{command!r} makes {world.target(now):g} kW of the device")
            if abs(world.reactive - (reactive or 0.0)) > 0.001 and command.setpoint:
                raise Violation(f"{command!r} makes {world.reactive:g} kvar, {reactive} kvar was decided")
            self._object(unit.judge.against_reactive(world.reactive, state))
        if obeys:
            unit.judge.verified(now)
        error = None if obeys else "mode: no answer"
        outcome = WriteOutcome(verified=obeys, written=tuple(writes), error=error)
        if random.random() < mix.late:
            unit.pending = command, outcome, random.randint(0, 3)
            return False
        self._answer(name, unit, command, outcome)
        return obeys

    def _answer(self, name: str, unit: _Unit, command: Command, outcome: WriteOutcome) -> None:
        """The guard learns what became of a command."""
        self._guard.wrote(name, outcome, self.now)
        if command.kind == "zero":
            unit.zeros_refused = 0 if outcome.verified else unit.zeros_refused + 1
            unit.refused_at = self.now

    def _judge(self, name: str, unit: _Unit, power: float, state: GuardState, what: str) -> None:
        why = unit.judge.against(power, state) or self.trips.against(name, power)
        if why is not None:
            raise Violation(f"{power:g} kW {what} for {name or 'the unit'}: {why}")

    def _ask(self) -> None:
        random = self._random
        source = random.choice("abcde")
        if random.random() < 0.1:
            self.request(None, source)
            return
        size = random.choice((0.0, 5.0, 20.0, 60.0, 500.0))
        self._requests[source] = Request(
            source=source,
            priority=random.choice(list(Priority)),
            power=random.choice((None, *[round(random.uniform(-size, size), 3)] * 5)),
            bounds=self._bounds() if random.random() < 0.3 else Bounds(),
            expires=self.now + random.choice((1.0, 5.0, 30.0, 300.0)),
            soc_target=random.choice((0.0, 50.0, 90.0)) if random.random() < 0.1 else None,
            reactive=random.choice((0.0, -8.0, 5.0, 60.0)) if random.random() < 0.2 else None,
            reactive_bounds=self._bounds() if random.random() < 0.1 else Bounds(),
        )

    def _bounds(self) -> Bounds:
        edges = (-math.inf, -40.0, -8.0, 0.0, 6.0, 45.0, math.inf)
        low, high = sorted(self._random.choice(edges) for _ in range(2))
        return Bounds() if low == high else Bounds(low, high)

    def _operate(self) -> None:
        random = self._random
        kind = random.choice(
            (
                *("reset", "reset", "reset"),
                *("maintenance_on", "maintenance_off", "maintenance_off"),
                *("deadman_test", "deadman_test", "deadman_test_end"),
            )
        )
        self.operate(
            Operation(
                kind=kind,
                user=random.choice(("ana", "ben")),
                role=random.choice(list(Role)),
                reason="random",
                code=random.choice(["all", "all", *(trip.code for trip in self.trips.standing)]),
                unit=random.choice(list(self.units)) if kind.startswith("deadman") else "",
                passed=random.random() < 0.8 if kind == "deadman_test_end" else None,
            )
        )

    def _image(self, unit: _Unit, readings: Readings) -> ProcessImage:
        layout = unit.setup.device.layout
        columns = np.full(len(layout), np.nan)
        quality = np.full(len(layout), Quality.MISSING, np.uint8)
        for name, value in readings.items():
            i = layout.index[name]
            if isinstance(value, Quality):
                quality[i] = value
            else:
                columns[i], quality[i] = value, Quality.GOOD
        times = np.full(len(layout), self.now)
        return ProcessImage(layout, self._number, self.now, 0, columns, quality, times)


def _line(name: str, readings: Readings) -> str:
    seen = {n: v.label if isinstance(v, Quality) else round(v, 4) for n, v in readings.items()}
    return f"  {name} {seen}"


def _told(now: float, fresh: frozenset[str], requests: Sequence[Request], decision: Decision) -> str:
    asked = [
        (r.source, r.priority.name, r.power, r.soc_target, r.bounds.low, r.bounds.high, r.reactive)
        for r in requests
    ]
    units = [(u.unit, u.state.value, u.setpoint, u.reactive, u.limited_by) for u in decision.units]
    seen = f"{now:.2f} fresh={sorted(fresh)} {asked}"
    return f"{seen} -> {decision.state.value} {decision.setpoint} {decision.limited_by} {units}"
