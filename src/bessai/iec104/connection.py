"""A link on an asyncio connection: the timers, the bytes, and a peer that does not read.

The owner gets the events of the link in a callback, and calls `send`, `start`, `stop` and `close`. The last event is
always a `Failed`, also when the connection is lost or closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from bessai.iec104.link import Link
from bessai.iec104.link_events import Failed, LinkEvent, LinkSettings


class Connection(asyncio.Protocol):
    """One connection of either end."""

    def __init__(
        self, settings: LinkSettings, on_event: Callable[[LinkEvent], None], *, controlling: bool = False
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.Handle | None = None
        self._timer_due = 0.0
        self._over = False
        self.link = Link(settings, now=self._loop.time(), controlling=controlling)
        """The link."""
        self.closed = asyncio.Event()
        """Set when the connection is gone."""

    @property
    def peer(self) -> str:
        """Address of the other end."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(name[0]) if name else ""

    def send(self, asdu: bytes, token: Any = None) -> bool:
        """See `Link.send`."""
        taken = self.link.send(asdu, token, self._loop.time())
        self._write()
        return taken

    def start(self) -> None:
        """See `Link.start`."""
        self.link.start(self._loop.time())
        self._write()

    def stop(self) -> None:
        """See `Link.stop`."""
        self.link.stop(self._loop.time())
        self._write()

    def close(self) -> None:
        """Close the connection; what was not acknowledged is not known to have arrived."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._tell(self.link.receive(data, self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._end(f"The connection was lost: {exc}." if exc else "The connection was closed.")
        self.closed.set()

    def pause_writing(self) -> None:
        """The peer does not read: nor do we, so that it cannot make us keep answers without end."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def _tell(self, events: list[LinkEvent]) -> None:
        self._write()
        for event in events:
            if isinstance(event, Failed):
                self._end(event.reason)
                self.close()
            else:
                self._on_event(event)

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._on_event(Failed(reason))

    def _write(self) -> None:
        data = self.link.outgoing()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
        self._arm()

    def _arm(self) -> None:
        """Have the link polled at its next deadline."""
        deadline = self.link.next_deadline()
        if deadline is None or self._over:
            return
        if self._timer is not None:
            if self._timer_due <= deadline:
                return
            self._timer.cancel()
        self._timer_due = deadline  # uvloop's handle for a time that has come does not tell it
        self._timer = self._loop.call_at(deadline, self._due)

    def _due(self) -> None:
        # a timer that is early finds nothing to do and is set again: cheaper than setting it for every frame
        self._timer = None
        self._tell(self.link.poll(self._loop.time()))
