"""The Modbus client: batches in, replies out, one connection, a window of requests in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

from bessai.drivers.modbus import mbap, rtu
from bessai.drivers.modbus.batches import Batch, BatchQueue, Reply, Urgency
from bessai.drivers.modbus.errors import BadReply, ConnectionFailed, ModbusError, NoReply
from bessai.drivers.modbus.link import Link, open_link
from bessai.drivers.modbus.manners import Manners
from bessai.drivers.modbus.pdu import Request
from bessai.drivers.modbus.serial import character_time, silent_interval
from bessai.drivers.modbus.stats import ClientStats
from bessai.drivers.modbus.talk import LAST, LastError, Talk
from bessai.drivers.modbus.units import Unit
from bessai.model import Endpoint


class ModbusClient:
    """One connection to one device, or to a bus or gateway with several units.

    `transact` may be called while other batches wait. Batches are served by urgency; within one, units take
    turns request by request, and the batches of a unit go in order. A batch never fails as a whole: each request
    has its reply or its error. After a time-out the rest of the batch is not sent. A frame that is not Modbus TCP
    closes the connection, because nothing after it can be trusted; noise on a serial line is passed over.

    What a silent unit costs the others: its `patience` for each batch that is sent to it. Serial frames carry no
    transaction, so there a unit that was silent is not asked again before its late reply has come or its
    `timeout` has passed since it was asked; the others are served meanwhile.

    Args:
        endpoint: where, and by which transport.
        manners: of the connection, and of every unit that `register` gives none of its own.
    """

    def __init__(self, endpoint: Endpoint, *, manners: Manners | None = None) -> None:
        self.endpoint = endpoint
        self.manners = manners or Manners()
        self.stats = ClientStats()
        self.link: Link | None = None
        self.error: LastError | None = None
        """What last went wrong with the connection as a whole."""
        self._framed = endpoint.transport in {"tcp", "tls"}
        self._character = character_time(endpoint) if endpoint.serial else 0.0
        self._gap = max(self.manners.pause, silent_interval(endpoint) if endpoint.serial else 0.0)
        self._window = self.manners.outstanding if self._framed else 1
        """Most requests in flight, of any unit."""
        self._units: dict[int, Unit] = {}
        self._queue = BatchQueue()
        self._in_flight: dict[int, tuple[Batch, int, float, float, float]] = {}
        """Transaction to batch, index, when it was sent (loop time), how long it may take, when it was sent (ticks)."""
        self._echoes: bool | None = None
        self._transaction = 0
        self._not_before = 0.0
        self._loop: asyncio.AbstractEventLoop
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._pump_timer: asyncio.Handle | None = None
        self._pump_due = 0.0

    @property
    def connected(self) -> bool:
        """True while there is a connection."""
        return self.link is not None

    @property
    def timeout(self) -> float:
        """Longest time to wait for a reply, of units without manners of their own."""
        return self.manners.timeout

    def register(self, unit: int, manners: Manners) -> None:
        """Give a unit patience, window and pause of its own."""
        known = self._unit(unit)
        known.adopt(manners, one_at_a_time=not self._framed)
        self._window = max(self._window, known.window)

    def patience(self, unit: int) -> float:
        """Seconds that the next request to this unit may take."""
        return self._unit(unit).patience

    def latency(self, unit: int) -> float | None:
        """Seconds of the unit's worst recent latency; None before its first reply."""
        return self._unit(unit).worst or None

    def talk(self, unit: int) -> Talk:
        """What was heard of a unit."""
        return self._unit(unit).talk

    def note(self, why: str) -> None:
        """Keep what went wrong with the connection."""
        self.error = LastError(message=why, at=asyncio.get_running_loop().time())

    async def connect(self, *, within: float | None = None) -> None:
        """Open the connection, within `within` seconds (default: `timeout`, twice that for TLS).

        Raises:
            ConnectionFailed: names the place and the reason.
        """
        if self.endpoint.serial:
            self.close("replaced by a new connection")  # the line is exclusive
        patience = self.timeout * (2 if self.endpoint.transport == "tls" else 1)
        link = await open_link(self, self.endpoint, within or patience)
        self.close("replaced by a new connection")
        if link.rtu is not None:
            link.rtu.echoes = self._echoes
        self.link = link
        self.stats.connects += 1
        self._loop = asyncio.get_running_loop()
        self._not_before = self._loop.time() + max(self.manners.settle, self._gap)

    def close(self, reason: str = "closed by the gateway") -> None:
        """Close the connection; whatever waits fails with `ConnectionFailed`."""
        self._end(ConnectionFailed(reason))

    async def transact(
        self,
        unit: int,
        requests: Sequence[Request],
        urgency: Urgency = Urgency.FAST,
        *,
        serial: bool = False,
        until: float | None = None,
    ) -> list[Reply]:
        """Send requests to a unit and wait for all replies.

        Args:
            unit: the unit id.
            requests: at least one.
            urgency: who goes first when several batches wait.
            serial: send each request only after the one before succeeded, and none after a failure.
            until: monotonic seconds after which no further one is sent; None: no such end.

        Returns:
            For each request its data, or the error that stands for it.
        """
        if self.link is None:
            return [ConnectionFailed("not connected") for _ in requests]
        batch = Batch(self._units.get(unit) or self._unit(unit), requests, serial, until)
        self._queue.add(batch, urgency)
        self._pump()
        try:
            return await batch.future
        except asyncio.CancelledError:
            self._queue.remove(batch, urgency)
            raise

    def received(self, data: bytes) -> None:
        """Bytes of the present connection; called by it."""
        link = self.link
        if link is None:
            return
        stats = self.stats
        stats.bytes_in += len(data)
        try:
            frames = link.reader.feed(data)
        except BadReply as error:
            stats.bad_replies += 1
            self.lost(error)
            return
        if link.rtu is not None:
            self._line_used(link.rtu)
        if not frames:
            return
        now, tick = self._loop.time(), perf_counter()
        for transaction, number, pdu in frames:
            waiting = self._in_flight.get(transaction)
            if waiting is None or waiting[0].unit.number != number:
                stats.strays += 1
                if number in self._units:
                    self._units[number].late(now)
                continue
            del self._in_flight[transaction]
            batch, index, sent, _, ticked = waiting
            unit, took = batch.unit, now - sent
            talk = unit.talk
            talk.latencies[talk.replies & LAST] = tick - ticked
            talk.replies += 1
            if took > unit.worst or now > unit.ages_at or unit.silences:
                unit.heard(took, now)
            if unit.pause:
                unit.not_before = now + unit.pause
            reply = batch.requests[index].parse(pdu)
            stats.replies += 1
            if not isinstance(reply, bytes):
                talk.went_wrong(reply, now)
                if isinstance(reply, BadReply):
                    stats.bad_replies += 1
                else:
                    stats.exceptions += 1
            batch.settle(index, reply)
        if self._gap:
            self._not_before = max(self._not_before, now + self._gap)
        self._pump(now)

    def _unit(self, number: int) -> Unit:
        if number not in self._units:
            self._units[number] = Unit(number, self.manners, one_at_a_time=not self._framed)
        return self._units[number]

    def _line_used(self, reader: rtu.RtuReader) -> None:
        """A serial line is quiet only some time after its last byte."""
        if reader.crc_errors:
            self.stats.crc_errors += reader.crc_errors
            reader.crc_errors = 0
            self.note("a reply was damaged on the line (CRC)")
        if not self._in_flight and self._gap:
            self._not_before = max(self._not_before, self._loop.time() + self._gap)

    def _pump(self, now: float = 0.0) -> None:
        """Send what the window, the pauses and the order allow."""
        link = self.link
        in_flight = self._in_flight
        if link is None or link.transport is None or len(in_flight) >= self._window:
            return
        frames: list[bytes] = []
        loop = self._loop
        now, tick = now or loop.time(), perf_counter()
        due = 0.0
        batch: Batch | None = None
        while len(in_flight) < self._window:
            if batch is None:
                batch = self._queue.next(now)
                if batch is None:
                    if self._queue.held_until is not None:
                        self._pump_at(self._queue.held_until)
                    break
                unit = batch.unit
            if in_flight and (batch.serial or len(in_flight) >= unit.window):
                break
            if now < self._not_before:
                self._pump_at(self._not_before)
                break
            transaction = self._transaction = self._transaction % 0xFFFF + 1
            index = batch.sent
            request = batch.requests[index]
            limit = unit.patience
            if link.rtu is None:
                frames.append(mbap.frame(transaction, unit.number, request.pdu))
            else:
                limit += self._expect(link.rtu, transaction, unit, request, frames)
            in_flight[transaction] = (batch, index, now, limit, tick)
            if not due or now + limit < due:
                due = now + limit
            batch.sent = index = index + 1
            if self._queue.turn_over() or index == len(batch.requests):
                batch = None
            if self._gap:
                break
        if frames:
            data = frames[0] if len(frames) == 1 else b"".join(frames)
            self.stats.requests += len(frames)
            self.stats.bytes_out += len(data)
            if self._timer is None or due < self._timer_due:
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = loop.call_at(due, self._check_time)
                self._timer_due = due
            link.transport.write(data)

    def _expect(
        self, reader: rtu.RtuReader, transaction: int, unit: Unit, request: Request, frames: list[bytes]
    ) -> float:
        """Frame a serial request. Returns how long the bytes of it and of its reply are on the wire."""
        sent = rtu.frame(unit.number, request.pdu)
        frames.append(sent)
        reader.expect(transaction, unit.number, request, sent)
        return self._character * (len(sent) + (request.reply_length or rtu.MAX_FRAME) + 3)

    def _pump_at(self, when: float) -> None:
        if self._pump_timer is not None:
            if self._pump_due <= when:
                return
            self._pump_timer.cancel()
        self._pump_due = when  # uvloop's handle for a time that has come does not tell it
        self._pump_timer = self._loop.call_at(when, self._pump_later)

    def _pump_later(self) -> None:
        self._pump_timer = None
        self._pump()

    def _check_time(self) -> None:
        """One timer serves all requests: it gives up those that are due and sleeps until the next one is."""
        self._timer = None
        link = self.link
        if link is None:
            return
        now = self._loop.time()
        due = 0.0
        for transaction, (batch, index, sent, limit, _) in list(self._in_flight.items()):
            if sent + limit > now:
                due = min(due or sent + limit, sent + limit)
                continue
            del self._in_flight[transaction]
            self.stats.timeouts += 1
            unit = batch.unit
            unit.silent(sent, limit, now)
            if link.rtu is not None:
                link.rtu.forget()
                self._not_before = max(self._not_before, now + max(rtu.QUIET, self._gap))
                unit.not_before = sent + max(unit.manners.timeout, limit) + rtu.GRACE
            silence = NoReply(f"no reply within {limit:.3g} s")
            unit.talk.went_wrong(silence, now)
            batch.settle(index, silence)
        if due:
            self._timer = self._loop.call_at(due, self._check_time)
            self._timer_due = due
        self._pump()

    def lost(self, error: ModbusError) -> None:
        """The present connection is gone; called by it. Whatever waits gets `error`."""
        if self.link is not None:
            self.note(str(error))
        self._end(error)

    def _end(self, error: ModbusError) -> None:
        link = self.link
        if link is None:
            return
        self.link = None
        if link.rtu is not None:
            self._echoes = link.rtu.echoes
        if link.transport is not None:
            link.transport.abort()
        self.stats.disconnects += 1
        for timer in (self._timer, self._pump_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._pump_timer = None
        waiting = [batch for batch, *_ in self._in_flight.values()]
        for batch in dict.fromkeys(
            [*waiting, *self._queue.drain()]
        ):  # in order: simulated runs repeat exactly
            batch.fail(error)
        self._in_flight.clear()
