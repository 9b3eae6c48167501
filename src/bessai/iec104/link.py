"""The link layer of IEC 60870-5-104 (APCI), both ends, without I/O.

The owner gives received bytes and the time, and takes bytes to send and events:

    link = Link(LinkSettings(), now=loop.time())          # of a controlled station
    events = link.receive(data, now)                      # Started, Received, Acknowledged, Failed, ...
    link.send(asdu, token=7, now=now)                     # False: no room now; keep it and try after an Acknowledged
    transport.write(link.outgoing())                      # after every call of receive, send, poll
    loop.call_at(link.next_deadline(), ...)               # and then link.poll(now)

What was sent is only delivered when an `Acknowledged` names its token. After `Failed` the owner closes the connection;
tokens that were not acknowledged must be sent again on the next one.
Times are monotonic seconds.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from bessai.iec104 import apci
from bessai.iec104.apci import MODULUS, Function, Kind
from bessai.iec104.asdu import MAX_SIZE
from bessai.iec104.errors import LinkError
from bessai.iec104.link_events import (
    Acknowledged,
    Failed,
    LinkEvent,
    LinkSettings,
    Received,
    Started,
    Stopped,
)


class Link:
    """One connection."""

    def __init__(self, settings: LinkSettings, *, now: float, controlling: bool = False) -> None:
        self._settings = settings
        self._controlling = controlling
        self._buffer = b""
        self._outgoing = bytearray()
        self._started = False
        self._stopping = False
        """STOPDT came, and its confirmation waits until all that was sent is acknowledged."""
        self._failure: str | None = None
        self._queue: deque[tuple[bytes, Any]] = deque()
        self._sent: deque[tuple[Any, float]] = deque()
        """Token and time of the frames in flight."""
        self._next_send = 0
        self._next_receive = 0
        self._owed_since = 0.0
        self._owed = 0
        """Received frames that were not yet acknowledged, the first of them at `_owed_since`."""
        self._heard = now
        self._awaited: dict[Function, float] = {}
        """Activations that wait for their confirmation, and when they were sent."""

    @property
    def started(self) -> bool:
        """True while data transfer is started."""
        return self._started

    @property
    def room(self) -> int:
        """How many ASDUs `send` takes now: free places of the window, when started, and of the queue."""
        if self._failure is not None:
            return 0
        return self.window + self._settings.queue - len(self._queue)

    @property
    def window(self) -> int:
        """How many ASDUs would go out at once: 0 before the start and when k are on their way.

        A sender that keeps its own buffer sends only so many, and nothing is ever stuck in the queue.
        """
        if not self._started or self._failure is not None:
            return 0
        return self._settings.k - len(self._sent)

    @property
    def in_flight(self) -> int:
        """I frames that were sent and not acknowledged."""
        return len(self._sent)

    @property
    def asking(self) -> bool:
        """True while an activation waits for its confirmation."""
        return bool(self._awaited)

    @property
    def failure(self) -> str | None:
        """Why the link failed, None while it works."""
        return self._failure

    def start(self, now: float) -> None:
        """Ask for data transfer (STARTDT act).

        Raises:
            LinkError: this is the controlled station, or a stop is not confirmed yet.
        """
        self._ask(Function.STARTDT, now)

    def stop(self, now: float) -> None:
        """Ask to end data transfer (STOPDT act); what is queued stays.

        Raises:
            LinkError: this is the controlled station, or a start is not confirmed yet.
        """
        self._ask(Function.STOPDT, now)
        self._started = False
        self._acknowledge()

    def send(self, asdu: bytes, token: Any, now: float) -> bool:
        """Send an ASDU, or keep it until it may go; False when there is no room (or the link has failed).

        Raises:
            LinkError: it is empty, or longer than 249 bytes.
        """
        if not 1 <= len(asdu) <= MAX_SIZE:
            raise LinkError(f"An ASDU of {len(asdu)} bytes cannot be sent; 1 to {MAX_SIZE} are allowed.")
        if self.room <= 0:
            return False
        self._queue.append((asdu, token))
        self._flush(now)
        return True

    def receive(self, data: bytes, now: float) -> list[LinkEvent]:
        """What these bytes of the peer mean, in order."""
        events: list[LinkEvent] = []
        data = self._buffer + data
        start, size = 0, len(data)
        while self._failure is None and size - start >= 2:
            if data[start] != apci.START or not apci.MIN_LENGTH <= data[start + 1] <= apci.MAX_LENGTH:
                self._fail(f"This is no APDU: {data[start : start + 8].hex(' ')}.", events)
                break
            end = start + 2 + data[start + 1]
            if end > size:
                break
            self._frame(data[start + 2 : start + 6], data[start + 6 : end], now, events)
            start = end
        self._buffer = data[start:] if self._failure is None else b""
        self._flush(now)
        return events

    def poll(self, now: float) -> list[LinkEvent]:
        """What the time means: acknowledge (t2), test (t3), give up (t1)."""
        events: list[LinkEvent] = []
        if self._failure is not None:
            return events
        t1 = self._settings.t1
        for function, since in self._awaited.items():
            if now >= since + t1:
                self._fail(f"No {function.name} con in {t1:g} s (t1).", events)
                return events
        if self._sent and now >= self._sent[0][1] + t1:
            self._fail(f"{len(self._sent)} I frames were not acknowledged in {t1:g} s (t1).", events)
            return events
        if self._owed and now >= self._owed_since + self._settings.t2:
            self._acknowledge()
        if now >= self._heard + self._settings.t3:
            self._ask(Function.TESTFR, now)
        return events

    def outgoing(self) -> bytes:
        """Bytes to write; they are handed out once."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def next_deadline(self) -> float | None:
        """When to call `poll`; None when the link has failed."""
        if self._failure is not None:
            return None
        settings = self._settings
        times = [since + settings.t1 for since in self._awaited.values()]
        if self._sent:
            times.append(self._sent[0][1] + settings.t1)
        if self._owed:
            times.append(self._owed_since + settings.t2)
        if Function.TESTFR not in self._awaited:
            times.append(self._heard + settings.t3)
        return min(times)

    def _frame(self, control: bytes, asdu: bytes, now: float, events: list[LinkEvent]) -> None:
        self._heard = now
        try:
            kind, number, receive = apci.read(control, len(asdu))
        except ValueError as error:
            self._fail(str(error), events)
            return
        if kind is Kind.UNNUMBERED:
            self._unnumbered_came(number, events)
        elif kind is Kind.SUPERVISORY:
            self._acknowledged(receive, events)
        elif not self._started and Function.STOPDT not in self._awaited:
            self._fail("An I frame came before data transfer was started.", events)
        elif number != self._next_receive:
            self._fail(f"I frame {number} came where {self._next_receive} was due.", events)
        elif self._acknowledged(receive, events):
            self._next_receive = (number + 1) % MODULUS
            if not self._owed:
                self._owed_since = now
            self._owed += 1
            events.append(Received(asdu))
            if self._owed >= self._settings.w or not self._started:
                self._acknowledge()

    def _acknowledged(self, number: int, events: list[LinkEvent]) -> bool:
        """Take N(R) of a frame; False when it failed."""
        waiting = (self._next_send - number) % MODULUS
        if waiting > len(self._sent):
            self._fail(f"The peer acknowledges up to {number}, next to be sent is {self._next_send}.", events)
            return False
        tokens = tuple(self._sent.popleft()[0] for _ in range(len(self._sent) - waiting))
        if tokens:
            events.append(Acknowledged(tokens))
        self._confirm_stop()
        return True

    def _unnumbered_came(self, bits: int, events: list[LinkEvent]) -> None:
        function, confirmation = apci.function_of(bits)
        if confirmation:
            asked = self._awaited.pop(function, None) is not None
            if function is Function.TESTFR:
                return
            if not asked:
                self._fail(f"{function.name} con came and nobody had asked.", events)
            elif function is Function.STARTDT:
                self._started = True
                events.append(Started())
            else:
                events.append(Stopped())
        elif function is Function.TESTFR:
            self._outgoing += apci.unnumbered(function, confirmation=True)
        elif self._controlling:
            self._fail(f"The controlled station sent {function.name} act.", events)
        elif function is Function.STARTDT:
            self._outgoing += apci.unnumbered(function, confirmation=True)
            self._stopping = False
            if not self._started:
                self._started = True
                events.append(Started())
        else:
            self._acknowledge()
            self._stopping = True
            if self._started:
                self._started = False
                events.append(Stopped())
            self._confirm_stop()

    def _confirm_stop(self) -> None:
        if self._stopping and not self._sent:
            self._stopping = False
            self._outgoing += apci.unnumbered(Function.STOPDT, confirmation=True)

    def _flush(self, now: float) -> None:
        """Put what may go out into frames."""
        while self._queue and self.window > 0:
            asdu, token = self._queue.popleft()
            self._outgoing += apci.information(self._next_send, self._next_receive, asdu)
            self._next_send = (self._next_send + 1) % MODULUS
            self._owed = 0
            self._sent.append((token, now))

    def _acknowledge(self) -> None:
        if self._owed:
            self._outgoing += apci.supervisory(self._next_receive)
            self._owed = 0

    def _ask(self, function: Function, now: float) -> None:
        if not self._controlling and function is not Function.TESTFR:
            raise LinkError(f"Only the controlling station sends {function.name} act.")
        other = Function.STARTDT if function is Function.STOPDT else Function.STOPDT
        if other in self._awaited and function is not Function.TESTFR:
            raise LinkError(f"{function.name} act cannot be sent before {other.name} is confirmed.")
        if self._failure is None and function not in self._awaited:
            self._outgoing += apci.unnumbered(function)
            self._awaited[function] = now

    def _fail(self, reason: str, events: list[LinkEvent]) -> None:
        self._failure = reason
        self._started = False
        events.append(Failed(reason))
