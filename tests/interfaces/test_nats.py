"""The NATS courier against a real server with JetStream."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bessai.interfaces.broker_settings import NatsSettings
from bessai.interfaces.courier import Courier, Lane, Trouble
from bessai.interfaces.envelope import Envelope
from bessai.interfaces.nats import NatsCourier, credentials
from support.batches import SITE, batch, send_until_taken
from support.certificates import Certificates, make_certificates
from support.nats_accounts import operator_config
from support.nats_server import NatsServer
from support.processes import free_port

SUBJECT = "bessai.pl%C3%A4nt%201%2Ea.records"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    config = """authorization { users: [
        { user: admin, password: a },
        { user: mute, password: m, permissions: { publish: ["_INBOX.>"], subscribe: [">"] } } ] }"""
    with NatsServer.start_or_skip(
        tmp_path_factory.mktemp("nats"), config, user="admin", password="a"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("pem"))


def courier_of(url: str, **more: object) -> NatsCourier:
    environment = {"NATS_URL": url} | {f"NATS_{name.upper()}": str(value) for name, value in more.items()}
    settings = NatsSettings.from_environment(environment, SITE)
    assert settings is not None
    return NatsCourier(settings, SITE)


def admin(server: NatsServer, **more: object) -> NatsCourier:
    return courier_of(server.url, username="admin", password="a", **more)


def trouble_of(courier: Courier, padding: int = 0, timeout: float = 3.0) -> Trouble:
    with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is, it has to be explained
        courier.send(batch(1, 3, padding=padding), timeout)
    courier.close()
    return courier.explain(caught.value)


def test_every_record_arrives_once_in_order_with_its_identity(server: NatsServer) -> None:
    server.add_stream("ALL", [SUBJECT])
    courier = admin(server, stream="ALL")
    for first in range(1, 1500, 500):
        courier.send(batch(first, first + 499), 30)
    courier.send(batch(1001, 1500), 30)  # again
    courier.send(batch(1501, 1502, Lane.BACKLOG), 30)
    courier.close()
    messages = server.messages("ALL")
    assert [message.headers["Nats-Msg-Id"] for message in messages if message.headers] == [
        f"{SITE}/0/{sequence}" for sequence in range(1, 1503)
    ]
    last = messages[-1]
    assert last.headers is not None
    assert (last.headers["lane"], last.headers["sequence"]) == ("backlog", "1502")
    assert Envelope.model_validate_json(last.data).sequence == 1502
    server.ask(lambda streams: streams.delete_stream("ALL"))


def test_killed_in_the_middle_of_batches_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    with NatsServer.start_or_skip(tmp_path) as server:
        server.add_stream("RECORDS", ["bessai.>"])
        courier = courier_of(server.url, stream="RECORDS")
        done, kills = threading.Event(), 0

        def kill() -> None:
            nonlocal kills
            while not done.wait(random.uniform(0.05, 0.3)) and kills < 5:
                server.kill()
                kills += 1
                server.start()

        killer = threading.Thread(target=kill)
        killer.start()
        failed, first = 0, 1
        try:
            while kills < 5 or first == 1:
                failed += send_until_taken(courier, batch(first, first + 299))
                first += 300
        finally:
            done.set()
            killer.join()
        courier.close()
        ids = [message.headers["Nats-Msg-Id"] for message in server.messages("RECORDS") if message.headers]
    assert ids == [f"{SITE}/0/{sequence}" for sequence in range(1, first)]
    assert failed > 0


def test_no_stream_says_how_to_create_it(server: NatsServer) -> None:
    for courier in (admin(server), admin(server, stream="NONE")):
        trouble = trouble_of(courier)
        assert "nats stream add" in trouble.sentence
        assert f"--subjects='{SUBJECT}'" in trouble.sentence
        assert not trouble.passing
        assert not trouble.poison


def test_the_limits_of_a_stream(server: NatsServer) -> None:
    server.add_stream("LIMITS", [SUBJECT], max_msgs=4, discard="new", max_msg_size=10_000)
    server.add_stream("OTHER", ["other"])
    courier = admin(server)
    large = trouble_of(courier, padding=20_000)
    assert large.poison
    assert "max_msg_size" in large.sentence
    assert "NATS_STREAM=OTHER" in trouble_of(admin(server, stream="OTHER")).sentence
    courier.send(batch(1, 4), 10)
    with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is, it has to be explained
        courier.send(batch(5, 8), 10)
    full = courier.explain(caught.value)
    assert "is full" in full.sentence
    assert full.passing
    assert not full.poison
    server.ask(lambda streams: streams.purge_stream("LIMITS"))
    courier.send(batch(5, 8), 10)
    courier.close()
    too_large = trouble_of(admin(server), padding=2_000_000)
    assert too_large.poison
    assert "max_payload" in too_large.sentence
    server.ask(lambda streams: streams.delete_stream("LIMITS"))


def test_a_short_duplicate_window_is_told(server: NatsServer, caplog: pytest.LogCaptureFixture) -> None:
    server.add_stream("SHORT", [SUBJECT], duplicate_window=10)
    courier = admin(server, stream="SHORT")
    courier.send(batch(1, 1), 10)
    courier.close()
    assert "forgets ids after 10 s" in caplog.text
    server.ask(lambda streams: streams.delete_stream("SHORT"))


def test_who_may_not_is_told_so(server: NatsServer) -> None:
    wrong = trouble_of(courier_of(server.url, username="admin", password="secret-b"))
    assert "Check NATS_USERNAME" in wrong.sentence
    assert "secret-b" not in wrong.sentence
    nobody = trouble_of(courier_of(server.url))
    assert "refused this user" in nobody.sentence
    mute = trouble_of(courier_of(server.url, username="mute", password="m"))
    assert f"publish to {SUBJECT}" in mute.sentence
    assert not any(trouble.passing for trouble in (wrong, nobody, mute))


def test_tls(tmp_path: Path, certificates: Certificates) -> None:
    tls = f"""tls {{ cert_file: "{certificates.server}", key_file: "{certificates.server_key}"
        ca_file: "{certificates.ca}", verify: true }}"""
    own = {"ca_file": certificates.ca, "cert_file": certificates.client, "key_file": certificates.client_key}
    ours = NatsSettings.from_environment(
        {"NATS_URL": "tls://h:1"} | {f"NATS_{name.upper()}": str(path) for name, path in own.items()}, SITE
    )
    assert ours is not None
    assert ours.tls is not None
    with NatsServer.start_or_skip(tmp_path, tls, tls=ours.tls.context()) as server:
        server.add_stream("RECORDS", ["bessai.>"])
        url = server.url.replace("nats://", "tls://")
        courier = courier_of(url, **own)
        courier.send(batch(1, 3), 10)
        courier.close()
        assert server.info("RECORDS").state.messages == 3
        untrusted = trouble_of(courier_of(url, **(own | {"ca_file": certificates.other_ca})))
        assert "is not trusted" in untrusted.sentence
        assert "NATS_CA_FILE" in untrusted.sentence
        without = trouble_of(courier_of(url, ca_file=certificates.ca))
        assert "NATS_CERT_FILE" in without.sentence
        assert server.info("RECORDS").state.messages == 3


def test_credentials_file(tmp_path: Path) -> None:
    file, strange = tmp_path / "gateway.creds", tmp_path / "strange.creds"
    config = operator_config(file)
    operator_config(strange)
    jwt, sign = credentials(file)
    access = {"user_jwt_cb": lambda: jwt, "signature_cb": sign}
    with NatsServer.start_or_skip(tmp_path / "server", config, **access) as server:
        server.add_stream("RECORDS", ["bessai.>"])
        courier = courier_of(server.url, credentials_file=file)
        courier.send(batch(1, 5), 10)
        courier.close()
        assert server.info("RECORDS").state.messages == 5
        refused = trouble_of(courier_of(server.url, credentials_file=strange))
        assert "NATS_CREDENTIALS_FILE" in refused.sentence
        assert not refused.passing
        strange.write_text("nothing")
        empty = trouble_of(courier_of(server.url, credentials_file=strange))
        assert f"NATS_CREDENTIALS_FILE={strange} is no credentials file" in empty.sentence


def test_nobody_there_and_nobody_answering() -> None:
    away = trouble_of(courier_of(f"nats://127.0.0.1:{free_port()}"))
    assert away.passing
    assert "cannot be reached" in away.sentence
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = trouble_of(courier_of(f"nats://127.0.0.1:{silent.getsockname()[1]}"), timeout=2)
    assert mute.passing
    assert "does not answer in time" in mute.sentence


def test_closing_cancels_what_is_under_way_and_the_next_batch_connects_anew(server: NatsServer) -> None:
    server.add_stream("CLOSE", [SUBJECT])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        caught: list[Exception] = []
        stuck = courier_of(f"nats://127.0.0.1:{silent.getsockname()[1]}")

        def send_stuck() -> None:
            try:
                stuck.send(batch(1, 1), 600)
            except Exception as error:  # noqa: BLE001  told to the test
                caught.append(error)

        thread = threading.Thread(target=send_stuck)
        thread.start()
        silent.accept()
        stuck.close()
        thread.join(30)
        assert not thread.is_alive()
    assert stuck.explain(caught[0]).passing
    courier = admin(server)
    courier.send(batch(1, 2), 10)
    courier.close()
    courier.close()
    courier.send(batch(3, 4), 10)
    courier.close()
    assert server.info("CLOSE").state.messages == 4
    server.ask(lambda streams: streams.delete_stream("CLOSE"))
