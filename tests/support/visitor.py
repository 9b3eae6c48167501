"""A person with a browser in front of the real page, whose every request and console line is looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from typer.testing import CliRunner

from bessai.cli.app import make_app
from bessai.cli.machine import with_people
from support.page import House

REFUSAL = re.compile(
    r"Failed to load resource: the server responded with a status of (401|403|409|422|423)\b"
)
"""What Chromium itself writes of an answer that a form shows."""
BROKEN = re.compile(r"Failed to load resource: net::ERR_|responded with a status of 503\b")
"""The same while a part of the gateway is dead."""


def machine(house: House, *arguments: str, password: str = "") -> None:
    """`bessai user …`, beside the running gateway."""
    done = _beside(
        CliRunner().invoke,
        make_app("user"),
        ["user", *arguments, "--data-dir", str(house.gateway.data)],
        f"{password}\n",
    )
    assert done.exit_code == 0, done.output


def session_of(house: House, name: str, password: str) -> dict[str, Any]:
    """The cookie of a session, without the form, whose rate is limited."""
    secret = _beside(
        with_people, house.gateway.data, lambda people, _: people.sign_in(name, password, "127.0.0.1")
    )
    return {
        "name": "bessai_session",
        "value": secret,
        "url": house.url,
        "httpOnly": True,
        "sameSite": "Strict",
    }


def _beside(call: Callable[..., Any], *arguments: Any) -> Any:
    """In a thread: Playwright's loop runs in this one, and these run one of their own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call, *arguments).result()


class Visitors:
    """Browser windows and what they did.

    Args:
        chromium: of Playwright.
        house: what they look at.
        forgiven: console errors that belong to what is tested.
    """

    def __init__(self, chromium: Any, house: House, forgiven: re.Pattern[str] = REFUSAL) -> None:
        self._chromium, self._house, self._forgiven = chromium, house, forgiven
        self._contexts: list[Any] = []
        self.requests: list[tuple[str, str]] = []
        """Method and address of everything that was asked for."""
        self.refused: list[str] = []
        """Addresses that were answered with 403."""
        self.errors: list[str] = []

    def __call__(self, *, locale: str = "en-GB", who: tuple[str, str] | None = None, **more: Any) -> Any:
        """A new window; `who` has signed in already. Its pages wait 30 s for whatever they wait for."""
        context = self._chromium.new_context(locale=locale, viewport={"width": 1280, "height": 800}, **more)
        context.set_default_timeout(30_000)
        context.on("request", lambda asked: self.requests.append((asked.method, asked.url)))
        context.on("response", lambda said: self.refused.append(said.url) if said.status == 403 else None)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        if who is not None:
            context.add_cookies([session_of(self._house, *who)])
        self._contexts.append(context)
        return context.new_page()

    def check(self) -> None:
        """Nothing went to another host, and nothing went wrong that nobody saw."""
        assert not self.errors, self.errors
        own = urlsplit(self._house.url)[:2]
        others = [url for _, url in self.requests if urlsplit(url)[:2] != own and not url.startswith("blob:")]
        assert not others, others

    def close(self) -> None:
        """Close the windows."""
        for context in self._contexts:
            context.close()

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"} and not self._forgiven.search(message.text):
            self.errors.append(f"{message.type}: {message.text} {message.location}")


@contextmanager
def visitors(chromium: Any, house: House, forgiven: re.Pattern[str] = REFUSAL) -> Iterator[Visitors]:
    """The visitors of one test, checked at its end."""
    made = Visitors(chromium, house, forgiven)
    try:
        yield made
        made.check()
    finally:
        made.close()
