"""Signing in over HTTP, and what stands before every route."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from bessai.interfaces.api.roles import Role
from support.api_scene import API, PASSWORD, Scene, scene


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path, name="plant.example:8443") as made:
        yield made


def test_from_setting_up_to_signing_out(house: Scene) -> None:
    ana = house.set_up()
    answer = ana.ask("GET", f"{API}/session").json
    assert (answer["setup_needed"], answer["user"]["name"], answer["user"]["role"]) == (
        False,
        "ana",
        "administrator",
    )
    assert (answer["csrf"], answer["languages"], answer["password_min"]) == (ana.csrf, ["en", "es"], 12)
    body = {"name": "Olga", "role": "operator", "password": PASSWORD, "language": "es"}
    assert ana.ask("POST", f"{API}/users", body).json["name"] == "olga"
    olga = house.sign_in("olga")
    assert olga.ask("GET", f"{API}/session").json["user"]["language"] == "es"
    assert olga.ask("GET", f"{API}/users").code == "role_too_low"
    wrong = {"old": "wrong", "new": "another long one"}
    assert olga.ask("POST", f"{API}/session/password", wrong).code == "wrong_password"
    right = {"old": PASSWORD, "new": "another long one"}
    assert olga.ask("POST", f"{API}/session/password", right).status == 204
    cookies = dict(olga.cookies)
    assert olga.ask("DELETE", f"{API}/session").status == 204
    assert olga.cookies == {}
    olga.cookies = cookies  # keeping the cookie does not keep the session
    assert olga.ask("GET", f"{API}/session").json["user"] is None
    assert ana.ask("DELETE", f"{API}/users/olga").status == 204
    assert house.actions() == [
        ("set_up", "ana", "done"),
        ("user_added", "ana", "asked"), ("user_added", "ana", "done"),
        ("sign_in", "olga", "done"),
        ("password_changed", "olga", "asked"), ("password_changed", "olga", "refused"),
        ("password_changed", "olga", "asked"), ("password_changed", "olga", "done"),
        ("sign_out", "olga", "done"),
        ("user_removed", "ana", "asked"), ("user_removed", "ana", "done"),
    ]  # fmt: skip


def test_the_link_works_once(house: Scene) -> None:
    link = str(house.identity.setup_link("http://x"))
    body = {"token": link.partition("token=")[2], "user": "ana", "password": PASSWORD}
    assert (
        house.browser().ask("POST", f"{API}/session", {"user": "ana", "password": "x"}).code == "not_set_up"
    )
    assert house.browser().ask("POST", f"{API}/setup", {**body, "token": "x"}).code == "setup_token"
    assert (
        house.browser().ask("POST", f"{API}/setup", {**body, "password": "short"}).code
        == "password_too_short"
    )
    assert house.browser().ask("POST", f"{API}/setup", body).status == 201
    assert house.browser().ask("POST", f"{API}/setup", {**body, "user": "eve"}).code == "set_up_already"


def test_wrong_passwords_answer_alike_and_then_lock(house: Scene) -> None:
    house.set_up()
    answers = []
    for name in ("ana", "nobody"):
        asked = [
            house.browser().ask("POST", f"{API}/session", {"user": name, "password": "wrong"})
            for _ in range(6)
        ]
        assert [answer.status for answer in asked] == [401] * 5 + [423]
        assert asked[-1].header("retry-after") == "30"
        answers.append([(answer.body, sorted(answer.headers)) for answer in asked])
    assert answers[0] == answers[1]
    entries = house.audit.read_page()[0]
    assert [entry.detail["code"] for entry in reversed(entries) if entry.user == "ana" and entry.detail][
        -1
    ] == "locks"
    assert "nobody" not in str(entries)  # it may have been a password


def test_a_flood_of_wrong_passwords_does_not_fill_the_log(house: Scene) -> None:
    house.set_up()
    for number in range(90):
        house.browser(address=f"10.{number}.0.1").ask(
            "POST", f"{API}/session", {"user": f"n{number}", "password": "x"}
        )
    assert len(house.actions()) == 61
    house.sign_in("ana")
    assert house.audit.read_page()[0][0].detail == {"failed_not_recorded": 30}


def test_the_cookie(house: Scene) -> None:
    house.set_up()
    plain = house.browser().ask("POST", f"{API}/session", {"user": "ana", "password": PASSWORD})
    cookie = str(plain.header("set-cookie"))
    assert cookie.startswith("bessai_session=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert plain.header("strict-transport-security") is None
    browser = house.sign_in("ana", scheme="https")
    assert list(browser.cookies) == ["__Host-bessai_session"]
    answer = browser.ask("GET", f"{API}/session")
    assert answer.json["user"]["name"] == "ana"
    assert answer.header("strict-transport-security") is None, "of a certificate that browsers do not know"
    browser.cookies = {
        "bessai_session": browser.cookies["__Host-bessai_session"]
    }  # a plain page could have set it
    assert browser.ask("GET", f"{API}/session").json["user"] is None


@pytest.mark.parametrize("word", [None, "", "wrong", "ü"])
def test_a_change_needs_the_csrf_word(house: Scene, word: str | None) -> None:
    ana = house.set_up()
    right, ana.csrf = ana.csrf, word
    assert ana.ask("DELETE", f"{API}/session").code == "csrf"
    ana.csrf = right
    assert ana.ask("DELETE", f"{API}/session").status == 204


def test_the_word_of_another_session_is_none(house: Scene) -> None:
    ana, other = house.set_up(), house.sign_in("ana")
    ana.csrf = other.csrf
    assert ana.ask("DELETE", f"{API}/session").code == "csrf"


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({"origin": "http://127.0.0.1:8080"}, True),
        ({"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://127.0.0.1:9090"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://[::1"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
    ],
)
def test_no_other_page_changes_anything(house: Scene, headers: dict[str, str], fine: bool) -> None:
    house.set_up()
    answer = house.browser().ask("POST", f"{API}/session", {"user": "ana", "password": PASSWORD}, headers)
    assert answer.status == (200 if fine else 403)
    assert fine or answer.code == "cross_site"


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        ("127.0.0.1:8080", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("[::1]:8080", True),
        ("192.168.1.20:8443", True),
        ("plant.example:8443", True),
        ("plant.example.", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:8080", False),
        ("127.0.0.1@evil.example", False),
        ("evil.example@127.0.0.1", True),  # its host is the address, whatever stands before
        ("[::1", False),
        ("", False),
    ],
)
def test_a_name_of_a_stranger_that_points_to_us(house: Scene, host: str, fine: bool) -> None:
    answer = house.browser(host=host).ask("GET", f"{API}/session")
    assert answer.status == (200 if fine else 421)
    assert fine or answer.code == "unknown_host"


def test_every_answer_carries_the_headers(house: Scene) -> None:
    ana = house.set_up()

    @house.app.get("/breaks")
    def breaks() -> None:
        raise RuntimeError("secret words")

    @house.app.get("/page")
    def page() -> PlainTextResponse:
        return PlainTextResponse(
            "x", headers={"cache-control": "max-age=60", "content-security-policy": "none"}
        )

    answers = {
        path: ana.ask("GET", path)
        for path in (f"{API}/session", f"{API}/nowhere", f"{API}/users", "/breaks", "/page", "/nowhere")
    }
    assert [answer.status for answer in answers.values()] == [200, 404, 200, 500, 200, 404]
    assert b"secret words" not in answers["/breaks"].body
    for path, answer in [*answers.items(), ("", house.browser(host="evil").ask("GET", "/"))]:
        policy = str(answer.header("content-security-policy"))
        assert policy.startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
        )
        assert "unsafe" not in policy
        assert policy.endswith("frame-ancestors 'none'")
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("referrer-policy") == "no-referrer"
        assert answer.header("cross-origin-opener-policy") == "same-origin"
        assert answer.header("cross-origin-resource-policy") == "same-origin"
        assert "camera=()" in str(answer.header("permissions-policy"))
        if path.startswith("/api"):
            assert answer.header("cache-control") == "no-store"
    assert answers["/page"].header("cache-control") == "max-age=60"


def test_tokens(house: Scene) -> None:
    ana = house.set_up()
    body = {"name": "scada", "role": "viewer", "scopes": ["read"], "days": 2}
    assert ana.ask("POST", f"{API}/tokens", {**body, "scopes": ["all"]}).status == 422
    assert ana.ask("POST", f"{API}/tokens", {**body, "days": 400}).status == 422
    made = ana.ask("POST", f"{API}/tokens", body)
    assert made.status == 201
    secret = made.json["secret"]
    assert ana.ask("POST", f"{API}/tokens", body).code == "token_exists"
    who = house.with_token(secret, "GET", f"{API}/session").json["user"]
    assert (who["name"], who["role"], who["kind"]) == ("token:scada", "viewer", "token")
    listed = ana.ask("GET", f"{API}/tokens")
    assert secret.encode() not in listed.body
    house.clock.now += 2 * 86_400
    refused = house.with_token(secret, "GET", f"{API}/session")
    assert (refused.status, refused.code) == (401, "token_invalid")
    assert "invalid_token" in str(refused.header("www-authenticate"))
    ana = house.sign_in("ana")
    again = ana.ask("POST", f"{API}/tokens", {**body, "name": "two"}).json
    assert ana.ask("DELETE", f"{API}/tokens/{again['id']}").status == 204
    assert house.with_token(again["secret"], "GET", f"{API}/session").status == 401
    assert ana.ask("DELETE", f"{API}/tokens/{again['id']}").code == "unknown_token"
    assert secret not in str(house.audit.read_page()[0])


@pytest.mark.parametrize("given", ["Bearer", "Bearer x", "Basic YW5hOng=", "Bearer bessai_" + "x" * 5000, ""])
def test_other_authorizations(house: Scene, given: str) -> None:
    ana = house.set_up()  # a good cookie does not make up for a bad token
    assert ana.ask("GET", f"{API}/session", headers={"authorization": given}).code == "token_invalid"


def test_the_last_administrator(house: Scene) -> None:
    ana = house.set_up()
    for method, body in (("PATCH", {"role": "viewer"}), ("PATCH", {"disabled": True}), ("DELETE", None)):
        answer = ana.ask(method, f"{API}/users/ana", body)
        assert (answer.status, answer.code) == (409, "last_administrator")
    house.user("eve", Role.ADMINISTRATOR)
    assert ana.ask("PATCH", f"{API}/users/ana", {"role": "viewer"}).json["role"] == "viewer"
    assert ana.ask("GET", f"{API}/users").code == "role_too_low"  # from the next request on


def test_the_audit_log_over_http(house: Scene) -> None:
    ana = house.set_up()
    ana.ask("PATCH", f"{API}/users/nobody", {"role": "viewer"})
    page = ana.ask("GET", f"{API}/audit?limit=2").json
    assert [(one["action"], one["outcome"]) for one in page["entries"]] == [
        ("user_changed", "refused"),
        ("user_changed", "asked"),
    ]
    assert (page["verified"], page["next"]) == (True, 2)
    assert ana.ask("GET", f"{API}/audit?before=2").json["entries"][0]["action"] == "set_up"
    assert ana.ask("GET", f"{API}/audit/verify").json == {
        "ok": True,
        "entries": 3,
        "first_bad": None,
        "problem": None,
    }
    file = next((house.data / "audit").glob("*.jsonl"))
    file.write_bytes(file.read_bytes().replace(b'"set_up"', b'"get_up"'))
    assert ana.ask("GET", f"{API}/audit/verify").json["first_bad"] == 1
    assert ana.ask("GET", f"{API}/audit").json["verified"] is False


def test_what_cannot_be_recorded_is_not_done(house: Scene) -> None:
    ana = house.set_up()
    for path in (house.data / "audit").iterdir():
        path.unlink()
    (house.data / "audit").rmdir()
    (house.data / "audit").write_text("")
    body = {"name": "olga", "role": "operator", "password": PASSWORD}
    assert ana.ask("POST", f"{API}/users", body).code == "audit_unavailable"
    assert [user["name"] for user in ana.ask("GET", f"{API}/users").json["users"]] == ["ana"]
    answer = house.browser().ask("POST", f"{API}/session", {"user": "ana", "password": PASSWORD})
    assert (answer.status, answer.header("set-cookie")) == (503, None)


def test_there_are_no_websockets(house: Scene) -> None:
    house.set_up()
    sent = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])

    house.runner.run(_call(house, receive, send))
    assert sent == ["websocket.close"]


async def _call(house: Scene, receive: Any, send: Any) -> None:
    await house.app({"type": "websocket", "path": "/", "headers": []}, receive, send)
