"""One episode: cycles of random readings, requests and outcomes, each judged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

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
from bessai.registry import CompiledProfile
from support.stateful.adapter import GuardUnderTest
from support.stateful.oracle import Expectations, Latch, Oracle, Readings, request_bounds
from support.stateful.world import World

_STARTED = 1000.0


class Violation(AssertionError):  # noqa: N818  it is one
    """The guard did what it must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How often, a cycle, something happens."""

    wild: float = 0.04
    """A value jumps; as often, one is lost."""
    ask: float = 0.15
    stale: float = 0.02
    """The evidence was not read completely."""
    disobey: float = 0.03
    """The device refuses a command, or stops half-way."""
    reconnect: float = 0.004
    restart: float = 0.002
    operate: float = 0.02


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
    seen: set[GuardState] = field(default_factory=set)

    def add(self, other: Episode) -> None:
        """Sum up."""
        self.states += other.states
        self.commands += other.commands
        self.powered += other.powered
        self.denied += other.denied
        self.tripped += other.tripped
        self.seen |= other.seen


def run(
    seed: int,
    cycles: int,
    make: Callable[[], GuardUnderTest],
    profile: CompiledProfile,
    expected: Expectations,
    mix: Mix | None = None,
) -> Episode:
    """Run one episode.

    Raises:
        Violation: with the seed and the last steps.
    """
    driver = _Driver(seed, make(), profile, expected, mix or Mix())
    try:
        for _ in range(cycles):
            driver.cycle()
    except Violation as violation:
        steps = "\n".join(driver.trace)
        raise Violation(f"seed {seed}: {violation}\nthe last cycles:\n{steps}") from None
    return driver.episode


class _Driver:
    def __init__(
        self, seed: int, guard: GuardUnderTest, profile: CompiledProfile, expected: Expectations, mix: Mix
    ) -> None:
        self.episode = Episode()
        self.trace: deque[str] = deque(maxlen=12)
        self._random = Random(seed)
        self._guard = guard
        self._layout = profile.layout
        self._mix = mix
        self._worlds = {unit: World(self._random, mix.wild) for unit in guard.units}
        self._oracles = {unit: Oracle(expected) for unit in guard.units}
        self._latch = Latch(expected, guard.units)
        self._requests: dict[str, Request] = {}
        self._refused: dict[str, float] = {}
        self._expected = expected
        self._now = _STARTED
        self._number = 0

    def cycle(self) -> None:
        """One second of the plant."""
        random, mix, guard = self._random, self._mix, self._guard
        self._now += 1.0
        self._number += 1
        if random.random() < mix.restart:
            guard.restart()
            self._requests.clear()
            self._latch.restarted()
            for oracle in self._oracles.values():
                oracle.restarted()
            self.trace.append("restart")
        for unit in guard.units:
            if random.random() < mix.reconnect:
                guard.connection_changed(unit)
                self._oracles[unit].reconnected()
                self.trace.append(f"new connection of {unit!r}")
        if random.random() < mix.ask:
            self._ask()
        if guard.latches and random.random() < mix.operate:
            self._operate()
        readings: dict[str, Readings] = {}
        for unit, world in self._worlds.items():
            world.step(self._now)
            readings[unit] = world.seen()
        fresh = frozenset(unit for unit in guard.units if random.random() >= mix.stale)
        requests = sorted(
            (r for r in self._requests.values() if r.expires > self._now), key=lambda r: -r.priority
        )
        images = {unit: self._image(values) for unit, values in readings.items()}
        decision = guard.decide(images, requests, fresh=fresh)
        self.trace.append(self._line(readings, requests, decision, fresh))
        self.episode.seen.add(decision.state)
        self.episode.tripped += bool(decision.trips)
        self.episode.denied += not decision.setpoint and any(r.power for r in requests)
        if wrong := self._latch.check(readings, decision, self._now):
            raise Violation(wrong)
        bounds = request_bounds(requests, decision.source)
        self._judge_plant(decision, bounds)
        for unit in guard.units:
            self.episode.states += 1
            one = bounds if len(guard.units) == 1 else (-np.inf, np.inf)
            self._unit(unit, readings[unit], decision, one, fresh=unit in fresh)

    def _unit(
        self, unit: str, readings: Readings, decision: Decision, bounds: tuple[float, float], *, fresh: bool
    ) -> None:
        guard, now, world = self._guard, self._now, self._worlds[unit]
        command = guard.command(unit, now)
        told = True
        if command is not None:
            self.episode.commands += 1
            self.episode.powered += bool(command.setpoint)
            told = self._write(unit, command, readings, decision, bounds)
        elif now - self._refused.get(unit, -np.inf) > self._expected.retry:
            self._judge(unit, world.target(now), readings, decision, bounds, "stands and nothing was written")
        if fresh and told and decision.state in {GuardState.NORMAL, GuardState.DERATED}:
            feed = guard.feed(unit, now)
            if feed is not None:
                self._write(unit, feed, readings, decision, bounds)

    def _write(
        self,
        unit: str,
        command: Command,
        readings: Readings,
        decision: Decision,
        bounds: tuple[float, float],
    ) -> bool:
        """Let the device carry it out, or not; judge every target that it passes through."""
        world, now, random = self._worlds[unit], self._now, self._random
        wanted = command.setpoint or 0.0
        before = world.target(now)
        obeys = random.random() >= self._mix.disobey
        writes = command.writes if obeys else command.writes[: random.randrange(len(command.writes))]
        self.trace.append(
            f"    {command.kind} {command.setpoint} {'' if obeys else f'stops after {len(writes)}'}"
        )
        if not command.feed:
            self._judge(unit, wanted, readings, decision, bounds, "was commanded")
        targets = list(world.write(writes, now))
        passing = {before, wanted, 0.0} if not command.feed else {before}
        for target in targets:
            if min(abs(target - one) for one in passing) > 0.001:
                raise Violation(
                    f"on the way from {before:g} to {wanted:g} kW the device was at {target:g} kW"
                )
        if obeys and not command.feed and abs(world.target(now) - wanted) > 0.001:
            raise Violation(f"{command!r} makes {world.target(now):g} kW of the device")
        if obeys:
            self._oracles[unit].verified(now)
        outcome = WriteOutcome(
            verified=obeys, written=tuple(writes), error=None if obeys else "mode: no answer"
        )
        self._guard.wrote(unit, outcome, now)
        if obeys:
            self._refused.pop(unit, None)
        else:
            self._refused[unit] = now
        return obeys

    def _judge(
        self,
        unit: str,
        power: float,
        readings: Readings,
        decision: Decision,
        bounds: tuple[float, float],
        what: str,
    ) -> None:
        oracle, last = self._oracles[unit], self._worlds[unit].target(self._now)
        facts = oracle.facts(readings, decision, bounds, last, self._now)
        why = oracle.against(power, facts) or self._latch.against(unit, power)
        if why is not None:
            raise Violation(f"{power:g} kW {what} for {unit or 'the unit'}: {why}")

    def _judge_plant(self, decision: Decision, bounds: tuple[float, float]) -> None:
        power = decision.setpoint
        if power and not bounds[0] - 0.001 <= power <= bounds[1] + 0.001:
            raise Violation(f"the plant is told {power:g} kW outside the requests' bounds {bounds}")
        told = [unit.setpoint for unit in decision.units if unit.setpoint is not None]
        if told and abs(sum(told) - (power or 0.0)) > 0.001 * len(told):
            raise Violation(f"the units add up to {sum(told):g} kW, the plant is told {power} kW")

    def _ask(self) -> None:
        random = self._random
        source = random.choice("abcde")
        if random.random() < 0.1:
            self._requests.pop(source, None)
            return
        size = random.choice((0.0, 5.0, 20.0, 60.0, 500.0))
        low, high = sorted(random.choice((-np.inf, -40.0, -8.0, 0.0, 6.0, 45.0, np.inf)) for _ in range(2))
        if low == high:
            low, high = -np.inf, np.inf
        self._requests[source] = Request(
            source=source,
            priority=random.choice(list(Priority)),
            power=random.choice((None, *[round(random.uniform(-size, size), 3)] * 5)),
            bounds=Bounds(low, high) if random.random() < 0.3 else Bounds(),
            expires=self._now + random.choice((1.0, 5.0, 30.0, 300.0)),
            soc_target=random.choice((0.0, 50.0, 90.0))
            if self._guard.latches and random.random() < 0.1
            else None,
        )

    def _operate(self) -> None:
        """Resets and maintenance: connected with the guard that has them, see `GuardUnderTest.latches`."""
        random = self._random
        role = random.choice(list(Role))
        kind = random.choice(("reset", "maintenance_on", "maintenance_off"))
        code = random.choice(["all", *(trip.code for trip in self._latch.standing)])
        what = Operation(kind=kind, user="test", role=role, reason="random", code=code)
        refused = self._guard.operate(what, self._now, 0)
        self.trace.append(f"{kind} {code} by {role.name}: {refused or 'done'}")
        if refused is None:
            if kind == "reset":
                self._latch.reset(code, role)
            else:
                self._latch.maintenance = kind == "maintenance_on"

    def _image(self, readings: Readings) -> ProcessImage:
        columns = np.full(len(self._layout), np.nan)
        quality = np.full(len(self._layout), Quality.MISSING, np.uint8)
        for name, value in readings.items():
            i = self._layout.index[name]
            if isinstance(value, Quality):
                quality[i] = value
            else:
                columns[i], quality[i] = value, Quality.GOOD
        times = np.full(len(self._layout), self._now)
        return ProcessImage(self._layout, self._number, self._now, 0, columns, quality, times)

    def _line(
        self,
        readings: dict[str, Readings],
        requests: list[Request],
        decision: Decision,
        fresh: frozenset[str],
    ) -> str:
        asked = [(r.source, r.priority.name, r.power, r.bounds.low, r.bounds.high) for r in requests]
        seen = {
            unit: {n: v.label if isinstance(v, Quality) else v for n, v in values.items()}
            for unit, values in readings.items()
        }
        return f"{self._now:g} {seen} {asked} fresh={sorted(fresh)} -> {decision.state.value} {decision.setpoint}"
