"""Every route times every kind of caller: who is let in is what the route's `needs(...)` says, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from bessai.interfaces.api.roles import Role
from support.api_scene import API, Scene, scene
from support.asgi import Answer

OPEN = {
    ("GET", f"{API}/session"), ("POST", f"{API}/session"), ("POST", f"{API}/setup"), ("GET", "/healthz"),
    ("GET", "/readyz"),
}  # fmt: skip
"""Routes without a role. The page's own files are the only others; see `_is_page`."""
SESSION_ONLY = {("DELETE", f"{API}/session"), ("POST", f"{API}/session/password"), ("POST", f"{API}/tokens")}
SCOPES = (["read"], ["control"], ["admin"], ["read", "control", "admin"])
GATES = {
    "not_signed_in",
    "role_too_low",
    "scope_missing",
    "csrf",
    "token_invalid",
    "session_only",
    "not_set_up",
}


@dataclass(frozen=True)
class Found:
    """One method of one route."""

    method: str
    path: str
    role: Role | None

    @property
    def url(self) -> str:
        return re.sub(r"\{[^}]*\}", "1", self.path)

    @property
    def scope(self) -> str:
        if self.role is Role.ADMINISTRATOR:
            return "admin"
        return "read" if self.method in {"GET", "HEAD"} else "control"


def _role(dependant: Any) -> Role | None:
    own = getattr(dependant.call, "role", None)
    roles = [own, *(_role(inner) for inner in dependant.dependencies)]
    return max((role for role in roles if role is not None), default=None)


def _is_page(path: str) -> bool:
    """The page: its files, and `/` with what the page's own router shows. They hold no data of the plant."""
    return not path.startswith("/api") and path != "/metrics"


def crawl(app: Any) -> list[Found]:
    found: list[Found] = []
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        role = _role(dependant) if dependant is not None else None
        found.extend(Found(method, str(route.path), role) for method in sorted(route.methods or {"GET"}))
    return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("matrix")) as made:
        made.set_up()
        for role in Role:
            made.user(role.label, role)
        yield made


def _gate(answer: Answer) -> str | None:
    """Which guard refused, None when the request came to the route itself."""
    if answer.status not in {401, 403}:
        return None
    code = answer.code
    return code if code in GATES else None


def test_the_crawl_sees_the_routes(house: Scene) -> None:
    found = {(one.method, one.path): one.role for one in crawl(house.app)}
    assert found["GET", f"{API}/users"] is Role.ADMINISTRATOR
    assert found["DELETE", f"{API}/session"] is Role.VIEWER
    assert found["GET", f"{API}/openapi.json"] is Role.VIEWER
    assert found["GET", f"{API}/session"] is None


def bare(app: Any) -> list[Found]:
    without = [one for one in crawl(app) if one.role is None and (one.method, one.path) not in OPEN]
    return [one for one in without if not (_is_page(one.path) and one.method in {"GET", "HEAD"})]


def test_no_route_lacks_a_role(house: Scene, tmp_path: Path) -> None:
    assert bare(house.app) == []
    with scene(tmp_path) as other:  # the crawl would see one

        @other.app.get(f"{API}/forgotten")
        def forgotten() -> None:
            """No role."""

        assert [one.path for one in bare(other.app)] == [f"{API}/forgotten"]


def test_administrators_routes_are_those_of_the_scope_admin(house: Scene) -> None:
    for one in crawl(house.app):
        under = one.path.startswith((f"{API}/users", f"{API}/tokens", f"{API}/audit", f"{API}/log-level"))
        assert (one.role is Role.ADMINISTRATOR) == under, one


def test_nobody(house: Scene) -> None:
    for one in crawl(house.app):
        refused = _gate(house.browser().ask(one.method, one.url, head=True))
        assert refused == ("not_signed_in" if one.role else None), one


@pytest.mark.parametrize("role", Role)
def test_sessions(house: Scene, role: Role) -> None:
    for one in crawl(house.app):
        if one.role is None:
            continue
        answer = house.session_of(role.label).ask(one.method, one.url, head=True)
        assert _gate(answer) == (None if role >= one.role else "role_too_low"), one
        if one.method not in {"GET", "HEAD"}:
            without = house.session_of(role.label)
            without.csrf = None
            assert _gate(without.ask(one.method, one.url)) == "csrf", one


@pytest.mark.parametrize("role", Role)
def test_tokens(house: Scene, role: Role) -> None:
    for scopes in SCOPES:
        secret = house.token(role, scopes)
        for one in crawl(house.app):
            if one.role is None:
                continue
            expected = None
            if one.scope not in scopes:
                expected = "scope_missing"
            elif role < one.role:
                expected = "role_too_low"
            elif (one.method, one.path) in SESSION_ONLY:
                expected = "session_only"
            answer = house.with_token(secret, one.method, one.url, _body(one), head=True)
            assert _gate(answer) == expected, (one, scopes)


def _body(one: Found) -> Any:
    """What gets past the checks of the fields where a refusal comes after them."""
    if one.path.endswith("/tokens"):
        return {"name": "x", "role": "viewer", "scopes": ["read"], "days": 1}
    return {"old": "x" * 12, "new": "y" * 12} if one.path.endswith("/password") else None


def test_before_it_is_set_up(tmp_path: Path) -> None:
    with scene(tmp_path) as fresh:
        for one in crawl(fresh.app):
            if one.role is not None:
                refused = _gate(fresh.browser().ask(one.method, one.url))
                assert refused == ("not_signed_in" if one.path == f"{API}/session" else "not_set_up"), one
        assert fresh.browser().ask("GET", f"{API}/session").json["setup_needed"] is True
        assert fresh.browser().ask("GET", f"{API}/nowhere").code == "not_set_up"
