"""A client that only asks: one request at a time, with a pause before each, within a bound, and never a write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bessai.drivers.modbus import (
    ConnectionFailed,
    DeviceException,
    Manners,
    ModbusClient,
    NoReply,
    NotSent,
    OtherService,
    Reply,
    Request,
    Urgency,
)
from bessai.model import Endpoint

READING = frozenset({1, 2, 3, 4, 43})
"""Function codes that change nothing in a device."""

_NOBODY = frozenset({10, 11})
"""Exceptions by which a gateway says that the unit is not there."""
_AGAIN = {4: 1, 5: 2, 6: 2}
"""How often a request is repeated that was answered with such an exception; 4 is a refusal of some devices."""
_SILENCES = 3
"""Silences after which a unit that has answered before is left alone; one that never did gets one."""
_CONNECTS = 5


@dataclass(slots=True)
class Standing:
    """How a unit has answered so far."""

    answered: bool = False
    """It sent data, or an exception of its own."""
    silences: int = 0
    why: str = ""
    """What came instead of its last missing answer."""

    @property
    def given_up(self) -> bool:
        """Whether it is asked nothing more."""
        return self.silences >= (_SILENCES if self.answered else 1)


class GentleClient(ModbusClient):
    """A `ModbusClient` for devices that nobody knows.

    Beyond its bound, and of a unit that was given up, requests are answered `NotSent` without being sent. A lost
    connection is made anew a few times.

    Args:
        endpoint: where.
        manners: `pause` is the shortest pause before each request; `breath` may lengthen it.
        requests: how many requests are sent at most.
        seconds: after how long no more is sent.
    """

    def __init__(self, endpoint: Endpoint, manners: Manners, *, requests: int, seconds: float) -> None:
        super().__init__(endpoint, manners=Manners(timeout=manners.timeout, settle=manners.settle))
        self.shortest_pause = manners.pause
        self.breath = 0.0
        """Seconds of pause that the device asked about now may want; the longer pause counts."""
        self.standing: dict[int, Standing] = {}
        self.exhausted: str | None = None
        """Which bound was reached; None while there is room."""
        self.share: int | None = None
        """Requests that are sent until the one who asks now has had its share; None: the bound decides."""
        self.notice: Callable[[int], None] = lambda _: None
        """Told the number of requests so far, before each."""
        self._requests_max = requests
        self._seconds = seconds
        self._until: float | None = None
        self._free_at = 0.0
        self._one = asyncio.Lock()

    @property
    def seconds_left(self) -> float:
        """Until the bound of time; counts from the first request."""
        if self._until is None:
            return self._seconds
        return max(self._until - asyncio.get_running_loop().time(), 0.0)

    @property
    def requests_left(self) -> int:
        """Until the bound of requests."""
        return max(self._requests_max - self.stats.requests, 0)

    def of(self, unit: int) -> Standing:
        """How a unit has answered so far."""
        return self.standing.setdefault(unit, Standing())

    async def transact(
        self,
        unit: int,
        requests: Sequence[Request],
        urgency: Urgency = Urgency.FAST,
        *,
        serial: bool = False,
        until: float | None = None,
    ) -> list[Reply]:
        """As `ModbusClient.transact`, gently.

        Raises:
            ValueError: a request would write.
        """
        for request in requests:
            if request.pdu[0] not in READING:
                raise ValueError(f"function {request.pdu[0]} writes; a probe only reads")
        async with self._one:
            return [await self._ask(unit, request, urgency) for request in requests]

    async def ask(self, unit: int, request: Request) -> Reply:
        """One request."""
        return (await self.transact(unit, [request]))[0]

    async def _ask(self, unit: int, request: Request, urgency: Urgency) -> Reply:
        loop = asyncio.get_running_loop()
        if self._until is None:
            self._until = loop.time() + self._seconds
        standing = self.of(unit)
        tries = 0
        while True:
            if standing.given_up:
                return NotSent(f"unit {unit} is left alone: {standing.why}")
            if self.share is not None and self.stats.requests >= self.share:
                return NotSent("its share of the probe's requests is used up")
            await asyncio.sleep(max(self._free_at - loop.time(), 0.0))
            if self._spent() or not await self._reconnected():
                return NotSent(self.exhausted or "the connection is lost")
            self.notice(self.stats.requests)
            (reply,) = await super().transact(unit, [request], urgency)
            self._free_at = loop.time() + max(self.shortest_pause, self.breath)
            if not isinstance(reply, DeviceException) or tries >= _AGAIN.get(reply.code, 0):
                break
            tries += 1
        nobody = isinstance(reply, DeviceException) and reply.code in _NOBODY
        if isinstance(reply, OtherService):
            self.exhausted = str(reply)
        if nobody or isinstance(reply, NoReply | ConnectionFailed | OtherService):
            standing.silences += 1
            standing.why = str(reply)
        else:  # data, a refusal, or a reply that makes no sense: somebody is there
            standing.answered = True
        return reply

    def _spent(self) -> bool:
        if self.requests_left == 0:
            self.exhausted = f"the bound of {self._requests_max} requests is reached"
        elif self.seconds_left <= 0:
            self.exhausted = f"the bound of {self._seconds:g} s is reached"
        return self.exhausted is not None

    async def _reconnected(self) -> bool:
        if self.connected:
            return True
        if self.stats.connects >= _CONNECTS:
            self.exhausted = f"the connection was lost {self.stats.disconnects} times"
            return False
        try:
            await self.connect()
        except ConnectionFailed as error:
            self.exhausted = f"the connection was lost: {error}"
            return False
        return True
