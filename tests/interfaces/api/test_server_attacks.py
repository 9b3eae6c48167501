"""The page's server while strangers do their worst: it answers the others meanwhile, and is as before afterwards."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from bessai.interfaces.api.connection import Patience
from bessai.interfaces.api.connections import MOST, Door
from bessai.interfaces.api.limits import Limits
from support.page_server import PASSWORD, PageServer, descriptors, page_server, parsed, raw, until

IMPATIENT = Patience(header=1.5, body=1.5, reading=0.5)
HOST = b"Host: 127.0.0.1\r\n"
SESSION = b"GET /api/v1/session HTTP/1.1\r\n" + HOST
POST = b"POST /api/v1/session HTTP/1.1\r\n" + HOST
ACT = b"POST /api/v1/requests HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST


async def _well(page: PageServer) -> None:
    """Others are answered: who looks, and who signs in."""
    for _ in range(3):
        assert (await page.ask("/api/v1/session")).status == 200
    said = await page.ask("/api/v1/session", {"user": "ana", "password": PASSWORD})
    assert said.status == 200, said


async def _drip(port: int, begin: bytes) -> bytes:
    """A byte at a time, until the other side ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    said = asyncio.create_task(reader.read(200))
    while not said.done():
        writer.write(b"x")
        await asyncio.wait({said}, timeout=0.1)
    writer.close()
    return b"" if said.exception() else said.result()


def test_slow_speakers_are_ended_and_hold_nobody_up(tmp_path: Path) -> None:
    async def run() -> None:
        async with page_server(tmp_path, patience=IMPATIENT) as page:
            await page.people()
            headers = [asyncio.create_task(_drip(page.port, SESSION + b"X-Slow: ")) for _ in range(40)]
            bodies = [
                asyncio.create_task(_drip(page.port, ACT + b"Content-Length: 9999\r\n\r\n"))
                for _ in range(40)
            ]
            await until(lambda: page.door.open == 80)
            await _well(page)
            for said in await asyncio.gather(
                *headers
            ):  # what it still says may be lost: it closes on bytes to read
                assert not said or said.startswith(b"HTTP/1.1 408 "), said
            assert not any(await asyncio.gather(*bodies))
            assert page.door.late == 80
            await until(lambda: page.door.open == 0)

    asyncio.run(run())


@pytest.mark.parametrize("tls", ["off", "on"])
def test_a_thousand_half_open_connections(tmp_path: Path, tls: str) -> None:
    async def run() -> None:
        async with page_server(tmp_path, patience=IMPATIENT, tls=tls) as page:
            await page.people()
            context = None
            if tls == "on":
                await until(page.server.certificate.certificate.exists)
                context = ssl.create_default_context(cafile=str(page.server.certificate.certificate))
            assert (await page.ask("/api/v1/session", tls=context)).status == 200
            await until(lambda: page.door.open == 0)
            before = descriptors()
            held = []
            for _ in range(
                MOST + 76 if tls == "off" else 100
            ):  # with TLS this is not even the beginning of a handshake
                sock = socket.socket()
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", page.port))
                if tls == "off":
                    sock.send(SESSION)
                held.append(sock)
            assert (await page.ask("/api/v1/session", tls=context)).status == 200
            assert page.door.open <= MOST
            await until(lambda: page.door.open == 0)  # though all of them are still there
            for sock in held:
                sock.close()
            assert (await page.ask("/api/v1/session", tls=context)).status == 200
            await until(lambda: descriptors() <= before)

    asyncio.run(run())


CHUNK = b"5\r\nhello\r\n0\r\n\r\n"
NOT_HTTP: list[tuple[str, bytes, set[int]]] = [
    ("noise", random.Random(1).randbytes(5000), {400}),
    ("TLS to a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), {400}),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {505}),
    ("HTTP/0.9", b"GET /api/v1/session\r\n\r\n", {400}),
    ("a huge header", SESSION + b"X: " + b"x" * 70_000 + b"\r\n\r\n", {400, 431}),
    ("endless headers", SESSION + b"X: 1\r\n" * 9000, {400, 431}),
    ("a zero byte", SESSION + b"X: a\0b\r\n\r\n", {400}),
    ("no host", b"GET /api/v1/session HTTP/1.1\r\n\r\n", {400, 421}),
    ("two hosts", SESSION + b"Host: other\r\n\r\n", {400, 421}),
    ("negative length", POST + b"Content-Length: -1\r\n\r\n", {400}),
    ("two lengths", POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", {400}),
    ("CL.TE", POST + b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK, {400}),
    ("TE.CL", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n" + CHUNK, {400}),
    ("TE.TE", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" + CHUNK, {400, 501}),
    ("a hidden TE", POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNK, {400}),
    ("unknown TE", POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK, {400, 501}),
    ("no chunk", POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", {0, 400}),
]


def test_what_is_no_http_is_refused_once_and_nothing_is_smuggled(tmp_path: Path) -> None:
    async def run() -> None:
        async with page_server(tmp_path) as page:
            await page.people()
            for name, data, statuses in NOT_HTTP:
                said = await raw(page.port, data + SESSION + b"\r\n")
                assert parsed(said).status in statuses, (name, said)
                assert said.count(b"HTTP/1.1 ") <= 1, (name, said)
            await _well(page)
            await until(lambda: page.door.open == 0)

    asyncio.run(run())


def test_old_and_eager_programs_are_served(tmp_path: Path) -> None:
    async def run() -> None:
        async with page_server(tmp_path) as page:
            await page.people()
            old = await raw(page.port, SESSION.replace(b"1.1", b"1.0") + b"\r\n")
            assert parsed(old).status == 200  # and ended, though nobody said so
            last = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n" + HOST
            eager = await raw(page.port, 20 * (SESSION + b"\r\n") + last + b"\r\n")
            assert eager.count(b"HTTP/1.1 200 ") == 20
            assert eager.rindex(b"HTTP/1.1 503 ") > eager.rindex(b"HTTP/1.1 200 "), "in order"

    asyncio.run(run())


async def _large(scope: Any, receive: Any, send: Any) -> None:
    size = 3 << 20
    length = [(b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": bytes(size)})


def test_who_does_not_read_is_ended_and_who_reads_slowly_is_not() -> None:
    async def ask(port: int, times: int) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        sock.send(times * (SESSION + b"\r\n"))
        return sock

    async def read(sock: socket.socket) -> int:
        loop = asyncio.get_running_loop()
        size = 0
        while size < 3 << 20 and (part := await loop.sock_recv(sock, 1 << 16)):
            size += len(part)
            await asyncio.sleep(0.001)
        return size

    async def run() -> None:
        door = Door(Limits(_large, answer=1.0), patience=IMPATIENT)
        port = door.listen("127.0.0.1", 0, lambda _: None)
        silent = [await ask(port, 1), await ask(port, 2), await ask(port, 9)]
        slow = await ask(port, 1)
        reading: Awaitable[int] = asyncio.create_task(read(slow))
        await until(lambda: door.open == 4 and len(door.state.tasks) == 2)  # the second answers wait
        await until(lambda: door.open <= 1)
        assert await reading > 3 << 20
        for sock in (*silent, slow):
            sock.close()
        await until(lambda: door.open == 0)
        await door.close()

    asyncio.run(run())
