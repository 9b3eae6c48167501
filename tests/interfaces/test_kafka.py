"""The Kafka courier against a real broker."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from aiokafka import errors  # type: ignore[import-untyped]

from bessai.interfaces.broker_settings import KafkaSettings, Tls
from bessai.interfaces.courier import Lane, Trouble
from bessai.interfaces.envelope import Envelope
from bessai.interfaces.kafka import KafkaCourier
from support.batches import SITE, batch, send_until_taken
from support.certificates import Certificates, make_certificates
from support.kafka_broker import KafkaBroker, KafkaProxy
from support.processes import free_port

TOO_LARGE, NOT_AUTHORISED = 10, 29


@pytest.fixture(scope="module")
def proxied() -> Iterator[tuple[KafkaBroker, KafkaProxy]]:
    proxy = KafkaProxy()
    with KafkaBroker.start_or_skip(proxy_port=proxy.port) as broker, proxy.serve(broker.port):
        yield broker, proxy


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("pem"))


def courier_of(address: str, **more: object) -> KafkaCourier:
    environment = {"KAFKA_BROKERS": address, "KAFKA_TLS": "false"}
    environment |= {f"KAFKA_{name.upper()}": str(value) for name, value in more.items()}
    settings = KafkaSettings.from_environment(environment)
    assert settings is not None
    return KafkaCourier(settings, SITE)


def trouble_of(courier: KafkaCourier, timeout: float = 5.0) -> Trouble:
    with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is, it has to be explained
        courier.send(batch(1, 3), timeout)
    courier.close()
    return courier.explain(caught.value)


def ids(broker: KafkaBroker, topic: str) -> list[str]:
    return [dict(record.headers)["id"].decode() for record in broker.records(topic)]


def numbered(first: int, last: int) -> list[str]:
    return [f"{SITE}/0/{sequence}" for sequence in range(first, last + 1)]


def test_every_record_arrives_in_order_with_its_identity(
    proxied: tuple[KafkaBroker, KafkaProxy], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bessai")
    broker, proxy = proxied
    broker.create_topic("all", partitions=5)
    courier = courier_of(proxy.address, topic="all")
    for first in range(1, 1000, 250):
        courier.send(batch(first, first + 249), 30)
    courier.send(batch(1001, 1003, Lane.BACKLOG), 30)
    courier.close()
    records = broker.records("all")
    live = [record for record in records if record.key == SITE.encode()]
    backlog = [record for record in records if record.key == f"{SITE}/backlog".encode()]
    assert len(live) + len(backlog) == len(records)
    assert [dict(record.headers)["id"].decode() for record in live] == numbered(1, 1000)
    assert [dict(record.headers)["id"].decode() for record in backlog] == numbered(1001, 1003)
    assert len({record.partition for record in live}) == 1
    assert dict(backlog[-1].headers)["lane"] == b"backlog"
    assert Envelope.model_validate_json(live[-1].value).sequence == 1000
    assert (
        caplog.text.count("no producer ids") == 1
    )  # this broker has none: the courier does without, and says so


def test_a_lost_acknowledgement_repeats_records_with_the_same_id(
    proxied: tuple[KafkaBroker, KafkaProxy],
) -> None:
    broker, proxy = proxied
    broker.create_topic("lost")
    courier = courier_of(proxy.address, topic="lost")
    for first in range(1, 100, 10):
        proxy.lose = 1 if first % 20 == 1 else 0
        send_until_taken(courier, batch(first, first + 9))
    courier.close()
    found = ids(broker, "lost")
    assert list(dict.fromkeys(found)) == numbered(1, 100)
    assert len(found) == 150


def test_a_refusal_is_explained_and_nothing_newer_overtakes(proxied: tuple[KafkaBroker, KafkaProxy]) -> None:
    broker, proxy = proxied
    broker.create_topic("refused")
    courier = courier_of(proxy.address, topic="refused")
    proxy.produced, proxy.refusals = 0, [0, TOO_LARGE]
    with pytest.raises(errors.MessageSizeTooLargeError) as caught:
        courier.send(batch(1, 40, padding=100_000), 30)
    assert proxy.produced == 2
    large = courier.explain(caught.value)
    assert large.poison
    assert "max.message.bytes" in large.sentence
    assert ids(broker, "refused") == numbered(1, len(ids(broker, "refused")))
    proxy.refusals = [NOT_AUTHORISED]
    forbidden = trouble_of(courier)
    assert "No permission to write to the topic refused" in forbidden.sentence
    assert not forbidden.passing
    assert not forbidden.poison
    courier.send(batch(1, 40), 30)
    courier.close()
    assert ids(broker, "refused")[-40:] == numbered(1, 40)


def test_a_broker_that_restarts_is_found_again() -> None:
    with KafkaBroker.start_or_skip() as broker:
        broker.create_topic("records")
        courier = courier_of(broker.address, topic="records")
        courier.send(batch(1, 10), 30)
        broker.kill()
        away = trouble_of(courier, timeout=2)
        assert away.passing
        broker.start()
        broker.create_topic("records")
        send_until_taken(courier, batch(11, 20))
        courier.close()
        assert ids(broker, "records") == numbered(11, 20)


def test_tls(certificates: Certificates) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates.server, certificates.server_key)
    proxy = KafkaProxy(context)
    own = {"ca_file": certificates.ca, "cert_file": certificates.client, "key_file": certificates.client_key}
    with KafkaBroker.start_or_skip(proxy_port=proxy.port) as broker, proxy.serve(broker.port):
        ours = Tls(ca_file=certificates.ca, cert_file=certificates.client, key_file=certificates.client_key)
        broker.access = {
            "bootstrap_servers": proxy.address, "security_protocol": "SSL", "ssl_context": ours.context()
        }  # fmt: skip
        broker.create_topic("bessai.records")
        courier = courier_of(proxy.address, tls="true", **own)
        courier.send(batch(1, 3), 10)
        courier.close()
        untrusted = trouble_of(
            courier_of(proxy.address, tls="true", **(own | {"ca_file": certificates.other_ca}))
        )
        without = trouble_of(courier_of(proxy.address, tls="true", ca_file=certificates.ca))
        plain = trouble_of(courier_of(broker.address, tls="true", **own), timeout=2)
        assert ids(broker, "bessai.records") == numbered(1, 3)
    assert "is not trusted" in untrusted.sentence
    assert "KAFKA_CA_FILE" in untrusted.sentence
    assert "KAFKA_CERT_FILE" in without.sentence
    assert "KAFKA_TLS" in plain.sentence


def test_a_user_that_is_refused_is_told_so() -> None:
    with KafkaBroker.start_or_skip("--authentication") as broker:
        wrong = trouble_of(courier_of(broker.address, username="gateway", password="secret-b"))
        nobody = trouble_of(courier_of(broker.address), timeout=2)
    assert "refused user or password" in wrong.sentence
    assert "secret-b" not in wrong.sentence
    assert not wrong.passing
    assert "KAFKA_USERNAME" in nobody.sentence


def test_nobody_there_and_nobody_answering() -> None:
    away = trouble_of(courier_of(f"127.0.0.1:{free_port()}"))
    assert away.passing
    assert "cannot be reached" in away.sentence
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = trouble_of(courier_of(f"127.0.0.1:{silent.getsockname()[1]}"), timeout=1)
    assert mute.passing
    assert "does not answer in time" in mute.sentence


def test_closing_cancels_what_is_under_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        courier = courier_of(f"127.0.0.1:{silent.getsockname()[1]}")
        caught: list[Exception] = []

        def send() -> None:
            try:
                courier.send(batch(1, 1), 600)
            except Exception as error:  # noqa: BLE001  told to the test
                caught.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        silent.accept()
        courier.close()
        thread.join(30)
        assert not thread.is_alive()
    assert courier.explain(caught[0]).passing


@pytest.mark.parametrize(
    ("error", "words", "passing"),
    [
        (errors.UnknownTopicOrPartitionError(), "does not exist at b:1. Create it", False),
        (errors.InvalidTopicError(), "KAFKA_TOPIC=t", False),
        (errors.UnsupportedSaslMechanismError(), "KAFKA_SASL_MECHANISM=SCRAM-SHA-512", False),
        (errors.InvalidTimestampError(), "clock", False),
        (ImportError("aiokafka"), "pip install 'open-bess-edge[kafka]'", False),
        (errors.UnknownError(), "failed with UnknownError", True),
    ],
)
def test_errors_that_this_broker_does_not_make(error: Exception, words: str, passing: bool) -> None:
    trouble = courier_of("b:1", topic="t").explain(error)
    assert words in trouble.sentence
    assert (trouble.passing, trouble.poison) == (passing, False)


def test_a_compression_that_is_not_installed() -> None:
    try:
        import cramjam  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        sentence = trouble_of(courier_of(f"127.0.0.1:{free_port()}", compression="zstd")).sentence
        assert "KAFKA_COMPRESSION=zstd needs a package more" in sentence
    else:
        pytest.skip("needs a machine without cramjam")
