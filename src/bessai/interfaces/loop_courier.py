"""Couriers whose library wants asyncio: each connection has an event loop and a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from bessai.interfaces.courier import Batch, Message, Trouble

_FAREWELL = 0.5
"""Seconds that a library has to let go of its connection."""
_MARGIN = 1.0
"""Seconds beyond the time limit after which a loop that is stuck is given up."""


class Connection(Protocol):
    """A connection to a broker. Its methods run in the loop that made it."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Returns when the broker has acknowledged every message."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class LoopCourier(ABC):
    """A `Courier` over an asyncio library.

    After an error the connection is dropped, whatever the reason: what the library still holds must not be
    sent later, behind messages that were sent after it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._session: _Session | None = None
        self._lock = threading.Lock()

    @abstractmethod
    async def connect(self, limit: float) -> Connection:
        """Connect. Connecting and sending a batch together are cancelled after `limit` seconds."""

    @abstractmethod
    def explain(self, error: Exception) -> Trouble:
        """See `Courier`."""

    def send(self, batch: Batch, timeout: float) -> None:
        """See `Courier`."""
        messages = batch.messages
        with self._lock:
            session = self._session = self._session or _Session(self)
        try:
            session.run(session.send(messages, timeout), timeout + _MARGIN)
        except BaseException:
            self.close()
            session.wait()
            raise

    def close(self) -> None:
        """See `Courier`."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.stop()

    @property
    def name(self) -> str:
        """Of the thread."""
        return self._name

    @property
    def connected(self) -> bool:
        """It holds a connection that has not failed yet; one that nobody uses may have ended unseen."""
        session = self._session
        return session is not None and session.connected


class _Session:
    """One loop, one thread, one connection, from the first batch to the first error."""

    def __init__(self, courier: LoopCourier) -> None:
        self._courier = courier
        self._connection: Connection | None = None
        self._ended = False
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name=f"{courier.name} connection", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        return self._connection is not None and not self._ended

    async def send(self, messages: Sequence[Message], limit: float) -> None:
        async with asyncio.timeout(limit):
            if self._connection is None:
                self._connection = await self._courier.connect(limit)
            await self._connection.send(messages)

    def run(self, coroutine: Coroutine[Any, Any, None], timeout: float) -> None:
        """Wait for a coroutine that runs in the loop.

        Raises:
            Exception: what it raised; ConnectionAbortedError when `stop` cancelled it.
        """
        with self._lock:
            if self._ended:
                coroutine.close()
                raise ConnectionAbortedError("the connection was closed")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            future.result(timeout)
        except concurrent.futures.CancelledError:
            raise ConnectionAbortedError("the connection was closed") from None

    def stop(self) -> None:
        """Cancel what is under way and end the loop. Does not wait for it."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._loop.call_soon_threadsafe(self._loop.stop)

    def wait(self) -> None:
        """Until the loop has ended and nothing more is sent; not for ever."""
        self._thread.join(4 * _FAREWELL)

    def _live(self) -> None:
        # Libraries report trouble of a connection that is gone to the loop: it was told already.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        with contextlib.closing(self._loop):
            self._loop.run_forever()
            self._loop.run_until_complete(self._farewell())

    async def _farewell(self) -> None:
        """End what runs, so that the library sends nothing more; then let it go."""
        await _cancel_others()
        if self._connection is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_FAREWELL):
                    await self._connection.close()
        await _cancel_others()


async def _cancel_others() -> None:
    """Cancel every other task of this loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=_FAREWELL)
