"""The sieves of the support bundle, each on what it is there for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bessai.doctor.masking import Sieve, known_secrets, without_strange_variables
from bessai.model.masking import MASK

SEED = 'p/4ss"w\\örd'


@pytest.mark.parametrize(
    "text",
    [
        f"said {SEED} aloud",
        json.dumps({"x": SEED}),
        json.dumps({"x": SEED}, ensure_ascii=False),
        "http://host/p%2F4ss%22w%5C%C3%B6rd",
        "p/4ss%22w%5C%C3%B6rd",
    ],
)
def test_a_known_secret_goes_however_it_is_written(text: str) -> None:
    assert "4ss" not in Sieve([SEED]).text(text)
    assert "4ss" in Sieve().text(text), "nothing but knowing it takes it away"


@pytest.mark.parametrize(
    "text",
    [
        "mqtts://gateway:Hidden1@host",
        "mqtts://gateway:12/Hidden1@host",
        "mqtts://gateway:a,Hidden1@host",
        "Authorization: Bearer Hidden1.abcdef-xyz",
        "password=Hidden1",
        '"token": "Hidden1"',
        "client_secret: Hidden1",
        "http://127.0.0.1:8080/#/setup?token=Hidden1",
        "MQTT_PASSWORD='Hidden1'",
        r"{\"api_key\": \"Hidden1\"}",
        "-----BEGIN EC PRIVATE KEY-----\nHidden1\n-----END EC PRIVATE KEY-----",
        "tgram://x?token=Hidden1",
        "-----BEGIN NATS USER JWT-----\nHidden1\n-----END NATS USER JWT-----",
    ],
)
def test_what_looks_like_a_secret_goes(text: str) -> None:
    assert "Hidden1" not in Sieve().text(text)


@pytest.mark.parametrize(
    "text",
    [
        "KAFKA_PASSWORD_FILE=/etc/bessai/kafka",
        '"MQTT_PASSWORD": null',
        "the token is no longer good",
        "limited by soc_min: 3 kW",
        "192.168.8.1:502 unit 1",
        "GOOGLE_APPLICATION_CREDENTIALS_FILE: /etc/a",
        "stopped by OSError: gone",
    ],
)
def test_what_helps_stays(text: str) -> None:
    assert Sieve(["x"]).text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "reset cell_voltage_high by carmen (engineer): fan",
        "maintenance, switched on by carmen: fan",
        "taken back by carmen: ok",
        "droop: 5 → 4 %, by carmen",
        "refused, too fast; asked by carmen",
        "/home/carmen/bessai/data",
    ],
)
def test_a_name_becomes_a_sign_even_if_nobody_knows_it(text: str) -> None:
    sieve = Sieve()
    assert sieve.text(text) == text.replace("carmen", sieve.sign("carmen"))


def test_signs_are_the_same_in_a_bundle_and_others_in_the_next() -> None:
    one, two = Sieve(names=["carmen", "operator"]), Sieve(names=["carmen"])
    assert one.text("carmen, carmen's") == f"{one.sign('carmen')}, {one.sign('carmen')}'s"
    assert one.sign("carmen") != two.sign("carmen")
    assert one.text("the operator asks") == "the operator asks", "a word of the gateway stays in free text"
    assert one.plain({"user": "operator", "code": "operator"}) == {
        "user": one.sign("operator"),
        "code": "operator",
    }
    assert one.plain([{"password": "x", "n": 1, "more": ["carmen"]}]) == [
        {"password": MASK, "n": 1, "more": [one.sign("carmen")]}
    ]


def test_addresses_of_notifications_are_secret_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "notify.yaml").write_text('channels: [{url: "tgram://123456789:AAbbCCddEE/-100200300"}]\n')
    known = known_secrets(
        {
            "NOTIFY_FILE": str(tmp_path / "notify.yaml"),
            "NOTIFY_ANA_URL": "mailtos://ana:p4ssw0rds@smtp.example.com",
        }
    )
    said = Sieve(known).text(
        "tried tgram://123456789:AAbbCCddEE/-100200300, then AAbbCCddEE, then p4ssw0rds at smtp.example.com"
    )
    assert not {"AAbbCCddEE", "p4ssw0rds", "123456789"} & set(
        said.replace(",", " ").replace("/", " ").replace(":", " ").split()
    )
    assert "smtp.example.com" in said, "a server's name helps"


def test_addresses_of_notifications_are_learnt_from_where_their_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notify.yaml").write_text(
        'channels: [{url_file: "ana.url"}, {url: "mailtos://ana:${ANA_MAIL}@mx.cl"}, {url: "${SHIFT}"}]\n'
    )
    (tmp_path / "ana.url").write_text("tgram://123456789:AAbbCCddEE/-100200300\n")
    monkeypatch.setenv("ANA_MAIL", "pa55word")
    monkeypatch.setenv("SHIFT", "slack://TokenAaaa/TokenBbbb")
    said = Sieve(known_secrets({"NOTIFY_FILE": str(tmp_path / "notify.yaml")})).text(
        "tried AAbbCCddEE, pa55word and TokenBbbb"
    )
    assert said == f"tried {MASK}, {MASK} and {MASK}"


@pytest.mark.parametrize(
    "text",
    [
        "Environment=DATA_DIR=/var/lib/bessai SHIFT=tgram://123456789:Hidden1/-100200300 LOG_LEVEL=INFO",
        'Environment=DATA_DIR=/var/lib/bessai "SHIFT=slack://Hidden1/b c" LOG_LEVEL=INFO',
        "Environment=DATA_DIR=/var/lib/bessai \\\n    SHIFT=slack://Hidden1/b LOG_LEVEL=INFO",
        "Environment=DATA_DIR=/var/lib/bessai 'SHIFT=slack://Hidden1/b LOG_LEVEL=INFO",
    ],
)
def test_a_units_variables_of_names_of_ones_own_go(text: str) -> None:
    said = without_strange_variables(f"[Service]\n{text}\nUser=bessai\n", {"DATA_DIR", "LOG_LEVEL"})
    assert "Hidden1" not in said
    assert said.startswith("[Service]\nEnvironment=")
    assert said.endswith("\nUser=bessai\n")
    if "'" not in text:
        assert f"Environment=DATA_DIR=/var/lib/bessai SHIFT={MASK} LOG_LEVEL=INFO" in said


def test_secrets_are_learnt_from_settings_and_the_files_that_they_name(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("from-a-file\n")
    (tmp_path / "k").write_text(
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhki\n-----END PRIVATE KEY-----\n"
    )
    (tmp_path / "c").write_text(
        "-----BEGIN USER NKEY SEED-----\nSUAAAAAAAAAAAAAAAAAAA\n------END USER NKEY SEED------\n"
    )
    (tmp_path / "g").write_text(json.dumps({"private_key_id": "0123456789", "type": "service_account"}))
    assert known_secrets(
        {
            "MQTT_PASSWORD": "direct",
            "KAFKA_PASSWORD_FILE": str(tmp_path / "p"),
            "MQTT_KEY_FILE": str(tmp_path / "k"),
            "NATS_CREDENTIALS_FILE": str(tmp_path / "c"),
            "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "g"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://reader:a%2Fbc@host",
            "NATS_TOKEN_FILE": "/nowhere",
            "SITE_ID": "site",
        }
    ) == {
        "direct",
        "from-a-file",
        "MIIEvQIBADANBgkqhki",
        "SUAAAAAAAAAAAAAAAAAAA",
        "0123456789",
        "reader",
        "a/bc",
        "a%2Fbc",
    }
