"""Signing in with a browser, and screenshots for whoever looks at them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from support.page import ADMINISTRATOR, House
from support.small_png import small_png

ROOT = Path(__file__).parents[2]
VARIABLE = "BESSAI_SCREENSHOTS"
"""Directory, from the root of the checkout, that gets the pictures of the documentation."""
_MOST = 150_000


class Shots:
    """Pictures of a test: all in its own folder, those of the documentation also where the environment says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documentation = ROOT / os.environ[VARIABLE] if os.environ.get(VARIABLE) else None

    def take(self, page: Any, name: str, *, as_: str | None = None) -> None:
        """Take one. `as_` names the one of the documentation, without `.png`."""
        data = page.screenshot(path=self.folder / f"{name}.png", animations="disabled")
        if as_ is not None and self.documentation is not None:
            self.documentation.mkdir(parents=True, exist_ok=True)
            small = next(
                (made for colours in (256, 128, 64) if len(made := small_png(data, colours)) <= _MOST), b""
            )
            assert small, f"{as_} is larger than {_MOST} bytes"
            (self.documentation / f"{as_}.png").write_bytes(small)


def sign_in(context: Any, house: House) -> str:
    """Set the page up as its administrator, or sign in as it; the CSRF token."""
    user, password = ADMINISTRATOR
    session = context.request.get(f"{house.url}/api/v1/session").json()
    body = {"user": user, "password": password}
    if session["setup_needed"]:
        token = house.setup_link().partition("token=")[2]
        done = context.request.post(f"{house.url}/api/v1/setup", data={**body, "token": token})
    else:
        done = context.request.post(f"{house.url}/api/v1/session", data=body)
    assert done.ok, done.text()
    return str(done.json()["csrf"])
