"""The whole application in this process, with real users on a real file and a gateway that is silent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bessai.interfaces.api.app import create_app
from bessai.interfaces.api.audit import Audit
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.identity import Hasher, Identity, sessions
from bessai.interfaces.api.identity.secret import csrf_of
from bessai.interfaces.api.live import Live
from bessai.interfaces.api.roles import Role
from bessai.interfaces.api.settings import ApiSettings
from support.asgi import Answer, Browser

PASSWORD = "correct battery staple"
CHEAP = (1, 8)
API = "/api/v1"


class Clock:
    """Seconds since 1970 that tests move."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """The application, and browsers before it."""

    def __init__(self, data: Path, runner: asyncio.Runner, **settings: Any) -> None:
        self.clock, self.data, self.runner = Clock(), data, runner
        self.identity = Identity(data / "identity.db", Hasher(CHEAP), self.clock)
        self.audit = Audit(data / "audit", clock=self.clock)
        self.context = Context(
            settings=ApiSettings(site="plant", data_dir=data, socket=data / "no.sock", **settings),
            gateway=(gateway := Gateway(data / "no.sock")), identity=self.identity, audit=self.audit,
            live=Live(data / "no.sock", "plant", gateway),
        )  # fmt: skip
        self.app = create_app(self.context)

    def browser(self, **more: Any) -> Browser:
        return Browser(self.app, self.runner, **more)

    def set_up(self) -> Browser:
        """Ana has made herself the administrator."""
        link = self.identity.setup_link("http://x")
        assert link is not None
        browser = self.browser()
        body = {"token": link.split("token=")[1], "user": "ana", "password": PASSWORD}
        answer = browser.ask("POST", f"{API}/setup", body)
        assert answer.status == 201, answer.body
        browser.csrf = answer.json["csrf"]
        return browser

    def user(self, name: str, role: Role) -> None:
        self.runner.run(self.identity.add_user(name, role, PASSWORD))

    def sign_in(self, name: str, password: str = PASSWORD, **more: Any) -> Browser:
        browser = self.browser(**more)
        answer = browser.ask("POST", f"{API}/session", {"user": name, "password": password})
        assert answer.status == 200, answer.body
        browser.csrf = answer.json["csrf"]
        return browser

    def session_of(self, name: str) -> Browser:
        """A session without the password's cost."""
        identity = self.identity
        secret = self.runner.run(identity._write(lambda db: sessions.begin(db, name, "x", identity.now())))
        return self.browser(cookies={"bessai_session": secret}, csrf=csrf_of(secret))

    def token(self, role: Role, scopes: list[str], days: int = 1) -> str:
        name = f"t{threading.get_ident()}{len(self.runner.run(self.identity.tokens()))}"
        return self.runner.run(self.identity.make_token("ana", name, role, scopes, days))[1]

    def with_token(self, secret: str, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        return self.browser().ask(method, path, body, {"authorization": f"Bearer {secret}"}, **more)

    def actions(self) -> list[tuple[str, str, str]]:
        """Action, user and outcome of the audit log, oldest first."""
        entries, _, sound = self.audit.read_page(limit=500)
        assert sound
        return [(entry.action, entry.user, entry.outcome) for entry in reversed(entries)]

    def close(self) -> None:
        self.audit.close()
        self.identity.close()
        self.context.readers.shutdown()


@contextmanager
def scene(data: Path, **settings: Any) -> Iterator[Scene]:
    with asyncio.Runner() as runner:
        made = Scene(data, runner, **settings)
        try:
            yield made
        finally:
            made.close()
