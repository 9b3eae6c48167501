"""One connection: how slowly it may speak and read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

if TYPE_CHECKING:
    from bessai.interfaces.api.connections import Door

UNSENT = 16 << 10
"""Bytes of an answer that wait in the system and again as many in the process: whoever reads slowly is noticed soon,
costs little memory, and is not shown what was long ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds."""

    header: float = 5.0
    """For the whole header of a request, and before it for TLS."""
    body: float = 10.0
    """For the whole body."""
    idle: int = 15
    """Between two requests."""
    reading: float = 15.0
    """Without progress in taking an answer that is complete on our side."""


class Guarded(H11Protocol):
    """One connection."""

    def __init__(self, door: Door, address: str) -> None:
        super().__init__(door.config, door.state, {})
        self._door = door
        self.address = address
        self._timer: asyncio.TimerHandle | None = None
        self._phase: str | None = None
        self._unread = 0
        self._asked = False
        self.made = False
        """TLS, if any, has been agreed on."""

    @property
    def idle(self) -> bool:
        """Nothing is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    @property
    def spare(self) -> bool:
        """It makes room for others: what it asks is not known to the end, or it does not read what it asked for."""
        return self.idle or self._phase == "body" or self.flow.write_paused

    def abort(self) -> None:
        """End it at once."""
        self._disarm()
        if self.made:
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; the header's time runs."""
        transport.set_write_buffer_limits(UNSENT)
        super().connection_made(transport)
        self.made = True
        self.app_state = {"connection": self}
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._disarm()
        self._door.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and see what is being waited for now."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """An answer has been given."""
        super().on_response_complete()
        self._look()

    def _look(self) -> None:
        state = self.conn.their_state
        phase: str | None = None
        if self.idle and self.transport.get_write_buffer_size():
            phase = "reading"
        elif state is h11.IDLE:
            # between requests uvicorn's own timer runs, until the first byte
            phase = "header" if not self._asked or self.conn.trailing_data[0] else None
        elif state is h11.SEND_BODY:
            phase = "body"
        if state is not h11.IDLE:
            self._asked = True
        if self.transport.is_closing() and phase != "reading":
            phase = None
        if phase == self._phase:
            return
        self._disarm()
        self._phase = phase
        if phase is not None:
            self._unread = self.transport.get_write_buffer_size()
            self._timer = self.loop.call_later(getattr(self._door.patience, phase), self._late)

    def _late(self) -> None:
        if self._phase == "reading":
            self._phase = None
            if self.transport.get_write_buffer_size() < self._unread:  # slowly, but it reads
                self._look()
                return
            self._door.late += 1
            self.abort()
            return
        self._door.late += 1
        if self.idle and not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
            self.transport.close()
        else:
            self.abort()

    def _disarm(self) -> None:
        self._phase = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
