"""A small controlling station: for tests, the command line and measurements.

    async with await Client.connect("10.1.0.7", address=1) as client:
        await client.start()
        points = await client.interrogate()
        answer = await client.command(TypeId.C_SE_NC_1, 6001, 500.0, select=True)

Everything that comes and that nobody waits for is kept, in order, for `take` and `collect`.
"""

from __future__ import annotations

import asyncio
import ssl as tls
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bessai.iec104.asdu import SIZES, Asdu, InfoObject, Sizes
from bessai.iec104.codec import decode, encode
from bessai.iec104.connection import Connection
from bessai.iec104.elements import Value
from bessai.iec104.errors import AsduError
from bessai.iec104.layouts import LAYOUTS
from bessai.iec104.link_events import Acknowledged, Failed, LinkEvent, LinkSettings, Received
from bessai.iec104.types import COUNTERS, STATION, Cause, TypeId

KEEP = 100_000
"""Received ASDUs that are kept at most; the oldest go first."""


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """The station answered with a negative confirmation."""

    def __init__(self, answer: Asdu) -> None:
        super().__init__(f"The station refused {answer.type.name} with cause {answer.cause}.")
        self.answer = answer
        """What it answered."""


class Client:
    """A connection to one controlled station.

    Waiting ends with a `TimeoutError` after `patience` seconds, and with a `ConnectionError` when the link fails.
    """

    def __init__(
        self,
        *,
        address: int = 1,
        originator: int = 0,
        sizes: Sizes = SIZES,
        settings: LinkSettings | None = None,
        patience: float = 30.0,
    ) -> None:
        self._address = address
        self._originator = originator
        self._sizes = sizes
        self._patience = patience
        self._news = asyncio.Event()
        self._received: deque[Asdu] = deque(maxlen=KEEP)
        self.connection = Connection(settings or LinkSettings(), self._on_event, controlling=True)
        """The connection and its link."""
        self.failure: str | None = None
        """Why the link ended."""
        self.undecoded: list[AsduError] = []
        """What came and was no ASDU that we know."""
        self.acknowledged = 0
        """ASDUs that the station has acknowledged."""

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int = 2404,
        *,
        address: int = 1,
        originator: int = 0,
        sizes: Sizes = SIZES,
        settings: LinkSettings | None = None,
        patience: float = 30.0,
        ssl: tls.SSLContext | None = None,
        source: str | None = None,
    ) -> Client:
        """Connect, from the local address `source` when it is given.

        Raises:
            OSError: the station does not answer.
            TimeoutError: not within `patience` seconds (t0 of the standard).
        """
        client = cls(
            address=address, originator=originator, sizes=sizes, settings=settings, patience=patience
        )
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(patience):
            await loop.create_connection(
                lambda: client.connection, host, port, ssl=ssl, local_addr=(source, 0) if source else None
            )
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        self.connection.close()
        await self.connection.closed.wait()

    async def start(self) -> None:
        """Start data transfer, and wait until it has."""
        self.connection.start()
        await self.until(lambda: self.connection.link.started)

    async def stop(self) -> None:
        """Stop data transfer, and wait until the station has confirmed it."""
        self.connection.stop()
        await self.until(lambda: not self.connection.link.asking)

    def send(self, asdu: Asdu) -> None:
        """Send an ASDU and wait for nothing.

        Raises:
            ConnectionError: the link has ended, or its window and queue are full.
        """
        if not self.connection.send(encode(asdu, self._sizes)):
            raise ConnectionError(self.failure or "The link takes no more: its window is full.")

    async def interrogate(self, qualifier: int = STATION) -> list[Asdu]:
        """All that a station (20) or group (21 to 36) interrogation brings."""
        return await self._gather(TypeId.C_IC_NA_1, qualifier, lambda cause: cause == qualifier)

    async def counters(self, qualifier: int = COUNTERS) -> list[Asdu]:
        """All that a counter interrogation brings; add 64 to freeze, 128 to freeze and reset, 192 to reset."""
        return await self._gather(TypeId.C_CI_NA_1, qualifier, lambda cause: 37 <= cause <= 41)

    async def read(self, address: int) -> Asdu:
        """The answer to a read of one object.

        Raises:
            Refused: a negative confirmation.
        """
        self._ask(TypeId.C_RD_NA_1, InfoObject(address=address), Cause.REQUEST)
        answer = await self.take(
            lambda asdu: asdu.objects[0].address == address and (asdu.cause == Cause.REQUEST or asdu.negative)
        )
        if answer.negative:
            raise Refused(answer)
        return answer

    async def synchronize(self, ns: int | None = None) -> Asdu:
        """Tell the station the time in UTC nanoseconds (now, when none is given); its confirmation."""
        item = InfoObject(time=time.time_ns() if ns is None else ns)
        return await self._confirmed(TypeId.C_CS_NA_1, item, Cause.ACTIVATION)

    async def test(self, pattern: int = 0xAA55) -> Asdu:
        """Send the test command; its confirmation."""
        item = InfoObject(value=pattern, time=time.time_ns())
        return await self._confirmed(TypeId.C_TS_TA_1, item, Cause.ACTIVATION)

    async def reset(self, qualifier: int = 1) -> Asdu:
        """Ask the station to reset its process; its confirmation.

        Raises:
            Refused: it does not.
        """
        return await self._confirmed(TypeId.C_RP_NA_1, InfoObject(value=qualifier), Cause.ACTIVATION)

    async def command(
        self,
        type_id: TypeId,
        address: int,
        value: Value,
        *,
        qualifier: int = 0,
        select: bool = False,
        ns: int | None = None,
    ) -> Asdu:
        """Command something, selected before when `select` is set; the confirmation of the execution.

        `ns` is the time tag of the types that have one, now when it is not given.

        Raises:
            Refused: a negative confirmation of the selection or of the execution.
        """
        if select:
            await self.select(type_id, address, value, qualifier=qualifier, ns=ns)
        item = self._item(type_id, address, value, qualifier, ns, select=False)
        return await self._confirmed(type_id, item, Cause.ACTIVATION)

    async def select(
        self, type_id: TypeId, address: int, value: Value, *, qualifier: int = 0, ns: int | None = None
    ) -> Asdu:
        """Select only; its confirmation.

        Raises:
            Refused: a negative confirmation.
        """
        item = self._item(type_id, address, value, qualifier, ns, select=True)
        return await self._confirmed(type_id, item, Cause.ACTIVATION)

    async def cancel(self, type_id: TypeId, address: int, value: Value, *, ns: int | None = None) -> Asdu:
        """Take a selection back (deactivation); its confirmation.

        Raises:
            Refused: a negative confirmation.
        """
        item = self._item(type_id, address, value, 0, ns, select=True)
        return await self._confirmed(type_id, item, Cause.DEACTIVATION)

    async def take(self, wanted: Callable[[Asdu], bool] | None = None) -> Asdu:
        """The oldest ASDU that is wanted and was not taken yet; waits for it."""
        found: list[Asdu] = []

        def look() -> bool:
            for asdu in self._received:
                if wanted is None or wanted(asdu):
                    found.append(asdu)
                    self._received.remove(asdu)
                    return True
            return False

        await self.until(look)
        return found[0]

    async def collect(self, count: int, wanted: Callable[[Asdu], bool] | None = None) -> list[InfoObject]:
        """At least `count` objects of the ASDUs that are wanted, in order; waits for them."""
        items: list[InfoObject] = []
        while len(items) < count:
            items += (await self.take(wanted)).objects
        return items

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is tried again whenever something comes."""
        async with asyncio.timeout(self._patience):
            while not condition():
                if self.failure is not None:
                    raise ConnectionError(self.failure)
                self._news.clear()
                await self._news.wait()

    async def _gather(self, type_id: TypeId, qualifier: int, wanted: Callable[[int], bool]) -> list[Asdu]:
        await self._confirmed(type_id, InfoObject(value=qualifier), Cause.ACTIVATION)
        answers: list[Asdu] = []
        while True:
            asdu = await self.take(lambda asdu: asdu.type == type_id or wanted(asdu.cause))
            if asdu.type == type_id:
                return answers
            answers.append(asdu)

    async def _confirmed(self, type_id: TypeId, item: InfoObject, cause: Cause) -> Asdu:
        """Ask, and wait for the confirmation."""
        self._ask(type_id, item, cause)
        answer = await self.take(
            lambda asdu: (
                asdu.type == type_id
                and asdu.objects[0].address == item.address
                and asdu.cause != Cause.ACTIVATION_TERM
            )
        )
        if answer.negative:
            raise Refused(answer)
        return answer

    def _ask(self, type_id: TypeId, item: InfoObject, cause: Cause) -> None:
        self.send(
            Asdu(
                type=type_id,
                cause=cause,
                address=self._address,
                originator=self._originator,
                objects=(item,),
            )
        )

    def _item(
        self, type_id: TypeId, address: int, value: Value, qualifier: int, ns: int | None, *, select: bool
    ) -> InfoObject:
        if LAYOUTS[type_id].timed and ns is None:
            ns = time.time_ns()
        return InfoObject(address=address, value=value, qualifier=qualifier, select=select, time=ns)

    def _on_event(self, event: LinkEvent) -> None:
        match event:
            case Received(asdu):
                try:
                    self._received.append(decode(asdu, self._sizes))
                except AsduError as error:
                    self.undecoded.append(error)
            case Acknowledged(tokens):
                self.acknowledged += len(tokens)
            case Failed(reason):
                self.failure = reason
            case _:
                pass
        self._news.set()
