"""Connections: how many, and how slowly they may speak and read.

uvicorn's own protocol waits for ever for the end of a header. Here a header has 5 s, a body 10 s, a connection that
says nothing between requests 15 s, and one that takes nothing of its answer 15 s. When there are too many connections,
those that ask nothing, have not asked to the end or do not read make room, the oldest first: none of these can keep out
who asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, cast

import h11
from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

_log = logging.getLogger(__name__)

HEADER_BYTES = 16 << 10
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


MOST = 1024
"""Connections in all."""
MOST_OF_ONE = 128
"""Connections of one address; this machine's may be a reverse proxy with everybody behind it, and is not limited."""
_DESCRIPTORS = MOST + 512
_NOTSENT_LOWAT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # not every system has it

TlsFor = Callable[[str], "ssl.SSLContext | None"]
"""The TLS of connections to an address of ours; None: none."""


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


class _Guest:
    """A connection from its first moment on, before TLS has been agreed on."""

    def __init__(self, sock: socket.socket, protocol: Guarded) -> None:
        self.sock, self.protocol = sock, protocol
        self.task: asyncio.Task[None] | None = None

    def end(self) -> None:
        if self.protocol.made:
            self.protocol.abort()
        elif self.task is not None:
            self.task.cancel()


class Door:
    """Listens, and lets connections in.

    Args:
        app: answers them.
        most: connections in all.
        of_one: connections of one address.
        patience: with the slow.
    """

    def __init__(
        self, app: ASGIApp, most: int = MOST, of_one: int = MOST_OF_ONE, patience: Patience | None = None
    ) -> None:
        self.patience = patience or Patience()
        self.config = Config(
            cast("Any", app), loop="none", http=Guarded, ws="none", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False, timeout_keep_alive=self.patience.idle,
            h11_max_incomplete_event_size=HEADER_BYTES,
        )  # fmt: skip
        self.config.load()
        self.state = ServerState()
        self.late = self.shed = 0
        """Connections that spoke too slowly, and that made room for others."""
        self._most, self._of_one = most, of_one
        self._guests: dict[Guarded, _Guest] = {}
        self._by_address: Counter[str] = Counter()
        self._listening: dict[tuple[str, int], tuple[socket.socket, asyncio.Task[None]]] = {}
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # strangers' bytes are no news
        raise_descriptors()

    @property
    def open(self) -> int:
        """Connections."""
        return len(self._guests)

    @property
    def listening(self) -> bool:
        """Somebody can come."""
        return bool(self._listening)

    def listen(self, host: str, port: int, tls: TlsFor) -> int:
        """Listen; the port.

        Raises:
            OSError: it cannot.
        """
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
            sock.bind(address)
            sock.listen(1024)
        except OSError:
            sock.close()
            raise
        sock.setblocking(False)
        self._listening[host, port] = (sock, asyncio.create_task(self._accept(sock, tls)))
        return int(sock.getsockname()[1])

    async def unlisten(self) -> None:
        """Listen no more; connections stay."""
        held, self._listening = self._listening, {}
        for sock, task in held.values():
            task.cancel()
            await asyncio.wait({task})
            sock.close()

    async def close(self, grace: float = 0.2) -> None:
        """End everything."""
        await self.unlisten()
        tasks = set(self.state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for guest in list(self._guests.values()):
            guest.end()

    def tell_time(self) -> None:
        """Renew the header Date; once a second."""
        self.state.default_headers = [(b"date", formatdate(usegmt=True).encode())]

    def forget(self, protocol: Guarded) -> None:
        """A connection has ended."""
        if self._guests.pop(protocol, None) is not None:
            self._by_address[protocol.address] -= 1
            if self._by_address[protocol.address] <= 0:
                del self._by_address[protocol.address]

    async def _accept(self, listening: socket.socket, tls: TlsFor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(listening)
            except OSError as error:  # no descriptor is left, or the other side has gone
                _log.debug("no connection was accepted: %s", error)
                self._make_room(None)
                await asyncio.sleep(0.05)
                continue
            address = neighbourhood(peer[0])
            local = is_loopback(peer[0])
            full = not local and self._by_address[address] >= self._of_one
            if (full and not self._make_room(address)) or (
                len(self._guests) >= self._most and not self._make_room(None)
            ):
                sock.close()
                continue
            protocol = Guarded(self, address)
            guest = self._guests[protocol] = _Guest(sock, protocol)
            self._by_address[address] += 1
            guest.task = asyncio.create_task(self._connect(guest, tls))

    async def _connect(self, guest: _Guest, tls: TlsFor) -> None:
        sock, loop = guest.sock, asyncio.get_running_loop()
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _NOTSENT_LOWAT is not None:
                sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT)
            wanted = tls(plain_address(sock.getsockname()[0]))
            limits: dict[str, Any] = {
                "ssl_handshake_timeout": self.patience.header, "ssl_shutdown_timeout": 1.0
            }  # fmt: skip
            await loop.connect_accepted_socket(
                lambda: guest.protocol, sock, ssl=wanted, **(limits if wanted else {})
            )
        except (OSError, ssl.SSLError, TimeoutError, asyncio.CancelledError):
            self.forget(guest.protocol)
            with contextlib.suppress(OSError):
                sock.close()

    def _make_room(self, address: str | None) -> bool:
        """End the oldest connection that is spare, of one address or of all."""
        for protocol, guest in self._guests.items():
            if protocol.spare and address in {None, protocol.address}:
                self.shed += 1
                self.forget(protocol)
                guest.end()
                return True
        return False


def plain_address(address: str) -> str:
    """IPv4 in IPv6 is shown as IPv4."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def neighbourhood(address: str) -> str:
    """Whom a limit is for: an address, in IPv6 the network of 64 bits in which a machine takes as many as it likes."""
    plain = plain_address(address)
    if ":" not in plain or is_loopback(plain):
        return plain
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_network(f"{plain.partition('%')[0]}/64", strict=False))
    return plain


def is_loopback(address: str) -> bool:
    """An address of this machine alone."""
    try:
        return ipaddress.ip_address(plain_address(address)).is_loopback
    except ValueError:
        return address == "localhost"


def raise_descriptors() -> None:
    """As many open files as the connections need, when the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
