"""Trials: one step of one value at a random moment, and how long the gateway takes to answer it.

Everything is measured on the wire: when the value arrived at the gateway, and when the device held a command that is
allowed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from bessai.model import ALL, CycleRecord, Operation, Priority, Request, Role
from bessai.registry import Profile
from simulation.assembly import Config
from simulation.device import STEP
from simulation.faults import FAULTS
from simulation.scenario import Scenario
from simulation.world import World

_POWER = 5.0
_PATIENCE = 60.0
"""Seconds in which power must flow again after a trial; then the gateway is replaced by one that remembers nothing."""

_RESET = Operation(kind="reset", code=ALL, user="engineer", role=Role.ENGINEER, reason="the trial is over")

Begin = Callable[[World, Random], Callable[[], None]]
"""Lets it happen; returns how it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of step."""

    name: str
    begin: Begin
    stops: str = "both"
    """The direction that it stops: `charge`, `discharge` or `both`."""
    within: float = 2.0
    """Seconds until the command at most, beside `detect`."""
    detect: float = 0.0
    """Seconds that pass by configuration before it can be known: staleness, or a counter's time."""
    reachable: bool = True
    """False when the device cannot be told: then the decision counts, and the device's own dead-man."""


@dataclass(slots=True)
class Outcome:
    """Of the trials of one case."""

    trials: int = 0
    seconds: list[float] = field(default_factory=list)
    """From the step in the device until it held a command that is allowed."""
    from_arrival: list[float] = field(default_factory=list)
    """From the arrival of the first reading after the step."""
    misses: list[str] = field(default_factory=list)
    """Trials in which that did not happen in time."""


def shown(name: str, choose: Callable[[Random], float | None]) -> Begin:
    """The device shows another value of a point; None: not available."""

    def begin(world: World, rng: Random) -> Callable[[], None]:
        twin = world.device.twin
        twin.force(name, choose(rng))
        return lambda: twin.release(name)

    return begin


def fault(kind: str) -> Begin:
    """A fault of `faults.FAULTS`, for as long as the trial lasts."""

    def begin(world: World, rng: Random) -> Callable[[], None]:
        undo = FAULTS[kind].begin(world.seat, rng)
        assert undo is not None
        return undo

    return begin


def between(low: float, high: float) -> Callable[[Random], float]:
    """A number between."""
    return lambda rng: rng.uniform(low, high)


class Trials:
    """Runs trials one after the other in one world.

    Args:
        profile: the device.
        cases: what may happen; each trial chooses one.
        seed: of everything.
        config: of the gateway.
    """

    def __init__(
        self, profile: Profile, cases: Sequence[Case], seed: int, config: Config | None = None
    ) -> None:
        scenario = Scenario(
            seed=seed,
            profile=profile,
            config=config or Config(),
            fault_every=math.inf,
            request_every=math.inf,
            people_every=math.inf,
        )
        self.world = World(scenario)
        self.outcomes: dict[str, Outcome] = {case.name: Outcome() for case in cases}
        self.resets = 0
        """Trips that an engineer reset between two trials."""
        self.replaced = 0
        """Gateways that were replaced because power did not come back."""
        self._cases = cases
        self._rng = Random(f"{seed}/trials")
        self._arrived: float | None = None
        self._allowed_at: float | None = None
        self._decided_at: float | None = None
        self._stops = ""
        self._began = math.inf
        delivered, wrote = self.world.network.delivered, self.world.device.wrote
        assert delivered is not None
        assert wrote is not None

        def listen(reply: bytes, now: float) -> None:
            delivered(reply, now)
            if self._arrived is None and now > self._began and self.world.oracle.arrived == now:
                sampled = min(self.world.oracle.sampled.values())
                self._arrived = now if sampled >= self._began else None

        def watch(now: float, values: dict[str, float]) -> None:
            wrote(now, values)
            if self._allowed_at is None and now > self._began and self._allowed():
                self._allowed_at = now

        append = self.world.disk.append

        def decided(record: CycleRecord) -> None:
            append(record)
            if (
                self._decided_at is None
                and self.world.loop.now > self._began
                and not record.decision.setpoint
            ):
                self._decided_at = self.world.loop.now

        self.world.disk.append = decided  # type: ignore[method-assign]
        self.world.network.delivered = listen
        self.world.device.wrote = watch

    def run(self, number: int) -> dict[str, Outcome]:
        """Run so many trials."""
        self.world.run_with(self._all(number))
        return self.outcomes

    async def _all(self, number: int) -> None:
        for i in range(number):
            await self._one(self._cases[i % len(self._cases)])

    async def _one(self, case: Case) -> None:
        world, rng = self.world, self._rng
        charging = case.stops == "charge" or (case.stops == "both" and rng.random() < 0.5)
        power = -_POWER if charging else _POWER
        await self._until_power(power)
        loop = world.loop
        await asyncio.sleep(rng.random())
        self._stops = case.stops
        self._arrived = self._allowed_at = self._decided_at = None
        self._began = now = loop.now
        world.device.catch_up(now)
        if not case.reachable:
            world.seat.block()
        end = case.begin(world, rng)
        if self._allowed():  # what happened ended the command by itself
            self._allowed_at = now
        world.trace.update(f"{now!r} {case.name}".encode())
        limit = now + case.detect + case.within + 0.5
        while loop.now < limit and self._answered(case) is None:  # noqa: ASYNC110 - time is simulated
            await asyncio.sleep(0.25)
        at = self._answered(case)
        took = math.inf if at is None else at - now
        fell_back = case.reachable or await self._falls_back(now)
        outcome = self.outcomes[case.name]
        outcome.trials += 1
        if took > case.detect + case.within or not self._allowed() or not fell_back:
            outcome.misses.append(
                f"seed {world.scenario.seed}, {now:.3f} s, {case.name}: answered after {took:.3f} s, "
                f"now {world.oracle.commanded:g} kW"
            )
        else:
            outcome.seconds.append(took)
            if at is not None and (arrived := self._known()) is not None:
                outcome.from_arrival.append(max(0.0, at - arrived))
        self._began = math.inf
        world.device.catch_up(loop.now)
        end()
        if not case.reachable:
            world.seat.unblock()

    def _known(self) -> float | None:
        return self._arrived

    def _answered(self, case: Case) -> float | None:
        return self._allowed_at if case.reachable else self._decided_at

    async def _falls_back(self, began: float) -> bool:
        """Whether the device ends the power by itself, within its dead-man's time and the two cycles before."""
        world = self.world
        limit = began + world.oracle.dead_man_time + world.scenario.config.stale_after + 3 * STEP
        while world.loop.now < limit:
            if self._allowed():
                return True
            await asyncio.sleep(0.25)
            world.oracle.observe(world.loop.now)
        return False

    def _allowed(self) -> bool:
        power = self.world.oracle.commanded
        return (
            power == 0
            or (power > 0 and self._stops == "charge")
            or (power < 0 and self._stops == "discharge")
        )

    async def _until_power(self, power: float) -> None:
        world = self.world
        while True:
            since = world.loop.now
            world.ask(
                Request(source="trial", priority=Priority.OPERATOR, power=power, expires=since + 1000.0)
            )
            while world.loop.now - since < _PATIENCE:
                if world.oracle.commanded == power:
                    return
                if world.ledger.standing and world.operate(_RESET) is None:
                    self.resets += 1
                await asyncio.sleep(0.5)
            self.replaced += 1
            world.kill()
            world.state.forget()
            world.ledger.standing.clear()
            world.start()


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else math.nan
