"""A connection that one or several drivers share: connecting, backing off, and knowing when nobody answers."""

from __future__ import annotations

import asyncio
import logging
import random

from bessai.drivers.modbus import ConnectionFailed, Manners, ModbusClient
from bessai.model import Endpoint

log = logging.getLogger("bessai.link")

NO_ANSWER_YET = "connected, no answer yet"

_BACKOFF_FIRST = 0.5
_BACKOFF_MAX = 8.0
_REST_FIRST = 1.0
_REST_MAX = 60.0


class Backoff:
    """Growing, jittered pauses."""

    def __init__(self, first: float, longest: float, rng: random.Random) -> None:
        self._first, self._longest, self._rng = first, longest, rng
        self._failures = 0

    def pause(self) -> float:
        """Seconds to wait after one more failure: between half and all of a pause that doubles."""
        pause = min(self._first * 2.0 ** min(self._failures, 16), self._longest)
        self._failures += 1
        return pause * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """After a success."""
        self._failures = 0


class Link:
    """One endpoint and the drivers behind it.

    A unit that is silent must not cost the others their connection: it rests, alone, for a time that grows. Only
    when every unit is silent is the connection closed and made anew.

    Args:
        endpoint: where.
        manners: how the endpoint as a whole wants to be spoken to.
        rng: source of the jitter of reconnects.
    """

    def __init__(
        self, endpoint: Endpoint, manners: Manners | None = None, *, rng: random.Random | None = None
    ) -> None:
        self.endpoint = endpoint
        self.client = ModbusClient(endpoint, manners=manners or Manners())
        self.problem: str | None = "not connected yet"
        """Why there is no connection, or why it is of no use; None while a unit answers."""
        self.members = 0
        """Drivers that share the link."""
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._backoff = Backoff(_BACKOFF_FIRST, _BACKOFF_MAX, self._rng)
        self._next_try = 0.0
        self._silent: set[int] = set()
        self._connecting: asyncio.Future[bool] | None = None

    @property
    def connected(self) -> bool:
        """True while there is a connection; the devices may still be silent."""
        return self.client.connected

    @property
    def generation(self) -> tuple[int, int]:
        """Changes with every connection made or lost."""
        return self.client.stats.connects, self.client.stats.disconnects

    def join(self, unit: int, manners: Manners, *, longest_rest: float = _REST_MAX) -> Backoff:
        """Add a driver's unit. Returns the pauses that it takes when it alone is silent, `longest_rest` s at most."""
        self.members += 1
        self.client.register(unit, manners)
        return Backoff(_REST_FIRST, longest_rest, self._rng)

    async def ensure(self) -> bool:
        """Connect when there is no connection and the backoff allows it. Drivers wait for one attempt together."""
        if self.client.connected:
            return True
        loop = asyncio.get_running_loop()
        if self._connecting is None:
            if loop.time() < self._next_try:
                return False
            self._connecting = loop.create_task(self._connect(), name="connect")
        return await asyncio.shield(self._connecting)

    def answered(self, unit: int) -> None:
        """A unit answers."""
        self.problem = None
        self._backoff.reset()
        self._silent.discard(unit)

    def silent(self, unit: int, why: str) -> bool:
        """A unit does not answer. True when the connection was closed, because none of them does."""
        self._silent.add(unit)
        if len(self._silent) < self.members:
            return False
        self._silent.clear()
        self.client.close("no unit answered" if self.members > 1 else "the device was silent")
        self.failed(why)
        return True

    def failed(self, why: str) -> None:
        """Note that the connection is of no use, and wait longer before the next one."""
        self.problem = why
        self.client.note(why)
        self._next_try = asyncio.get_running_loop().time() + self._backoff.pause()

    async def _connect(self) -> bool:
        try:
            await self.client.connect()
        except ConnectionFailed as error:
            self.failed(str(error))
            return False
        except Exception as error:
            log.exception("connecting to %s failed", self.endpoint)
            self.failed(f"cannot connect to {self.endpoint}: {error}")
            return False
        else:
            self.problem = NO_ANSWER_YET
            return True
        finally:
            self._connecting = None
