"""`UniversalDriver`: one device, described by its profile."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessai.drivers.modbus import (
    ConnectionFailed,
    DeviceException,
    ModbusError,
    ModbusTcpClient,
    NoReply,
    NotSent,
    Request,
    Urgency,
    read,
    write,
)
from bessai.drivers.polling import Columns, Pace, Poller
from bessai.model import Command, Write, WriteOutcome
from bessai.registry import CompiledProfile

_BACKOFF_FIRST = 0.5
_BACKOFF_MAX = 8.0


class UniversalDriver:
    """Reads and writes one device as its profile says.

    No method raises for a device that is absent, silent or sick: reads leave their mark in qualities and in
    `problem`, writes in their outcome.

    Args:
        profile: the compiled profile.
        host: IPv4, IPv6 or host name.
        port: TCP port.
        unit: unit id, when it is not the profile's.
        pace: poll periods and age limits.
        rng: source of the jitter of reconnects.
    """

    def __init__(
        self,
        profile: CompiledProfile,
        host: str,
        port: int,
        *,
        unit: int | None = None,
        pace: Pace | None = None,
        rng: random.Random | None = None,
    ) -> None:
        connection = profile.connection
        self.profile = profile
        self.host = host
        self.port = port
        self.unit = connection.unit if unit is None else unit
        self.problem: str | None = "not connected yet"
        """Why reading does not work, in words; None while it does."""
        self.writes: dict[str, int] = {}
        """Acknowledged writes of each point since the start: flash-backed registers wear."""
        self.client = ModbusTcpClient(
            timeout=connection.timeout,
            pause=connection.pause,
            settle=connection.settle,
            outstanding=connection.outstanding,
        )
        self._pace = pace or Pace()
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._columns = Columns(profile, self._pace)
        self._pollers = {
            poll: Poller(profile, plan, self.unit, self._columns) for poll, plan in profile.plans.items()
        }
        self._due = {poll: 0.0 for poll in (*self._pollers, "absent") if poll != "fast"}
        self._failures = 0
        self._next_try = 0.0
        self._slow: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """True while there is a connection; the device may still be silent."""
        return self.client.connected

    @property
    def texts(self) -> dict[str, str]:
        """Text points read so far."""
        return self._columns.texts

    async def read_fast(self) -> bool:
        """Connect if needed and allowed by the backoff, then read the class `fast` once.

        The slower classes follow by themselves behind it, in the background. Returns True when every
        block was read.
        """
        if not self.client.connected and not await self._connect():
            return False
        poller = self._pollers.get("fast")
        error = await poller.poll(self.client, Urgency.FAST) if poller else None
        self._note(error)
        slower_due = asyncio.get_running_loop().time() >= min(self._due.values(), default=math.inf)
        if self.client.connected and slower_due and (self._slow is None or self._slow.done()):
            self._slow = asyncio.create_task(self._read_slower(), name="slower poll classes")
        return error is None

    async def read_all(self) -> bool:
        """Connect and read every class once. Returns True when every block was read."""
        if not self.client.connected and not await self._connect():
            return False
        for poller in self._pollers.values():
            error = await poller.poll(self.client, Urgency.FAST)
            self._note(error)
            if not self.client.connected:
                return False
        return self.problem is None

    def columns(self, now: float) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64]]:
        """Values, qualities and monotonic times of all columns as of `now`; copies, for one image."""
        return self._columns.frozen(now)

    async def write(self, command: Command) -> WriteOutcome:
        """Write a command in order, then read back every register that can be read.

        Nothing is sent when any value cannot be encoded. The first refused write ends the command.
        """
        if not isinstance(command, Command):
            raise TypeError("a driver writes only what the SafetyGuard issued")
        try:
            data = [self.profile.encode(step.point, step.value) for step in command.writes]
        except (KeyError, ValueError) as error:
            return WriteOutcome(verified=False, written=(), error=f"{command.kind}: {error}")
        written: list[Write] = []
        tries = 0
        connection = self.client.stats.connects
        while len(written) < len(data):
            if self.client.stats.connects != connection:
                return WriteOutcome(verified=False, written=tuple(written), error="the connection changed")
            rest = list(zip(command.writes, data, strict=True))[len(written) :]
            requests = [self._write_request(step, raw) for step, raw in rest]
            failure: ModbusError | None = None
            for (step, _), reply in zip(
                rest,
                await self.client.transact(self.unit, requests, Urgency.WRITE, serial=True),
                strict=True,
            ):
                if isinstance(reply, bytes):
                    written.append(step)
                    self.writes[step.point] = self.writes.get(step.point, 0) + 1
                elif not isinstance(reply, NotSent):
                    failure = reply
            if failure is None and len(written) < len(data):
                failure = ConnectionFailed("the connection was lost")
            if failure is None:
                continue
            tries += 1
            if (
                not (isinstance(failure, DeviceException) and failure.busy)
                or tries > self.profile.connection.retries
            ):
                point = command.writes[len(written)].point
                return WriteOutcome(verified=False, written=tuple(written), error=f"{point}: {failure}")
            await asyncio.sleep(min(0.1 * 2**tries, 1.0))
        names = (step.point for step in command.writes)
        mismatch = await self._read_back(dict(zip(names, data, strict=True)))
        if self.client.stats.connects != connection:
            mismatch = "the connection changed"
        return WriteOutcome(verified=mismatch is None, written=tuple(written), error=mismatch)

    async def close(self) -> None:
        """Stop the background reads and close the connection."""
        if self._slow is not None:
            self._slow.cancel()
            await asyncio.gather(self._slow, return_exceptions=True)
        self.client.close()

    def status(self) -> dict[str, Any]:
        """State and counters for people and programs."""
        stats = self.client.stats
        return {
            "address": f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}",
            "unit": self.unit,
            "connected": self.connected,
            "problem": self.problem,
            "absent_points": sorted(name for poller in self._pollers.values() for name in poller.absent),
            "splits": sum(poller.splits for poller in self._pollers.values()),
            "writes": dict(self.writes),
            **{name: getattr(stats, name) for name in stats.__slots__},
        }

    async def _connect(self) -> bool:
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_try:
            return False
        try:
            await self.client.connect(self.host, self.port)
        except ConnectionFailed as error:
            self._failed(str(error))
            return False
        self.problem = "connected, no answer yet"
        self._due = dict.fromkeys(self._due, 0.0)
        if "once" in self._pollers:
            self._columns.forget(self._pollers["once"].plan)
        return True

    def _failed(self, why: str) -> None:
        """Note a failure and wait longer before the next connection, with jitter."""
        self.problem = why
        delay = min(_BACKOFF_FIRST * 2 ** min(self._failures, 8), _BACKOFF_MAX) * self._rng.uniform(0.5, 1.0)
        self._failures += 1
        self._next_try = asyncio.get_running_loop().time() + delay

    def _note(self, error: ModbusError | None) -> None:
        if error is None:
            self.problem = None
            self._failures = 0
        elif isinstance(error, NoReply):
            self.client.close("the device was silent")
            self._failed(f"the device does not answer: {error}")
        elif not self.client.connected:
            self._failed(str(error))
        else:
            self.problem = str(error)

    async def _read_slower(self) -> None:
        """Every class that is due. What goes wrong here is left to the fast class to judge."""
        for poll, poller in self._pollers.items():
            now = asyncio.get_running_loop().time()
            if now < self._due.get(poll, math.inf) or not self.client.connected:
                continue
            self._due[poll] = now + self._pace.normal
            error = await poller.poll(self.client, Urgency.SLOW)
            if error is None:
                self._due[poll] = min(now + self._pace.period(poll), poller.shunned_until)
        now = asyncio.get_running_loop().time()
        if now >= self._due["absent"]:
            fast_absent = any(p.absent for poll, p in self._pollers.items() if poll == "fast")
            self._due["absent"] = now + (self._pace.normal if fast_absent else self._pace.slow)
            for poller in self._pollers.values():
                await poller.poll_absent(self.client)

    def _write_request(self, step: Write, data: bytes) -> Request:
        point = self.profile.points[step.point]
        return write(point.table, point.address, data, single=self.profile.connection.write_single)

    async def _read_back(self, expected: dict[str, bytes]) -> str | None:
        points = self.profile.points
        names = [name for name in expected if points[name].access == "rw"]
        if not names:
            return None
        requests = [read(points[n].table, points[n].address, points[n].registers) for n in names]
        replies = await self.client.transact(self.unit, requests, Urgency.WRITE)
        for name, reply in zip(names, replies, strict=True):
            if not isinstance(reply, bytes):
                return f"{name}: cannot be read back: {reply}"
            if reply != expected[name]:
                wrote, found = (self.profile.decode(name, raw) for raw in (expected[name], reply))
                return f"{name}: wrote {wrote:g}, reads {found:g}"
        return None
