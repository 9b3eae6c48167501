"""Whatever the OpenAPI document allows or forbids, the API keeps to it: generated requests against a real gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from support.api_house import House

CHECKS: list[Callable[..., Any]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 8
UNLIKE = ("/stream", "/metrics", "/healthz", "/readyz", "/session", "/users", "/tokens", "/audit", "/verify")
"""A stream has no end, health and metrics are of the process, people need an administrator: tested elsewhere."""


def test_the_document_tells_every_route_with_errors_and_an_example(house: House) -> None:
    document = house.api.app.openapi()
    schemas = document["components"]["schemas"]
    assert len(document["paths"]) >= 20
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "get" or path.endswith(UNLIKE):
                continue
            assert operation["description"] or operation["summary"], path
            assert {"401", "403", "422", "503"} <= set(operation["responses"]), path
            told = operation["responses"]["200"]["content"]["application/json"]["schema"]
            if "$ref" in told:
                assert schemas[told["$ref"].rpartition("/")[2]].get("examples"), path


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_breaks_the_contract(house: House, mode: str) -> None:
    schema = schemathesis.openapi.from_dict(house.api.app.openapi())
    schema.config.update(base_url=house.api.url)
    made = schemathesis.GenerationMode(mode)
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]
        if operation.method != "get" or operation.path.endswith(
            ("/stream", "/metrics", "/users", "/tokens", "/audit", "/verify")
        ):
            continue
        strategy = operation.as_strategy(generation_mode=made)
        tried += _try(
            strategy, CHECKS + ([negative_data_rejection] if mode == "negative" else []), house.api.headers()
        )
    assert tried > 20


def _try(strategy: st.SearchStrategy[Any], checks: list[Callable[..., Any]], headers: dict[str, str]) -> int:
    count = 0

    @seed(7)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(case: Any) -> None:
        nonlocal count
        count += 1
        case.call_and_validate(headers=headers, checks=checks)

    try:
        one()
    except Exception as error:  # nothing to generate: every value of this operation is valid
        if type(error).__name__ != "Unsatisfiable":
            raise
    return count
