"""Masters come and go: who may connect, TLS, how many at once, and which of them are linked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from bessai.interfaces.scada.access import AddressList
from bessai.interfaces.scada.buffer import EventBuffer
from bessai.interfaces.scada.seldom import Seldom
from bessai.interfaces.scada.session import Session
from bessai.interfaces.scada.shared import Shared
from bessai.site.scada import Tls

_log = logging.getLogger(__name__)

_HANDSHAKE: Final = 5.0
"""Seconds for the TLS handshake."""
_HANDSHAKES: Final = 8
"""Handshakes under way at once."""
_EARLY: Final = 1024
"""Bytes that a master may send together with the end of the handshake."""
_EACH: Final = 2
"""Connections of one master; a further one ends the oldest, which the master has given up."""
_STRANGERS: Final = 64
"""Addresses that were turned away and are remembered, so that each is logged once."""


class Masters:
    """The door and the sessions behind it.

    Args:
        shared: of the station.
        buffer: of events.
        changed: is called when a master is linked or no longer is; True as second argument the first time ever.
    """

    def __init__(self, shared: Shared, buffer: EventBuffer, changed: Callable[[Session, bool], None]) -> None:
        self.sessions: list[Session] = []
        """The connections."""
        self.linked: set[str] = set()
        """Addresses of masters with data transfer."""
        self.refused = 0
        """Connections that were turned away."""
        self._shared = shared
        self._buffer = buffer
        self._changed = changed
        self._allowed = AddressList(shared.settings.masters)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._strangers: OrderedDict[str, None] = OrderedDict()
        self._handshakes: dict[asyncio.Task[None], str] = {}
        """The address of each handshake under way."""
        self._servers: list[asyncio.Server] = []
        self._tls: ssl.SSLContext | None = None
        """As the files were when they were last good."""
        self._failures = Seldom(_log)

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on: without encryption, then with."""
        return [server.sockets[0].getsockname()[1] for server in self._servers]

    async def listen(self) -> None:
        """Let masters in.

        Raises:
            OSError: the port is taken, or a certificate cannot be read.
        """
        settings = self._shared.settings
        doors: list[tuple[int, bool]] = []
        if settings.port is not None:
            doors.append((settings.port, False))
        if settings.tls is not None:
            self._tls = tls_context(settings.tls)
            doors.append((settings.tls.port, True))
        loop = asyncio.get_running_loop()
        for port, encrypted in doors:

            def gate(encrypted: bool = encrypted) -> _Gate:
                return _Gate(self, encrypted=encrypted)

            self._servers.append(await loop.create_server(gate, settings.listen, port))

    def close(self) -> None:
        """Close every connection, and let nobody in."""
        for server in self._servers:
            server.close()
        for task in self._handshakes:
            task.cancel()
        for session in list(self.sessions):
            session.close()

    def admit(self, address: str) -> Session | None:
        """A session for a new connection, or None when it is turned away."""
        if not self.allows(address):
            return None
        same = [session for session in self.sessions if session.master == address]
        full = len(self.sessions) >= self._shared.settings.max_masters
        may = self._shared.authority.may
        watching = [session for session in self.sessions if not may(session.master)]
        if same and (full or len(same) >= _EACH):
            _log.info("IEC 104: %s connects once more: its oldest connection is closed", address)
            self._put_out(same[0])
        elif full and watching and may(address):
            _log.warning("IEC 104: %s makes room for %s, which may command", watching[0].master, address)
            self._put_out(watching[0])
        elif full:
            self.refused += 1
            self._failures.warning(
                "IEC 104: %s is turned away: %d are connected", address, len(self.sessions)
            )
            return None
        session = Session(address, self._shared, self._buffer, self.linked, self._session_changed)
        self.sessions.append(session)
        _log.info("IEC 104: %s has connected", address)
        return session

    def _put_out(self, session: Session) -> None:
        self.sessions.remove(session)
        session.close()

    def allows(self, address: str) -> bool:
        """True for a master of the list; counts and logs any other."""
        if address in self._allowed:
            return True
        self.refused += 1
        if address not in self._strangers:
            _log.warning("IEC 104: %s may not connect: it is not among scada.iec104.masters", address)
            _remember(self._strangers, address)
        return False

    def encrypt(self, transport: asyncio.Transport, gate: _Gate, address: str) -> None:
        """Begin a TLS handshake, then a session."""
        under_way = list(self._handshakes.values())
        if (
            not self.allows(address)
            or len(under_way) >= _HANDSHAKES
            or under_way.count(address) >= _EACH  # one that stalls keeps nobody else out
        ):
            transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._encrypt(transport, gate, address))
        self._handshakes[task] = address
        task.add_done_callback(self._handshakes.pop)

    def _context(self) -> ssl.SSLContext | None:
        """Of the files as they are now: a renewed certificate needs no restart. A bad one leaves the old in use."""
        if (tls := self._shared.settings.tls) is not None:
            try:
                self._tls = tls_context(tls)
            except OSError as error:
                self._failures.warning("IEC 104: %s: what was read before stays in use", error)
        return self._tls

    async def _encrypt(self, transport: asyncio.Transport, gate: _Gate, address: str) -> None:
        loop = asyncio.get_running_loop()
        context = self._context()
        assert context is not None  # noqa: S101  `listen` opens no such door without
        try:
            safe = await loop.start_tls(
                transport, gate, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE
            )
        except (OSError, ssl.SSLError) as error:
            self._failures.warning(
                "IEC 104: TLS with %s failed: %s", address, str(error) or "it closed the connection"
            )
            transport.abort()
            return
        session = self.admit(address) if safe is not None else None
        if safe is None or session is None:
            transport.abort()
            return
        safe.set_protocol(session)
        session.connection_made(safe)
        if gate.early:
            session.data_received(bytes(gate.early))

    def _session_changed(self, session: Session) -> None:
        first = session.started and session.master not in self._seen
        if session.started:
            _remember(self._seen, session.master)
        if session.closed:
            with contextlib.suppress(ValueError):
                self.sessions.remove(session)
            _log.info("IEC 104: %s has gone", session.master)
        self.linked.clear()
        self.linked.update(session.master for session in self.sessions if session.started)
        self._changed(session, first)


class _Gate(asyncio.Protocol):
    """A connection that has just come: lets it in, asks for encryption first, or closes it."""

    def __init__(self, masters: Masters, *, encrypted: bool) -> None:
        self.early = bytearray()
        """What came together with the end of the handshake."""
        self._masters = masters
        self._encrypted = encrypted
        self._transport: asyncio.Transport | None = None

    def data_received(self, data: bytes) -> None:
        self.early += data
        if len(self.early) > _EARLY and self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  asyncio gives it
        self._transport = transport
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if self._encrypted:
            transport.pause_reading()
            self._masters.encrypt(transport, self, address)
            return
        session = self._masters.admit(address)
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


def _remember(addresses: OrderedDict[str, None], address: str) -> None:
    addresses[address] = None
    addresses.move_to_end(address)
    while len(addresses) > _STRANGERS:
        addresses.popitem(last=False)
