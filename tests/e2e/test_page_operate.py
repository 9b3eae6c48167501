"""Operating the plant on the page: power is asked for, foretold, followed, ended; maintenance; people and programs."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from faults.conftest import KINDS, quick_profile
from support.page import House, axe
from support.page_people import PASSWORD, Crew, confirm, crew_of

REWRITE = next(device for device in KINDS if device.kind == "rewrite")
PREVIEW = ".preview"


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    folder = tmp_path_factory.mktemp("house")
    profile = quick_profile(folder, REWRITE)  # 10 kW, and a dead-man of 8 s
    with (
        House(folder, profile, CYCLE_TIME="0.5", WATCHDOG_TIMEOUT="2", STALE_AFTER="20") as house,
        crew_of(house) as crew,
    ):
        crew.hire("olga", "operator")
        yield crew


def _standing(page: Page) -> Any:
    return page.get_by_role("region", name="Standing requests")


def _asked(crew: Crew) -> list[dict[str, Any]]:
    return list(crew.house.status["control"]["requests"])


def test_a_wrong_wish_is_told_beside_its_field_and_not_sent(crew: Crew) -> None:
    page = crew.go("olga", "control")
    power, minutes = page.get_by_label("Active power, kW"), page.get_by_label("For, min")
    why, send = page.get_by_label("Reason"), page.get_by_role("button", name="Review and send…")
    send.click()
    expect(page.locator("#power-said")).to_have_text("Is missing.")
    expect(page.locator("#reason-said")).to_have_text("Say why, in at least 3 characters.")
    for field, text, said, words in (
        (power, "ten", "#power-said", "Not a number."),
        (power, "1.2.3", "#power-said", "Not a number."),
        (power, "-5", "#power-said", "Give it without a sign and choose the direction."),
        (power, "5", "#power-said", "goes as +5.0 kW: the battery delivers"),
        (minutes, "61", "#minutes-said", "Between 1 s and 60 min."),
        (minutes, "0", "#minutes-said", "Between 1 s and 60 min."),
        (minutes, "", "#minutes-said", "Is missing."),
        (minutes, "5", "#minutes-said", "at most 60 min"),
        (why, "no", "#reason-said", "Say why, in at least 3 characters."),
    ):
        field.fill(text)
        expect(page.locator(said)).to_contain_text(words)
        send.click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    expect(why).to_have_attribute("aria-invalid", "true")
    page.get_by_text("Bounds for lower priorities").click()
    page.get_by_label("Lowest, kW").fill("4")
    page.get_by_label("Highest, kW").fill("2")
    expect(page.locator("#high-said")).to_contain_text("Below the lowest")
    page.get_by_role("radio", name="State of charge").check()
    page.get_by_label("Target state of charge, %").fill("101")
    expect(page.locator("#soc-said")).to_have_text("Between 0 and 100 %.")
    assert _asked(crew) == []


def test_more_than_is_allowed_is_clipped_and_said_why(crew: Crew) -> None:
    page = crew.go("olga", "control")
    page.reload()
    page.get_by_label("Active power, kW").fill("500")
    page.get_by_label("For, min").fill("20")
    page.get_by_label("Reason").fill("evening peak")
    said = (
        "10.0 kW",
        "of 500.0 kW asked",
        "490.0 kW clipped",
        "more than the plant's rated power",
        "−10.0 kW … 10.0 kW",
    )
    for words in said:
        expect(page.locator(PREVIEW)).to_contain_text(words)
    assert _asked(crew) == []  # foretold is not asked for
    page.get_by_role("button", name="Review and send…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Reason: evening peak")
    for words in said:
        expect(dialog).to_contain_text(words)
    assert axe(page) == []
    dialog.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Sent as operator:olga.")).to_be_visible()
    effect = page.get_by_role("region", name="Effect")
    expect(effect).to_contain_text("limited: more than the plant's rated power")
    expect(effect).to_contain_text("discharge")  # measured
    (standing,) = _asked(crew)
    assert (standing["power"], standing["reason"], standing["role"]) == (500.0, "evening peak", "won")
    assert axe(page) == []

    crew.go("olga", "overview")
    sentence = "Discharging with 10.0 kW: operator:olga asked for +500.0 kW (evening peak); it gets +10.0 kW."
    state = page.get_by_role("region", name="State", exact=True)
    for words in (
        sentence,
        "Limits that bind now – allowed: −10.0 kW to +10.0 kW",
        "more than the plant's rated power",
    ):
        expect(state).to_contain_text(words)

    crew.go("olga", "why")
    picture = page.get_by_role("list", name="From what the plant can do to what it is told")
    wish = picture.get_by_role("listitem").filter(has_text="operator:olga")
    for words in ("won", "asks 500.0 kW"):
        expect(wish).to_contain_text(words)
    expect(picture.get_by_role("listitem").filter(has_text="What the guard allows")).to_contain_text(
        "leaves −10.0 … 10.0 kW"
    )
    expect(picture).to_contain_text("more than the plant's rated power")
    expect(page.get_by_role("region", name="In words")).to_contain_text("the plant is commanded to 10 kW")


def test_a_request_is_renewed_and_ended(crew: Crew) -> None:
    page = crew.go("olga", "control")
    standing = _standing(page)
    mine = standing.get_by_role("listitem").filter(has_text="operator:olga")
    expect(mine).to_contain_text("mine")
    expect(mine).to_contain_text("20 min")
    mine.get_by_role("button", name="Renew…").click()
    page.get_by_role("dialog").get_by_label("For").select_option(label="60 min")
    confirm(page, "Renew", "the peak lasts")
    expect(mine).to_contain_text("60 min")
    # a colleague somewhere else asks too, and it comes by itself
    crew.house.ask(
        op="request",
        source="dispatch",
        priority="grid_operator",
        high=4.0,
        **{"for": 95},
        reason="congestion",
    )
    other = standing.get_by_role("listitem").filter(has_text="dispatch")
    expect(other).to_contain_text("narrows the winner")
    expect(other.get_by_role("button", name="Cancel…")).to_be_disabled()
    expect(other).to_contain_text("only an engineer renews or cancels it")
    expect(page.get_by_role("region", name="Effect")).to_contain_text("dispatch asked for narrower bounds")
    left = other.locator("dd").last
    expect(left).to_have_text(re.compile(r"^\d\d s$"))
    expect(left).not_to_have_text(left.inner_text())  # it counts down
    expect(page.locator(PREVIEW)).to_contain_text("Fill in a power to see it.")
    boss = crew.go("ana", "control")
    theirs = _standing(boss).get_by_role("listitem").filter(has_text="dispatch")
    theirs.get_by_role("button", name="Cancel…").click()
    confirm(boss, "Cancel the request", "the line is free again")
    expect(other).to_have_count(0)
    mine.get_by_role("button", name="Cancel…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("x")
    dialog.get_by_role("button", name="Cancel the request").click()
    expect(dialog).to_contain_text("Say why, in at least 3 characters.")
    dialog.get_by_label("Reason").fill("the peak is over")
    dialog.get_by_role("button", name="Cancel the request").click()
    expect(standing).to_contain_text("Nobody asks for power.")
    expect(page.get_by_role("region", name="Effect")).to_contain_text("nobody asks")
    assert _asked(crew) == []


def test_maintenance(crew: Crew) -> None:
    page = crew.go("olga", "control")
    page.get_by_role("button", name="Begin maintenance…").click()
    confirm(page, "Begin maintenance", "cleaning the filters")
    expect(page.locator("[data-state]")).to_have_text("Maintenance")
    notice = page.locator("[data-notice=maintenance]")
    expect(notice).to_have_text("Maintenance, switched on by olga: cleaning the filters")
    expect(page.get_by_text("by olga: cleaning the filters", exact=False).last).to_be_visible()
    page.get_by_label("Active power, kW").fill("3")
    expect(page.locator(PREVIEW)).to_contain_text("maintenance: zero power, whoever asks")
    page.get_by_role("button", name="End maintenance…").click()
    confirm(page, "End maintenance", "filters are clean")
    expect(notice).to_have_count(0)
    expect(page.locator("[data-state]")).to_have_text("Normal")


def test_an_engineer_tests_the_dead_man(crew: Crew) -> None:
    page = crew.go("olga", "control")
    expect(page.get_by_role("button", name="Test the device…")).to_be_disabled()
    expect(page.get_by_text("Needs the role of engineer.")).to_be_visible()
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    page.goto(f"{crew.house.url}/#/users")
    expect(page.get_by_text("Your role does not show this page.")).to_be_visible()
    refused = crew.call("POST", "/operations/deadman-test", {"reason": "let me"}, page)
    assert (refused.status, refused.json()["code"]) == (403, "role_too_low")

    boss = crew.go("ana", "control")
    operations = boss.get_by_role("region", name="Operations")
    expect(operations).to_contain_text("never tested")
    boss.get_by_role("button", name="Test the device…").click()
    dialog = boss.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("yearly test")
    dialog.get_by_role("button", name="Start the test").click()
    expect(dialog.get_by_role("alert")).to_contain_text("ask for a small power first")
    dialog.get_by_role("button", name="Do nothing").click()
    boss.get_by_label("Active power, kW").fill("3")
    boss.get_by_label("Reason").fill("for the test")
    boss.get_by_role("button", name="Review and send…").click()
    boss.get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(boss.get_by_role("region", name="Effect")).to_contain_text("3.0 kW discharge")
    boss.get_by_role("button", name="Test the device…").click()
    confirm(boss, "Start the test", "yearly test")
    expect(operations).to_contain_text("The test runs: last fed")
    expect(operations).to_contain_text("passed on")
    expect(operations).to_contain_text("by ana")


def _status(crew: Crew, path: str, secret: str) -> int:
    asked = urllib.request.Request(
        f"{crew.house.url}/api/v1{path}", headers={"Authorization": f"Bearer {secret}"}
    )
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            json.load(answer)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_people_come_and_go(crew: Crew) -> None:
    page = crew.go("ana", "users")
    own = page.get_by_role("row").filter(has_text="ana")
    expect(own).to_contain_text("The last administrator")
    for button in ("Change role", "Disable", "Delete"):
        expect(own.get_by_role("button", name=f"{button}: ana")).to_be_disabled()
    last = crew.call("PATCH", "/users/ana", {"disabled": True})
    assert (last.status, last.json()["code"]) == (409, "last_administrator")

    page.get_by_role("button", name="Add a user").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("User name").fill("Bad Name")
    dialog.get_by_label("Role").select_option(label="Viewer")
    dialog.get_by_label("New password", exact=True).fill(PASSWORD)
    dialog.get_by_label("New password again").fill(PASSWORD)
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_label("User name")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("User name").fill("vic")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog).to_be_hidden()
    row = page.get_by_role("row").filter(has_text="vic")
    expect(row).to_contain_text("Viewer")
    vic = crew.enter("vic")
    expect(vic.get_by_role("link", name="Control")).to_have_count(0)
    page.get_by_role("button", name="Change role: vic").click()
    dialog.get_by_label("Role").select_option(label="Operator")
    dialog.get_by_role("button", name="Change role").click()
    expect(row).to_contain_text("Operator")
    vic.reload()
    expect(vic.get_by_role("link", name="Control").first).to_be_visible()
    page.get_by_role("button", name="Disable: vic").click()
    dialog.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("disabled")
    expect(vic.get_by_role("heading", name="Sign in")).to_be_visible()  # thrown out, without a click
    page.get_by_role("button", name="Delete: vic").click()
    expect(dialog.get_by_role("button", name="Delete for ever")).to_be_disabled()
    dialog.get_by_label("Type vic to confirm").fill("vic")
    dialog.get_by_role("button", name="Delete for ever").click()
    expect(row).to_have_count(0)
    assert axe(page) == []


def test_a_program_has_a_token(crew: Crew) -> None:
    page = crew.go("ana", "users")
    page.get_by_role("button", name="Make a token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the program").fill("scada")
    dialog.get_by_label("Days until it expires").fill("400")
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog.locator("#token-days-said")).to_have_text("1 to 366.")
    dialog.get_by_label("Days until it expires").fill("30")
    dialog.get_by_role("button", name="Make it").click()
    secret = dialog.get_by_label("The secret").input_value()
    assert secret.startswith("bessai_")
    assert axe(page) == []
    dialog.get_by_role("button", name="I have it").click()
    assert secret not in page.content()  # shown once
    assert _status(crew, "/status", secret) == 200
    assert _status(crew, "/users", secret) == 403  # a viewer's, for reading
    row = page.get_by_role("row").filter(has_text="scada")
    row.get_by_role("button", name="Revoke scada").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)
    assert _status(crew, "/status", secret) == 401


def test_the_audit_tells_all_of_it(crew: Crew) -> None:
    page = crew.go("ana", "audit")
    for user, what, outcome, why in (
        ("olga", "asked for power", "done", "evening peak"),
        ("olga", "renewed a request", "done", "the peak lasts"),
        ("ana", "ended a request", "done", "the line is free again"),
        ("olga", "ended a request", "done", "the peak is over"),
        ("olga", "changed maintenance", "done", "cleaning the filters"),
        ("ana", "tested a dead-man", "refused", "yearly test"),
        ("ana", "ended a dead-man test", "done", "yearly test"),
        ("ana", "added a user", "done", "vic"),
        ("ana", "deleted a user", "done", "vic"),
        ("ana", "made a token", "done", "scada"),
        ("ana", "revoked a token", "asked", "scada"),
    ):
        row = page.get_by_role("row").filter(has_text=user).filter(has_text=what).filter(has_text=outcome)
        expect(row.filter(has_text=why)).to_have_count(1)
    page.get_by_role("button", name="Verify the whole log").click()
    expect(page.get_by_text("nothing was changed or taken out")).to_be_visible()
    assert crew.complaints == []
