"""Bodies that no honest page sends: each is refused with the field by its name, and nothing is done by half."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest

from bessai.interfaces.api import messages
from bessai.interfaces.api.identity import sessions
from bessai.interfaces.api.identity.secret import csrf_of
from bessai.interfaces.api.problems import MEDIA
from support.api_house import House

SECRET = "hunter2-is-not-to-be-seen"
HIDDEN = {"password", "old", "new", "token"}
TEXTS = {"reason", "source", "point", "code", "unit", "name", "authorisation"}
"""Fields that people read; the schema cannot say which characters are printable."""
UNREADABLE = ["a\nbcd", "abc\u0000d", "abc\u202edef", "abc\u200bdef", "abc\u001b[31mdef", "abc\u2028def"]
PATHS = {"{code}": "soc_low", "{name}": "viewer", "{source}": "operator"}
RAW = {
    "empty": b"",
    "no JSON": b"power=1",
    "cut": b'{"reason": "abc"',
    "UTF-16": json.dumps({"reason": "abcdef"}).encode("utf-16"),
    "no UTF-8": b'{"reason": "\xff\xfe"}',
    "BOM": b"\xef\xbb\xbf{}",
    "deep": b'{"reason": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "digits": b'{"for": ' + b"9" * 5000 + b"}",
    "null": b"null",
    "list": b"[]",
    "text": json.dumps(SECRET).encode(),
    "twice": b'{"reason": "one", "reason": "two"}',
    "two": b"{}{}",
}
SPANISH = [
    re.compile("(.*)".join(map(re.escape, re.split(r"\{\d?\}", text))), re.DOTALL)
    for text in messages.catalogue().values()
]


@dataclass(frozen=True)
class Sent:
    """One hostile body."""

    what: str
    body: bytes
    field: str | None = None
    """That must be named; None: any."""
    value: Any = None
    """That must be shown; None: nothing."""


def hostile(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[Sent]:
    """Every way in which a good body of a schema is spoilt."""
    good = _good(schema)
    validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
    assert validator.is_valid(good)
    for what, raw in RAW.items():
        yield Sent(what, raw)
    yield Sent("unknown field", _text({**good, "passwort": SECRET}), "passwort")
    for name in schema["properties"]:
        if name in schema.get("required", ()):
            yield Sent(
                f"{name} missing", _text({key: value for key, value in good.items() if key != name}), name
            )
        twice = (
            _text(good)[:-1]
            + b", "
            + json.dumps(name).encode()
            + b": 1, "
            + json.dumps(name).encode()
            + b": 2}"
        )
        yield Sent(f"{name} twice", twice, name)
        for raw in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
            yield Sent(f"{name} {raw!r}", _text({**good, name: "@@"}).replace(b'"@@"', raw), name)
        yield Sent(f"{name} half a character", _text({**good, name: "\ud800abc"}), name)
        kept = SECRET if name in HIDDEN else "y"
        values: list[Any] = [
            None, True, "", "x", 0, -1, 0.5, 1e308, 10**30, -(10**400), [], {}, [kept], {"a": kept}, [[[[1]]]],
            "x" * 10_000, {"": 1}, "\U0001f50b" * 2000,
        ]  # fmt: skip
        values += UNREADABLE if name in TEXTS else [SECRET * 50] if name in HIDDEN else []
        for value in values:
            if value in UNREADABLE or not validator.is_valid({**good, name: value}):
                shown = None if name in HIDDEN else _shown(value)
                yield Sent(f"{name}={str(value)[:30]!r}", _text({**good, name: value}), name, shown)


def test_every_hostile_body_is_refused_by_field_and_does_nothing(worn: House) -> None:
    document = worn.api.app.openapi()
    before = _state(worn)
    sent = 0
    caller = Caller(worn)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "requestBody" not in operation:
                continue
            schema = document["components"]["schemas"][
                operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            ]
            for one in hostile(document, schema):
                sent += 1
                _check(
                    caller.ask(method, path, one.body, operation["x-role"]),
                    one,
                    f"{method} {path} {one.what}",
                )
    assert sent > 1000
    assert _state(worn) == before
    assert worn.api.get("/audit/verify", role="administrator").json()["ok"] is True


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""]
)
def test_other_kinds_of_bodies(worn: House, kind: str) -> None:
    body = json.dumps({"on": True, "reason": "a test"}).encode("utf-16" if "utf-16" in kind else "utf-8")
    status, told, _ = Caller(worn).ask("post", "/api/v1/operations/maintenance", body, "operator", kind)
    assert (status, told["errors"][0]["field"]) == (422, "body")


class Caller:
    """Asks over one connection."""

    def __init__(self, house: House) -> None:
        self.house = house
        place = urlsplit(house.api.url)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        identity = house.api.app.state.context.identity
        secret = asyncio.run(
            identity._write(lambda db: sessions.begin(db, "administrator", "x", identity.now()))
        )
        self._session = {"Cookie": f"bessai_session={secret}", "X-CSRF-Token": csrf_of(secret)}

    def ask(
        self, method: str, path: str, body: bytes, role: str | None, kind: str = "application/json"
    ) -> tuple[int, Any, bytes]:
        for name, value in PATHS.items():
            path = path.replace(name, value)
        headers = {} if role is None else self._session
        headers = {"Content-Type": kind, "Accept-Language": "es", **headers}
        self._connection.request(method.upper(), path, body, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        assert answer.headers["content-type"] == MEDIA, (method, path, data)
        return answer.status, json.loads(data), data


def _check(answer: tuple[int, Any, bytes], sent: Sent, where: str) -> None:
    status, told, data = answer
    if (status, told["code"]) == (409, "set_up_already"):  # whatever else is wrong, that comes first
        return
    assert status == 422, (where, data[:300])
    assert SECRET.encode() not in data, where
    errors = told["errors"]
    assert errors, where
    for error in errors:
        assert error["message"], where
        assert any(known.fullmatch(error["message"]) for known in SPANISH), (where, error)
    if sent.field is not None:
        named = [error for error in errors if error["field"].split(".")[0] == sent.field]
        assert named, (where, errors)
        if sent.value is not None:
            assert any(_shows(error["value"], sent.value) for error in named), (where, errors)


def _state(house: House) -> dict[str, Any]:
    """All that a request could change."""
    status = house.gateway.status()
    get = house.api.get
    people = get("/users", role="administrator").json()["users"]
    return {
        "requests": [(one["source"], one["power"]) for one in status["control"]["requests"]],
        "maintenance": status.get("maintenance"),
        "trips": status["trips"],
        "users": [(one["name"], one["role"], one["language"], one["disabled"]) for one in people],
        "tokens": [one["id"] for one in get("/tokens", role="administrator").json()["tokens"]],
        "grid": get("/grid").json()["changes"],
        "alarms": [
            (one["code"], one["state"]) for one in get("/alarms").json()["alarms"] if one["acknowledged"]
        ],
        "done": [
            one["sequence"]
            for one in get("/audit", role="administrator", limit=500).json()["entries"]
            if one["outcome"] not in {"asked", "refused"}
        ],
    }


def _good(schema: dict[str, Any]) -> dict[str, Any]:
    found = dict(schema["examples"][0])
    return found | {name: SECRET for name in HIDDEN if name in found}


def _text(body: Any) -> bytes:
    return json.dumps(body).encode()


def _shows(told: Any, sent: Any) -> bool:
    """What was sent, or a long text's begin."""
    return bool(told == sent or (isinstance(sent, str) and told and sent.startswith(str(told))))


def _shown(value: Any) -> Any:
    """As an answer shows what was sent."""
    if isinstance(value, str):
        return value[:200]
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 1 << 53 else str(value)[:40]
    return value if isinstance(value, float | bool) else None
