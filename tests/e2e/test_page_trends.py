"""Trends over a year of records: what is drawn, read, zoomed, exported and shared is what the history has."""

from __future__ import annotations

import csv
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

from support.page import ADMINISTRATOR, House, axe, browser
from support.shots import Shots, sign_in
from support.year import DAYS, EVENT_EVERY, GAP_DAYS, SPACING, STALE_DAYS, hours_ago, write_year

pytestmark = pytest.mark.timeout(600)

DAY = 86_400_000
POINTS = ("battery_power", "grid_power", "soc")


class Patient(House):
    """It reads a long journal first."""

    def until_ready(self, seconds: float = 240.0) -> None:
        super().until_ready(seconds)


class Year:
    """The house, what is known of its year, and a signed-in browser."""

    def __init__(self, house: House, chromium: Any, end: int, known: Any) -> None:
        self.house, self.chromium, self.known = house, chromium, known
        self.end = end // 1_000_000
        self.start = self.end - DAYS * DAY
        self.context = chromium.new_context(
            viewport={"width": 1440, "height": 900}, accept_downloads=True, locale="en-GB", timezone_id="UTC",
            permissions=["clipboard-read", "clipboard-write"],
        )  # fmt: skip
        self.csrf = sign_in(self.context, house)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def reset_trips(self) -> None:
        """A gateway that finds a journal but not its own state waits for an engineer."""
        body = {"code": "trip_record_lost", "reason": "this journal was made for a test"}
        done = self.context.request.post(
            f"{self.house.url}/api/v1/operations/reset", data=body, headers={"X-CSRF-Token": self.csrf}
        )
        assert done.ok, done.text()

    def rows(self, start: float, end: float) -> Any:
        """What is known between two times in ms."""
        first, last = ((time - self.start) / 1000 / SPACING for time in (start, end))
        return self.known[max(0, int(np.ceil(first))) : max(0, int(np.ceil(last)))]

    def show(self, start: float, end: float, *, points: tuple[str, ...] = POINTS) -> None:
        """Open a link to a range."""
        self.page.goto("about:blank")
        text = "&".join(f"{k}={_iso(v)}" for k, v in (("start", start), ("end", end)))
        self.page.goto(f"{self.house.url}/#/trends?points={','.join(points)}&{text}")
        self.drawn(points)

    def drawn(self, points: tuple[str, ...] = POINTS) -> None:
        """Until the courses have come."""
        self.page.wait_for_function(
            """n => document.querySelectorAll('.values tbody tr').length === n
              && document.querySelector('.chart canvas') && !/Loading|Cargando/.test(document.body.innerText)
              && [...document.querySelectorAll('.values tbody tr')].every(row => row.cells[10].innerText !== '–')""",
            arg=len(points), timeout=60_000,
        )  # fmt: skip

    def cells(self, point: str) -> list[str]:
        """A row of the table: cursor min, mean, max, good; range min, mean, max, last, good; step."""
        row = self.page.locator(".values tbody tr", has=self.page.locator("th", has_text=point))
        return [str(text) for text in row.locator("td").all_inner_texts()]

    def asked(self) -> tuple[int, int]:
        """The range in the address, in ms."""
        query = parse_qs(self.page.evaluate("location.hash").partition("?")[2])
        start, end = (datetime.fromisoformat(query[name][0]) for name in ("start", "end"))
        return round(start.timestamp() * 1000), round(end.timestamp() * 1000)

    def drag(self, start: float, end: float) -> None:
        """Draw a range of times in ms into the chart."""
        low, high = self.asked()
        before = self.page.evaluate("location.hash")
        box = self.page.locator(".u-over").bounding_box()
        xs = [box["x"] + (time - low) / (high - low) * box["width"] for time in (start, end)]
        y = box["y"] + box["height"] / 2
        self.page.mouse.move(xs[0], y)
        self.page.mouse.down()
        self.page.mouse.move((xs[0] + xs[1]) / 2, y)
        self.page.mouse.move(xs[1], y)
        with self.page.expect_response(lambda answer: "/api/v1/history" in answer.url):
            self.page.mouse.up()
        self.page.wait_for_function("before => location.hash !== before", arg=before)
        self.drawn()


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).isoformat().replace("+00:00", "Z")


def _number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", "").rstrip(" %"))


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Year]:
    """A gateway that finds a year of records in its data directory."""
    folder, end = tmp_path_factory.mktemp("year"), hours_ago(0)
    known = write_year(folder / "data", end)
    with Patient(folder) as house, browser() as chromium:
        found = Year(house, chromium, end, known)
        found.reset_trips()
        yield found


def test_a_year_at_one_click(year: Year, tmp_path: Path) -> None:
    page = year.page
    page.goto(f"{year.house.url}/#/trends?points={','.join(POINTS)}")
    page.get_by_role("button", name="1 year").click()
    page.wait_for_function("() => location.hash.includes('last=31536000')")
    year.drawn()
    for column, point in enumerate(POINTS):
        low, _, high, *_ = map(_number, year.cells(point)[4:8])
        assert low == pytest.approx(np.nanmin(year.known[:, column]), abs=0.006), point
        assert high == pytest.approx(np.nanmax(year.known[:, column]), abs=0.006), point
    assert _number(year.cells("battery_power")[8]) > 99.5, "all but the gateway's first cycles"
    assert 98 < _number(year.cells("soc")[8]) < 99.5, "the days without evidence count"
    page.wait_for_function(
        """n => [...document.querySelectorAll('.strip button')]
          .reduce((sum, one) => sum + Number(one.querySelector('small')?.textContent ?? 1), 0) >= n""",
        arg=DAYS // EVENT_EVERY,
    )
    marks = page.locator(".strip button")
    marks.nth(3).hover()
    page.get_by_role("tooltip").get_by_text("the device does not answer").first.wait_for()
    page.locator("h1").hover()
    assert axe(page) == []
    assert year.said == []
    year.show(year.start, year.end)
    Shots(tmp_path).take(page, "trends", as_="trends.en")


def test_what_is_not_known_is_shaded(year: Year) -> None:
    year.show(year.start + 80 * DAY, year.start + 220 * DAY)
    # the lane of soc, the lowest, filled in the warning colour; the line is broken where nothing was recorded
    shade = """([low, high, from, to]) => {
      const [canvas, over] = ['.chart canvas', '.u-over'].map(name => document.querySelector(name));
      const dense = devicePixelRatio;
      const [a, b] = [canvas.getBoundingClientRect(), over.getBoundingClientRect()];
      const x = at => Math.round((b.left - a.left + (at - low) / (high - low) * b.width) * dense);
      const y = Math.round((b.bottom - a.top - 3) * dense);
      const data = canvas.getContext('2d').getImageData(x(from), y, x(to) - x(from), 1).data;
      const sum = [0, 0, 0];
      for (let i = 0; i < data.length; i += 4) for (const k of [0, 1, 2]) sum[k] += data[i + 3] * data[i + k] / 255;
      return sum.map(one => Math.round(4 * one / data.length));
    }"""
    low, high = year.asked()

    def colour(first: float, last: float) -> list[int]:
        args = [low, high, year.start + first * DAY, year.start + last * DAY]
        return [int(one) for one in year.page.evaluate(shade, args)]

    red, green, blue = colour(STALE_DAYS[0] + 1, STALE_DAYS[1] - 1)
    assert red > 100 > blue, (red, green, blue)
    assert red > green
    calm = colour(STALE_DAYS[1] + 5, STALE_DAYS[1] + 9)
    assert max(calm) < 12, f"nothing is drawn where all is well: {calm}"
    gap = colour(GAP_DAYS[0] + 1, GAP_DAYS[1] - 1)
    assert min(gap) > max(calm) + 3, f"hatched where there is no data: {gap}"


def test_drag_to_a_day_and_back(year: Year) -> None:
    year.show(year.start + 140 * DAY, year.start + 170 * DAY)
    before, step = year.asked(), year.cells("soc")[9]
    day = year.start + 150 * DAY
    year.drag(day - 2 * DAY, day + 3 * DAY)
    year.drag(day, day + DAY)
    start, end = year.asked()
    assert start == pytest.approx(day, abs=DAY / 24)
    assert end == pytest.approx(day + DAY, abs=DAY / 24)
    assert year.cells("soc")[9] != step
    rows = year.rows(start, end)
    low, mean, high, last, good = map(_number, year.cells("battery_power")[4:9])
    assert low == pytest.approx(rows[:, 0].min(), abs=0.006)
    assert mean == pytest.approx(rows[:, 0].mean(), abs=0.006)
    assert high == pytest.approx(rows[:, 0].max(), abs=0.006)
    assert last == pytest.approx(rows[-1, 0], abs=0.006)
    assert good == 100
    # and back, twice, to where it began
    year.page.get_by_role("button", name="Back", exact=True).click()
    year.page.get_by_role("button", name="Back", exact=True).click()
    year.page.wait_for_function("before => location.hash.includes(before)", arg=f"start={_quoted(before[0])}")
    year.drawn()
    # the readout at the cursor: what the bucket there holds
    box = year.page.locator(".u-over").bounding_box()
    year.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    year.page.wait_for_function(
        "() => !document.querySelector('.values caption').innerText.includes('move over')"
    )
    cells = year.cells("soc")
    least, mean, most, good = map(_number, cells[:4])
    middle, around = sum(before) / 2, 3 * 3_600_000
    near = year.rows(middle - around, middle + around)[:, 2]
    assert near.min() - 0.006 <= least <= mean <= most <= near.max() + 0.006, (cells, near)
    assert good == 100


def _quoted(time: float) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%dT%H%%3A%M%%3A%S")


def test_a_point_is_found_and_a_range_is_given(year: Year) -> None:
    page = year.page
    day = year.start + 300 * DAY
    year.show(day, day + DAY)
    page.get_by_role("combobox").fill("active_pow")
    page.get_by_role("option").filter(has_text=re.compile("^active_power ")).click()
    page.locator(".values th.name", has_text="active_power").wait_for()
    page.get_by_role("button", name="Remove active_power").click()
    page.get_by_role("button", name="Custom").click()
    page.get_by_label("From").fill("2026-03-02T00:00:00")
    page.get_by_label("To", exact=True).fill("2026-03-01T00:00:00")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("The end must be later than the beginning.").wait_for()
    page.get_by_label("To", exact=True).fill(
        datetime.fromtimestamp((day + 2 * DAY) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    )
    page.get_by_label("From").fill(datetime.fromtimestamp(day / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    page.get_by_role("button", name="Show").click()
    page.wait_for_function("text => location.hash.includes(text)", arg=f"end={_quoted(day + 2 * DAY)}")
    year.drawn()
    assert year.asked()[0] == pytest.approx(day, abs=1000)


def test_csv_and_png_have_what_is_shown(year: Year, tmp_path: Path) -> None:
    start, end = year.start + 250 * DAY, year.start + 257 * DAY
    year.show(start, end)
    with year.page.expect_download() as got:
        year.page.get_by_role("link", name="CSV").click()
    got.value.save_as(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if int(row["count"])]
    assert {row["point"] for row in rows} == set(POINTS)
    query = f"points=soc&start={_iso(start)}&end={_iso(end)}&max_points=20000"
    (told,) = year.context.request.get(f"{year.house.url}/api/v1/history?{query}").json()["series"]
    soc = [row for row in rows if row["point"] == "soc"]
    known = [i for i, count in enumerate(told["count"]) if count]
    assert len(soc) == len(known) == 7 * 86400 // SPACING
    for row, i in zip(soc[::50], known[::50], strict=True):
        assert datetime.fromisoformat(row["time"]).timestamp() * 1000 == told["times"][i]
        assert (float(row["mean"]), float(row["good"])) == (told["mean"][i], told["good"][i])
    assert [float(row["mean"]) for row in soc] == pytest.approx(year.rows(start, end)[:, 2], abs=1e-6)
    with year.page.expect_download() as got:
        year.page.get_by_role("button", name="PNG").click()
    got.value.save_as(tmp_path / "trends.png")
    data = (tmp_path / "trends.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    box = year.page.locator(".chart").bounding_box()
    assert width > box["width"]
    assert height > box["height"] + 3 * 22, "title and legend stand around it"
    assert got.value.suggested_filename.endswith(".png")


def test_a_link_shows_the_same_to_somebody_who_signs_in(year: Year) -> None:
    start, end = year.start + 90 * DAY, year.start + 120 * DAY
    year.show(start, end, points=("soc", "battery_power"))
    year.page.get_by_role("button", name="Copy link").click()
    year.page.get_by_text("Link copied").wait_for()
    link = year.page.evaluate("navigator.clipboard.readText()")
    context = year.chromium.new_context(locale="en-GB", timezone_id="UTC")
    page = context.new_page()
    page.goto(link)
    page.get_by_role("textbox").first.fill(ADMINISTRATOR[0])
    page.locator("input[type=password]").fill(ADMINISTRATOR[1])
    page.locator("form button.primary").click()
    page.locator(".values tbody tr").nth(1).wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.values tbody tr')].every(r => r.cells[10].innerText !== '–')"
    )
    shown = [other.locator(".values tbody tr").all_inner_texts() for other in (year.page, page)]
    assert shown[0] == shown[1]
    assert page.locator(".when").inner_text() == year.page.locator(".when").inner_text()
    assert year.said == []
    context.close()
