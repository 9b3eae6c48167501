"""Ports that are taken, certificates that do not fit, full disks, and the end: said clearly, survived, undone."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bessai.interfaces.api.audit import Audit
from bessai.interfaces.api.server import build
from bessai.interfaces.api.settings import ApiSettings
from bessai.interfaces.api.tls import Certificate
from support.certificates import Certificates, make_certificates
from support.page_process import page_process
from support.page_server import PASSWORD, PageServer, Said, page_server, raw, until
from support.processes import free_port
from support.small_disk import occupy, remount, small_disk_of


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# the port ---------------------------------------------------------------------------------------------------


def test_a_used_port_is_said_once_and_taken_when_it_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            async with page_server(tmp_path, port=port, listening=False) as page:
                await until(lambda: _errors(caplog))
                await asyncio.sleep(0.3)  # some more attempts
                other.close()
                await until(lambda: page.door.listening)
                assert (await page.ask("/api/v1/session")).status == 200
        (said,) = _errors(caplog)
        assert f"HTTP_PORT={port}: another program listens on 127.0.0.1:{port}" in said
        assert "end it, or set HTTP_PORT to a free port" in said

    asyncio.run(run())


def test_an_address_that_the_machine_does_not_have_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with page_server(tmp_path, host="192.0.2.7", tls="off") as page:
            await page.people()
            await until(lambda: _errors(caplog))
            assert (await page.ask("/api/v1/session")).status == 200, "this machine's own address goes on"
        (said,) = _errors(caplog)
        assert "HTTP_HOST=192.0.2.7: this machine has no such address" in said

    asyncio.run(run())


def test_the_setting_for_setting_up_is_named_when_it_is_the_one_that_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with page_server(tmp_path, setup_host="192.0.2.7", tls="off"):
            await until(lambda: _errors(caplog))
        (said,) = _errors(caplog)
        assert "HTTP_SETUP_HOST=192.0.2.7: this machine has no such address; set HTTP_SETUP_HOST to" in said

    asyncio.run(run())


async def _refused(port: int, host: str) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.2"])
def test_until_it_is_set_up_it_listens_on_this_machine_alone(
    tmp_path: Path, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def run() -> None:
        async with page_server(tmp_path, host=host) as page:
            await until(lambda: "open http://127.0.0.1:" in caplog.text)
            assert await _refused(page.port, "127.0.0.2")
            assert "the page: " not in caplog.text
            link = next(r.getMessage() for r in caplog.records if "setup?token=" in r.getMessage())
            setup = {"token": link.partition("token=")[2], "user": "ana", "password": PASSWORD}
            assert (await page.ask("/api/v1/setup", setup)).status == 201
            await until(lambda: f":{page.port}" in caplog.text.partition("the page: ")[2])
            said = await page.ask("/api/v1/session", host="127.0.0.2")
            assert said.json()["setup_needed"] is False
            assert (await page.ask("/api/v1/session")).status == 200
            again = await page.ask("/api/v1/setup", setup)
            assert again.json()["code"] == "set_up_already"

    asyncio.run(run())


def test_in_a_container_it_is_set_up_where_its_network_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def run() -> None:
        async with page_server(tmp_path, host="0.0.0.0", setup_host="0.0.0.0", tls="off") as page:
            await until(lambda: "open http://127.0.0.1:" in caplog.text)
            said = await page.ask("/api/v1/session", host="127.0.0.2")
            assert said.json()["setup_needed"] is True
            refused = await page.ask("/api/v1/overview", host="127.0.0.2")
            assert refused.json()["code"] == "not_set_up", "it answers nothing but the setting up"
            await page.people()
            await until(lambda: not page.context.identity.setup_needed)
            assert (await page.ask("/api/v1/session", host="127.0.0.2")).json()["setup_needed"] is False

    asyncio.run(run())


# certificates -----------------------------------------------------------------------------------------------


def _made(directory: Path, days: int) -> tuple[Path, Path]:
    """A certificate that ends in so many days, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bess.example")])
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(end - dt.timedelta(days=90)).not_valid_after(end)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, private = directory / f"{days}.pem", directory / f"{days}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    private.write_bytes(key.private_bytes(*kinds, serialization.NoEncryption()))
    locked = serialization.BestAvailableEncryption(b"secret")
    (directory / f"{days}.locked").write_bytes(key.private_bytes(*kinds, locked))
    return certificate, private


def _certificate(path: Path, certificate: Path, key: Path) -> Certificate:
    return Certificate(
        ApiSettings(site="s", data_dir=path, socket=path / "s", cert_file=certificate, key_file=key)
    )


def test_certificates_that_cannot_be_used_are_named_with_the_mend(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, key = _made(tmp_path, 60)
    other, other_key = _made(tmp_path, -1)
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for certificate, private, setting, why in (
        (tmp_path / "none.pem", key, "HTTP_CERT_FILE", "cannot be read (No such file"),
        (tmp_path, key, "HTTP_CERT_FILE", "cannot be read (Is a directory"),
        (good, tmp_path / "none.key", "HTTP_KEY_FILE", "cannot be read (No such file"),
        (text, key, "HTTP_CERT_FILE", "holds no certificate"),
        (good, text, "HTTP_KEY_FILE", "is not the key of"),
        (good, other_key, "HTTP_KEY_FILE", "is not the key of"),
        (good, tmp_path / "60.locked", "HTTP_KEY_FILE", "without a passphrase"),
    ):
        with pytest.raises(OSError, match=setting) as refused:
            _certificate(tmp_path, certificate, private).context()
        wrong = certificate if setting == "HTTP_CERT_FILE" else private
        assert str(refused.value).startswith(f"{setting}={wrong}: ")
        assert why in str(refused.value)
    assert not _errors(caplog)
    over = _certificate(tmp_path, other, other_key)
    for _ in range(3):  # it is still served: people may look and go on
        over.refresh()
    (said,) = _errors(caplog)
    assert "over since" in said
    assert "renew it" in said


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = _made(tmp_path, 60)
    used = _certificate(tmp_path, certificate, key)
    context, before = used.context(), used.fingerprint
    certificate.write_text("half a cert")
    for _ in range(3):
        used.refresh()
    assert used.context() is context
    (said,) = _errors(caplog)
    assert "HTTP_CERT_FILE" in said
    assert "the one read before stays in use" in said
    for new, old in zip(_made(tmp_path, 90), (certificate, key), strict=True):
        new.replace(old)
    used.refresh()
    assert used.fingerprint != before


async def _encrypted(page: PageServer, certificates: Certificates) -> None:
    known = ssl.create_default_context(cafile=str(certificates.ca))
    _, writer = await asyncio.open_connection("127.0.0.1", page.port, ssl=known)
    assert writer.get_extra_info("ssl_object").version() in {"TLSv1.2", "TLSv1.3"}
    writer.close()
    said = await page.ask("/api/v1/session", {"user": "ana", "password": PASSWORD}, tls=known)
    assert said.status == 200
    cookie = said.head.partition("set-cookie: ")[2].partition("\r\n")[0]
    assert cookie.startswith("__host-bessai_session=")
    assert {"secure", "httponly", "path=/", "samesite=strict"} <= set(cookie.split("; "))
    assert "domain" not in cookie
    assert "strict-transport-security: max-age=31536000" in said.head
    oldest = ssl.create_default_context(cafile=str(certificates.ca))
    oldest.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await page.ask("/api/v1/session", tls=oldest)).status == 200
    stranger = ssl.create_default_context(cafile=str(certificates.other_ca))
    with pytest.raises(ssl.SSLCertVerificationError):
        await page.ask("/api/v1/session", tls=stranger)
    assert await raw(page.port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") == b"", "no plain answers"


def test_the_page_under_tls(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "pki")

    async def run() -> None:
        async with page_server(
            tmp_path / "data", tls="on", cert_file=certificates.server, key_file=certificates.server_key
        ) as page:
            await page.people()
            await _encrypted(page, certificates)
        async with page_server(tmp_path / "data") as page:
            said = await page.ask("/api/v1/session", {"user": "ana", "password": PASSWORD})
            assert "set-cookie: bessai_session=" in said.head
            assert "strict-transport-security" not in said.head

    asyncio.run(run())


# the disk ---------------------------------------------------------------------------------------------------


async def _act(page: PageServer, name: str) -> Said:
    body = {"name": name, "role": "viewer", "password": f"{PASSWORD} 2"}
    return await page.ask("/api/v1/users", body, token=True)


async def _reads(page: PageServer) -> None:
    for path in ("/users", "/tokens", "/audit", "/configuration"):
        said = await page.ask(f"/api/v1{path}", token=True)
        assert said.status in {200, 503}
        assert said.status == 200 or said.json()["code"] == "gateway_silent", said
    assert (await page.ask("/api/v1/session", token=True)).json()["user"]["name"] == "token:t0"


def test_nothing_is_done_on_a_full_disk_and_reading_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = [time.time()]

    async def run(disk: Path) -> None:
        async with page_server(disk / "data") as page:
            page.context.identity._clock = lambda: now[0]
            await page.people()
            assert (await _act(page, "before")).status == 201
            occupy(disk / "ballast")
            await _refuses(page)
            sign_in = await page.ask("/api/v1/session", {"user": "ana", "password": PASSWORD})
            assert sign_in.json()["code"] == "identity_unwritable", sign_in
            assert "make room on the disk" in sign_in.json()["detail"]
            now[0] += 300  # the last use of the token cannot be noted
            await _reads(page)
            (disk / "ballast").unlink()
            await _is_as_before(page)
        assert any("the audit log cannot be written" in text for text in _errors(caplog))
        assert not [text for text in _errors(caplog) if "failed" in text], "no fault of ours"

    with small_disk_of(2, tmp_path) as disk:
        asyncio.run(run(disk))


def test_nothing_is_done_on_a_read_only_disk_and_reading_goes_on(tmp_path: Path) -> None:
    async def run(disk: Path) -> None:
        async with page_server(disk.parent) as page:
            page.context.audit.directory = disk
            await page.people()
            assert (await _act(page, "before")).status == 201
            remount(disk, "ro")
            await _refuses(page)
            await _reads(page)
            sign_in = await page.ask("/api/v1/session", {"user": "ana", "password": PASSWORD})
            assert sign_in.json()["code"] == "audit_unavailable", sign_in
            remount(disk, "rw")
            await _is_as_before(page)

    with small_disk_of(2, tmp_path) as disk:
        asyncio.run(run(disk))
        remount(disk, "ro")
        with pytest.raises(OSError, match="let the gateway's user write it") as refused:
            build(ApiSettings(site="s", data_dir=disk, socket=tmp_path / "s"))
        assert str(disk / "identity.db") in str(refused.value)


async def _refuses(page: PageServer) -> None:
    refused = await _act(page, "meanwhile")
    assert (refused.status, refused.json()["code"]) == (503, "audit_unavailable")
    assert "nothing was done: the audit log cannot be written" in refused.json()["detail"]


async def _is_as_before(page: PageServer) -> None:
    assert (await _act(page, "after")).status == 201
    assert (await page.ask("/api/v1/session", {"user": "ana", "password": PASSWORD})).status == 200
    users = (await page.ask("/api/v1/users", token=True)).json()["users"]
    assert {user["name"] for user in users} == {"ana", "before", "after"}
    verdict = await page.context.audit.verify()
    assert verdict.ok, verdict


# the end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["SIGTERM", "the gateway's end"])
def test_it_ends_though_everybody_still_wants_something(tmp_path: Path, how: str) -> None:
    port = free_port()
    data = tmp_path / "data"
    data.mkdir()
    with page_process(data, tmp_path / "nobody", port) as page:
        token = page.until(r"setup\?token=(\S+)")[1]

        async def run() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = f'{{"token": "{token}", "user": "ana", "password": "{PASSWORD}"}}'
            writer.write(
                "POST /api/v1/setup HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("HTTP/1.1 201 ")
            cookie = next(x for x in head.split("\r\n") if x.lower().startswith("set-cookie"))
            cookie = cookie.partition(": ")[2].partition(";")[0]
            streams = []
            for begin in (
                *(3 * [f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n"]),
                *(3 * ["GET /api/v1/session HTTP/1.1\r\nHost:"]),
                *(3 * ["POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{"]),
            ):
                streams.append(await asyncio.open_connection("127.0.0.1", port))
                streams[-1][1].write(begin.encode())
            for far, _ in streams[:3]:
                await far.readuntil(b"event: lost")
            assert page.process.stdin is not None
            if how == "SIGTERM":
                page.process.send_signal(signal.SIGTERM)
            else:
                page.process.stdin.close()
            for far, _ in streams:  # each is ended
                try:
                    while await far.read(65536):
                        pass
                except ConnectionError:
                    continue
            assert await _refused(port, "127.0.0.1")
            assert await asyncio.to_thread(page.process.wait, 60) == 0, page.log.read_text()

        asyncio.run(run())
    last = page.log.read_text().splitlines()
    assert "ending: " in last[-1], last
    assert not [line for line in last if "Traceback" in line or " ERROR " in line]
    audit = Audit(data / "audit")
    assert audit.check().ok
    audit.close()


def test_an_unusable_file_of_users_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "identity.db").write_bytes(b"no database" * 999)
    with pytest.raises(OSError, match="restore it from a backup") as refused:
        build(ApiSettings(site="s", data_dir=tmp_path, socket=tmp_path / "s"))
    assert str(tmp_path / "identity.db") in str(refused.value)
