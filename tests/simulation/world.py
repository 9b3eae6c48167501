"""One simulated plant, its gateway, everybody who asks it for power, and what goes wrong. All from one seed."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from typing import Any

from bessai.model import Bounds, CycleRecord, Endpoint, Operation, Priority, Request
from bessai.registry import CompiledProfile, Profile, compile_profile
from bessai.site import single_device_site
from bessai.twin import PlantConfig
from simulation.assembly import Config, ControlPlane, control_plane
from simulation.clock import SimClock
from simulation.device import STEP, SimDevice
from simulation.disk import SimDisk
from simulation.faults import FAULTS, Fault, duration
from simulation.invariants import PER_CYCLE, PER_STEP, PER_WRITE
from simulation.ledger import Ledger
from simulation.loop import SimLoop
from simulation.network import Network
from simulation.oracle import Oracle
from simulation.people import People
from simulation.records import AlarmWatch, RampWatch, reasons_are_told, verified_is_true
from simulation.state import SimState

_START = 1000.0
_RECOVERY = 30.0
"""Seconds after a fault in which the gateway may still wait before it tries again: its longest backoff (8 s), a
silent unit's longest rest (5 s), the identity's re-check after that, and the device's own settling, with room."""
_MOST = 20
"""Violations that are kept in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is simulated. Equal scenarios run equally."""

    seed: int
    profile: Profile
    config: Config = field(default_factory=Config)
    plant: PlantConfig = field(default_factory=lambda: PlantConfig(step=STEP))
    faults: tuple[str, ...] = tuple(FAULTS)
    """Kinds that may happen."""
    fault_every: float = 120.0
    """Mean seconds between the beginnings of two faults; infinite for none."""
    request_every: float = 40.0
    """Mean seconds between two requests; infinite for none."""
    people_every: float = 600.0
    """About how many seconds it takes until somebody looks after the plant again; infinite: nobody does."""


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of a run."""

    seed: int
    simulated: float
    """Seconds."""
    wall: float
    """Seconds that it took."""
    cpu: float
    """Seconds of this process's time that it took: what counts on a machine that others use."""
    trace: str
    """Digest of every cycle, write, request and fault, with their times."""
    violations: list[str]
    """The first of them, in words."""
    broken: int
    """How many."""
    faults: Counter[str]
    writes: Counter[str]
    states: Counter[str]
    events: Counter[str]
    requests: int
    cycles: int
    verified: int
    fed: int
    powered: float
    """Seconds with a power commanded."""
    fallbacks: int
    """How often the device's dead-man ended a command."""
    people: Counter[str]
    """Trips that stood anew, resets, tests, and what people were refused."""


class World:
    """A run.

    Args:
        scenario: what is simulated.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.profile: CompiledProfile = _compiled(scenario.profile)
        seed = scenario.seed
        self._rng = {
            name: Random(f"{seed}/{name}")
            for name in ("faults", "requests", "wire", "device", "gateway", "people")
        }
        self.loop = SimLoop(start=_START)
        self.clock = SimClock(self.loop)
        self.trace = blake2b(digest_size=16)
        self.disk = SimDisk(self.trace)
        self.device = SimDevice(
            scenario.profile, self.profile, _START, seed, self._rng["device"], scenario.plant
        )
        self.network = Network(self.loop, self.device, self._rng["wire"])
        self.oracle = Oracle(self.profile, self.device.twin, scenario.config, self.trace)
        self.device.stepped = self._stepped
        self.device.asked = self.oracle.asked
        self.device.wrote = self._wrote
        self.network.delivered = self.oracle.delivered
        self.network.ended = self._connection_ended
        control = self.profile.control
        assert control is not None
        self.watched = self.oracle.watched
        self.evidence = tuple(dict.fromkeys(("soc", *control.evidence)))
        self.site = single_device_site(self.profile, Endpoint(host="twin", port=502))
        self.alive = False
        self.state = SimState()
        """What the gateway keeps across restarts."""
        self.ledger = Ledger({"": self.oracle}, self.state, scenario.config.cycle)
        self.alarms = AlarmWatch()
        rated = scenario.plant.battery
        self.ramp = RampWatch(scenario.config, max(rated.charge_power_max, rated.discharge_power_max))
        self.disk.recorded = self._recorded
        self.violations: list[str] = []
        self.broken = 0
        self.counts: Counter[str] = Counter()
        self.requests = 0
        self.plane: ControlPlane | None = None
        self._running: asyncio.Task[None] | None = None
        self._stop: asyncio.Event | None = None
        self._ended: list[asyncio.Task[None]] = []
        self._blocked = 0
        self._asked: dict[str, float] = {}

    def run(self, seconds: float, *, stop_when_broken: bool = False) -> Result:
        """Simulate so many seconds from the start, or until a promise is broken; a world runs once."""
        self._next_fault()
        self._next_request()
        if math.isfinite(self.scenario.people_every):
            self._people().begin()
        return self.run_with(self._pass(seconds, stop_when_broken))

    async def _pass(self, seconds: float, stop_when_broken: bool) -> None:
        end = self.loop.now + seconds
        while self.loop.now < end and not (stop_when_broken and self.broken):  # noqa: ASYNC110
            await asyncio.sleep(min(60.0, end - self.loop.now))

    def run_with(self, script: Coroutine[Any, Any, None]) -> Result:
        """Simulate until a script ends."""
        began, cpu = time.perf_counter(), time.process_time()
        quiet = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self.loop.create_task(self._main(script), name="world"))
        finally:
            logging.disable(quiet)
            asyncio.set_event_loop(None)
            self.loop.close()
        for promise in PER_CYCLE:
            self._judge(promise.__name__, promise(self.disk))
        oracle, disk = self.oracle, self.disk
        return Result(
            seed=self.scenario.seed,
            simulated=self.loop.now - _START,
            wall=time.perf_counter() - began,
            cpu=time.process_time() - cpu,
            trace=self.trace.hexdigest(),
            violations=self.violations,
            broken=self.broken,
            faults=self.counts,
            writes=oracle.writes,
            states=disk.states,
            events=disk.events,
            requests=self.requests,
            cycles=disk.cycles,
            verified=disk.verified,
            fed=disk.fed,
            powered=oracle.powered,
            fallbacks=self.device.twin.fallbacks,
            people=Counter(
                trips=self.ledger.tripped,
                resets=self.ledger.resets,
                tests=self.ledger.tests,
                refused=self.ledger.refused,
            ),
        )

    async def _main(self, script: Coroutine[Any, Any, None]) -> None:
        self.start()
        self.oracle.able_since = _START + _RECOVERY
        self.loop.call_at(_START + STEP, self._tick)
        await script
        self.kill()
        await asyncio.gather(*self._ended, return_exceptions=True)

    def start(self) -> None:
        """Start the gateway."""
        self.disk.restarted()
        self.alarms.restarted()
        self.ramp.restarted()
        self.ledger.started(self.loop.now)
        self.plane = control_plane(
            self.scenario.config, self.site, self.clock, self.disk, self.state, self._rng["gateway"]
        )
        self._stop = asyncio.Event()
        self._running = self.loop.create_task(self.plane.run(self._stop))
        self.alive = True

    def kill(self) -> None:
        """End the gateway as SIGKILL does: nothing more is sent, and nothing of its memory stays."""
        if self._running is None or self.plane is None:
            return
        self.network.cut(ConnectionResetError(104, "Connection reset by peer"))
        for task in self.loop.tasks():
            if task.get_name() != "world":
                task.cancel()
                self._ended.append(task)
        self._ended = [task for task in self._ended if not task.done()]
        self._running = self.plane = None
        self.alive = False
        self.oracle.cut_at = self.loop.now
        self.ledger.killed(self.loop.now)
        self.oracle.leased_until = min(self.oracle.leased_until, self.loop.now)

    def begin(self, kind: str, seconds: float | None = None) -> bool:
        """Let a fault begin, and end by itself. False when it cannot begin now."""
        fault, rng = FAULTS[kind], self._rng["faults"]
        lasts = duration(fault, rng) if seconds is None else seconds
        if fault.blocks:
            self.block()  # before it begins: a stall is over by then
        undo = fault.begin(self, rng)
        if undo is None:
            self._unblock(fault)
            return False
        self.counts[kind] += 1
        self.trace.update(f"{self.loop.now!r} {kind}".encode())
        self.loop.call_at(self.loop.now + lasts, self._end, fault, undo)
        return True

    def _end(self, fault: Fault, undo: Any) -> None:
        self.device.catch_up(self.loop.now)
        undo()
        self._unblock(fault)

    def _unblock(self, fault: Fault) -> None:
        if fault.blocks:
            self.unblock()

    def block(self) -> None:
        """Something keeps the gateway from the device now: the promises that need it wait."""
        self._blocked += 1
        self.oracle.able_since = math.inf

    def unblock(self) -> None:
        """It no longer does."""
        self._blocked -= 1
        if not self._blocked:
            self.oracle.able_since = self.loop.now + _RECOVERY

    def ask(self, request: Request) -> None:
        """Ask the gateway for power, as an operator or a service does."""
        if self.plane is None:
            return
        self.plane.ask(request)
        self.requests += 1
        now = self.loop.now
        self._asked = {s: e for s, e in self._asked.items() if e > now} | {request.source: request.expires}
        self.oracle.leased_until = max(self._asked.values())
        self.trace.update(f"{now!r} {request.source} {request.power} {request.expires!r}".encode())

    def operate(self, operation: Operation) -> str | None:
        """Do what a person asks for. Returns the objection."""
        if self.plane is None:
            return "nobody answers"
        objection = self.plane.operate(operation, self.clock)
        now = self.loop.now
        self.trace.update(f"{now!r} {operation.kind} {objection}".encode())
        broken = self.ledger.operated(operation, objection, now)
        if broken is not None:
            self._judge(*broken.split(": ", 1))
        return objection

    def _people(self) -> People:
        return People(
            self._rng["people"],
            self.operate,
            self.loop.call_later,
            ("",),
            lambda: [] if self.plane is None else [trip.code for trip in self.plane.guard.latch.standing],
            mean=self.scenario.people_every,
        )

    def _recorded(self, record: CycleRecord) -> None:
        now, plane = self.loop.now, self.plane
        assert plane is not None
        under_test = self.oracle.test_since < math.inf
        for broken in (
            *self.ledger.recorded(record, now),
            *self.alarms.recorded(record, plane.cycle.active, now),
            *self.ramp.recorded(record, under_test),
        ):
            self._judge(*broken.split(": ", 1))
        self._judge("verified_is_true", verified_is_true(record, "", self.oracle.left))
        self._judge("reasons_are_told", None if under_test else reasons_are_told(record))
        if self.oracle.test_since < math.inf and now >= self.oracle.test_until:
            self.oracle.test_ended()

    def _next_fault(self) -> None:
        mean = self.scenario.fault_every
        if math.isfinite(mean):
            self.loop.call_later(self._rng["faults"].expovariate(1 / mean), self._random_fault)

    def _random_fault(self) -> None:
        self.device.catch_up(self.loop.now)
        self.begin(self._rng["faults"].choice(self.scenario.faults))
        self._next_fault()

    def _next_request(self) -> None:
        mean = self.scenario.request_every
        if math.isfinite(mean):
            self.loop.call_later(self._rng["requests"].expovariate(1 / mean), self._random_request)

    def _random_request(self) -> None:
        self.ask(_random_request(self._rng["requests"], self.loop.now))
        self._next_request()

    def _tick(self) -> None:
        now = self.loop.now
        self.device.catch_up(now)
        self.loop.call_at(math.floor(now) + STEP, self._tick)

    def _connection_ended(self) -> None:
        self.oracle.cut_at = self.loop.now

    def _stepped(self, now: float) -> None:
        oracle = self.oracle
        oracle.observe(now)
        if oracle.commanded:
            oracle.powered += STEP
        for promise in PER_STEP:
            if (broken := promise(oracle, now)) is not None:
                self._judge(promise.__name__, broken)

    def _wrote(self, now: float, values: dict[str, float]) -> None:
        oracle = self.oracle
        oracle.wrote(now, values)
        if not oracle.in_sequence and not oracle.last_write_fed:
            for broken in self.ramp.wrote(oracle.commanded, now, oracle.test_since < math.inf):
                self._judge(*broken.split(": ", 1))
        for promise in PER_WRITE:
            if (broken := promise(oracle, now)) is not None:
                self._judge(promise.__name__, broken)

    def _judge(self, promise: str, broken: str | None) -> None:
        if broken is None:
            return
        self.broken += 1
        if len(self.violations) < _MOST:
            self.violations.append(
                f"seed {self.scenario.seed}, {self.loop.now - _START:.2f} s: {promise}: {broken}"
            )


def _random_request(rng: Random, now: float) -> Request:
    source, priority = rng.choice(
        [
            ("grid_operator", Priority.GRID_OPERATOR),
            ("operator", Priority.OPERATOR),
            ("power_plant", Priority.POWER_PLANT),
            ("schedule", Priority.SCHEDULE),
            ("optimiser", Priority.OPTIMISER),
        ]
    )
    bounds = Bounds()
    if rng.random() < 0.4:
        low = rng.uniform(-12, 8)
        bounds = Bounds(low, low + rng.uniform(0, 12))
    power = None if rng.random() < 0.2 else rng.choice([0.0, rng.uniform(-12, 12), rng.uniform(-1, 1)])
    lease = math.exp(rng.uniform(math.log(1.0), math.log(400.0)))
    target = rng.uniform(5, 100) if rng.random() < 0.15 else None
    return Request(
        source=source, priority=priority, power=power, bounds=bounds, soc_target=target, expires=now + lease
    )


_COMPILED: dict[int, tuple[Profile, CompiledProfile]] = {}


def _compiled(profile: Profile) -> CompiledProfile:
    """Compiling takes longer than a simulated minute; nothing changes a compiled profile."""
    if id(profile) not in _COMPILED:
        _COMPILED[id(profile)] = (profile, compile_profile(profile))
    return _COMPILED[id(profile)][1]
