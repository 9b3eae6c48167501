"""The report: one document, one page, the same bytes each time, and nothing that could run in a browser."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

from bessai.commissioning import STEPS, Device, Plan, Session, StepResult, Unattended, sample_of
from bessai.commissioning.page import render
from bessai.commissioning.report import (
    Report,
    ReportError,
    from_json,
    make_report,
    report_json_schema,
    save,
    to_json,
)
from bessai.commissioning.results import Verdict, overall
from support.fake_gateway import FakeGateway, FakePace, Misbehaviour

NASTY = "<script>alert('x')</script> & \"q\""


def report(wrong: Misbehaviour | None = None, skip: tuple[str, ...] = ()) -> Report:
    gateway = FakeGateway(wrong=wrong or Misbehaviour())
    pace = FakePace(gateway)
    answer = gateway.answer({"op": "status"})
    assert answer is not None
    status = {**answer["status"], "site": NASTY}
    device = Device(
        unit="", profile="p", model=NASTY, texts={"serial_number": NASTY}, rated=10.0, tolerance_share=0.1,
        response_time=10.0, dead_man_kind="duration", dead_man_time=20.0, fallback=NASTY,
    )  # fmt: skip
    plan = Plan(device=device, power=2.0, user=NASTY, reason=NASTY)
    results = Session(gateway.answer, pace, Unattended(NASTY), plan, "id-1").run_all(STEPS, skip)
    return make_report(
        procedure="commission",
        status=status,
        points=sample_of(status, "", "battery_power", 0.0, 0).points,
        plan=plan,
        steps=results,
        attended=False,
        run_id="id-1",
        tool_version="1.0",
        started_ns=1_700_000_000_000_000_000,
        ended_ns=1_700_000_100_000_000_000,
        zone=timezone(timedelta(hours=-3), "CLT"),
    )


class Page(HTMLParser):
    """Collects what a browser would fetch or run, and checks that the tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [
            f"{k}={v}" for k, v in attrs if k in {"src", "href"} and not (v or "").startswith("#")
        ]
        self.outside += [k for k, _ in attrs if k.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_and_runs_nothing() -> None:
    page = Page()
    text = render(report())
    page.feed(text)
    assert not {"script", "iframe", "link", "img", "object"} & set(page.tags)
    assert page.outside == []
    assert "url(" not in text
    assert "@import" not in text
    assert "<script" not in text
    assert NASTY in page.text, "what somebody typed is shown as typed"


def test_charts_and_evidence_are_in_the_page() -> None:
    text = render(report())
    for title in ("Sign test", "Dead-man test", "Response and accuracy"):
        assert f"<title>{title}: measured power and setpoint</title>" in text
    assert "Time left that the device shows" in text
    assert text.count('class="measured"') >= 4
    assert "dead-man&#x27;s time" in text
    assert "not confirmed by a person" in text
    assert "Commissioned by" in text
    assert "2023-11-14 19:13:20 -0300" in text


def test_the_same_run_gives_the_same_bytes_and_survives_the_file() -> None:
    first, second = report(), report()
    assert to_json(first) == to_json(second)
    again = from_json(to_json(first))
    assert to_json(again) == to_json(first)
    assert render(again) == render(first)


@pytest.mark.parametrize("wrong", [None, Misbehaviour(sign=-1.0), Misbehaviour(never_falls=True)])
def test_the_document_keeps_to_its_schema(wrong: Misbehaviour | None) -> None:
    document = json.loads(to_json(report(wrong)))
    jsonschema.validate(document, report_json_schema())
    assert document["schema"] == "bessai.commissioning/1"
    assert document["verdict"] == ("passed" if wrong is None else "failed")
    rows = document["steps"][1]["rows"]
    assert {"time", "setpoint", "measured", "quality"} <= set(rows[0])


def test_the_published_schema_is_the_present_one() -> None:
    published = json.loads(Path("docs/commissioning.schema.json").read_text(encoding="utf-8"))
    assert published == report_json_schema(), (
        "run python -m bessai.commissioning.report > docs/commissioning.schema.json"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "bessai.commissioning/2"}, "schema: "),
        ({"steps": 3}, "steps: "),
        ({"verdict": "splendid"}, "verdict: "),
        ({"site": None, "user": 7}, "user: "),
    ],
)
def test_what_is_no_report_is_named(change: dict[str, object], said: str) -> None:
    document = json.loads(to_json(report())) | change
    with pytest.raises(ReportError) as caught:
        from_json(json.dumps(document))
    assert any(problem.startswith(said) for problem in caught.value.problems)
    assert len(caught.value.problems) == len(change)


def test_an_earlier_report_is_never_replaced(tmp_path: Path) -> None:
    made = report()
    first = save(made, "one", tmp_path / "new")
    second = save(made, "two", tmp_path / "new")
    assert {path.name for path in (*first, *second)} == {
        "20231114T191320.json", "20231114T191320.html", "20231114T191320-2.json", "20231114T191320-2.html",
    }  # fmt: skip
    assert first[1].read_text() == "one"


def test_what_was_left_out_stands_in_the_page() -> None:
    made = report(skip=("deadman",))
    assert made.verdict is Verdict.INCOMPLETE
    text = render(made)
    opened = text[text.index("What this report does not show") : text.index('class="step"')]
    assert "Dead-man test" in opened
    assert "upper edge of the state of charge" in opened


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ("passed passed", "passed"),
        ("passed failed", "failed"),
        ("skipped failed", "failed"),
        ("passed skipped", "incomplete"),
        ("passed not possible", "incomplete"),
        ("", "incomplete"),
    ],
)
def test_overall(verdicts: str, expected: str) -> None:
    words = verdicts.replace("not possible", "not-possible").split()
    steps = [StepResult(key=w, title=w, verdict=Verdict(w.replace("-", " "))) for w in words]
    assert overall(steps).value == expected
