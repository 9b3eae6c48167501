"""Certificate, door, limits and the page's files, each with real sockets or files."""

from __future__ import annotations

import asyncio
import socket
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest

from bessai.interfaces.api.addresses import neighbourhood
from bessai.interfaces.api.connections import Door
from bessai.interfaces.api.limits import Limits, Rate
from bessai.interfaces.api.live import Viewer
from bessai.interfaces.api.page import Page
from bessai.interfaces.api.settings import ApiSettings
from bessai.interfaces.api.tls import Certificate, encrypted


def _settings(path: Path, **more: Any) -> ApiSettings:
    return ApiSettings(site="s", data_dir=path, socket=path / "x.sock", **more)


async def _ask(port: int, head: bytes, context: ssl.SSLContext | None = None) -> bytes:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="bess.example" if context else None
    )
    writer.write(head)
    said = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return said


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": scope["scheme"].encode().ljust(5)})


GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def test_own_certificate_is_verified_by_its_name(tmp_path: Path) -> None:
    certificate = Certificate(_settings(tmp_path, name="bess.example"))
    served = certificate.context()
    assert stat.S_IMODE(certificate.key.stat().st_mode) == 0o600
    before = certificate.fingerprint
    certificate.refresh()
    assert certificate.fingerprint == before
    Certificate(_settings(tmp_path, name="other.example")).refresh()
    certificate.refresh()
    assert certificate.fingerprint != before, "the files have changed"

    async def run() -> None:
        door = Door(_hello)
        port = door.listen("127.0.0.1", 0, lambda _: served)
        trusted = ssl.create_default_context(cadata=first)
        assert (await _ask(port, GET, trusted)).endswith(b"https")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await _ask(port, GET, old)
        await door.close()

    other = Certificate(_settings(tmp_path / "b", name="bess.example"))
    served = other.context()
    first = other.certificate.read_text()
    asyncio.run(run())


def test_tls_is_left_out_on_loopback_alone(tmp_path: Path) -> None:
    assert not encrypted(_settings(tmp_path), "127.0.0.1")
    assert encrypted(_settings(tmp_path), "10.0.0.1")
    assert encrypted(_settings(tmp_path, tls="on"), "127.0.0.1")
    assert not encrypted(_settings(tmp_path, tls="off"), "10.0.0.1")


@pytest.mark.parametrize(
    "begin", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"]
)
def test_who_asks_is_not_kept_out_by_who_only_connects_or_never_asks_to_the_end(begin: bytes) -> None:
    async def run() -> None:
        door = Door(_hello, most=20)
        port = door.listen("127.0.0.1", 0, lambda _: None)
        held = []
        for _ in range(60):
            held.append(socket.create_connection(("127.0.0.1", port)))
            held[-1].sendall(begin)
            await asyncio.sleep(0)
        assert (await _ask(port, GET)).endswith(b"http ")
        assert door.shed >= 40
        assert door.open <= 20
        for sock in held:
            sock.close()
        await door.close()

    asyncio.run(run())


def test_large_bodies_and_fast_callers_are_refused() -> None:
    async def run() -> None:
        door = Door(Limits(_hello))
        port = door.listen("127.0.0.1", 0, lambda _: None)
        post = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        assert b" 413 " in await _ask(port, post + b"Content-Length: 70000\r\n\r\n")
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        assert b" 413 " in await _ask(
            port, post + b"Transfer-Encoding: chunked\r\n\r\n" + 3 * chunk + b"0\r\n\r\n"
        )
        sign_in = GET.replace(b"GET /", b"POST /api/v1/session")
        codes = [(await _ask(port, sign_in))[9:12] for _ in range(15)]
        assert codes[0] == b"200"
        assert codes[-1] == b"429"
        await door.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_network_counts_as_one(address: str, whose: str) -> None:
    assert neighbourhood(address) == whose


def test_tokens_come_back() -> None:
    now = [0.0]
    rate = Rate(2, 3, lambda: now[0])
    assert [rate.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.take("b") == 0
    now[0] = 0.5
    assert rate.take("a") == 0


def test_a_slow_viewer_loses_its_oldest_cycles() -> None:
    async def run() -> None:
        viewer = Viewer("main")
        viewer.put("hello", b"hello ")
        for n in range(20):
            viewer.put("cycle", b"[%d " % n)
        said = await viewer.take(1)
        assert said.startswith(b"hello [12 12}")
        assert said.count(b"[") == 8
        assert await viewer.take(0.01) == b""

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/../secret", "/assets/../../secret", "//etc/passwd", "/%2e%2e/secret"])
def test_only_the_page_is_served(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("secret")
    page = tmp_path / "page"
    (page / "assets").mkdir(parents=True)
    assert Page(page)._answer("GET", "/", _headers()).status_code == 404
    (page / "index.html").write_text("<html>")
    (page / "assets" / "a-1.js").write_text("1")
    (page / "assets" / "a-1.js.br").write_bytes(b"packed")
    served = Page(page)
    assert served._answer("GET", path, _headers()).status_code == 404
    index = served._answer("GET", "/", _headers())
    assert index.headers["cache-control"] == "no-cache"
    again = served._answer("GET", "/", _headers(**{"if-none-match": index.headers["etag"]}))
    assert again.status_code == 304
    script = served._answer("GET", "/assets/a-1.js", _headers(**{"accept-encoding": "gzip, br"}))
    assert (script.body, script.headers["content-encoding"]) == (b"packed", "br")
    assert "immutable" in script.headers["cache-control"]
    refused = served._answer("GET", "/assets/a-1.js", _headers(**{"accept-encoding": "br;q=0, gzip"}))
    assert (refused.body, "content-encoding" in refused.headers) == (b"1", False)


def _headers(**given: str) -> Any:
    from starlette.datastructures import Headers

    return Headers(given)
