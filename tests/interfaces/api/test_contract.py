"""Whatever the OpenAPI document allows or forbids, the API keeps to it: generated requests against a real gateway.

Every operation but the stream, as the lowest role that may and as those that may not. The gateway and its users are
thrown away: the requests cut its power, trip its tests and remove its people.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bessai.interfaces.api.identity import sessions
from bessai.interfaces.api.identity.secret import csrf_of
from bessai.interfaces.api.problems import MEDIA
from bessai.interfaces.api.roles import Role
from support.api_house import House

CHECKS: list[Callable[..., Any]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    missing_required_header,
    allow_header_conformance,
]
EXAMPLES = 3
"""Of each operation and mode in CI; the soak takes 150."""
STREAM = "/api/v1/stream"
"""It has no end, so no generated request could be checked: test_server_live.py reads it."""
SESSION_ONLY = {
    ("delete", "/api/v1/session"),
    ("post", "/api/v1/session/password"),
    ("post", "/api/v1/tokens"),
}
KNOWN = {
    "/alarms/{code}": ["soc_low", "grid_file_differs", "maintenance_on"],
    "/devices/{name}": ["-"],
    "/points/{name}": ["soc", "battery_power"],
    "/profiles/{id}": ["huawei_sun2000"],
    "/requests/{source}": ["operator", "operator:token:test-operator"],
    "/users/{name}": ["ana", "ben"],
    "/decisions/{when}": ["latest", "-5m", "now"],
}
"""What there is, for paths that would otherwise never be found."""


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_operation_tells_summary_role_errors_and_examples(worn: House) -> None:
    document = worn.api.app.openapi()
    assert len(list(operations(document))) >= 50
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["x-role"] in {None, *(role.label for role in Role)}, where
        assert (operation["x-role"] is None) == (operation["security"] == []), where
        for media, content in _contents(operation):
            assert _examples(document, content), (where, media)
        if path not in {"/healthz", "/readyz"}:
            assert {"401", "403", "429", "503"} <= set(operation["responses"]), where
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(_resolved(document, response)["content"]) == [MEDIA], where


def test_the_examples_are_what_their_schemas_say(worn: House) -> None:
    document = worn.api.app.openapi()
    count = 0
    for name, schema in document["components"]["schemas"].items():
        validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
        for example in schema.get("examples", ()):
            count += 1
            assert list(validator.iter_errors(example)) == [], name
    assert count >= 40


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_breaks_the_contract(worn: House, mode: str) -> None:
    tried = attack(worn, mode, EXAMPLES, 7)
    assert tried > 120
    _still_well(worn)


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_no_request_breaks_the_contract_in_thousands(worn: House, mode: str, number: int) -> None:
    assert attack(worn, mode, 150, number) > 2000
    _still_well(worn)


def attack(house: House, mode: str, examples: int, number: int) -> int:
    """Send generated requests to every operation. Returns how many."""
    schema = schemathesis.openapi.from_dict(house.api.app.openapi())
    schema.config.update(base_url=house.api.url)
    checks = CHECKS + ([negative_data_rejection] if mode == "negative" else [])
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]
        if operation.path != STREAM:
            tried += _try(house, operation, schemathesis.GenerationMode(mode), checks, examples, number)
    return tried


def _try(
    house: House, operation: Any, mode: Any, checks: list[Callable[..., Any]], examples: int, number: int
) -> int:
    dice = random.Random(number)
    place = next((path for path in KNOWN if path in operation.path), None)
    role = operation.definition.raw["x-role"]
    callers = itertools.cycle(
        [other for other in (None, *Role) if role is None or _is_below(other, role)] or [None]
    )
    count = 0

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        nonlocal count
        if place is not None and mode is schemathesis.GenerationMode.POSITIVE and dice.random() < 0.7:
            case.path_parameters[place.partition("{")[2].rstrip("}")] = dice.choice(KNOWN[place])
        count += 1
        case.call_and_validate(headers=_headers(house, operation, role), checks=checks)
        if role is not None:
            refused = case.call_and_validate(headers=_token(house, next(callers)), checks=CHECKS)
            assert refused.status_code in {401, 403, 422}, refused.status_code
            assert refused.status_code != 422 or refused.json()["code"] == "bad_input", refused.text

    try:
        one()
    except Exception as error:  # nothing to generate: every value of this operation is valid
        if type(error).__name__ != "Unsatisfiable":
            raise
    return count


def _headers(house: House, operation: Any, role: str | None) -> dict[str, str]:
    """Of a caller who may."""
    if role is None:
        return {}
    if (operation.method, operation.path) in SESSION_ONLY:
        identity = house.api.app.state.context.identity
        secret = asyncio.run(
            identity._write(lambda db: sessions.begin(db, "administrator", "x", identity.now()))
        )
        return {"Cookie": f"bessai_session={secret}", "X-CSRF-Token": csrf_of(secret)}
    return house.api.headers(role)


def _token(house: House, role: Role | None) -> dict[str, str]:
    return {} if role is None else house.api.headers(role.label)


def _is_below(role: Role | None, needed: str) -> bool:
    return role is None or role < Role.named(needed)


def _still_well(house: House) -> None:
    """Nothing fell, and all that was done is in the audit log."""
    assert house.api.get("/users", role="administrator").status == 200
    checked = house.api.get("/audit/verify", role="administrator").json()
    assert (checked["ok"], checked["entries"] > 10) == (True, True), checked
    assert house.gateway.status()["control"]["state"] in {
        "normal",
        "maintenance",
        "hold",
        "derated",
        "starting",
    }


def _contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Bodies, and good answers."""
    yield from operation.get("requestBody", {}).get("content", {}).items()
    for status, response in operation["responses"].items():
        if int(status) < 300:
            yield from response.get("content", {}).items()


def _examples(document: dict[str, Any], content: dict[str, Any]) -> Any:
    schema = _resolved(document, content["schema"])
    return content.get("examples") or schema.get("examples")


def _resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    found: Any = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)
