"""Every page of the dashboard on every kind of screen: axe, console, scroll bars, text that is cut off, language.

`BESSAI_SCREENSHOTS=docs/images pytest tests/e2e/test_page_looks.py tests/e2e/test_page_trends.py` makes the pictures of
docs/dashboard.md anew.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.page import axe
from support.plant_house import PlantHouse
from support.shots import Shots, sign_in

pytestmark = pytest.mark.timeout(600)

UI = Path(__file__).parents[2] / "ui" / "src"
RACKS = 10
PAGES = (
    "overview", "why", "trends", "cells", "alarms", "control", "devices", "grid", "system", "users", "audit",
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """A screen and how its user has set the page."""

    width: int
    height: int
    language: str
    theme: str

    def __str__(self) -> str:
        return f"{self.width}x{self.height}-{self.language}-{self.theme}"


LOOKS = (
    Look(1440, 900, "en", "light"),
    Look(1440, 900, "es", "dark"),
    Look(390, 844, "es", "light"),
    Look(1920, 1080, "en", "dark"),
)
DOCUMENTED = {LOOKS[0]: ("overview", "why", "cells", "alarms", "control", "grid"),
              LOOKS[1]: ("overview", "why", "alarms", "control"), LOOKS[2]: ("overview",)}  # fmt: skip

# Texts that are wider than what shows them, without an ellipsis that says so; on a wide screen also tables that must
# be scrolled sideways.
CUT = """wide => {
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const style = getComputedStyle(one);
    if (one.closest(".visually-hidden, .skip, [inert], dialog:not([open]), [popover]:not(:popover-open)")) continue;
    if (style.visibility === "hidden" || style.clipPath !== "none") continue;
    if (!one.clientWidth || one.scrollWidth <= one.clientWidth + 1) continue;
    const hides = ["hidden", "clip"].includes(style.overflowX) && style.textOverflow !== "ellipsis";
    const scrolls = wide && ["auto", "scroll"].includes(style.overflowX);
    if ((hides || scrolls) && one.innerText?.trim() && !one.closest("select, input, textarea"))
      found.push(`${one.tagName}.${one.className}: ${one.innerText.trim().slice(0, 60)}, ${one.scrollWidth} wide`);
  }
  return found;
}"""

WIDE = """() => [...document.querySelectorAll("main *")]
  .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
  .map(one => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 40)}`).slice(0, 5)"""

# Every text that stands in one element, as it stands there.
TEXTS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = new Set();
  while (walker.nextNode()) found.add(walker.currentNode.data.replace(/\\s+/g, " ").trim());
  for (const one of document.querySelectorAll("[aria-label], [title], [placeholder]"))
    for (const name of ["aria-label", "title", "placeholder"]) found.add(one.getAttribute(name) ?? "");
  return [...found];
}"""

NAMES = {"schedule"}
"""What the gateway calls a source of requests, in its settings and records too."""

READY = """name => {
  const main = document.querySelector("main");
  return location.hash.includes(name) && main?.querySelector("h1") && main.innerText.length > 80
    && document.querySelector("[data-fresh=true]")
    && !/Loading|Cargando|Connecting|Conectando/.test(document.body.innerText);
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantHouse]:
    """A plant in which something happens."""
    with PlantHouse(tmp_path_factory.mktemp("looks"), racks=RACKS) as found:
        yield found


@pytest.fixture(scope="module")
def signed_in(house: PlantHouse, chromium: Any) -> Any:
    """The cookies of an administrator, after a limit, an acknowledged start, a deviation and a lost meter."""
    context = chromium.new_context()
    csrf = sign_in(context, house)

    def post(path: str, **body: Any) -> None:
        done = context.request.post(f"{house.url}/api/v1{path}", data=body, headers={"X-CSRF-Token": csrf})
        assert done.ok, done.text()

    until(house, lambda status: status["control"]["state"] in {"normal", "derated"})
    alarms = context.request.get(f"{house.url}/api/v1/alarms").json()["alarms"]
    for alarm in alarms:
        if not alarm["active"]:  # what a slow start brings
            post(f"/alarms/{alarm['code']}/acknowledge", point=alarm["point"], reason="plant started")
    post("/requests", **{"low": -6, "high": 2.2, "for": 3600, "reason": "feeder 2 is at work"})
    house.mishap("silence@meter_auxiliaries", "frequency=0.12")
    until(house, lambda s: s["control"]["offset"] and "meter_auxiliaries" in s["devices"]["problems"])
    state = context.storage_state()
    context.close()
    return state


def until(house: PlantHouse, check: Any) -> None:
    """Wait for a status."""
    deadline = time.monotonic() + 120
    while not ((status := house.status) and check(status)):
        assert time.monotonic() < deadline, status
        time.sleep(0.2)


def english() -> set[str]:
    """Texts of the page's catalogues that are other ones in Spanish: those that cannot be taken for a name."""
    pair = re.compile(r'\[\s*"((?:[^"\\]|\\.)+)",\s*"((?:[^"\\]|\\.)+)",?\s*\]')
    found = {
        match[1]
        for file in UI.rglob("*")
        if file.suffix in {".svelte", ".ts"}
        for match in pair.finditer(file.read_text())
        if match[1] != match[2]
    }
    spanish = {match[2] for file in UI.rglob("*.svelte") for match in pair.finditer(file.read_text())}
    texts = {text for text in found - spanish if "{" not in text and len(text) > 3} - NAMES
    assert len(texts) > 500, "the catalogues are written in another way now"
    return texts


def test_the_racks_tell_their_cells(house: PlantHouse, chromium: Any, signed_in: Any) -> None:
    context = chromium.new_context(storage_state=signed_in)
    groups = context.request.get(f"{house.url}/api/v1/cells").json()["groups"]
    known = {
        (one["device"], one["kind"]): sum(value is not None for value in one["values"]) for one in groups
    }
    assert known == {(f"rack_{n:02}", kind): count for n in range(1, RACKS + 1) for kind, count in
                     (("voltage", 216), ("temperature", 108))}  # fmt: skip
    rack = context.request.get(f"{house.url}/api/v1/devices/rack_03").json()
    soc = next(point for point in rack["points"] if point["name"] == "rack_03.soc")
    assert soc["quality"] == "good"
    assert soc["unit"] == "%"
    found = context.request.get(f"{house.url}/api/v1/points?search=rack_03.cell_voltage_max").json()["points"]
    assert {point["device"] for point in found} == {"rack_03"}
    context.close()


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_every_page(look: Look, house: PlantHouse, chromium: Any, signed_in: Any, tmp_path: Path) -> None:
    from playwright.sync_api import TimeoutError as PageTimeout

    context = chromium.new_context(
        viewport={"width": look.width, "height": look.height},
        storage_state=signed_in,
        has_touch=look.width < 600,
        timezone_id="America/Santiago",
    )
    context.add_init_script(
        f"localStorage['bessai.language'] = '{look.language}'; localStorage['bessai.theme'] = '{look.theme}'"
    )
    page = context.new_page()
    said: list[str] = []
    page.on(
        "console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    shots = Shots(tmp_path)
    foreign = english() if look.language == "es" else set()
    wrong: list[str] = []
    for name in PAGES:
        page.goto(f"{house.url}/#/{name}")
        page.wait_for_function(READY, arg=name, timeout=60_000)
        wrong += [f"{name}: axe: {found}" for found in axe(page)]
        wrong += [f"{name}: cut off: {found}" for found in page.evaluate(CUT, look.width > 600)]
        wrong += [f"{name}: English: {text}" for text in foreign.intersection(page.evaluate(TEXTS))]
        lines = page.evaluate("document.querySelector('header').offsetHeight") // 40
        if lines > 2:
            wrong.append(f"{name}: the header takes {lines} lines")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{name}: has a horizontal scroll bar: {page.evaluate(WIDE)}")
        shots.take(page, f"{name}-{look}", as_=f"{name}{'-phone' if look.width < 600 else ''}.{look.language}"
                   if name in DOCUMENTED.get(look, ()) else None)  # fmt: skip
        if look.width == 1440:  # as wide as the laptop that people bring
            page.set_viewport_size({"width": 1280, "height": 720})
            fits = "() => document.documentElement.scrollWidth <= innerWidth"  # charts follow a moment later
            try:
                page.wait_for_function(fits, timeout=20_000)
            except PageTimeout:
                wrong.append(f"{name}: too wide for 1280 pixels: {page.evaluate(WIDE)}")
            page.set_viewport_size({"width": look.width, "height": look.height})
    if look == LOOKS[0] and shots.documentation:
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{house.url}/#/overview")
        page.wait_for_function(READY, arg="overview")
        shots.take(page, "overview-phone", as_="overview-phone.en")
    # a machine that is too slow for the question is not the page's fault; it shows its own notice then
    wrong += [f"console: {text}" for text in said if "status of 504" not in text]
    context.close()
    assert not wrong, "\n".join(wrong)
