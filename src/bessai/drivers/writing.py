"""Writing a command to a device, and proving by read-back what it took."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from bessai.drivers.link import Link
from bessai.drivers.modbus import (
    ConnectionFailed,
    DeviceException,
    ModbusError,
    NotSent,
    Request,
    Urgency,
    read,
    write,
)
from bessai.model import Command, Write, WriteOutcome
from bessai.registry import CompiledProfile
from bessai.registry.sequences import NotKnownError, exponent_of

DAY = 86_400.0
_TOO_OLD = "the evidence that it was decided on is too old by now"


class Writer:
    """Writes commands of the guard, in order, and reads them back.

    A register that is kept in memory which wears (`persistent`) is written only when its value changes, unless
    writing it is what feeds the dead-man. Every acknowledged write is counted, by point.

    Args:
        profile: the device.
        link: the connection.
        units: unit id of each station, None standing for the device's own.
        good: the present value of a point, None when it is no evidence.
    """

    def __init__(
        self,
        profile: CompiledProfile,
        link: Link,
        units: Mapping[str | None, int],
        good: Callable[[str], float | None],
    ) -> None:
        self.writes: dict[str, int] = {}
        """Acknowledged writes of each point since the start."""
        self._profile = profile
        self._link = link
        self._units = units
        self._good = good
        self._held: dict[str, bytes] = {}
        self._doubted = False
        self._today: dict[str, int] = {}
        self._day_began = -DAY

    def forget(self) -> None:
        """The device may hold anything now."""
        self._held.clear()

    def worn(self) -> list[str]:
        """Points that were written more often today than their memory should bear."""
        points = self._profile.points
        return [name for name, count in self._today.items() if count > (points[name].writes_per_day or count)]

    async def write(self, command: Command, until: float | None = None) -> WriteOutcome:
        """Write a command in order, then read back every register that can be read.

        Nothing is sent when any value cannot be encoded. The first refused write ends the command, and so does the
        monotonic time `until`: whatever held it up, what it was decided on is too old by then.

        A device that acknowledged a value and holds another one is not believed until a command was read back whole:
        what feeds its dead-man is written only after what stands before it was read back. Else a zero that it
        forgets would keep the old power alive, at each attempt anew.
        """
        try:
            encoded = [(step, self._encode(step)) for step in command.writes]
        except (KeyError, ValueError, NotKnownError) as error:
            return WriteOutcome(verified=False, written=(), error=f"{command.kind}: {error}")
        due: list[tuple[Write, bytes]] = []
        will_hold = dict(self._held)
        for step, data in encoded:
            if not self._spared(step.point, data, will_hold):
                due.append((step, data))
            will_hold[step.point] = data
        connection = self._link.generation
        written: list[Write] = []
        proving = self._before_feed(due) if self._doubted else 0
        try:
            problem = await self._send(due[:proving], written, until)
            if problem is None and proving:
                problem = await self._read_back({step.point: data for step, data in due[:proving]})
                if problem is None and self._link.generation != connection:
                    problem = "the connection changed"
            if problem is None:
                rest: list[Write] = []
                problem = await self._send(due[proving:], rest, until)
                written += rest
        except asyncio.CancelledError:  # nobody knows how far it came
            self._held.clear()
            raise
        if problem is None:
            last = {step.point: data for step, data in encoded}
            problem = await self._read_back(last)
            if self._link.generation != connection:
                problem = "the connection changed"
            self._held.update(last)
        if problem is not None:
            self._held.clear()
            return WriteOutcome(verified=False, written=tuple(written), error=problem)
        self._doubted = False
        return WriteOutcome(verified=True, written=tuple(step for step, _ in encoded))

    def _encode(self, step: Write) -> bytes:
        point = self._profile.points[step.point]
        return self._profile.encode(step.point, step.value, exponent_of(point, self._good, step.value))

    def _spared(self, name: str, data: bytes, held: Mapping[str, bytes]) -> bool:
        """True for a register that wears and will hold the value anyway when its turn comes."""
        feeds = getattr(self._profile.dead_man, "feed", ())
        return self._profile.points[name].persistent and name not in feeds and held.get(name) == data

    def _before_feed(self, due: list[tuple[Write, bytes]]) -> int:
        """How many writes stand before the first that feeds the dead-man; 0 where none feeds it."""
        feeds = getattr(self._profile.dead_man, "feed", None) or ()
        return next((i for i, (step, _) in enumerate(due) if step.point in feeds), 0)

    async def _send(
        self, due: list[tuple[Write, bytes]], written: list[Write], until: float | None
    ) -> str | None:
        """Write what is due; fills `written`. Returns what went wrong, in words."""
        connection = self._link.generation
        retries = self._profile.connection.retries
        tries = 0
        while len(written) < len(due):
            if self._link.generation != connection:
                return "the connection changed"
            if _over(until):
                return f"{due[len(written)][0].point}: {_TOO_OLD}"
            failure = await self._attempt(due[len(written) :], written, until)
            if failure is None:
                continue
            tries += 1
            if not (isinstance(failure, DeviceException) and failure.busy) or tries > retries:
                return f"{due[len(written)][0].point}: {failure}"
            await asyncio.sleep(min(0.1 * 2**tries, 1.0))
        return None

    async def _attempt(
        self, rest: list[tuple[Write, bytes]], written: list[Write], until: float | None
    ) -> ModbusError | None:
        """Write as far as one unit goes; a sequence over several units is never reordered."""
        unit = self._unit(rest[0][0].point)
        end = next((i for i, (step, _) in enumerate(rest) if self._unit(step.point) != unit), len(rest))
        requests = [self._request(step.point, data) for step, data in rest[:end]]
        replies = await self._link.client.transact(unit, requests, Urgency.WRITE, serial=True, until=until)
        failure: ModbusError | None = None
        done = 0
        for (step, _), reply in zip(rest, replies, strict=False):
            if isinstance(reply, bytes):
                done += 1
                written.append(step)
                self._count(step.point)
            elif not isinstance(reply, NotSent):
                failure = reply
        if failure is None and done < end and _over(until):
            return NotSent(_TOO_OLD)
        return ConnectionFailed("the connection was lost") if failure is None and done < end else failure

    async def _read_back(self, expected: Mapping[str, bytes]) -> str | None:
        points = self._profile.points
        names = [name for name in expected if points[name].access == "rw"]
        for unit in dict.fromkeys(self._unit(name) for name in names):
            mine = [name for name in names if self._unit(name) == unit]
            requests = [read(points[n].table, points[n].address, points[n].registers) for n in mine]
            replies = await self._link.client.transact(unit, requests, Urgency.WRITE)
            for name, reply in zip(mine, replies, strict=True):
                if not isinstance(reply, bytes):
                    return f"{name}: cannot be read back: {reply}"
                if reply != expected[name]:
                    self._doubted = True
                    exponent = exponent_of(points[name], self._good)
                    wrote, found = (
                        self._profile.decode(name, raw, exponent) for raw in (expected[name], reply)
                    )
                    return f"{name}: wrote {wrote:g}, reads {found:g}"
        return None

    def _unit(self, name: str) -> int:
        return self._units[self._profile.points[name].station]

    def _request(self, name: str, data: bytes) -> Request:
        point = self._profile.points[name]
        return write(point.table, point.address, data, single=self._profile.connection.write_single)

    def _count(self, name: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._day_began >= DAY:
            self._day_began = now
            self._today.clear()
        self.writes[name] = self.writes.get(name, 0) + 1
        self._today[name] = self._today.get(name, 0) + 1


def _over(until: float | None) -> bool:
    return until is not None and asyncio.get_running_loop().time() > until
