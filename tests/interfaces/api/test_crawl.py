"""Around the routes: other methods, other spellings of a path, callers who are not any more, other hosts and pages."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from bessai.interfaces.api.page import Page
from bessai.interfaces.api.roles import Role
from support.api_scene import API, Scene, scene
from support.asgi import Answer, Browser

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
ALL = ["read", "control", "admin"]
DAY = 86_400


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("crawl"), name="plant.example") as made:
        made.app.router.default = Page()
        made.set_up()
        for role in Role:
            made.user(role.label, role)
        yield made


def routes(app: Any) -> dict[str, set[str]]:
    """Methods by address, of the routes that match it."""
    found: dict[str, set[str]] = defaultdict(set)
    for route in iter_route_contexts(app.routes):
        found[re.sub(r"\{[^}]*\}", "1", str(route.path))] |= set(route.methods or ())
    found[f"{API}/requests/preview"] |= {"PUT", "DELETE"}  # a source may have this name
    return found


def guarded(app: Any) -> list[tuple[str, str]]:
    return [
        (method, path)
        for path, methods in routes(app).items()
        for method in sorted(methods)
        if path not in {f"{API}/session", f"{API}/setup", "/healthz", "/readyz"} or method == "DELETE"
    ]


def test_no_other_method(house: Scene) -> None:
    browser = house.session_of("administrator")
    assert len(routes(house.app)) > 40
    for path, methods in routes(house.app).items():
        for method in METHODS:
            if method in methods:
                continue
            answer = browser.ask(method, path, head=True)
            assert answer.status == 405, (method, path)
            assert answer.header("allow") == ", ".join(sorted(methods)), (method, path)
            assert method == "HEAD" or answer.code == "method_not_allowed"


@pytest.mark.parametrize("path", ["/", "/index.html", "/assets/x.js", "/nowhere"])
def test_the_page_is_only_read(house: Scene, path: str) -> None:
    for method in METHODS:
        answer = house.session_of("administrator").ask(method, path)
        assert answer.status in ({200, 404} if method in {"GET", "HEAD"} else {405}), (method, path)
        assert answer.status != 405 or answer.header("allow") == "GET, HEAD"


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", f"{API}/docs", f"{API}/redoc", API, "/api"]
)
def test_there_is_no_second_door(house: Scene, path: str) -> None:
    assert house.session_of("administrator").ask("GET", path).status == 404


SPELLINGS: list[Callable[[str], str]] = [
    lambda path: path + "/",
    lambda path: path + "//",
    lambda path: "/" + path,
    lambda path: path.replace("/v1/", "/v1//"),
    lambda path: path.replace("/v1/", "/v1/./"),
    lambda path: path.replace("/v1/", "/v1/x/../"),
    lambda path: path.replace("/v1/", "/v1/%2e/"),
    lambda path: path.replace("/", "%2F"),
    lambda path: path.replace("/", "\\"),
    lambda path: path.replace("/api", "/API"),
    lambda path: path.replace("/v1", "/V1"),
    lambda path: path.upper(),
    lambda path: path + ";x=1",
    lambda path: path + "%00",
    lambda path: path + "\0",
    lambda path: path + " ",
    lambda path: path + ".json",
    lambda path: "/assets/.." + path,
    lambda path: "/healthz/.." + path,
    lambda path: f"{API}/session/.." + path.removeprefix(API),
    lambda path: "http://127.0.0.1" + path,
]


def test_no_spelling_of_a_path_lets_nobody_in(house: Scene) -> None:
    """Nor a viewer where an administrator belongs: the guard and the routes read a path alike."""
    viewer = house.session_of("viewer")
    nobody = house.browser()
    reader = house.token(Role.ADMINISTRATOR, ["read"])
    tried = 0
    for method, path in guarded(house.app):
        administrators = path.startswith((f"{API}/users", f"{API}/tokens", f"{API}/audit"))
        for spell in SPELLINGS:
            other = spell(path)
            answers = [nobody.ask(method, other, head=True)]
            if administrators:
                answers += [
                    viewer.ask(method, other, head=True),
                    house.with_token(reader, method, other, head=True),
                ]
            for answer in answers:
                tried += 1
                assert answer.status in {401, 403, 404, 405}, (method, other, answer.status)
    assert tried > 1000


class Gone:
    """Callers who were let in once."""

    def __init__(self, house: Scene) -> None:
        self.house = house
        self.number = 0

    def user(self) -> str:
        self.number += 1
        self.house.user(f"gone-{self.number}", Role.ADMINISTRATOR)
        return f"gone-{self.number}"

    def change(self, name: str, **what: Any) -> None:
        self.house.runner.run(self.house.identity.change_user(name, **what))

    def token_of(self, name: str, days: int = 1) -> tuple[str, str]:
        made, secret = self.house.runner.run(
            self.house.identity.make_token(name, f"{name}-t", Role.ADMINISTRATOR, ALL, days)
        )
        return made.id, secret


def test_who_may_no_longer_come_in_finds_every_door_shut(house: Scene) -> None:
    gone = Gone(house)
    ways: dict[str, Callable[[str, str], Answer]] = {}

    def as_session(browser: Browser) -> Callable[[str, str], Answer]:
        return lambda method, path: browser.ask(method, path, head=True)

    def as_token(secret: str) -> Callable[[str, str], Answer]:
        return lambda method, path: house.with_token(secret, method, path, head=True)

    ways["session of a disabled user"] = as_session(house.session_of(name := gone.user()))
    ways["token of a disabled user"] = as_token(gone.token_of(name)[1])
    gone.change(name, disabled=True)
    ways["session before a new password"] = as_session(house.session_of(name := gone.user()))
    gone.change(name, password="another battery staple")
    ways["session of a removed user"] = as_session(house.session_of(name := gone.user()))
    ways["token of a removed user"] = as_token(gone.token_of(name)[1])
    house.runner.run(house.identity.remove_user(name))
    identifier, secret = gone.token_of(gone.user())
    ways["revoked token"] = as_token(secret)
    house.runner.run(house.identity.remove_token(identifier))
    ended = house.session_of(gone.user())
    ways["ended session"] = as_session(
        Browser(house.app, house.runner, cookies=dict(ended.cookies), csrf=ended.csrf)
    )
    assert ended.ask("DELETE", f"{API}/session").status == 204
    lowered = house.session_of(name := gone.user())
    lowered_token = gone.token_of(name)[1]
    gone.change(name, role=Role.VIEWER)
    _all_shut(house, ways)
    for path in (f"{API}/users", f"{API}/audit"):
        assert lowered.ask("GET", path).code == "role_too_low"
        assert as_token(lowered_token)("GET", path).code == "role_too_low"
    old = {
        "expired token": as_token(gone.token_of("administrator")[1]),
        "old session": as_session(house.session_of("administrator")),
    }
    assert {ask("GET", f"{API}/users").status for ask in old.values()} == {200}
    before, house.clock.now = house.clock.now, house.clock.now + 2 * DAY
    try:
        _all_shut(house, old)
    finally:
        house.clock.now = before


def _all_shut(house: Scene, ways: dict[str, Callable[[str, str], Answer]]) -> None:
    for what, ask in ways.items():
        for method, path in guarded(house.app):
            assert ask(method, path).status == 401, (what, method, path)


@pytest.mark.parametrize("word", ["", "x", "0" * 43, "ñ"])
def test_every_change_needs_the_right_word(house: Scene, word: str) -> None:
    browser = house.session_of("administrator")
    browser.csrf = word
    changes = [(method, path) for method, path in guarded(house.app) if method not in {"GET", "HEAD"}]
    assert len(changes) > 15
    for method, path in changes:
        assert browser.ask(method, path).code == "csrf", (method, path)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "plant.example.evil.example"},
        {"host": "plant.example@evil.example"},
        {"host": ""},
        {"host": "evil.example", "x-forwarded-host": "plant.example"},
        {"host": "evil.example", "forwarded": "host=plant.example"},
        {"host": "evil.example, plant.example"},
    ],
)
def test_no_route_answers_for_another_host(house: Scene, headers: dict[str, str]) -> None:
    browser = house.session_of("administrator")
    for path, methods in routes(house.app).items():
        for method in methods:
            assert browser.ask(method, path, headers=headers, head=True).status == 421, (method, path)


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_no_other_page_asks_for_a_change_nor_reads(house: Scene, headers: dict[str, str]) -> None:
    browser = house.session_of("administrator")
    for path, methods in routes(house.app).items():
        for method in methods:
            answer = browser.ask(method, path, headers=headers, head=True)
            assert method in {"GET", "HEAD"} or (answer.status, answer.code) == (403, "cross_site"), (
                method,
                path,
            )
            assert not [name for name, _ in answer.headers if name.startswith("access-control-")], (
                method,
                path,
            )
        asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
        flown = browser.ask("OPTIONS", path, headers=asked)
        assert flown.status == 405
        assert not [name for name, _ in flown.headers if name.startswith("access-control-")], path
