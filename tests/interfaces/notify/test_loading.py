"""The notification file: what is wrong with it is told at once, and never what is secret."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from bessai.interfaces.notify.addresses import scrubbed
from bessai.interfaces.notify.loading import NotifyError, load_notify
from bessai.interfaces.notify.schema import notify_json_schema
from support.notify_plant import config

CONFIG = Path(__file__).parents[3] / "config"
SECRET = "hunter2secret"
GOOD = """
recipients: {ana: {channels: [{url: "json://h.example/a"}]}}
rules: [{tell: [ana]}]
"""


def problems(folder: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(NotifyError) as caught:
        config(folder, text, **environment)
    told = [str(problem).removeprefix(f"{folder}/notify.yaml: ") for problem in caught.value.problems]
    assert SECRET not in str(caught.value)
    return told


def test_the_shipped_example_and_schema() -> None:
    document = yaml.safe_load((CONFIG / "notify.example.yaml").read_text())
    schema = json.loads((CONFIG / "notify.schema.json").read_text())
    assert schema == json.loads(json.dumps(notify_json_schema()))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(document)
    wrongs: list[dict[str, object]] = [{}, document | {"colour": 1}, document | {"rules": []}]
    assert not any(validator.is_valid(wrong) for wrong in wrongs)
    names = ("SHIFT_URL", "ANA_MAIL_URL", "ANA_SMS_URL", "MANAGER_URL")
    found = load_notify(
        CONFIG / "notify.example.yaml", {f"NOTIFY_{name}": "json://h.example/a" for name in names}
    )
    assert [channel.name for channel in found.channels] == [
        "shift/json",
        "ana/json",
        "ana/json-2",
        "manager/json",
    ]
    assert found.literals() == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "recipients: {}\nrules: []",
            ["recipients = {}: Dictionary should have at least 1 item", "rules = []: List"],
        ),
        (
            GOOD.replace("tell", "tel"),
            [
                "rules.0.tell: required field is missing",
                'rules.0.tel = ["ana"]: unknown field; did you mean `tell`?',
            ],
        ),
        (
            GOOD.replace("[ana]", "[anna]"),
            ["rules.0.tell = anna: the file has no such recipient; did you mean `ana`?"],
        ),
        (
            GOOD.replace("json://h.example/a", "${NOWHERE}"),
            ["recipients.ana.channels.0.url = ${NOWHERE}: NOWHERE is not set; set it in the environment"],
        ),
        (GOOD.replace("json://h.example/a", SECRET), ["recipients.ana.channels.0.url: holds no URL"]),
        (
            GOOD.replace('{url: "json://h.example/a"}', f'"json://u:{SECRET}@h"'),
            ['recipients.ana.channels.0 = "json://***'],
        ),
        (GOOD.replace("url:", "url_file: nowhere, url:"), ["recipients.ana.channels.0 = "]),
        (
            GOOD.replace('url: "json://h.example/a"', "url_file: nowhere"),
            ["recipients.ana.channels.0.url_file = nowhere: cannot be read: No such file"],
        ),
        (
            "time_zone: America/Santiago de Chile" + GOOD,
            ['time_zone = "America/Santiago de Chile": no such time zone'],
        ),
        (
            f"heartbeat: {{url: 'ftp://h/{SECRET}'}}" + GOOD,
            ["heartbeat: give a URL that begins with https://"],
        ),
        (
            GOOD.replace("{channels", "{quiet: [{start: '25:00', end: '07:00'}], channels"),
            ['recipients.ana.quiet.0.start = "25:00": '],
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_mend(tmp_path: Path, text: str, told: list[str]) -> None:
    found = problems(tmp_path, text)
    assert len(found) == len(told), found
    assert all(problem.startswith(start) for problem, start in zip(found, told, strict=True)), found


def test_an_address_comes_from_a_file_or_the_environment_and_shows_its_kind_alone(tmp_path: Path) -> None:
    (tmp_path / "ana.url").write_text(f"tgram://123:{SECRET}/45\n")
    text = GOOD.replace("{url:", "{url_file: ana.url}, {url: '${A}://${B}/x'}, {url:")
    found = config(tmp_path, text, A="json", B=f"u:{SECRET}@h.example")
    assert [channel.name for channel in found.channels] == ["ana/tgram", "ana/json", "ana/json-2"]
    assert [channel.url for channel in found.channels[:2]] == [
        f"tgram://123:{SECRET}/45",
        f"json://u:{SECRET}@h.example/x",
    ]
    assert SECRET not in repr(found)
    assert found.literals() == ["recipients.ana.channels.2.url"]


@pytest.mark.parametrize(
    ("url", "hidden", "kept"),
    [
        ("tgram://123456:tokentoken/99887766", ["123456", "tokentoken", "99887766"], []),
        ("https://hooks.example.com/s/T1AA/B2BB?key=ab%20ef", ["T1AA", "B2BB", "ab ef"], ["hooks.example.com"]),
        ("mailtos://user:pa55word@smtp.example.com?to=ana@x.cl", ["pa55word", "user"], ["smtp.example.com"]),
        ("json://localhost:8025/secretpath", ["secretpath"], ["localhost"]),
        ("mailtos://ana:pa.55/word@smtp.example.com", ["pa.55/word", "pa.55"], []),  # its slash is not written as %2F
    ],
)  # fmt: skip
def test_what_a_library_says_loses_the_secrets(url: str, hidden: list[str], kept: list[str]) -> None:
    said = scrubbed(f"cannot send to {url}: {' '.join([*hidden, *kept])} timed out", url)
    assert not [word for word in hidden if word in said]
    assert all(word in said for word in kept)
    assert said.endswith("timed out")
