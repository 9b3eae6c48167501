"""What the environment says about Kafka, NATS and Parquet, and one clear error a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessai.interfaces.broker_settings import KafkaSettings, NatsSettings, subject_token
from bessai.interfaces.parquet_settings import ParquetSettings
from support.certificates import make_certificates

KAFKA = {"KAFKA_BROKERS": "a.example:9093, [::1]:9093"}
NATS = {"NATS_URL": "tls://a.example:4222,tls://b.example"}


def test_off_by_default() -> None:
    assert KafkaSettings.from_environment({"KAFKA_BROKERS": "", "KAFKA_TOPIC": "t"}) is None
    assert NatsSettings.from_environment({}, "site") is None
    assert ParquetSettings.from_environment({"PARQUET_KEEP_DAYS": "3"}) is None


def test_defaults_are_safe(tmp_path: Path) -> None:
    kafka = KafkaSettings.from_environment(KAFKA)
    assert kafka is not None
    assert (kafka.brokers, kafka.topic) == (("a.example:9093", "[::1]:9093"), "bessai.records")
    assert (kafka.compression, kafka.username) == ("gzip", None)
    assert kafka.tls is not None
    nats = NatsSettings.from_environment(NATS, "site 1")
    assert nats is not None
    assert (nats.servers, nats.subject) == (
        ("tls://a.example:4222", "tls://b.example"),
        "bessai.site%201.records",
    )
    assert nats.tls is not None
    assert ParquetSettings.from_environment({"PARQUET_DIR": str(tmp_path)}) == ParquetSettings(
        directory=tmp_path
    )
    kept = ParquetSettings.from_environment({"PARQUET_DIR": "new", "PARQUET_KEEP_DAYS": "31"})
    assert kept == ParquetSettings(directory=Path("new"), keep_days=31)


def test_secrets_come_from_files_and_are_not_printed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush-1\n")
    kafka = KafkaSettings.from_environment(
        KAFKA | {"KAFKA_USERNAME": "u", "KAFKA_PASSWORD_FILE": str(secret), "KAFKA_SASL_MECHANISM": "plain"}
    )
    assert kafka is not None
    assert (kafka.password, kafka.mechanism) == ("hush-1", "PLAIN")
    nats = NatsSettings.from_environment(NATS | {"NATS_TOKEN_FILE": str(secret)}, "s")
    assert nats is not None
    assert nats.token == "hush-1"
    assert "hush-1" not in f"{kafka!r} {nats!r}"


def test_a_password_may_be_plain_inside_this_machine() -> None:
    account = {"NATS_USERNAME": "u", "NATS_PASSWORD": "p", "KAFKA_USERNAME": "u", "KAFKA_PASSWORD": "p"}
    nats = NatsSettings.from_environment(account | {"NATS_URL": "nats://127.0.0.1:4222"}, "s")
    assert nats is not None
    assert nats.tls is None
    kafka = KafkaSettings.from_environment(
        account | {"KAFKA_BROKERS": "localhost:9092", "KAFKA_TLS": "false"}
    )
    assert kafka is not None
    assert kafka.tls is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"KAFKA_BROKERS": "a:1,b"}, "KAFKA_BROKERS=a:1,b: 'b' is no host:port"),
        ({"KAFKA_BROKERS": "kafka://a:1"}, "is no host:port"),
        ({"KAFKA_BROKERS": "a:70000"}, "'a:70000' is no host:port"),
        ({"KAFKA_TOPIC": "a b"}, "KAFKA_TOPIC=a b: give up to 249 letters"),
        ({"KAFKA_TLS": "maybe"}, "KAFKA_TLS=maybe: give one of true, false"),
        ({"KAFKA_COMPRESSION": "rar"}, "KAFKA_COMPRESSION=rar: give one of none, gzip"),
        ({"KAFKA_SASL_MECHANISM": "MD5"}, "KAFKA_SASL_MECHANISM=MD5: give one of PLAIN"),
        ({"KAFKA_USERNAME": "u"}, "KAFKA_PASSWORD_FILE is not set"),
        ({"KAFKA_PASSWORD": "hush-1"}, "KAFKA_USERNAME is not set"),
        (
            {"KAFKA_USERNAME": "u", "KAFKA_PASSWORD": "hush-1", "KAFKA_TLS": "false"},
            "KAFKA_TLS=false: remove it",
        ),
        ({"KAFKA_CA_FILE": "/nowhere/ca"}, "KAFKA_CA_FILE=/nowhere/ca: cannot be read: No such file"),
        ({"KAFKA_CA_FILE": __file__}, f"KAFKA_CA_FILE={__file__}: give PEM files"),
        ({"KAFKA_CERT_FILE": __file__}, f"KAFKA_CERT_FILE={__file__}: give PEM files"),
        ({"KAFKA_KEY_FILE": __file__}, "KAFKA_CERT_FILE is not set"),
        (
            {"KAFKA_USERNAME": "u", "KAFKA_PASSWORD": "hush-1", "KAFKA_PASSWORD_FILE": __file__},
            "are both set",
        ),
        (
            {"KAFKA_USERNAME": "u", "KAFKA_PASSWORD_FILE": "/dev/null"},
            "KAFKA_PASSWORD_FILE=/dev/null: is empty",
        ),
    ],
)
def test_mistakes_about_kafka(change: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=r"^KAFKA_") as caught:
        KafkaSettings.from_environment(KAFKA | change)
    assert words in str(caught.value)
    assert "hush-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"NATS_URL": "a:4222"}, "NATS_URL=a:4222: give tls://host:4222"),
        ({"NATS_URL": "tls://a/b"}, "NATS_URL=tls://a/b: give"),
        ({"NATS_URL": "tls://[::1"}, "NATS_URL=tls://[::1: give tls://host:4222"),
        ({"NATS_URL": "tls://u:hush-1@h:port"}, "@h:port: give tls://host:4222"),
        ({"NATS_URL": "tls://u:hush-1@a"}, "move them to NATS_USERNAME"),
        ({"NATS_URL": "nats://a", "NATS_TOKEN": "hush-1"}, "NATS_URL=nats://a: give tls://"),
        ({"NATS_TOKEN": "hush-1", "NATS_USERNAME": "u", "NATS_PASSWORD": "p"}, "set one of them"),
        ({"NATS_USERNAME": "u"}, "NATS_PASSWORD_FILE is not set"),
        ({"NATS_SUBJECT": "a..b"}, "NATS_SUBJECT=a..b: give words with dots"),
        ({"NATS_SUBJECT": "a.>"}, "NATS_SUBJECT=a.>: give"),
        ({"NATS_STREAM": "a.b"}, "NATS_STREAM=a.b: give a name"),
        ({"NATS_CREDENTIALS_FILE": "/nowhere"}, "NATS_CREDENTIALS_FILE=/nowhere: cannot be read"),
    ],
)
def test_mistakes_about_nats(change: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=r"^NATS_") as caught:
        NatsSettings.from_environment(NATS | change, "site")
    assert words in str(caught.value)
    assert "hush-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"PARQUET_DIR": __file__}, f"PARQUET_DIR={__file__}: is a file; give a directory"),
        ({"PARQUET_DIR": "d" * 300}, "ddd: give a directory: File name too long"),
        ({"PARQUET_DIR": "d", "PARQUET_KEEP_DAYS": "0"}, "PARQUET_KEEP_DAYS=0: give a whole number"),
        ({"PARQUET_DIR": "d", "PARQUET_KEEP_DAYS": "a week"}, "PARQUET_KEEP_DAYS=a week: give"),
    ],
)
def test_mistakes_about_parquet(environment: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=r"^PARQUET_") as caught:
        ParquetSettings.from_environment(environment)
    assert words in str(caught.value)


def test_a_certificate_and_the_key_of_another(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    own = {"NATS_CERT_FILE": str(files.client), "NATS_KEY_FILE": str(files.client_key)}
    settings = NatsSettings.from_environment(NATS | own, "s")
    assert settings is not None
    assert settings.tls is not None
    assert settings.tls.key_file == files.client_key
    with pytest.raises(ValueError, match="certificate and key of each other"):
        NatsSettings.from_environment(NATS | own | {"NATS_KEY_FILE": str(files.server_key)}, "s")


@pytest.mark.parametrize(
    ("site", "word"), [("plant-1", "plant-1"), ("a.b c", "a%2Eb%20c"), ("*>", "%2A%3E"), ("ä", "%C3%A4")]
)
def test_a_site_is_one_word_of_a_subject(site: str, word: str) -> None:
    assert subject_token(site) == word
