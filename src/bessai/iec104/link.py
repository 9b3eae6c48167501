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
from struct import Struct
from typing import Any

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

_START = 0x68
_MAX_LENGTH = 253
_MODULUS = 32768
_STARTDT, _STOPDT, _TESTFR = 0x04, 0x10, 0x40
_CON = 1
"""A confirmation (con) is the activation (act) shifted by this."""
_NAMES = {_STARTDT: "STARTDT", _STOPDT: "STOPDT", _TESTFR: "TESTFR"}
_CONTROL = Struct("<HH")
_SUPERVISORY = Struct("<BBHH")


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
        self._awaited: dict[int, float] = {}
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
        self._ask(_STARTDT, now)

    def stop(self, now: float) -> None:
        """Ask to end data transfer (STOPDT act); what is queued stays.

        Raises:
            LinkError: this is the controlled station, or a start is not confirmed yet.
        """
        self._ask(_STOPDT, now)
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
            if data[start] != _START or not 4 <= data[start + 1] <= _MAX_LENGTH:
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
        for code, since in self._awaited.items():
            if now >= since + t1:
                self._fail(f"No {_NAMES[code]} con in {t1:g} s (t1).", events)
                return events
        if self._sent and now >= self._sent[0][1] + t1:
            self._fail(f"{len(self._sent)} I frames were not acknowledged in {t1:g} s (t1).", events)
            return events
        if self._owed and now >= self._owed_since + self._settings.t2:
            self._acknowledge()
        if now >= self._heard + self._settings.t3 and _TESTFR not in self._awaited:
            self._unnumbered(_TESTFR)
            self._awaited[_TESTFR] = now
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
        if _TESTFR not in self._awaited:
            times.append(self._heard + settings.t3)
        return min(times)

    def _frame(self, control: bytes, asdu: bytes, now: float, events: list[LinkEvent]) -> None:
        self._heard = now
        first = control[0]
        if first & 1 == 0:
            self._information(control, asdu, now, events)
        elif asdu:
            self._fail(f"A frame without an ASDU has {len(asdu)} bytes too many.", events)
        elif first == 1 and control[1] == 0:
            if control[2] & 1:
                self._fail(f"This is no S frame: {control.hex(' ')}.", events)
            else:
                self._acknowledged(control, events)
        elif first & 3 == 3 and control[1:] == b"\0\0\0":
            self._unnumbered_came(first, now, events)
        else:
            self._fail(f"These are no control fields: {control.hex(' ')}.", events)

    def _information(self, control: bytes, asdu: bytes, now: float, events: list[LinkEvent]) -> None:
        if not self._started and _STOPDT not in self._awaited:
            self._fail("An I frame came before data transfer was started.", events)
            return
        number = _CONTROL.unpack(control)[0] >> 1
        if control[2] & 1 or not asdu:
            self._fail(f"This is no I frame: {control.hex(' ')}, {len(asdu)} bytes of ASDU.", events)
            return
        if number != self._next_receive:
            self._fail(f"I frame {number} came where {self._next_receive} was due.", events)
            return
        if not self._acknowledged(control, events):
            return
        self._next_receive = (number + 1) % _MODULUS
        if not self._owed:
            self._owed_since = now
        self._owed += 1
        events.append(Received(asdu))
        if self._owed >= self._settings.w or not self._started:
            self._acknowledge()

    def _acknowledged(self, control: bytes, events: list[LinkEvent]) -> bool:
        """Take N(R) of a frame; False when it failed."""
        number = _CONTROL.unpack(control)[1] >> 1
        waiting = (self._next_send - number) % _MODULUS
        if waiting > len(self._sent):
            self._fail(f"The peer acknowledges up to {number}, next to be sent is {self._next_send}.", events)
            return False
        tokens = tuple(self._sent.popleft()[0] for _ in range(len(self._sent) - waiting))
        if tokens:
            events.append(Acknowledged(tokens))
        self._confirm_stop()
        return True

    def _unnumbered_came(self, code: int, now: float, events: list[LinkEvent]) -> None:
        function, confirmation = code & ~3, False
        if function not in _NAMES and function >> _CON in _NAMES:
            function, confirmation = function >> _CON, True
        if function not in _NAMES:
            self._fail(f"This is no U frame: {code:02x}.", events)
        elif confirmation:
            asked = self._awaited.pop(function, None) is not None
            if not asked and function != _TESTFR:
                self._fail(f"{_NAMES[function]} con came and nobody had asked.", events)
            elif function == _STARTDT:
                self._started = True
                events.append(Started())
            elif function == _STOPDT:
                events.append(Stopped())
        elif function == _TESTFR:
            self._unnumbered(_TESTFR << _CON)
        elif self._controlling:
            self._fail(f"The controlled station sent {_NAMES[function]} act.", events)
        elif function == _STARTDT:
            self._unnumbered(_STARTDT << _CON)
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
            self._unnumbered(_STOPDT << _CON)

    def _flush(self, now: float) -> None:
        """Put what may go out into frames."""
        while self._queue and self.window > 0:
            asdu, token = self._queue.popleft()
            self._outgoing += bytes((_START, len(asdu) + 4))
            self._outgoing += _CONTROL.pack(self._next_send << 1, self._next_receive << 1)
            self._outgoing += asdu
            self._next_send = (self._next_send + 1) % _MODULUS
            self._owed = 0
            self._sent.append((token, now))

    def _acknowledge(self) -> None:
        if self._owed:
            self._outgoing += _SUPERVISORY.pack(_START, 4, 1, self._next_receive << 1)
            self._owed = 0

    def _unnumbered(self, code: int) -> None:
        self._outgoing += bytes((_START, 4, code | 3, 0, 0, 0))

    def _ask(self, code: int, now: float) -> None:
        if not self._controlling:
            raise LinkError(f"Only the controlling station sends {_NAMES[code]} act.")
        if (_STARTDT if code == _STOPDT else _STOPDT) in self._awaited:
            raise LinkError(f"{_NAMES[code]} act cannot be sent before the last request is confirmed.")
        if self._failure is None and code not in self._awaited:
            self._unnumbered(code)
            self._awaited[code] = now

    def _fail(self, reason: str, events: list[LinkEvent]) -> None:
        self._failure = reason
        self._started = False
        events.append(Failed(reason))
