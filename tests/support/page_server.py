"""The page's server in this process, as its own process runs it, with quick passwords and times that a test chooses."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessai.interfaces.api.audit import Audit
from bessai.interfaces.api.connection import Patience
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.identity import Hasher, Identity
from bessai.interfaces.api.live import CUT, Live
from bessai.interfaces.api.roles import Role
from bessai.interfaces.api.server import Server
from bessai.interfaces.api.settings import ApiSettings

PASSWORD = "a long word of nobody"


@dataclass(frozen=True)
class Said:
    """An answer as it came."""

    status: int
    head: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class PageServer:
    """A running one."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.context: Context = server.context
        self.door = server.door
        self.tokens: list[str] = []

    @property
    def port(self) -> int:
        return self.server.port

    async def people(self, tokens: int = 1) -> None:
        """An administrator `ana`, with tokens for everything."""
        identity = self.context.identity
        await identity.add_user("ana", Role.ADMINISTRATOR, PASSWORD)
        scopes = ("read", "control", "admin")
        for n in range(tokens):
            self.tokens.append((await identity.make_token("ana", f"t{n}", Role.ADMINISTRATOR, scopes, 1))[1])

    async def ask(
        self, path: str, body: Any = None, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None,
        token: bool = False, **headers: str,
    ) -> Said:  # fmt: skip
        """Ask one thing over a connection of its own."""
        if token:
            headers["Authorization"] = f"Bearer {self.tokens[0]}"
        data = b"" if body is None else json.dumps(body).encode()
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        if data:
            head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        line = (
            f"{'POST' if data else 'GET'} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{head}\r\n"
        )
        return parsed(await raw(self.port, line.encode() + data, host=host, tls=tls))

    async def watch(
        self, query: str = "", token: int = 0, receive: int | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a stream; `receive`: nobody reads it yet, and the system holds so many bytes for it."""
        sock = socket.socket()
        if receive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 20)
        if receive is not None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(
            f"GET /api/v1/stream{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {self.tokens[token]}\r\n\r\n".encode()
        )
        return reader, writer


@asynccontextmanager
async def page_server(
    data: Path, gateway_socket: Path | None = None, *, patience: Patience | None = None, cut: float = CUT,
    pauses: tuple[float, ...] = (0.05,), listening: bool = True, **settings: Any,
) -> AsyncIterator[PageServer]:  # fmt: skip
    """Serve until the end of the block; without a gateway's socket the control plane is silent."""
    path = gateway_socket or data / "nobody.sock"
    chosen = ApiSettings(**{"site": "s", "data_dir": data, "socket": path, "port": 0, **settings})
    gateway = Gateway(path)
    data.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  a test's own directory
    context = Context(
        settings=chosen, gateway=gateway, identity=Identity(data / "identity.db", Hasher((1, 8))),
        audit=Audit(data / "audit"), live=Live(path, "s", gateway, cut),
    )  # fmt: skip
    page = PageServer(Server(context, patience, pauses))
    task = asyncio.create_task(page.server.run())
    try:
        if listening:
            await until(lambda: page.door.listening)
        yield page
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        context.audit.close()
        context.identity.close()
        context.readers.shutdown()


async def until(check: Callable[[], object], within: float = 60.0) -> None:
    """Wait for something that will come."""
    async with asyncio.timeout(within):
        while not check():  # noqa: ASYNC110  anything may be waited for
            await asyncio.sleep(0.02)


def posted(path: str, body: Any = None, host: str = "127.0.0.1", **headers: str) -> bytes:
    """A request: POST when it has a body."""
    data = b"" if body is None else json.dumps(body).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if data:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    line = f"{'POST' if data else 'GET'} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{head}\r\n"
    return line.encode() + data


async def raw(port: int, data: bytes, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> bytes:
    """Send bytes; what comes until the other side ends."""
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    writer.write(data)
    said = bytearray()
    try:
        while part := await asyncio.wait_for(reader.read(65536), 60):
            said += part
    except ConnectionError:
        pass
    finally:
        writer.close()
    return bytes(said)


def parsed(said: bytes) -> Said:
    """The answer in bytes that came."""
    head, _, body = said.partition(b"\r\n\r\n")
    text = head.decode()
    if "transfer-encoding: chunked" in text.lower():
        plain = b""
        while body and (size := int(body.partition(b"\r\n")[0], 16)):
            body = body.partition(b"\r\n")[2]
            plain, body = plain + body[:size], body[size + 2 :]
        body = plain
    return Said(int(text.split()[1]) if text else 0, text.lower(), body)


def descriptors(pid: int | None = None) -> int:
    """Files and sockets that a process holds, by default this one."""
    return len(os.listdir(f"/proc/{pid or 'self'}/fd"))  # noqa: PTH208  a count
