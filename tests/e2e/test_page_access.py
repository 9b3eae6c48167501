"""Who comes in, who stays out, and what each sees: the real page in a real browser."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from support.page import ADMINISTRATOR, House
from support.visitor import Visitors, machine, visitors

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=30_000)

ANA, PASSWORD = ADMINISTRATOR
NEW = "another sentence, as long"
ADA, BEN, VERA = ("ada", "administrator"), ("ben", "viewer"), ("vera", "viewer")
OTTO, ERNA = ("otto", "operator"), ("erna", "engineer")
FOR_ALL = ["overview", "why", "trends", "cells", "alarms", "devices", "grid", "system"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("access")) as found:
        yield found


@pytest.fixture
def visit(chromium: Any, house: House) -> Iterator[Visitors]:
    with visitors(chromium, house) as found:
        yield found


@pytest.fixture(scope="module")
def people(house: House) -> None:
    """Whoever is needed; the administrator too, when the first start is not among the tests that run."""
    with urllib.request.urlopen(f"{house.url}/api/v1/session") as answer:
        if b'"setup_needed":true' in answer.read():
            machine(house, "add", ANA, "--role", "administrator", "--password-stdin", password=PASSWORD)
    for name, role in (ADA, BEN, VERA, OTTO, ERNA):
        machine(house, "add", name, "--role", role, "--password-stdin", password=PASSWORD)


def said_beside(field: Any) -> Any:
    """The text that belongs to a field."""
    return field.page.locator(f"[id='{field.get_attribute('aria-describedby')}']")


def sign_in(page: Any, name: str, password: str) -> None:
    page.get_by_label("User", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def at(page: Any, title: str) -> None:
    """The page of this title is open, and who listens begins there."""
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_the_first_start(house: House, visit: Visitors) -> None:
    page = visit(locale="es-CL")
    page.goto(f"{house.url}/#/overview")
    expect(page.get_by_role("heading")).to_have_text("Se necesita el enlace del primer inicio")
    assert page.locator("html").get_attribute("lang") == "es"

    page.goto(re.sub(r"token=.*", "token=falso", house.setup_link()))
    user, new = page.get_by_label("Usuario"), page.get_by_label("Contraseña nueva", exact=True)
    again, create = (
        page.get_by_label("Repetir la contraseña"),
        page.get_by_role("button", name="Crear e ingresar"),
    )
    expect(user).to_be_focused()
    user.fill("Ana María")
    new.fill("corta")
    again.fill("cortita")
    again.press("Tab")
    expect(said_beside(user)).to_contain_text("primero una letra o un dígito")
    expect(said_beside(new)).to_contain_text("Demasiado corta: use al menos 12")
    expect(said_beside(again)).to_have_text("Las dos contraseñas no coinciden.")
    expect(create).to_be_disabled()
    user.fill("ana")
    new.fill("contraseña1234")
    again.fill("contraseña1234")
    expect(said_beside(again)).to_have_text("")
    create.click()
    expect(page.get_by_role("alert")).to_contain_text("Este enlace es incorrecto, ya se usó o venció")
    expect(page.get_by_role("alert")).to_contain_text("bessai user setup-link")

    page.goto(house.setup_link())
    create.click()
    expect(said_beside(new)).to_contain_text("Está entre las primeras que se prueban")
    new.fill(PASSWORD)
    again.fill(PASSWORD)
    create.click()
    at(page, "Resumen")
    expect(page).to_have_url(f"{house.url}/#/overview")  # the token is in no address that one goes back to
    expect(page.get_by_role("button", name="Usuario y ajustes: ana")).to_be_visible()

    page.goto(house.setup_link())
    expect(page.get_by_text("el enlace del primer inicio ya se usó")).to_be_visible()
    stranger = visit()
    stranger.goto(house.setup_link())
    expect(stranger.get_by_role("alert").first).to_contain_text("set up already: the link is used")
    expect(stranger.get_by_role("heading")).to_have_text("Sign in")


@pytest.mark.usefixtures("people")
def test_in_and_out_and_what_the_browser_keeps(house: House, visit: Visitors) -> None:
    page = visit(color_scheme="dark")
    page.goto(f"{house.url}/#/devices")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    sign_in(page, ANA, "a wrong password")
    wrong = page.get_by_role("alert").filter(has_text="Wrong user or password.")
    expect(wrong).to_be_visible()
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    expect(page.get_by_label("Password", exact=True)).to_have_value("")
    words = page.locator("main").inner_text()
    sign_in(page, "nobody", "a wrong password")
    expect(wrong).to_be_visible()
    assert page.locator("main").inner_text() == words  # nothing tells which of the two is wrong

    page.get_by_role("button", name="Español").click()
    page.get_by_role("button", name="Claro").click()
    page.reload()
    expect(page.get_by_role("heading")).to_have_text("Iniciar sesión")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="English").click()
    sign_in(page, f" {ANA.upper()} ", PASSWORD)
    at(page, "Devices")  # the link that was opened, not the first page
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Devices")
    expect(page.get_by_role("navigation").first.get_by_role("link")).to_have_count(11)

    page.get_by_role("button", name="User and settings: ana").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    expect(page.get_by_role("alert")).to_have_text("")  # who signs out is not told that something ended
    page.reload()
    expect(page.get_by_role("heading")).to_have_text("Sign in")


@pytest.mark.usefixtures("people")
def test_a_lock_counts_down_and_can_be_lifted(house: House, visit: Visitors) -> None:
    page = visit()
    page.goto(house.url)
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    for _ in range(5):
        with page.expect_response("**/api/v1/session") as answered:
            sign_in(page, BEN[0], "a wrong password")
        assert answered.value.status == 401
        expect(page.get_by_role("button", name="Sign in")).to_be_enabled()
    sign_in(page, BEN[0], PASSWORD)  # the right one does not help now
    expect(page.get_by_role("alert")).to_contain_text("locked for a while")
    timer = page.get_by_role("timer")
    first = timer.inner_text()
    assert re.fullmatch(r"Try again in \d+ s\.", first)
    expect(timer).not_to_have_text(first)
    expect(page.get_by_text("bessai user unlock ben")).to_be_visible()
    page.get_by_label("User", exact=True).fill(OTTO[0])
    expect(timer).to_have_count(0)  # another one is not locked
    page.get_by_label("User", exact=True).fill(BEN[0])
    expect(timer).to_be_visible()
    machine(house, "unlock", BEN[0])
    sign_in(page, BEN[0], PASSWORD)
    at(page, "Overview")


@pytest.mark.usefixtures("people")
def test_what_happens_elsewhere_is_seen_here(house: House, visit: Visitors) -> None:
    page = visit(who=(ERNA[0], PASSWORD))
    page.goto(f"{house.url}/#/overview")
    pages = page.get_by_role("navigation").first.get_by_role("link")
    expect(pages.filter(has_text="Control")).to_be_visible()
    machine(house, "role", ERNA[0], "viewer")
    expect(pages.filter(has_text="Control")).to_have_count(0)
    machine(house, "password", ERNA[0], "--password-stdin", password=NEW)
    ended = page.get_by_role("alert").filter(
        has_text="Your session of erna was ended: the password or the user"
    )
    expect(ended).to_be_visible()
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    sign_in(page, ERNA[0], NEW)
    at(page, "Overview")
    machine(house, "disable", ERNA[0])
    expect(ended).to_be_visible()
    sign_in(page, ERNA[0], NEW)
    expect(page.get_by_role("alert").filter(has_text="Wrong user or password.")).to_be_visible()


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("who", "sees"), [(VERA, FOR_ALL), (OTTO, [*FOR_ALL, "control"])], ids=["viewer", "operator"]
)
def test_a_role_sees_what_it_may_do(
    house: House, visit: Visitors, who: tuple[str, str], sees: list[str]
) -> None:
    page = visit(who=(who[0], PASSWORD))
    page.goto(house.url)
    links = page.get_by_role("navigation").first.get_by_role("link")
    expect(links).to_have_count(len(sees))
    assert {link.get_attribute("href") for link in links.all()} == {f"#/{name}" for name in sees}
    for name in ("control", "users", "audit"):
        if name in sees:
            continue
        page.goto(f"{house.url}/#/{name}")
        expect(page.get_by_text("Your role does not show this page.")).to_be_visible()
        expect(page.locator("main button, main input, main select")).to_have_count(0)
    for name in sees:
        page.goto(f"{house.url}/#/{name}")
        expect(page.locator("main h1")).to_be_focused()
        expect(page.locator("main .loading")).to_have_count(0)
        if who is VERA:  # whatever can be pressed asks for nothing that a viewer may not have
            page.evaluate(
                "document.querySelectorAll('main button:not(:disabled)').forEach((one) => one.click())"
            )
            expect(page.locator("dialog[open] textarea, dialog[open] input")).to_have_count(0)
            page.keyboard.press("Escape")
    assert {method for method, _ in visit.requests} == {"GET"}
    assert visit.refused == []


@pytest.mark.usefixtures("people")
def test_the_keyboard_reaches_everything(house: House, visit: Visitors) -> None:
    page = visit()
    page.goto(house.url)
    expect(page.get_by_label("User", exact=True)).to_be_focused()
    page.keyboard.type(ADA[0])
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    at(page, "Overview")

    def until(key: str, selector: str) -> None:
        for _ in range(60):
            page.keyboard.press(key)
            if page.evaluate("(wanted) => document.activeElement?.matches(wanted) ?? false", selector):
                return
        raise AssertionError(f"{key} does not lead to {selector}")

    until("Shift+Tab", "button.skip")
    expect(page.get_by_role("button", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    names = {link.get_attribute("href"): link.inner_text() for link in page.locator("nav.side a").all()}
    assert len(names) == 11
    for href, name in list(names.items())[::-1]:
        until("Shift+Tab", f"nav.side a[href='{href}']")
        page.keyboard.press("Enter")
        expect(page).to_have_title(re.compile(f"^{re.escape(name.splitlines()[0])} · "))
        expect(page.locator("main h1")).to_be_focused()
    until("Shift+Tab", "button.who")
    page.keyboard.press("Enter")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.textContent") == "Sign out":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_label("User", exact=True)).to_be_focused()
