"""One connection of any transport: how it is opened, framed, and what is told of its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from typing import Protocol, cast

from bessai.drivers.modbus import tls
from bessai.drivers.modbus.errors import ConnectionFailed, ModbusError
from bessai.drivers.modbus.mbap import FrameReader
from bessai.drivers.modbus.rtu import RtuReader
from bessai.drivers.modbus.serial import SerialTransport
from bessai.model import Endpoint

_REFUSAL = 0.1
"""Seconds in which a TLS 1.3 device can still refuse our certificate, after the handshake was done for us."""


class Owner(Protocol):
    """Who gets the bytes."""

    link: Link | None

    def received(self, data: bytes) -> None:
        """Bytes of the present connection."""

    def lost(self, error: ModbusError) -> None:
        """The present connection is gone."""


class Link(asyncio.Protocol):
    """One connection. Its late callbacks cannot touch the connection that followed it."""

    def __init__(self, owner: Owner, endpoint: Endpoint) -> None:
        self.owner = owner
        self.endpoint = endpoint
        self.rtu = RtuReader() if endpoint.transport in {"rtu", "rtu+tcp"} else None
        self.reader: FrameReader | RtuReader = self.rtu or FrameReader()
        self.transport: asyncio.Transport | None = None
        self.over = asyncio.Event()
        self.error: Exception | None = None
        self.why = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; the owner takes the link over later."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand bytes on."""
        if self.owner.link is self:
            self.owner.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say why it ended."""
        self.over.set()
        self.error = exc
        if isinstance(exc, ssl.SSLError):
            self.why = tls.explain(self.endpoint, exc)
        elif exc is not None:
            self.why = f"connection lost: {exc}"
        elif self.endpoint.serial:
            self.why = "the serial line was closed"
        else:
            self.why = "the device closed the connection"
        if self.owner.link is self:
            self.owner.lost(ConnectionFailed(self.why))


async def open_link(owner: Owner, endpoint: Endpoint, within: float) -> Link:
    """Open a connection within `within` seconds.

    Raises:
        ConnectionFailed: names the place and the reason.
    """
    link = Link(owner, endpoint)
    if endpoint.serial:
        SerialTransport(endpoint, link)
        return link
    host, port = endpoint.host, endpoint.port
    secure = tls.context(endpoint) if endpoint.transport == "tls" else None
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within):
            if secure is None:
                await loop.create_connection(lambda: link, host, port)
            else:
                await loop.create_connection(
                    lambda: link,
                    host,
                    port,
                    ssl=secure,
                    server_hostname=endpoint.server_name or host,
                    ssl_handshake_timeout=0.75 * within,
                )
    except TimeoutError:
        raise ConnectionFailed(f"{host} port {port} does not answer (no route or no device)") from None
    except (ssl.SSLError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
        if secure is None:
            raise ConnectionFailed(f"cannot connect to {host} port {port}: {_text(error)}") from None
        raise ConnectionFailed(tls.explain(endpoint, error)) from None
    except OSError as error:
        raise ConnectionFailed(f"cannot connect to {host} port {port}: {_text(error)}") from None
    if secure is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REFUSAL):
                await link.over.wait()
    if isinstance(link.error, ssl.SSLError):
        raise ConnectionFailed(link.why)
    if link.over.is_set() and secure is not None:
        shown = endpoint.cert or "a gateway without certificate"
        raise ConnectionFailed(
            f"{host} port {port}: the device hung up after the handshake, not accepting {shown}"
        )
    if link.transport is None or link.transport.is_closing():
        raise ConnectionFailed(f"{host} port {port} closed the connection at once")
    return link


def _text(error: OSError) -> str:
    known = error.errno is not None and error.errno > 0
    return os.strerror(error.errno or 0) if known else error.strerror or str(error)
