"""One connection of a master: bytes in, bytes out, and what waits for the link to have room.

Nothing here grows with a slow master: events wait in the common buffer, interrogations are made as the window opens,
answers wait in a short queue, and a master whose answers pile up is not read from until it takes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Container, Iterator
from typing import Any, Final

from bessai.iec104 import Acknowledged, Failed, Link, LinkEvent, LinkSettings, Received, Started, Stopped
from bessai.interfaces.scada.buffer import EventBuffer
from bessai.interfaces.scada.dialogue import Dialogue
from bessai.interfaces.scada.shared import Shared
from bessai.model import Clock

_log = logging.getLogger(__name__)

_INBOX: Final = 32
"""ASDUs of the master that wait to be handled, before it is not read from."""
_ANSWERS: Final = 64
"""Answers that wait, before nothing more of the master is handled."""
_STREAMS: Final = 8
"""Interrogations under way at once."""
_WRITE_LIMIT: Final = 32 * 1024
"""Bytes that the system has not taken, before the master is not read from."""
_WRONG: Final = 20
"""ASDUs that were not understood or refused, before each further one costs the master a pause."""
_PAUSE: Final = 0.5
"""Seconds: whatever a master sends, it fills no log and takes no time from the others."""

_ANSWER: Final = -1


class Session(asyncio.Protocol):
    """See the module.

    Args:
        master: its address.
        shared: of the station.
        buffer: of events.
        linked: addresses of masters with data transfer.
        tell: is called when data transfer starts or stops, and when the connection has ended.
    """

    def __init__(
        self,
        master: str,
        shared: Shared,
        buffer: EventBuffer,
        linked: Container[str],
        tell: Callable[[Session], None],
    ) -> None:
        settings = shared.settings
        self.master: Final = master
        self.closed = False
        self.reason = ""
        """Why the link failed."""
        self.sent = 0
        """ASDUs since the connection began."""
        self._clock: Clock = shared.clock
        self._link = Link(
            LinkSettings(k=settings.k, w=settings.w, t1=settings.t1, t2=settings.t2, t3=settings.t3),
            now=self._clock.monotonic(),
        )
        self._buffer = buffer
        self._tell = tell
        self._dialogue = Dialogue(shared, self, linked)
        self._transport: asyncio.Transport | None = None
        self._inbox: deque[bytes] = deque()
        self._answers: deque[bytes] = deque()
        self._streams: deque[tuple[int, Iterator[bytes]]] = deque()
        self._event_next = True
        self._next = 0
        self._stuck = False
        self._woken = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._timer: asyncio.Handle | None = None
        self._timer_due = 0.0

    # asyncio -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection begins."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  asyncio gives it
        self._transport = transport
        transport.set_write_buffer_limits(_WRITE_LIMIT)
        self._worker = asyncio.get_running_loop().create_task(self._work())
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes of the master."""
        self._happened(self._link.receive(data, self._clock.monotonic()))

    def pause_writing(self) -> None:
        """The master does not take what it is sent."""
        self._stuck = True
        self._throttle()

    def resume_writing(self) -> None:
        """It does again."""
        self._stuck = False
        self._throttle()

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection has ended."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._worker is not None:
            self._worker.cancel()
        self._tell(self)

    # the station -------------------------------------------------------------------------------------------------

    @property
    def started(self) -> bool:
        """True while data transfer is started."""
        return self._link.started and not self.closed

    @property
    def unsent(self) -> int:
        """Bytes that the system has not taken."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def status(self) -> dict[str, Any]:
        """For people."""
        return {
            "master": self.master,
            "started": self.started,
            "in_flight": self._link.in_flight,
            "events_waiting": self._buffer.waiting(self.master) if self.started else 0,
            "sent": self.sent,
        }

    def pump(self) -> None:
        """Send what the link has room for."""
        link, now = self._link, self._clock.monotonic()
        while link.window > 0 and (item := self._due()) is not None:
            link.send(*item, now)
            self.sent += 1
        if self._answers_low:
            self._woken.set()
        self._flush()

    def reply(self, asdu: bytes) -> None:
        """See `Outlet`."""
        self._answers.append(asdu)
        self.pump()

    def stream(self, asdus: Iterator[bytes], key: int) -> bool:
        """See `Outlet`."""
        if len(self._streams) >= _STREAMS or any(key == other for other, _ in self._streams):
            return False
        self._streams.append((key, asdus))
        self.pump()
        return True

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # inside ------------------------------------------------------------------------------------------------------

    @property
    def _answers_low(self) -> bool:
        return len(self._answers) < _ANSWERS

    def _due(self) -> tuple[bytes, int] | None:
        """What to send next: answers first, then events and interrogations in turn."""
        if self._answers:
            return self._answers.popleft(), _ANSWER
        self._event_next = not self._event_next
        first, second = (self._event, self._streamed) if self._event_next else (self._streamed, self._event)
        return first() or second()

    def _event(self) -> tuple[bytes, int] | None:
        block = self._buffer.block(self._next)
        if block is None:
            return None
        self._next = block.number + 1
        return block.data, block.number

    def _streamed(self) -> tuple[bytes, int] | None:
        while self._streams:
            _, asdus = self._streams[0]
            data = next(asdus, None)
            if data is not None:
                return data, _ANSWER
            self._streams.popleft()
        return None

    def _happened(self, events: list[LinkEvent]) -> None:
        changed = False
        for event in events:
            match event:
                case Received(asdu):
                    self._inbox.append(asdu)
                    self._woken.set()
                case Acknowledged(tokens):
                    if (newest := max(tokens)) != _ANSWER:
                        self._buffer.acknowledge(self.master, newest)
                case Started():
                    self._next = self._buffer.join(self.master)
                    changed = True
                case Stopped():
                    self._streams.clear()  # whoever takes over asks anew
                    changed = True
                case Failed(reason):
                    self._failed(reason)
                    return
        if changed:  # once, however many a burst brings: it is a look at every point
            self._tell(self)
        self._throttle()
        self.pump()

    def _failed(self, reason: str) -> None:
        self.reason = reason
        _log.warning("IEC 104: the link to %s is given up: %s", self.master, reason)
        self.close()

    def _throttle(self) -> None:
        """Read from the master only while there is room for what it says."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._stuck or len(self._inbox) >= _INBOX:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _flush(self) -> None:
        if self.closed or self._transport is None:
            return
        if data := self._link.outgoing():
            self._transport.write(data)
        deadline = self._link.next_deadline()
        if deadline is not None and (self._timer is None or deadline < self._timer_due):
            self._set_timer(deadline)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = when  # uvloop's handle for a time that has come does not tell it
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(loop.time() + max(0.0, when - self._clock.monotonic()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._happened(self._link.poll(self._clock.monotonic()))

    async def _work(self) -> None:
        """Handle what the master says, one after the other."""
        while True:
            self._woken.clear()
            while self._inbox and self._answers_low:
                data, wrong = self._inbox.popleft(), self._dialogue.wrong
                try:
                    await self._dialogue.handle(data)
                except Exception:  # noqa: BLE001  one master's trouble must not end the others
                    _log.exception("IEC 104: an ASDU of %s could not be handled", self.master)
                    self.close()
                    return
                self._throttle()
                await asyncio.sleep(_PAUSE if self._dialogue.wrong > max(wrong, _WRONG) else 0)
            await self._woken.wait()
