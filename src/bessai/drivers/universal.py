"""`UniversalDriver`: one device, described by its profile."""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessai.drivers.columns import Arrays, Columns, Pace
from bessai.drivers.link import NO_ANSWER_YET, Link
from bessai.drivers.modbus import Manners, ModbusClient, ModbusError, NoReply, Urgency
from bessai.drivers.polling import Poller
from bessai.drivers.telling import Registers, talk_figures, talk_status
from bessai.drivers.writing import Writer
from bessai.model import Command, Endpoint, Quality, WriteOutcome
from bessai.registry import CompiledProfile
from bessai.registry.schema import Connection

_NEVER = (-1, -1)
_GOOD = int(Quality.GOOD)  # numpy compares with a member of the enumeration several times as slowly
_NEVER_TOO_LATE = frozenset({"zero", "stop"})
"""Commands that are safe whenever they arrive."""
_RECHECK = 30.0
"""Seconds until a device that is another one than expected is looked at again."""


class UniversalDriver:
    """Reads and writes one device as its profile says.

    No method raises for a device that is absent, silent or sick: reads leave their mark in qualities and in
    `problem`, writes in their outcome.

    Args:
        profile: the compiled profile.
        where: a link that drivers of other units share, an endpoint, or a TCP host.
        port: TCP port, with a host.
        unit: unit id, when it is not the profile's.
        stations: unit ids of the profile's stations, when they are not the profile's.
        pace: poll periods and age limits.
        arrays: memory for the columns, when it is part of a plant's.
        longest_rest: seconds that the device is left alone at most when it alone is silent on a shared link.
        rng: source of the jitter of reconnects.
    """

    def __init__(
        self,
        profile: CompiledProfile,
        where: Link | Endpoint | str,
        port: int = 502,
        *,
        unit: int | None = None,
        stations: Mapping[str, int] | None = None,
        pace: Pace | None = None,
        arrays: Arrays | None = None,
        longest_rest: float = 60.0,
        rng: random.Random | None = None,
    ) -> None:
        connection = profile.connection
        self.profile = profile
        self.unit = connection.unit if unit is None else unit
        self.problem: str | None = "not connected yet"
        """Why reading does not work, in words; None while it does."""
        manners = manners_of(connection)
        if not isinstance(where, Link):
            endpoint = where if isinstance(where, Endpoint) else Endpoint(host=where, port=port)
            where = Link(endpoint, manners, rng=rng)
        self.link = where
        self._backoff = where.join(self.unit, manners, longest_rest=longest_rest)
        units: dict[str | None, int] = {None: self.unit}
        units.update(connection.stations)
        units.update(stations or {})
        for station in set(units.values()) - {self.unit}:
            where.client.register(station, manners)
        self._pace = pace or Pace()
        self._units = frozenset(units.values())
        self._columns = Columns(profile, self._pace, arrays)
        self._writer = Writer(profile, where, units, self._good)
        self._pollers = {
            poll: Poller(profile, plan, units, self._columns) for poll, plan in profile.plans.items()
        }
        self._fast = self._pollers.get("fast")
        self._due = {poll: 0.0 for poll in (*self._pollers, "absent") if poll != "fast"}
        self._next_due = 0.0
        self._well = False
        """True while the last reading was complete: nothing need be looked at before the next one."""
        self._rest_until = 0.0
        self._generation = _NEVER
        self._identity = [check for check in profile.fingerprint if check.identity]
        self._known = not self._identity
        self._slow: asyncio.Task[None] | None = None

    @property
    def client(self) -> ModbusClient:
        """The connection's client."""
        return self.link.client

    @property
    def connected(self) -> bool:
        """True while there is a connection, and this driver has seen that the expected device is behind it.

        Another unit's driver may have made it anew; then this one must look first.
        """
        return self.client.connected and self._known and self.link.generation == self._generation

    @property
    def patience(self) -> float:
        """Seconds beyond which a reading or a writing cannot be explained by a slow device any more.

        Judgement, and generous, for who is impatient here restarts a gateway that works: each request takes its
        timeout, is tried as often as the profile allows, and every other driver of the link is as slow. A minute at
        least, since queues and backoffs are nobody's fault; ten at most, since nothing takes longer on any line.
        """
        connection, control = self.profile.connection, self.profile.control
        writes = 0
        if control is not None:
            sequences = (control.charge, control.discharge, control.zero, control.stop)
            writes = max(len(steps) for steps in sequences) + len(control.reactive or ())
        fast = self.profile.plans.get("fast")
        requests = max(len(fast.blocks) if fast else 0, 2 * (writes + 1))  # written, and read back
        slowest = connection.timeout * (connection.retries + 1) * requests * max(1, self.link.members)
        return min(max(slowest, 60.0), 600.0)

    @property
    def generation(self) -> tuple[int, int]:
        """Changes with every connection made or lost."""
        return self.link.generation

    @property
    def texts(self) -> dict[str, str]:
        """Text points read so far."""
        return self._columns.texts

    @property
    def writes(self) -> dict[str, int]:
        """Acknowledged writes of each point since the start: flash-backed registers wear."""
        return self._writer.writes

    def worn(self) -> list[str]:
        """Points written more often today than their memory should bear."""
        return self._writer.worn()

    async def read_fast(self) -> bool:
        """Connect if needed and allowed by the backoff, then read the class `fast` once.

        The slower classes follow by themselves behind it, in the background. Returns True when every
        block was read.
        """
        if not (self._well and self.connected) and not await self._ready():
            return False
        error = await self._fast.poll(self.client, Urgency.FAST) if self._fast else None
        if error is not None or not self._well:
            self._note(error)
        slower_due = asyncio.get_running_loop().time() >= self._next_due
        if slower_due and self.client.connected and (self._slow is None or self._slow.done()):
            self._slow = asyncio.create_task(self._read_slower(), name="slower poll classes")
        return error is None

    async def read_all(self) -> bool:
        """Connect and read every class once. Returns True when every block was read."""
        if not await self._ready():
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

    def mark_frozen(self, quality: NDArray[np.uint8], now: float) -> bool:
        """Mark a copy of the qualities when the device's own counter stands still. True when it does."""
        return self._columns.mark_frozen(quality, now)

    async def write(self, command: Command) -> WriteOutcome:
        """Write a command in order, then read back every register that can be read.

        Nothing is sent when any value cannot be encoded. The first refused write ends the command.
        """
        if not isinstance(command, Command):
            raise TypeError("a driver writes only what the SafetyGuard issued")
        looked = self._generation != _NEVER
        if not self._known or (looked and self.link.generation != self._generation):
            return WriteOutcome(
                verified=False, written=(), error=self.problem or "the device is not known yet"
            )
        until = None
        if command.kind not in _NEVER_TOO_LATE:  # after a stall of this process, say
            until = asyncio.get_running_loop().time() + self._pace.stale_fast
        return await self._writer.write(command, until)

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
            "address": str(self.link.endpoint),
            "unit": self.unit,
            "connected": self.client.connected,
            "problem": self.problem,
            "absent_points": sorted(name for poller in self._pollers.values() for name in poller.absent),
            "splits": sum(poller.splits for poller in self._pollers.values()),
            "spikes": self._columns.spikes,
            "writes": dict(self.writes),
            **{name: getattr(stats, name) for name in stats.__slots__},
            "talk": talk_status(self.client, self._units, asyncio.get_running_loop().time()),
        }

    def figures(self) -> dict[str, Any]:
        """What the metrics tell of it. Connections are the whole link's."""
        return {
            "connected": self.client.connected,
            "delivering": self.problem is None,
            "connects": self.client.stats.connects,
            "writes": sum(self.writes.values()),
            **talk_figures(self.client, self._units),
        }

    def registers(self, point: str) -> Registers | None:
        """A point's registers as they last came; None when it was never read. Nothing is read for it.

        Raises:
            KeyError: there is no such point.
        """
        found = self.profile.points[point]
        poller = self._pollers.get(found.poll)
        came = poller.registers(found) if poller is not None else None
        if came is None:
            return None
        return Registers(words=came[0], age=max(0.0, asyncio.get_running_loop().time() - came[1]))

    async def _ready(self) -> bool:
        """True when there is a connection, this unit does not rest, and the device is the expected one."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._rest_until:
            return False
        if not await self.link.ensure():
            self.problem = self.link.problem
            return False
        if self.link.generation != self._generation:
            self._generation = self.link.generation
            self._connected_anew()
        return self._known or await self._identify()

    def _connected_anew(self) -> None:
        """The device may have forgotten everything, and may be another one."""
        self.problem = NO_ANSWER_YET
        self._well = False
        self._due = dict.fromkeys(self._due, 0.0)
        self._next_due = 0.0
        self._writer.forget()
        self._known = not self._identity
        if "once" in self._pollers:
            self._columns.forget(self._pollers["once"].plan.columns)

    async def _identify(self) -> bool:
        """Whether this is the device of the profile; until then nothing of it is trusted and nothing is written."""
        plans = {self.profile.points[check.point or ""].poll for check in self._identity}
        for poll in plans:
            error = await self._pollers[poll].poll(self.client, Urgency.FAST)
            if error is not None:
                self._note(error)
                return False
        for check in self._identity:
            name = check.point or ""
            found: Any = self.texts.get(name) if check.matches is not None else self._good(name)
            fits = found is not None and (
                re.search(check.matches, found) is not None
                if check.matches is not None
                else any(
                    math.isclose(found, value, rel_tol=1e-6, abs_tol=1e-9) for value in check.equals or ()
                )
            )
            if not fits:
                self._columns.forget()
                self._rest_until = asyncio.get_running_loop().time() + _RECHECK
                expected = check.matches if check.matches is not None else check.equals
                self.problem = (
                    f"this is another device than {self.profile.id}: {name} is {found}, not {expected}"
                )
                return False
        self._known = True
        return True

    def _good(self, name: str) -> float | None:
        """The latest value of a point, None unless its last reading was good."""
        i = self.profile.layout.index.get(name)
        arrays = self._columns.arrays
        return float(arrays.values[i]) if i is not None and arrays.quality[i] == _GOOD else None

    def _note(self, error: ModbusError | None) -> None:
        self._well = error is None
        if error is None:
            self.problem = None
            self._backoff.reset()
            self.link.answered(self.unit)
        elif isinstance(error, NoReply):
            self.problem = f"the device does not answer: {error}"
            if not self.link.silent(self.unit, self.problem):
                self._rest_until = asyncio.get_running_loop().time() + self._backoff.pause()
        elif not self.client.connected:
            self.problem = str(error)
            self.link.failed(self.problem)
        else:
            self.problem = str(error)
            self.link.answered(self.unit)

    async def _read_slower(self) -> None:
        """Every class that is due. What goes wrong here is left to the fast class to judge."""
        for poll, poller in self._pollers.items():
            now = asyncio.get_running_loop().time()
            if now < self._due.get(poll, math.inf) or not self.connected:
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
        self._next_due = min(self._due.values())


def manners_of(connection: Connection) -> Manners:
    """The manners that a profile asks for."""
    return Manners(
        timeout=connection.timeout,
        timeout_min=min(connection.timeout_min, connection.timeout),
        pause=connection.pause,
        settle=connection.settle,
        outstanding=connection.outstanding,
    )
