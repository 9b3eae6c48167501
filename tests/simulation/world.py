"""One simulated plant, its gateway, everybody who asks it for power, and what goes wrong. All from one seed."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from hashlib import blake2b
from random import Random
from typing import Any

from bessai.model import CycleRecord, Operation, Request
from bessai.twin.sim_clock import SimClock
from bessai.twin.sim_loop import SimLoop
from simulation.asking import random_request
from simulation.assembly import ControlPlane, control_plane
from simulation.device import STEP
from simulation.disk import SimDisk
from simulation.invariants import CYCLES, PER_CYCLE
from simulation.ledger import Ledger
from simulation.people import People
from simulation.records import AlarmWatch, RampWatch, reasons_are_told, verified_is_true
from simulation.scenario import Result, Scenario
from simulation.seat import START, Place, Seat
from simulation.sites import site_of
from simulation.state import SimState

_DEAF = 15.0
"""Seconds after a device obeyed nothing in which it may not have been told again."""
_MOST = 20
"""Violations that are kept in words."""


class World:
    """A run.

    Args:
        scenario: what is simulated.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        seed = scenario.seed
        self._rng = {name: Random(f"{seed}/{name}") for name in ("faults", "requests", "gateway", "people")}
        self.loop = SimLoop(start=START)
        self.clock = SimClock(self.loop)
        self.trace = blake2b(digest_size=16)
        self.disk = SimDisk(self.trace)
        self.seats: dict[str, Seat] = {}
        places = scenario.places or (Place(profile=scenario.profile, plant=scenario.plant),)
        for place in places:
            self.seats[place.name] = Seat(self, place, alone=len(places) == 1)
        self.loop.connect = self._connect
        self.seat = next(iter(self.seats.values()))
        """The first one."""
        self.site = site_of(list(self.seats.values()))
        self.alive = False
        self.state = SimState()
        """What the gateway keeps across restarts."""
        oracles = {name: seat.oracle for name, seat in self.seats.items()}
        self.ledger = Ledger(oracles, self.state, scenario.config.cycle)
        self.alarms = AlarmWatch()
        self._size = sum(seat.rated for seat in self.seats.values())
        self._vars = any(seat.oracle.control.reactive is not None for seat in self.seats.values())
        least = sum(seat.place.power_min for seat in self.seats.values())
        self.ramp = RampWatch(scenario.config, self._size, least)
        self.disk.recorded = self._recorded
        self.violations: list[str] = []
        self.broken = 0
        self.counts: Counter[str] = Counter()
        self.requests = 0
        self.plane: ControlPlane | None = None
        self.doubted_at = -math.inf
        self.recorded_at = math.inf
        """When the running gateway last finished a cycle."""
        self._running: asyncio.Task[None] | None = None
        self._stop: asyncio.Event | None = None
        self._ended: list[asyncio.Task[None]] = []
        self._asked: dict[str, float] = {}
        self._mixed_since = math.inf

    @property
    def device(self) -> Any:
        """Of the first seat."""
        return self.seat.device

    @property
    def network(self) -> Any:
        """Of the first seat."""
        return self.seat.network

    @property
    def oracle(self) -> Any:
        """Of the first seat."""
        return self.seat.oracle

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
        for promise in PER_CYCLE[: None if len(self.seats) == 1 else 2]:
            self.judge(promise.__name__, promise(self.disk))
        disk, ledger, seats = self.disk, self.ledger, self.seats.values()
        return Result(
            seed=self.scenario.seed,
            simulated=self.loop.now - START,
            wall=time.perf_counter() - began,
            cpu=time.process_time() - cpu,
            trace=self.trace.hexdigest(),
            violations=self.violations,
            broken=self.broken,
            faults=self.counts,
            writes=sum((seat.oracle.writes for seat in seats), Counter()),
            states=disk.states,
            events=disk.events,
            requests=self.requests,
            cycles=disk.cycles,
            verified=disk.verified,
            fed=disk.fed,
            powered=sum(seat.oracle.powered for seat in seats),
            fallbacks=sum(seat.device.twin.fallbacks for seat in seats),
            people=Counter(
                trips=ledger.tripped, resets=ledger.resets, tests=ledger.tests, refused=ledger.refused
            ),
        )

    async def _main(self, script: Coroutine[Any, Any, None]) -> None:
        self.start()
        self.loop.call_at(START + STEP, self._tick)
        await script
        self.kill()
        await asyncio.gather(*self._ended, return_exceptions=True)

    async def _connect(self, factory: Callable[[], asyncio.Protocol], host: str, port: int) -> Any:
        place = "" if host == "twin" else host
        return await self.seats[place].network.connect(factory, host, port)

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
        for seat in self.seats.values():
            seat.network.cut(ConnectionResetError(104, "Connection reset by peer"))
            seat.oracle.cut_at = self.loop.now
            seat.oracle.leased_until = min(seat.oracle.leased_until, self.loop.now)
        for task in self.loop.tasks():
            if task.get_name() != "world":
                task.cancel()
                self._ended.append(task)
        self._ended = [task for task in self._ended if not task.done()]
        self._running = self.plane = None
        self.alive = False
        self.recorded_at = math.inf
        self.ledger.killed(self.loop.now)

    def ask(self, request: Request) -> None:
        """Ask the gateway for power, as an operator or a service does."""
        if self.plane is None:
            return
        self.plane.ask(request)
        for seat in self.seats.values():
            seat.ramp.asked(request)
        self.requests += 1
        now = self.loop.now
        self._asked = {s: e for s, e in self._asked.items() if e > now} | {request.source: request.expires}
        for seat in self.seats.values():
            seat.oracle.leased_until = max(self._asked.values())
        self.trace.update(f"{now!r} {request.source} {request.power} {request.expires!r}".encode())

    def operate(self, operation: Operation) -> str | None:
        """Do what a person asks for. Returns the objection."""
        if self.plane is None:
            return "nobody answers"
        objection = self.plane.operate(operation, self.clock)
        now = self.loop.now
        self.trace.update(f"{now!r} {operation.kind} {objection}".encode())
        self._told(self.ledger.operated(operation, objection, now))
        return objection

    def judge(self, promise: str, broken: str | None) -> None:
        """Count a broken promise; None: it is kept."""
        if broken is None:
            return
        self.broken += 1
        if len(self.violations) < _MOST:
            self.violations.append(
                f"seed {self.scenario.seed}, {self.loop.now - START:.2f} s: {promise}: {broken}"
            )

    def stepped(self, seat: Seat, now: float) -> None:
        """A device made its step: what is true of several at once."""
        oracle, config = seat.oracle, self.scenario.config
        if len(self.seats) == 1:
            return
        well = oracle.able_since <= now and now - self.recorded_at <= CYCLES * config.cycle
        if well and oracle.bad_since == math.inf and oracle.test_since == math.inf:
            age = now - max(oracle.fed_at, oracle.test_over_at)
            if age > config.heartbeat + 3 * config.cycle:
                self.judge("a_sick_unit_stops_nobody_else", f"{seat.name} is well, and fed {age:.1f} s ago")
        if seat is not self.seat:
            return
        powers = [s.oracle.commanded for s in self.seats.values() if s.oracle.able_since <= now]
        if min(powers, default=0.0) < 0 < max(powers, default=0.0):
            self._mixed_since = min(self._mixed_since, now)
            if now - self._mixed_since > CYCLES * config.cycle:
                self.judge("units_pull_together", f"commanded {powers}")
        else:
            self._mixed_since = math.inf

    def _told(self, broken: str | None) -> None:
        if broken is not None:
            self.judge(*broken.split(": ", 1))

    def _people(self) -> People:
        return People(
            self._rng["people"],
            self.operate,
            self.loop.call_later,
            tuple(self.seats),
            lambda: [] if self.plane is None else [trip.code for trip in self.plane.guard.latch.standing],
            mean=self.scenario.people_every,
        )

    def _recorded(self, record: CycleRecord) -> None:
        now, plane = self.loop.now, self.plane
        assert plane is not None
        config = self.scenario.config
        if now - self.recorded_at > CYCLES * config.cycle and all(
            seat.oracle.able_since <= self.recorded_at for seat in self.seats.values()
        ):
            self.judge("cycles_keep_their_time", f"{now - self.recorded_at:.2f} s after the one before")
        self.recorded_at = now
        oracles = {name: seat.oracle for name, seat in self.seats.items()}
        under_test = any(oracle.test_since < math.inf for oracle in oracles.values())
        for broken in (
            *self.ledger.recorded(record, now),
            *self.alarms.recorded(record, plane.cycle.active, now),
            *self.ramp.recorded(record, under_test),
        ):
            self._told(broken)
        if any(condition.code.startswith("setpoint_not_") for condition in plane.cycle.active):
            self.doubted_at = now  # by the gateway itself: the registers hold what the device does not do
        for name, oracle in oracles.items():
            if now - max(oracle.deaf_at, self.doubted_at) > _DEAF:
                self.judge("verified_is_true", verified_is_true(record, name, oracle.left))
            if now >= oracle.test_until and oracle.test_since < math.inf:
                oracle.test_ended(now)
        if not under_test:
            self.judge("reasons_are_told", reasons_are_told(record))

    def _next_fault(self) -> None:
        mean = self.scenario.fault_every
        if math.isfinite(mean):
            self.loop.call_later(self._rng["faults"].expovariate(1 / mean), self._random_fault)

    def _random_fault(self) -> None:
        for seat in self.seats.values():
            seat.device.catch_up(self.loop.now)
        rng = self._rng["faults"]
        seat = rng.choice(list(self.seats.values()))
        seat.begin(rng.choice(self.scenario.faults))
        self._next_fault()

    def _next_request(self) -> None:
        mean = self.scenario.request_every
        if math.isfinite(mean):
            self.loop.call_later(self._rng["requests"].expovariate(1 / mean), self._random_request)

    def _random_request(self) -> None:
        kvar = 12.0 if self._vars else 0.0
        self.ask(random_request(self._rng["requests"], self.loop.now, 1.2 * self._size, kvar))
        self._next_request()

    def _tick(self) -> None:
        now = self.loop.now
        for seat in self.seats.values():
            seat.device.catch_up(now)
        self.loop.call_at(math.floor(now) + STEP, self._tick)
