"""A station as a sink of the service: its loop, its thread, and what it says of itself. DNP3 has the same."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from bessai.interfaces.scada.commands import Ask, Commander
from bessai.interfaces.scada.feed import Listener, ask, follow
from bessai.interfaces.scada.server import Outstation
from bessai.interfaces.scada.station import Station
from bessai.interfaces.sink import Sink, SinkStatus
from bessai.model import Clock, SystemClock
from bessai.site.scada import Scada
from bessai.site.scada.names import GRID, PARAMETERS

_log = logging.getLogger(__name__)

AGE_MAX: Final = 5.0
"""Seconds that a value may be old (provisional: SITR digests contradict each other, this is the stricter one)."""
AGE_MAX_AGC: Final = 2.0
"""The same for points that automatic generation control uses (provisional)."""
SCAN_MAX: Final = 2.0
"""Seconds between cycles (provisional)."""

_ANSWER = 1.0
"""Seconds that the control plane has to answer a command."""
_GRID_EVERY = 2.0
_LOOK = 0.2


class Served(Listener, Protocol):
    """A station that masters connect to."""

    station: Station
    commander: Commander
    feed_problem: str | None

    @property
    def ports(self) -> list[int]:
        """Ports that are listened on."""
        ...

    async def start(self) -> None:
        """Listen."""
        ...

    async def stop(self) -> None:
        """Close everything."""
        ...

    def status(self) -> dict[str, Any]:
        """For people."""
        ...


class StationSink(Sink):
    """Runs a station until it is told to stop.

    Args:
        name: of the sink.
        scada: the point list.
        socket: where the control plane listens.
        make: makes the station from the list, the way to the control plane, and the clock.
        clock: of everything.
    """

    def __init__(
        self,
        name: str,
        scada: Scada,
        socket: Path,
        make: Callable[[Scada, Ask, Clock], Served],
        clock: Clock | None = None,
    ) -> None:
        super().__init__(name)
        self._scada = scada
        self._socket = socket
        self._make = make
        self._clock = clock or SystemClock()
        self._told: dict[str, Any] = {}
        self.ports: list[int] = []
        """Ports that are listened on, once it runs."""

    def run(self, stop: threading.Event) -> None:
        """See `Sink`."""
        asyncio.run(self._run(stop))

    def status(self) -> SinkStatus:
        """See `Sink`; `details` has the masters, the links, the queue and the last command."""
        told = self._told
        events = told.get("events", {})
        return SinkStatus(
            name=self.name,
            state=self.state,
            backlog=int(events.get("held", 0)),
            delivered=self.delivered,
            missed=int(events.get("lost", 0)),
            failures=self.failures,
            last_error=self.last_error,
            details=told,
        )

    async def _run(self, stop: threading.Event) -> None:
        outstation = self._make(self._scada, self._ask, self._clock)
        await outstation.start()
        self.ports = outstation.ports
        _log.info("%s: listening on port %s", self.name, ", ".join(str(port) for port in self.ports))
        sources = outstation.station.sources
        tasks = [asyncio.create_task(follow(self._socket, sources.watched, outstation))]
        if any(name.startswith(GRID) for name in sources.names):
            tasks.append(asyncio.create_task(self._follow_grid(outstation)))
        try:
            while not stop.is_set():
                self._look(outstation)
                await asyncio.sleep(_LOOK)
                for task in tasks:
                    if task.done():
                        task.result()
        finally:
            for task in tasks:
                task.cancel()
            await outstation.stop()
            self.ports = []

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        return await ask(self._socket, message, _ANSWER)

    async def _follow_grid(self, outstation: Served) -> None:
        """Ask for the parameters of the grid functions every few seconds."""
        while True:
            sources = outstation.station.sources
            try:
                told = grid_values(await self._ask({"op": "grid"}))
            except (OSError, ValueError):
                told = {}
            sources.forget(GRID)
            sources.learn(told)
            await asyncio.sleep(_GRID_EVERY)

    def _look(self, outstation: Served) -> None:
        self._told = outstation.status()
        self.delivered = sum(master["sent"] for master in self._told["masters"])
        problem = self._problem(outstation)
        if problem is None:
            self.recovered()
        elif problem != self.last_error:
            self.failed(problem)

    def _problem(self, outstation: Served) -> str | None:
        """What is wrong now, in one sentence."""
        station, now = outstation.station, self._clock.monotonic()
        if outstation.feed_problem is not None and station.silence(now) > AGE_MAX:
            return f"no cycles arrive: {outstation.feed_problem}"
        if station.period > SCAN_MAX:
            return f"a cycle takes {station.period:g} s, more than {SCAN_MAX:g} s (provisional): lower CYCLE_TIME"
        if outstation.commander.problem is not None:
            return outstation.commander.problem
        return self._oldest(outstation, now)

    def _oldest(self, outstation: Served, now: float) -> str | None:
        station = outstation.station
        worst: tuple[float, float, str] | None = None
        for i in station.aged(now, AGE_MAX_AGC):
            point = station.points[i]
            limit = AGE_MAX_AGC if point.agc else AGE_MAX
            age = station.age(i, now)
            if age > limit and (worst is None or age > worst[0]):
                worst = (age, limit, point.name)
        if worst is None:
            return None
        _, limit, name = worst
        mend = "see to its device, or read it more often"
        return f"{name} was not good for more than {limit:g} s (provisional limit): {mend}"


class Iec104Sink(StationSink):
    """The IEC 60870-5-104 station.

    Args:
        scada: the point list.
        socket: where the control plane listens.
        clock: of everything.
    """

    def __init__(self, scada: Scada, socket: Path, clock: Clock | None = None) -> None:
        super().__init__("iec104", scada, socket, Outstation, clock)


def grid_values(answer: Mapping[str, Any]) -> dict[str, float]:
    """The parameters of the grid functions as numbers, by `grid.NAME`; what is unknown is left out."""
    grid = answer.get("grid") if answer.get("ok") else None
    parameters = grid.get("parameters") if isinstance(grid, Mapping) else None
    told: dict[str, float] = {}
    for name, said in (parameters if isinstance(parameters, Mapping) else {}).items():
        value, known = said.get("value"), PARAMETERS.get(name)
        if known is not None and known.states and isinstance(value, str):
            numbers = {text: number for number, text in known.states.items()}
            with contextlib.suppress(KeyError):
                told[f"{GRID}{name}"] = float(numbers[value])
        elif isinstance(value, bool | int | float):
            told[f"{GRID}{name}"] = float(value)
    return told
