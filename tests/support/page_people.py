"""People in front of the page: who signs in, what they read, what they click."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, expect

from support.page import ADMINISTRATOR, House, browser

PASSWORD = "otra frase larga y buena"
WAIT = 30_000
"""Milliseconds: as long as a busy machine may need; what is there is seen at once."""


class Crew:
    """One browser and the people of a house, each in a window of their own."""

    def __init__(self, house: House, chromium: Any) -> None:
        self.house = house
        self._chromium = chromium
        self._pages: dict[str, Page] = {}
        self.complaints: list[str] = []
        """Errors of the pages themselves."""

    def page(self, name: str) -> Page:
        """The window of a person, who is signed in."""
        return self._pages[name]

    def found(self) -> Page:
        """The window of the administrator, who sets the page up."""
        page = self._window()
        page.goto(self.house.setup_link())
        page.get_by_label("User", exact=True).fill(ADMINISTRATOR[0])
        page.get_by_label("New password", exact=True).fill(ADMINISTRATOR[1])
        page.get_by_label("New password again").fill(ADMINISTRATOR[1])
        page.get_by_role("button", name="Create and sign in").click()
        return self._in(ADMINISTRATOR[0], page)

    def hire(self, name: str, role: str) -> Page:
        """A new person, by the API in the administrator's name, who signs in."""
        page = self.page(ADMINISTRATOR[0])
        answer = self.call("POST", "/users", {"name": name, "role": role, "password": PASSWORD}, page)
        assert answer.status == 201, answer.text()
        return self.enter(name)

    def enter(self, name: str, password: str = PASSWORD) -> Page:
        """Signs somebody in, in a new window."""
        page = self._window()
        page.goto(self.house.url)
        page.get_by_label("User", exact=True).fill(name)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in").click()
        return self._in(name, page)

    def call(self, method: str, path: str, body: Any = None, page: Page | None = None) -> Any:
        """What the API answers to the one who is signed in in a window."""
        page = page or self.page(ADMINISTRATOR[0])
        word = page.request.get(f"{self.house.url}/api/v1/session").json()["csrf"]
        return page.request.fetch(
            f"{self.house.url}/api/v1{path}", method=method, data=body, headers={"X-CSRF-Token": word}
        )

    def go(self, name: str, where: str) -> Page:
        """A person opens one of the pages."""
        page = self.page(name)
        page.goto(f"{self.house.url}/#/{where}")
        expect(page.locator("h1").first).to_be_visible()
        return page

    def _window(self) -> Page:
        context = self._chromium.new_context(viewport={"width": 1440, "height": 1000}, locale="en-GB")
        context.set_default_timeout(WAIT)
        page: Page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def _in(self, name: str, page: Page) -> Page:
        expect(page.get_by_role("button", name=f"User and settings: {name}")).to_be_visible()
        self._pages[name] = page
        return page


@contextmanager
def crew_of(house: House) -> Iterator[Crew]:
    """A browser in front of a house, where the administrator has signed in."""
    expect.set_options(timeout=WAIT)
    with browser() as chromium:
        crew = Crew(house, chromium)
        crew.found()
        yield crew


def confirm(page: Page, button: str, reason: str) -> None:
    """Say why in the dialog that is open, and do it."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=button, exact=True).click()
    expect(dialog).to_be_hidden()


def text(of: str) -> re.Pattern[str]:
    """A text in which any white space may stand for each blank."""
    return re.compile(r"\s+".join(map(re.escape, of.split())))
