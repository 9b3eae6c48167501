"""Whether the page says what it knows and what it does not: parts of the real house die and come back."""

from __future__ import annotations

import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from support.page import ADMINISTRATOR, House
from support.visitor import BROKEN, REFUSAL, Visitors, machine, visitors

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=60_000)

ANA, PASSWORD = ADMINISTRATOR
STREAM = re.compile(r"/api/v1/stream\b")
EVENTS = re.compile(r"/api/v1/events\?limit=\d+&start=")
ASKED = (
    "() => performance.getEntriesByType('resource').some(({name}) => /events\\?limit=\\d+&start/.test(name))"
)
FORGIVEN = re.compile(f"{REFUSAL.pattern}|{BROKEN.pattern}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("stream")) as found:
        machine(found, "add", ANA, "--role", "administrator", "--password-stdin", password=PASSWORD)
        yield found


@pytest.fixture
def visit(chromium: Any, house: House) -> Iterator[Visitors]:
    with visitors(chromium, house, FORGIVEN) as found:
        yield found


def look(visit: Visitors, house: House, path: str = "overview", clock: bool = False, **more: Any) -> Any:
    """A page that shows the plant as it is now; `same` tells later that it was not loaded again."""
    page = visit(who=ADMINISTRATOR, **more)
    if clock:
        page.clock.install()
    page.goto(f"{house.url}/#/{path}")
    fresh(page)
    page.evaluate("window.same = true")
    return page


def fresh(page: Any) -> None:
    expect(page.locator("header [data-fresh]")).to_have_attribute("data-fresh", "true")
    expect(page.locator("[data-notice=broken], [data-notice=lost], [data-notice=stalled]")).to_have_count(0)


def healed(page: Any) -> None:
    fresh(page)
    assert page.evaluate("window.same") is True


OLD = """([notice, words]) => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    return new RegExp(words).test(document.querySelector(`[data-notice=${notice}]`)?.textContent ?? "")
        && all("header [data-fresh=false]").length === 1
        && all(".power .line").length === 3 && all(".power .line:not(.stale)").length === 0
        && all(".charge [data-stale=true]").length === 1
        && all(".flow .node").length > 1 && all(".flow .node:not(.stale)").length === 0;
}"""


def said_old(page: Any, notice: str, words: str) -> None:
    """The banner is there, and at that moment nothing below it passes for current: a server may come back soon."""
    page.wait_for_function(OLD, arg=[notice, words], timeout=60_000)


def well(house: House) -> int:
    """The status of `/healthz`."""
    try:
        with urllib.request.urlopen(f"{house.url}/healthz", timeout=15) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def becomes(house: House, status: int) -> None:
    """`/healthz` answers so, within a time that no machine needs."""
    deadline = time.monotonic() + 90
    while (found := well(house)) != status:
        assert time.monotonic() < deadline, f"/healthz stays {found}\n{house.gateway.log.read_text()}"
        time.sleep(0.2)


def cycles(house: House, count: int) -> None:
    """Wait for so many cycles of the gateway."""
    until = int(house.status["cycle"]["cycles"]) + count
    while int(house.status["cycle"]["cycles"]) < until:
        time.sleep(0.2)


def asked(visit: Visitors, what: re.Pattern[str]) -> int:
    return sum(what.search(url) is not None for _, url in visit.requests)


def ask_power(house: House, page: Any, power: float) -> None:
    """What the gateway grants and the plant does is seen at once."""
    house.gateway.request(power)
    for line in ("asked", "setpoint", "measured"):
        number = page.locator(f".power .line.{line} .number")
        expect(number).to_contain_text(re.compile(rf"[+−]?{abs(power):.1f}".replace(".", "[.,]")))


def test_numbers_move_and_the_page_outlives_its_server(house: House, visit: Visitors) -> None:
    page = look(visit, house)
    ask_power(house, page, 1.5)
    before = house.page_pid()
    os.kill(before, signal.SIGKILL)
    said_old(page, "broken", r"No data (for|yet).*Reconnecting")
    healed(page)
    assert house.page_pid() != before
    ask_power(house, page, 2.5)
    # what happened while nobody served the page is in the journal, and asked for
    page.wait_for_function(ASKED)


def test_a_silent_control_plane_is_said_in_words(house: House, visit: Visitors) -> None:
    page = look(visit, house, locale="es-CL")
    page.evaluate("localStorage.setItem('bessai.language', 'es')")
    page.reload()
    fresh(page)
    page.evaluate("window.same = true")
    control = look(visit, house, "control")
    send = control.get_by_role("button", name="Review and send")
    expect(send).to_be_enabled()
    pid = int(house.status["pid"])
    os.kill(pid, signal.SIGSTOP)
    try:
        said_old(page, "lost", "El plano de control no responde: los valores no están vigentes")
        assert well(house) == 503
        expect(control.get_by_role("alert").filter(has_text="it does not send").first).to_be_visible()
        expect(send).to_be_disabled()
    finally:
        os.kill(pid, signal.SIGCONT)
    healed(page)
    expect(send).to_be_enabled()
    becomes(house, 200)


def test_a_gateway_that_is_killed_and_started_again(house: House, visit: Visitors) -> None:
    page = look(visit, house)
    house.gateway.end(signal.SIGKILL)
    said_old(page, "broken", "No data for")
    house.gateway.__enter__()
    healed(page)  # and still signed in
    becomes(house, 200)


def test_a_plant_that_is_pulled_and_put_back(house: House, visit: Visitors) -> None:
    page = look(visit, house)
    devices = look(visit, house, "devices")
    expect(devices.locator("main .badge")).to_contain_text("Answers")
    house.stop_plant()
    try:
        expect(devices.locator("main .badge")).to_contain_text("Does not answer")
        expect(page.locator(".charge .stale").last).to_contain_text(re.compile(r"\d+ s ago"))
        expect(page.locator(".power .line.measured")).to_have_class(re.compile(r"\bstale\b"))
        expect(page.locator("header [data-state]")).to_have_attribute("data-state", "hold")
        expect(page.locator(".health")).to_contain_text("0 of 1")
        fresh(page)  # the stream itself is well, and no banner says otherwise
        becomes(house, 503)
    finally:
        house.start_plant()
    expect(devices.locator("main .badge")).to_contain_text("Answers")
    expect(page.locator(".charge [data-stale]")).to_have_attribute("data-stale", "false")
    expect(page.locator(".power .line.measured")).not_to_have_class(re.compile(r"\bstale\b"))
    becomes(house, 200)
    healed(page)


def test_a_connection_that_is_dead_without_saying_so(house: House, visit: Visitors) -> None:
    page = look(visit, house)
    server = house.page_pid()
    os.kill(server, signal.SIGSTOP)  # as when a cable is pulled: no byte comes, and no end either
    try:
        said_old(page, "broken", "No data for")
        with page.expect_request(STREAM):  # it is given up
            pass
    finally:
        os.kill(server, signal.SIGCONT)
    healed(page)


def test_a_laptop_that_slept_shows_nothing_from_before(house: House, visit: Visitors) -> None:
    page = look(visit, house, clock=True)
    streams = asked(visit, STREAM)
    with page.expect_request(STREAM):  # what waits in buffers is thrown away with the connection
        page.clock.fast_forward("45:00")
    healed(page)
    assert asked(visit, STREAM) > streams


def test_a_frozen_tab_takes_no_backlog_for_news(house: House, visit: Visitors) -> None:
    page = look(visit, house)
    browser_of_it = page.context.new_cdp_session(page)
    browser_of_it.send("Debugger.enable")
    browser_of_it.send("Debugger.pause")  # no script runs, and what comes waits in buffers
    cycles(house, 9)
    house.gateway.request(-1.5)
    cycles(house, 1)
    with page.expect_request(STREAM), page.expect_response(EVENTS) as events:
        browser_of_it.send("Debugger.disable")
    assert events.value.ok
    healed(page)
    expect(page.locator(".power .line.asked .number")).to_contain_text("1.5")
