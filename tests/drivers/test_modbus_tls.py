"""Modbus/TCP Security against pymodbus' TLS server: what works, and one clear sentence for what does not."""

from __future__ import annotations

import asyncio
import datetime
import select
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from pymodbus.server import ModbusTcpServer, ModbusTlsServer

from bessai.drivers.modbus import ConnectionFailed, Manners, ModbusClient, read
from bessai.model import Endpoint
from support.pymodbus_device import port_of, sim_device, stop

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """A plant's certificate authority and its files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.ca = trustme.CA()
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.file)

    def leaf(self, name: str, **options: Any) -> tuple[Path, Path]:
        cert = self.ca.issue_cert(name, **options)
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.cert_chain_pems[0].write_to_path(files[0])
        cert.private_key_pem.write_to_path(files[1])
        return files


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "theirs")


@asynccontextmanager
async def _device(
    ours: Authority, name: str = "127.0.0.1", issuer: Authority | None = None, **options: Any
) -> AsyncIterator[Endpoint]:
    """A TLS device that wants a certificate of `ours`; yields how it is rightly reached."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*(issuer or ours).leaf(name, **options))
    context.load_verify_locations(ours.file)
    context.verify_mode = ssl.CERT_REQUIRED
    server = ModbusTlsServer(sim_device(), sslctx=context, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    cert, key = ours.leaf("gateway")
    yield Endpoint(transport="tls", host="127.0.0.1", port=port_of(server), ca=ours.file, cert=cert, key=key)
    await stop(server)


async def _why(endpoint: Endpoint, patience: float = 5.0) -> str:
    client = ModbusClient(endpoint, manners=Manners(timeout=patience))
    try:
        await client.connect()
    except ConnectionFailed as error:
        return str(error)
    (reply,) = await client.transact(1, [read("holding", 1, 1)])  # TLS 1.3 may refuse a client late
    assert isinstance(reply, ConnectionFailed)
    assert not client.connected
    return str(reply)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("name", ["127.0.0.1", "battery.example.org"])
def test_mutual_tls(ours: Authority, run: Callable[[Any], Any], name: str) -> None:
    async def body() -> None:
        async with _device(ours, name) as endpoint:
            named = endpoint if name == endpoint.host else replace(endpoint, server_name=name)
            client = ModbusClient(named)
            await client.connect()
            assert await client.transact(1, [read("holding", 7, 1), read("holding", 0, 125)]) == [
                b"\0\x46",
                b"".join((10 * i).to_bytes(2, "big") for i in range(125)),
            ]
            client.close()

    run(body())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_each_refusal_is_one_clear_sentence(
    ours: Authority, theirs: Authority, run: Callable[[Any], Any]
) -> None:
    async def body() -> None:
        async with _device(ours) as endpoint:
            place = f"127.0.0.1 port {endpoint.port}"
            why = await _why(replace(endpoint, ca=theirs.file))
            assert why.startswith(f"{place}: the device's certificate is not signed by {theirs.file}")
            why = await _why(replace(endpoint, server_name="other.example.org"))
            assert why.startswith(f"{place}: the device's certificate is not for 'other.example.org'")
            cert, key = theirs.leaf("stranger")  # asyncio's server hangs up without a word
            why = await _why(replace(endpoint, cert=cert, key=key))
            assert why == f"{place}: the device hung up after the handshake, not accepting {cert}"
        async with _device(ours, not_before=LONG_AGO, not_after=LONG_AGO + datetime.timedelta(1)) as endpoint:
            assert "the device's certificate has expired" in await _why(endpoint)

    run(body())


@contextmanager
def _strict_device(ours: Authority, version: ssl.TLSVersion) -> Iterator[Endpoint]:
    """Says by an alert why it refuses, as OpenSSL does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    context.load_cert_chain(*ours.leaf("127.0.0.1"))
    context.load_verify_locations(ours.file)
    context.verify_mode = ssl.CERT_REQUIRED

    def serve() -> None:
        while True:
            plain, _ = listener.accept()
            with plain:
                plain.settimeout(5)
                if not select.select([plain], [], [], 5)[0] or not plain.recv(1, socket.MSG_PEEK):
                    return
                with suppress(OSError):
                    context.wrap_socket(plain, server_side=True).close()
                with suppress(OSError):
                    plain.recv(1)  # until the gateway has read the alert and hung up

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        yield Endpoint(transport="tls", host="127.0.0.1", port=port, ca=ours.file)
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_devices_alert_is_told(
    ours: Authority, theirs: Authority, run: Callable[[Any], Any], version: ssl.TLSVersion
) -> None:
    async def body(endpoint: Endpoint) -> None:
        why = await _why(endpoint)
        assert "wants a certificate from the gateway" in why or "refuses the gateway's certificate" in why
        cert, key = theirs.leaf("stranger")
        assert await _why(replace(endpoint, cert=cert, key=key)) == (
            f"127.0.0.1 port {endpoint.port}: the device does not know the authority "
            f"that signed the gateway's certificate ({cert})"
        )
        cert, key = ours.leaf("old", not_before=LONG_AGO, not_after=LONG_AGO + datetime.timedelta(1))
        assert "the gateway's certificate has expired" in await _why(replace(endpoint, cert=cert, key=key))

    with _strict_device(ours, version) as endpoint:
        run(body(endpoint))


@pytest.mark.parametrize("answers", [True, False])
def test_a_device_that_speaks_plain_modbus(ours: Authority, answers: bool) -> None:
    async def body() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            if answers:
                writer.write(bytes.fromhex("0000 0000 0003 01 83 01"))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        cert, key = ours.leaf("gateway")
        endpoint = Endpoint(transport="tls", host="127.0.0.1", port=port, ca=ours.file, cert=cert, key=key)
        assert "plain Modbus TCP" in await _why(endpoint)
        server.close()

        silent = ModbusTcpServer(sim_device(), address=("127.0.0.1", 0))
        await silent.serve_forever(background=True)
        assert "plain Modbus TCP" in await _why(replace(endpoint, port=port_of(silent)), patience=0.3)
        await stop(silent)

    asyncio.run(body())


def test_files_that_cannot_be_used_are_named(ours: Authority, tmp_path: Path) -> None:
    cert, key = ours.leaf("gateway")
    _, other_key = ours.leaf("other")
    right = Endpoint(transport="tls", host="127.0.0.1", port=1, ca=ours.file, cert=cert, key=key)
    (tmp_path / "empty.pem").touch()

    async def body() -> None:
        assert str(tmp_path / "empty.pem") in await _why(replace(right, ca=tmp_path / "empty.pem"))
        assert "key values mismatch" in await _why(replace(right, key=other_key))
        assert str(tmp_path / "no.pem") in await _why(replace(right, cert=tmp_path / "no.pem"))

    asyncio.run(body())
