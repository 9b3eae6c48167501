"""The controlled station: listens, lets masters in, and brings every cycle to all of them.

    outstation = Outstation(scada, ask, clock)
    await outstation.start()
    await follow(path, outstation.station.sources.watched, outstation)     # `Listener`

One master's trouble is its own: each has a session with bounded queues and the link's timers.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import OrderedDict
from typing import Any, Final

from bessai.iec104 import Asdu, Cause, InfoObject, TypeId, encode
from bessai.interfaces.scada.access import AddressList
from bessai.interfaces.scada.authority import Authority
from bessai.interfaces.scada.buffer import EventBuffer
from bessai.interfaces.scada.commands import Ask, Commander
from bessai.interfaces.scada.dialogue import Shared
from bessai.interfaces.scada.encoder import Encoder
from bessai.interfaces.scada.feed import Columns, Frame
from bessai.interfaces.scada.session import Session
from bessai.interfaces.scada.station import Changes, Station
from bessai.model import Clock
from bessai.site.scada import Scada, Tls

_log = logging.getLogger(__name__)

_HANDSHAKE: Final = 5.0
"""Seconds for the TLS handshake."""
_HANDSHAKES: Final = 8
"""Handshakes under way at once."""
_EACH: Final = 2
"""Connections of one master; a further one ends the oldest, which the master has given up."""
_SECOND: Final = 1.0
_STRANGERS: Final = 64
"""Addresses that were turned away and are remembered, so that each is logged once."""


class Outstation:
    """One station for any number of masters.

    Args:
        scada: the point list, with its section `iec104`.
        ask: the control plane.
        clock: of everything.

    Raises:
        ValueError: the section is missing.
    """

    def __init__(self, scada: Scada, ask: Ask, clock: Clock) -> None:
        if scada.iec104 is None:
            raise ValueError("scada.iec104 is missing: nobody can connect")
        settings = scada.iec104
        self.settings: Final = settings
        self.station = Station(scada.points, settings.stale, clock.monotonic())
        self.buffer: Final = EventBuffer(settings.buffer)
        self.commander = Commander(ask, "iec104", settings.link_loss)
        self.authority: Final = Authority(settings.command)
        self.feed_problem: str | None = "the gateway's feed has not begun"
        """Why no cycles arrive; None while they do."""
        self.refused = 0
        """Connections that were turned away."""
        self._clock = clock
        self._encoder = Encoder(self.station, settings)
        self._shared = Shared(
            settings=settings, encoder=self._encoder, commands={point.ioa: point for point in scada.commands},
            commander=self.commander, authority=self.authority, clock=clock,
        )  # fmt: skip
        self._allowed = AddressList(settings.masters)
        self._sessions: list[Session] = []
        self._linked: set[str] = set()
        self._greeted: OrderedDict[str, None] = OrderedDict()
        self._strangers: OrderedDict[str, None] = OrderedDict()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._ticking: asyncio.Task[None] | None = None
        self._first = True

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The connections of masters."""
        return tuple(self._sessions)

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on: without encryption, then with."""
        return [server.sockets[0].getsockname()[1] for server in self._servers]

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or a certificate cannot be read.
        """
        loop, settings = asyncio.get_running_loop(), self.settings
        tls = tls_context(settings.tls) if settings.tls is not None else None
        for port, context in ((settings.port, None), (settings.tls.port if settings.tls else None, tls)):
            if port is not None:
                self._servers.append(
                    await loop.create_server(
                        lambda context=context: _Gate(self, context),  # type: ignore[misc]
                        settings.listen,
                        port,
                    )
                )
        self._ticking = loop.create_task(self._tick())

    async def stop(self) -> None:
        """Close everything. The standing set-points are left to their lease."""
        for server in self._servers:
            server.close()
        for task in (self._ticking, *self._handshakes):
            if task is not None:
                task.cancel()
        for session in list(self._sessions):
            session.close()
        await asyncio.sleep(0)

    # the feed ----------------------------------------------------------------------------------------------------

    def started(self, columns: Columns) -> None:
        """See `Listener`."""
        self.station.started(columns)
        self.feed_problem = None
        self.commander.renew_soon()

    def frame(self, frame: Frame) -> None:
        """See `Listener`."""
        self._tell_own()
        # the first values are news only to somebody who has seen that there were none
        quiet, self._first = self._first and not self.buffer.known, False
        self._publish(self.station.frame(frame, self._clock.monotonic(), quiet=quiet))

    def lost(self, reason: str) -> None:
        """See `Listener`."""
        if self.feed_problem is None:
            _log.warning("IEC 104: no cycles arrive: %s", reason)
        self.feed_problem = reason
        self.station.lost()
        self._refresh()

    # masters -----------------------------------------------------------------------------------------------------

    def admit(self, address: str) -> Session | None:
        """A session for a new connection, or None when it is turned away."""
        if address not in self._allowed:
            self.refused += 1
            if address not in self._strangers:
                self._strangers[address] = None
                _log.warning("IEC 104: %s may not connect: it is not among scada.iec104.masters", address)
                while len(self._strangers) > _STRANGERS:
                    self._strangers.popitem(last=False)
            return None
        same = [session for session in self._sessions if session.master == address]
        full = len(self._sessions) >= self.settings.max_masters
        if same and (full or len(same) >= _EACH):
            _log.info("IEC 104: %s connects once more: its oldest connection is closed", address)
            self._forget(same[0])
            same[0].close()
        elif full:
            self.refused += 1
            _log.warning("IEC 104: %s is turned away: %d are connected", address, len(self._sessions))
            return None
        session = Session(address, self._shared, self.buffer, self._linked, self._session_changed)
        self._sessions.append(session)
        _log.info("IEC 104: %s has connected", address)
        return session

    def encrypt(
        self, transport: asyncio.Transport, gate: _Gate, context: ssl.SSLContext, address: str
    ) -> None:
        """Begin a TLS handshake, then a session."""
        if address not in self._allowed or len(self._handshakes) >= _HANDSHAKES:
            self.admit(address) if address not in self._allowed else None
            transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._encrypt(transport, gate, context, address))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _encrypt(
        self, transport: asyncio.Transport, gate: _Gate, context: ssl.SSLContext, address: str
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            safe = await loop.start_tls(
                transport, gate, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE
            )
        except (OSError, ssl.SSLError) as error:
            _log.warning("IEC 104: TLS with %s failed: %s", address, error)
            transport.abort()
            return
        session = self.admit(address)
        if safe is None or session is None:
            transport.abort()
            return
        safe.set_protocol(session)
        session.connection_made(safe)
        if gate.early:
            session.data_received(bytes(gate.early))

    def _session_changed(self, session: Session) -> None:
        if session.closed:
            self._forget(session)
            _log.info("IEC 104: %s has gone", session.master)
        elif session.started and session.master not in self._greeted:
            self._greeted[session.master] = None
            while len(self._greeted) > _STRANGERS:
                self._greeted.popitem(last=False)
            session.reply(self._initialized())
        if session.started and self.buffer.overflowed:
            self.station.report_again("scada.events_lost")  # that report may have been among what was lost
        self._linked.clear()
        self._linked.update(session.master for session in self._sessions if session.started)
        self._refresh()

    def _forget(self, session: Session) -> None:
        if session in self._sessions:
            self._sessions.remove(session)

    def _initialized(self) -> bytes:
        return encode(
            Asdu(
                type=TypeId.M_EI_NA_1,
                cause=int(Cause.INITIALIZED),
                address=self.settings.common_address,
                objects=(InfoObject(value=0),),
            ),
            self._encoder.sizes,
        )

    # values ------------------------------------------------------------------------------------------------------

    def _publish(self, changes: Changes) -> None:
        if len(changes):
            self.buffer.append(self._encoder.events(changes))
        for session in self._sessions:
            if session.started:
                session.pump()

    def _refresh(self) -> None:
        self._tell_own()
        self._publish(self.station.tick(self._clock.monotonic(), self._clock.wall_ns()))

    def _tell_own(self) -> None:
        self.buffer.settle(self._linked)
        sources = self.station.sources
        sources.forget("command.")
        sources.learn(
            {
                "scada.events_lost": float(self.buffer.overflowed),
                "scada.in_command": float(any(self.authority.may(master) for master in self._linked)),
                "scada.fallback": float(self.commander.fallback),
                **self.commander.told,
            }
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_SECOND)
            holder = self.authority.holder
            linked = holder is not None and holder in self._linked
            await self.commander.look(self._clock.monotonic(), linked=linked)
            if holder is not None and not linked and not self.commander.waiting:
                self.authority.give_up()
            self._refresh()

    def status(self) -> dict[str, Any]:
        """For people: masters, links, queues, the last command."""
        sync, last = self._shared.clock_sync, self.commander.last
        return {
            "masters": [session.status for session in self._sessions],
            "in_command": self.authority.holder,
            "refused_connections": self.refused,
            "malformed": self._shared.malformed,
            "events": {
                "held": len(self.buffer),
                "lost": self.buffer.lost,
                "overflowed": self.buffer.overflowed,
            },
            "commands": {
                "accepted": self.commander.counts.accepted,
                "refused": self.commander.counts.refused,
                "last": None if last is None else {"text": last.text, "refused": last.refused},
                "standing": self.commander.standing,
                "fallback": self.commander.fallback,
            },
            "clock_sync": None if sync is None else {"master": sync.master, "offset": sync.offset},
            "data_age": self.station.sources.oldest(self._clock.monotonic()),
            "feed": {
                "problem": self.feed_problem,
                "period": self.station.period,
                "missed": self.station.missed,
                "silence": self.station.silence(self._clock.monotonic()),
            },
        }


class _Gate(asyncio.Protocol):
    """A connection that has just come: lets it in, asks for encryption first, or closes it."""

    def __init__(self, outstation: Outstation, context: ssl.SSLContext | None) -> None:
        self.early = bytearray()
        """What came together with the end of the handshake."""
        self._outstation = outstation
        self._context = context

    def data_received(self, data: bytes) -> None:
        self.early += data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  asyncio gives it
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if self._context is not None:
            transport.pause_reading()
            self._outstation.encrypt(transport, self, self._context, address)
            return
        session = self._outstation.admit(address)
        if session is None:
            transport.abort()
            return
        transport.set_protocol(session)
        session.connection_made(transport)


def tls_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or newer with certificates on both sides (IEC 62351-3).

    Raises:
        OSError: a file cannot be read or is no certificate or key; the message names the setting.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(tls.ca)
    except OSError as error:
        raise OSError(f"scada.iec104.tls.ca={tls.ca}: {error.strerror or error}") from error
    try:
        context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:
        raise OSError(
            f"scada.iec104.tls.cert={tls.cert}, key={tls.key}: {error.strerror or error}"
        ) from error
    return context
