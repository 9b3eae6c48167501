"""The real control plane against the simulated plant, on a virtual clock: faster than real time, equal for a seed.

    with Bench(seed=1) as bench:
        bench.start(desk)
        bench.wait(5)
        at = bench.disturb(frequency=-0.2, seconds=20)
        bench.wait(20)
        times, power = bench.recorder.series("grid_power")

What runs is what runs on a plant: driver, Modbus frames, cycle, guard and grid functions. What does not: computing
takes no time here, so a latency that is measured is that of cycle, network and device alone.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from random import Random
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessai.core.assembly import ControlPlane, control_plane
from bessai.core.keeping import take_up
from bessai.core.limits import Limits
from bessai.core.proposing import Proposer
from bessai.core.settings import Settings
from bessai.core.state_file import MemoryState
from bessai.gridcode.bench_plant import STEP, BenchPlant, Sizes
from bessai.model import CycleRecord, Event, GuardState, Quality, Request
from bessai.twin import GridEvent
from bessai.twin.memory_network import MemoryNetwork
from bessai.twin.sim_clock import SimClock
from bessai.twin.sim_loop import SimLoop

START = 1000.0
"""Simulated monotonic time at which everything begins."""
_READY = 60.0
"""Seconds in which the guard must find the plant in order."""

Series = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times in monotonic seconds, and values; NaN where one was not good."""


class Recorder:
    """The gateway's own records, kept in memory: what the journal would hold."""

    def __init__(self) -> None:
        self.records: list[CycleRecord] = []
        self.events: list[Event] = []

    def append(self, record: CycleRecord) -> None:
        """Take one record."""
        self.records.append(record)
        self.events += record.events

    def append_event(self, event: Event) -> None:
        """Take an event that belongs to no record."""
        self.events.append(event)

    def series(self, point: str, *, since: float = -math.inf) -> Series:
        """What was measured of a point: each measurement once, at the time at which it was made."""
        times, values = [], []
        last = since
        for record in self.records:
            image = record.image
            column = image.layout.index[point]
            at = float(image.times[column])
            if at > last:
                good = image.quality[column] == Quality.GOOD
                times.append(at)
                values.append(float(image.values[column]) if good else math.nan)
                last = at
        return np.array(times), np.array(values)


class Witness:
    """The twin's true values at the point of connection, at every step of the plant: a fast recorder."""

    def __init__(self, plant: BenchPlant) -> None:
        self._connection = plant.connection
        self.rows: list[tuple[float, float, float, float, float]] = []
        """Time, kW, kvar, V line to line, Hz."""
        plant.connection.observers.append(self)

    def machine_step(self, dt: float) -> None:
        """Note one step."""
        point = self._connection
        self.rows.append((START + point.time, point.meter.active_power, point.meter.reactive_power,
                          point.grid.voltage * math.sqrt(3), point.grid.frequency))  # fmt: skip

    def power(self) -> tuple[float, float]:
        """It adds nothing."""
        return 0.0, 0.0

    def series(self, quantity: str, *, since: float = -math.inf) -> Series:
        """`power` (kW), `reactive` (kvar), `voltage` (V) or `frequency` (Hz)."""
        column = 1 + ("power", "reactive", "voltage", "frequency").index(quantity)
        rows = np.array([row for row in self.rows if row[0] > since])
        return rows[:, 0], rows[:, column]


class Bench:
    """One run.

    Args:
        seed: of noise, and of where in a cycle the steps fall.
        sizes: of the plant.

    Raises:
        BenchError: the plant does not get ready (from `start`).
    """

    def __init__(self, seed: int = 0, sizes: Sizes | None = None) -> None:
        self.plant = BenchPlant(sizes or Sizes(), seed)
        self.cycle = self.plant.sizes.cycle
        self.loop = SimLoop(start=START)
        self.clock = SimClock(self.loop)
        self.network = MemoryNetwork(self.loop, self.plant.places, self.plant.sizes.latency)
        self.loop.connect = self.network.connect
        self.recorder = Recorder()
        self.witness = Witness(self.plant)
        self.writes: list[float] = []
        """Times at which the converter took a write."""
        self.network.wrote = lambda _device, now: self.writes.append(now)
        self._rng = Random(f"{seed}/bench")  # noqa: S311 - a simulation
        self._plane: ControlPlane | None = None
        self._stop: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, proposer: Proposer | None = None) -> None:
        """Start the control plane and wait until the guard grants power."""
        settings = Settings.model_construct(
            site_id=self.plant.site.name or "bench",
            cycle_time=self.cycle,
            stale_after=3.0,
            watchdog_timeout=5.0,
        )
        plane = self._plane = control_plane(
            settings, self.plant.site, self.clock, self.recorder, limits=Limits(),
            keeper=take_up(MemoryState(), self.clock), proposer=proposer, rng=self._rng,
        )  # fmt: skip
        self._stop = asyncio.Event()
        self._run(self._begin(plane, self._stop))
        end = self.now + _READY
        while not (self.recorder.records and self._last.decision.state is GuardState.NORMAL):
            if self.now > end:
                raise BenchError(f"the plant did not get ready: {self._why()}")
            self.wait(self.cycle)

    @property
    def now(self) -> float:
        """Simulated monotonic seconds."""
        return self.loop.now

    @property
    def _last(self) -> CycleRecord:
        return self.recorder.records[-1]

    def wait(self, seconds: float) -> None:
        """Let simulated time pass."""
        self._run(asyncio.sleep(seconds))

    def part_of_a_cycle(self) -> float:
        """Seconds, so that what happens next falls anywhere within a cycle."""
        return self._rng.randrange(round(self.cycle / STEP)) * STEP

    def ask(self, request: Request) -> None:
        """Put a request beside the grid functions', as a schedule does."""
        assert self._plane is not None  # noqa: S101 - started
        self._plane.book.put(request)

    def disturb(
        self, *, frequency: float = 0.0, voltage: float = 0.0, seconds: float, ramp: float = 0.0
    ) -> float:
        """Let the grid step by Hz, or by a share of its voltage, for some seconds; `ramp` seconds to get there.

        Returns:
            The monotonic time of the step: soon, and anywhere within a cycle.
        """
        self.network.catch_up()
        steps = self.plant.connection.steps + 1 + round(self.part_of_a_cycle() / STEP)
        start = steps * STEP
        self.plant.connection.grid.events.append(
            GridEvent(
                start=start - STEP / 4,
                duration=seconds,
                frequency_offset=frequency,
                voltage_factor=1 + voltage,
                ramp=ramp,
            )
        )
        return START + start

    def seen_at(self, differs: Callable[[CycleRecord], bool], *, since: float) -> float | None:
        """When the gateway first saw something: the frozen image of the first such record."""
        for record in self.recorder.records:
            if record.image.monotonic >= since and differs(record):
                return record.image.monotonic
        return None

    async def _begin(self, plane: ControlPlane, stop: asyncio.Event) -> None:
        plane.plant.start()
        self._task = self.loop.create_task(plane.cycle.run(stop), name="cycle")

    def _run(self, job: Coroutine[Any, Any, None]) -> None:
        asyncio.set_event_loop(self.loop)
        quiet = logging.root.manager.disable
        logging.disable(logging.CRITICAL)  # a bench's own events are rows, not the gateway's log
        try:
            self.loop.run_until_complete(self.loop.create_task(job))
        finally:
            logging.disable(quiet)
            asyncio.set_event_loop(None)

    def _why(self) -> str:
        if not self.recorder.records:
            return "no cycle was completed"
        decision = self._last.decision
        return "; ".join(decision.reasons) or decision.state.value

    def close(self) -> None:
        """End every task and connection."""
        if self._task is not None and self._stop is not None and self._plane is not None:
            self._stop.set()
            self._run(self._end(self._plane, self._task))
            self._task = None
        self.loop.close()

    async def _end(self, plane: ControlPlane, cycling: asyncio.Task[None]) -> None:
        await cycling
        await plane.plant.close()

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BenchError(RuntimeError):
    """The simulated plant is not in order."""
