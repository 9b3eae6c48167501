"""Connections: how many, and how slowly they may speak and read.

uvicorn's own protocol waits for ever for the end of a header. Here a header has 5 s, a body 10 s, a connection that
says nothing between requests 15 s, and one that takes nothing of its answer 15 s. When there are too many connections,
those that ask nothing, have not asked to the end or do not read make room, the oldest first: none of these can keep out
who asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.server import ServerState

from bessai.interfaces.api.addresses import is_loopback, neighbourhood, plain_address
from bessai.interfaces.api.connection import UNSENT, Guarded, Patience

_log = logging.getLogger(__name__)

HEADER_BYTES = 16 << 10
MOST = 1024
"""Connections in all."""
MOST_OF_ONE = 128
"""Connections of one address; this machine's may be a reverse proxy with everybody behind it, and is not limited."""
_DESCRIPTORS = MOST + 512
_NOTSENT_LOWAT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # not every system has it

TlsFor = Callable[[str], "ssl.SSLContext | None"]
"""The TLS of connections to an address of ours; None: none."""


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


def raise_descriptors() -> None:
    """As many open files as the connections need, when the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
