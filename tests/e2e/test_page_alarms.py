"""A trip, seen and handled on the page: what stands, why, what to do, who did it, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Page, expect

from bessai.journal import JournalReader
from support.gateway import typed
from support.page import House, axe
from support.page_people import Crew, confirm, crew_of

LIMITS = """
chemistry: lfp
limits:
  battery_temperature_high: {warning: {at: 50, clear: 48, delay: 1}, trip: {at: 60, delay: 1}}
"""
TRIP = "The temperature of the battery is near or beyond its upper limit"
HOT = "battery_temperature"


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "limits.yaml").write_text(LIMITS)
    with (
        House(folder, LIMITS_FILE=str(folder / "limits.yaml"), STALE_AFTER="20") as house,
        crew_of(house) as crew,
    ):
        crew.hire("olga", "operator")
        crew.hire("eva", "engineer")
        yield crew


def _state(page: Page, state: str) -> None:
    expect(page.locator("[data-state]")).to_have_attribute("data-state", state)


def _act(page: Page, card: str, button: str, do: str, reason: str) -> None:
    page.get_by_role("listitem").filter(has_text=card).get_by_role("button", name=button).click()
    confirm(page, do, reason)


def test_a_warning_is_acknowledged_and_put_aside(crew: Crew) -> None:
    page = crew.go("olga", "alarms")
    crew.house.force(HOT, 52.0)
    card = page.get_by_role("listitem").filter(has_text=TRIP)
    expect(card).to_contain_text("warning")  # it came without a reload
    expect(card).to_contain_text("52.00 °C")
    expect(page.locator("[data-announced]")).to_contain_text(TRIP)
    for reason in ("", "ab"):
        card.get_by_role("button", name="Acknowledge…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Reason").fill(reason)
        dialog.get_by_role("button", name="Acknowledge", exact=True).click()
        expect(dialog.get_by_text("Say why, in at least 3 characters.")).to_be_visible()
        dialog.get_by_role("button", name="Do nothing").click()
    _act(page, TRIP, "Acknowledge…", "Acknowledge", "seen it from the control room")
    expect(card).to_contain_text("by olga: seen it from the control room")
    expect(card.get_by_role("button", name="Acknowledge…")).to_have_count(0)
    _act(page, TRIP, "Shelve…", "Shelve", "the sensor is changed tomorrow")
    expect(card).to_contain_text("shelved until")
    page.get_by_label("Show").select_option(label="standing")
    expect(card).to_have_count(0)
    page.get_by_label("Show").select_option(label="shelved")
    expect(card).to_have_count(1)
    page.get_by_label("Show").select_option(label="all")
    _act(page, TRIP, "Unshelve…", "Unshelve", "it was changed today")
    expect(card).not_to_contain_text("shelved until")
    assert axe(page) == []


def test_a_trip_stands_until_its_cause_is_gone(crew: Crew) -> None:
    olga, eva = crew.go("olga", "overview"), crew.go("eva", "alarms")
    crew.house.ask(
        op="request", source="plan", priority="schedule", power=2.0, **{"for": 900}, reason="evening"
    )
    expect(olga.get_by_text("Discharging with 2.0 kW: plan asked for +2.0 kW (evening).")).to_be_visible()
    _state(olga, "derated")
    crew.house.force(HOT, 66.0)
    _state(olga, "tripped")
    expect(olga.locator("[data-state]")).to_have_text("Tripped")
    expect(olga.locator("[data-state] svg")).to_be_visible()  # a sign, not the colour alone
    expect(olga.locator("[data-notice=trip]")).to_contain_text(f"Tripped: {TRIP}.")
    expect(
        olga.get_by_text("Commanded to zero power: a trip stands until somebody resets it.")
    ).to_be_visible()
    expect(olga.get_by_text("allowed: zero only")).to_be_visible()
    red = "getComputedStyle(document.querySelector('[data-state]')).color"
    bad = "(() => {const p = document.createElement('p'); p.style.color = 'var(--bad)'; document.body.append(p);"
    assert olga.evaluate(red) == olga.evaluate(
        f"{bad} const c = getComputedStyle(p).color; p.remove(); return c}})()"
    )
    assert axe(olga) == []

    trips = eva.get_by_role("region", name="Trips: the plant is held stopped")
    expect(trips).to_contain_text(f"{TRIP} battery_temperature_high · battery_temperature 66.00 °C")
    expect(trips).to_contain_text("battery_temperature is above 60 °C")
    card = eva.get_by_role("listitem").filter(has_text="tripped, waits for a reset")
    expect(card).to_contain_text("Cause. Failed cooling, blocked filters, too much power, or heat outside.")
    expect(card).to_contain_text("What to do. Check cooling.")
    expect(card.get_by_role("button", name="Shelve…")).to_be_disabled()  # only warnings can be
    trips.get_by_role("button", name="Reset…").click()
    dialog = eva.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("tried too early")
    dialog.get_by_role("button", name="Reset the trip").click()
    expect(dialog.get_by_role("alert")).to_contain_text("its cause is still there, or cannot be judged")
    dialog.get_by_role("button", name="Do nothing").click()
    _state(eva, "tripped")

    crew.go("olga", "alarms")
    expect(olga.get_by_text("A reset needs the role of engineer.")).to_be_visible()
    expect(olga.get_by_role("button", name="Reset…")).to_be_disabled()

    crew.house.release(HOT)
    expect(eva.get_by_role("listitem").filter(has_text="at its limit")).to_contain_text("over")
    _state(eva, "tripped")  # a trip does not go by itself
    trips.get_by_role("button", name="Reset…").click()
    confirm(eva, "Reset the trip", "fan replaced, 25 °C again")
    expect(trips).to_have_count(0)
    _state(olga, "normal")
    expect(olga.locator("[data-notice=trip]")).to_have_count(0)


def test_why_goes_back_to_the_trip(crew: Crew) -> None:
    page = crew.go("olga", "why")
    live = page.get_by_text("● Live")
    expect(live).to_be_visible()
    words = page.get_by_role("region", name="In words")
    expect(words).to_contain_text("plan asks for 2 kW: evening")
    picture = page.get_by_role("list", name="From what the plant can do to what it is told")
    expect(picture.get_by_role("listitem").filter(has_text="asks 2.0 kW")).to_contain_text("won")

    events = page.get_by_label("Jump to an event")
    begun = events.locator("option").filter(has_text="▲ battery_temperature_high")
    moment = begun.first.get_attribute("value")
    assert moment is not None
    events.select_option(moment)  # power stops at once, a second before the trip latches
    expect(page.get_by_text("Recorded:")).to_be_visible()
    expect(words).to_contain_text("hold: the guard holds the device in its safe state")
    expect(words).to_contain_text("guard: battery_temperature is above 60 °C: no power")
    page.get_by_role("button", name="Next change ▸").click()
    expect(words).to_contain_text("the trip battery_temperature_high stands")
    expect(words).to_contain_text("the plant is commanded to 0 kW")
    expect(page.get_by_role("region", name="Set-point", exact=True)).to_contain_text("0.0 kW")
    guard = picture.get_by_role("listitem").filter(has_text="What the guard allows")
    expect(guard).to_contain_text("leaves 0.0 … 0.0 kW")
    when = parse_qs(page.url.partition("?")[2])["t"][0]
    told = typed("explain", when, "--data-dir", str(crew.house.gateway.data))
    assert told.returncode == 0, told.stderr
    lines = words.get_by_role("listitem").all_inner_texts()
    limits = [line for line in lines if line.startswith((HOT, "tripped"))]
    assert len(limits) == 2, lines
    assert all(line in told.stdout for line in limits), told.stdout

    page.get_by_role("button", name="◂ Change before").click()
    expect(words).to_contain_text("hold: the guard holds the device in its safe state")
    page.get_by_role("button", name="Cycle before").click()
    expect(words).not_to_contain_text("hold")
    expect(words).to_contain_text("the plant is commanded to 2 kW")
    page.get_by_role("button", name="Next cycle").click()
    expect(words).to_contain_text("hold: the guard holds the device in its safe state")
    page.get_by_role("button", name="Next change ▸").click()
    expect(words).to_contain_text("the trip battery_temperature_high stands")
    page.reload()  # the moment is in the address
    expect(words).to_contain_text("the trip battery_temperature_high stands")
    assert axe(page) == []
    page.get_by_role("button", name="Back to now").click()
    expect(live).to_be_visible()
    expect(words).not_to_contain_text("trip")


def test_all_of_it_is_on_record(crew: Crew) -> None:
    page = crew.go("olga", "alarms")
    page.get_by_role("button", name="History").click()
    rows = page.get_by_role("row").filter(has_text="battery_temperature_high")
    for said in ("▲ began", "▽ ended", "66.00 °C", "battery_temperature is above 60 °C"):
        expect(rows.filter(has_text=said).first).to_be_visible()

    page = crew.go("ana", "audit")
    for user, what, outcome, why in (
        ("olga", "acknowledged an alarm", "done", "seen it from the control room"),
        ("olga", "shelved an alarm", "done", "the sensor is changed tomorrow"),
        ("olga", "unshelved an alarm", "done", "it was changed today"),
        ("eva", "reset a trip", "refused", "tried too early"),
        ("eva", "reset a trip", "done", "fan replaced, 25 °C again"),
    ):
        row = page.get_by_role("row").filter(has_text=user).filter(has_text=what).filter(has_text=outcome)
        expect(row.filter(has_text=why).filter(has_text="battery_temperature_high")).to_have_count(1)
    page.get_by_role("button", name="Verify the whole log").click()
    expect(page.get_by_text("nothing was changed or taken out")).to_be_visible()
    page.get_by_label("Action").select_option(label="reset a trip")
    expect(page.get_by_text("4 entries shown")).to_be_visible()  # asked and its outcome, twice
    assert axe(page) == []

    reader = JournalReader(crew.house.gateway.data)
    found = {(event.code, event.user) for entry in reader.read(0, 100_000) for event in entry.events}
    reader.close()
    assert {("trip_reset", "eva"), ("alarm_acknowledged", "olga"), ("alarm_shelved", "olga")} <= found
    assert crew.complaints == []


def test_a_trip_is_told_in_spanish_when_somebody_switches(crew: Crew) -> None:
    page = crew.go("eva", "overview")
    page.get_by_role("button", name="User and settings: eva").click()
    page.get_by_role("button", name="Español").click()
    page.keyboard.press("Escape")
    crew.house.force(HOT, 66.0)
    _state(page, "tripped")
    trip = "disparado, espera el rearme: battery_temperature está sobre 60 °C"
    expect(page.get_by_text(trip).first).to_be_visible()
    page = crew.go("eva", "alarms")
    trips = page.get_by_role("region", name="Disparos")
    expect(trips).to_contain_text("battery_temperature está sobre 60 °C")
    expect(page.get_by_role("listitem").filter(has_text=trip).first).to_be_visible()
    trips.get_by_role("button", name="Rearmar…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Motivo").fill("demasiado pronto")
    dialog.get_by_role("button", name="Rearmar el disparo").click()
    expect(dialog.get_by_role("alert")).to_contain_text("su causa sigue presente, o no se puede juzgar")
    dialog.get_by_role("button", name="No hacer nada").click()
    page.get_by_role("button", name="Historial").click()
    expect(
        page.get_by_role("row").filter(has_text="battery_temperature está sobre 60 °C").first
    ).to_be_visible()
    page = crew.go("eva", "why")
    words = page.get_by_role("region", name="En palabras")
    expect(words).to_contain_text("protección: disparado, espera el rearme")
    expect(page.get_by_text("la temperatura de la batería está cerca de su límite").first).to_be_visible()
    assert axe(page) == []
    page = crew.go("eva", "overview")
    page.get_by_role("button", name="Usuario y ajustes: eva").click()
    page.get_by_role("button", name="English").click()  # what is shown changes without a reload
    expect(
        page.get_by_text("tripped, waits for a reset: battery_temperature is above 60 °C").first
    ).to_be_visible()
    assert not crew.complaints
