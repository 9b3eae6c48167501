"""The whole self-test against the simulated plant, once, and what is made of it."""

from __future__ import annotations

import json
import math
import re
from html import escape
from typing import Any

import pytest

from bessai.gridcode.clauses import clauses
from bessai.gridcode.frequency import expected
from bessai.gridcode.lab import Setup
from bessai.gridcode.page import render
from bessai.gridcode.report import Report, report_json, rows_json
from bessai.gridcode.rows import Row, Verdict
from bessai.gridcode.suite import row_names, run
from bessai.gridcode.twin_report import twin_report
from bessai.gridcode.words import FINDINGS, LIMITS, PHRASES, details, main_finding, row_limit

SETUP = Setup(seed=1)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return run(SETUP)


@pytest.fixture(scope="module")
def report(rows: list[Row]) -> Report:
    return twin_report(SETUP, rows, "2026-02-03T00:00:00+00:00")


def _named(rows: list[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


def test_every_row_that_is_tested_passes(rows: list[Row]) -> None:
    assert [row.plain() for row in rows if row.verdict is Verdict.FAIL] == []


def test_every_row_is_there_once(rows: list[Row]) -> None:
    assert sorted(row.name for row in rows) == sorted(row_names())
    assert len(set(row_names())) == len(row_names())


def test_every_clause_has_its_rows(rows: list[Row]) -> None:
    for clause in clauses().values():
        own = [row for row in rows if row.clause is clause]
        assert own, clause.id
        for row in own:
            assert row.name.partition(".")[0] == clause.test
            tested = row.verdict is not Verdict.NOT_TESTED
            assert tested is not bool(clause.not_tested), row.name


def test_what_only_the_converter_can_do_is_not_tested_and_says_why(rows: list[Row]) -> None:
    for row in rows:
        if row.clause.closes_loop == "pcs":
            assert row.verdict is Verdict.NOT_TESTED
            assert row.note["en"]
            assert row.note["es"]
    for name in (
        "instantaneous_response",
        "low_voltage_ride_through",
        "phase_jump",
        "synthetic_inertia",
        "fecf",
    ):
        assert _named(rows, name).verdict is Verdict.NOT_TESTED


def test_the_printed_json_is_the_contract(rows: list[Row]) -> None:
    document = json.loads(rows_json(rows))
    assert set(document) == {"rows"}
    assert len(document["rows"]) == len(rows)
    for row in document["rows"]:
        assert set(row) == {"name", "clause", "limit", "measured", "verdict", "confidence"}
        assert row["verdict"] in {"pass", "fail", "not tested"}
        assert row["confidence"] in {"A", "B", "C"}
        if row["verdict"] != "not tested":
            assert row["limit"]
            assert "value" in row["measured"] or "found" in row["measured"]
        if isinstance(row["measured"].get("value"), float):
            assert row["measured"]["unit"]


@pytest.mark.parametrize(("droop", "vector"), [(2.0, 0.170), (3.0, 0.1133), (5.0, 0.068)])
def test_the_vectors_of_the_code(rows: list[Row], droop: float, vector: float) -> None:
    """df = -0.2 Hz with a dead band of 30 mHz, in pu of the rated power."""
    assert expected(-0.2, droop, 0.030, 1.0) == pytest.approx(vector, abs=5e-5)
    assert expected(0.2, droop, 0.030, 1.0) == pytest.approx(-vector, abs=5e-5)
    for way, sign in (("down", 1.0), ("up", -1.0)):
        value = _named(rows, f"frequency_droop.s{droop:g}_{way}").measured["value"]
        assert isinstance(value, float)
        assert value / SETUP.sizes.rated_power == pytest.approx(sign * vector, rel=0.02)


def test_the_gateways_records_and_the_witness_tell_the_same(rows: list[Row]) -> None:
    compared = 0
    for row in rows:
        other, value, interval = (row.measured.get(name) for name in ("other_samples", "value", "interval"))
        if isinstance(other, float) and isinstance(value, float) and isinstance(interval, float):
            assert abs(other - value) <= 0.1 + 0.1 + 1e-6, (
                row.plain()
            )  # the interval of each of the slower one
            compared += 1
    assert compared >= 25


def test_a_limit_below_the_gateways_samples_is_judged_by_the_witness(rows: list[Row]) -> None:
    for row in rows:
        if "samples" in row.measured:
            reaction_of_voltage = row.name.startswith("voltage_reaction")
            assert row.measured["samples"] == ("witness" if reaction_of_voltage else "records")


def test_the_gateways_own_part_is_told_beside_the_closed_loop(rows: list[Row]) -> None:
    for row in rows:
        if row.name.startswith("voltage_reaction"):
            value, seen, own = (row.measured[key] for key in ("value", "seen_after", "written_after_seen"))
            assert isinstance(value, float)
            assert isinstance(seen, float)
            assert isinstance(own, float)
            assert 0 <= seen <= 0.11
            assert 0 < own < 0.05
            assert value >= seen + own - 0.02, "nothing reacts before it was told"


def test_settling_from_detection_is_never_longer_than_from_the_step(rows: list[Row]) -> None:
    for row in rows:
        if "settling" in row.name:
            value, detected = row.measured["value"], row.measured["from_detection"]
            assert isinstance(value, float)
            assert isinstance(detected, float)
            assert detected <= value


def test_everything_that_rows_say_is_also_said_in_spanish(rows: list[Row]) -> None:
    for row in rows:
        assert set(row.limit) <= {*LIMITS, "unit"}, row.name
        assert set(row.measured) <= {*FINDINGS, "value", "unit"}, row.name
        said = [row.limit.get("must"), row.measured.get("found"), row.measured.get("samples")]
        for text in said:
            assert text is None or text in PHRASES, text
        assert set(row.note) in (set(), {"en", "es"})
        assert row_limit(row, "es") is not None
        assert main_finding(row, "es")
        list(details(row, "es"))


def test_the_reports_document_has_rows_and_samples(report: Report) -> None:
    document: dict[str, Any] = json.loads(report_json(report))
    assert document["schema"] == "bessai.gridcode/1"
    assert document["verdict"] == "pass"
    assert sum(document["counts"].values()) == len(document["rows"]) == len(report.rows)
    assert document["seed"] == 1
    assert document["facts"]["control cycle"] == "0.1 s"
    assert len(document["figures"]) >= 12
    for figure in document["figures"]:
        for trace in figure["traces"]:
            assert len(trace["times"]) == len(trace["values"]) >= 25
            assert all(a < b for a, b in zip(trace["times"], trace["times"][1:], strict=False))
    by_name = {row["name"]: row for row in document["rows"]}
    assert by_name["sitr_scan"]["provisional"] is True
    assert by_name["sitr_scan"]["confidence"] == "B"
    assert by_name["frequency_droop.range"]["provisional"] is False


@pytest.mark.parametrize(("language", "words"), [("en", "What was tested"), ("es", "Qué se ensayó")])
def test_the_page_needs_nothing_else_and_tells_all(report: Report, language: Any, words: str) -> None:
    page = render(report, language)
    assert page == render(report, language)
    assert not re.search(r"<script|<link|<img|https?://|url\(", page)
    assert words in page
    for row in report.rows:
        assert escape(row.clause.text(language)) in page
        if row.verdict is not Verdict.NOT_TESTED:
            assert f"<b>{row.name}</b>" in page
    assert page.count("<svg") == len(report.figures())
    assert page.count("provisional</em>") == sum(row.provisional for row in report.rows)


def test_what_is_not_read_in_the_official_text_is_never_called_compliance(report: Report) -> None:
    """Every row of a provisional clause carries the word beside its letter."""
    page = render(report, "en")
    for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL):
        letter = re.search(r"<td>([BC])(, <em>provisional</em>)?$", row)
        assert letter is None or letter[2], row


def test_a_number_of_ours_is_never_called_compliance(rows: list[Row]) -> None:
    for name in ("frequency_symmetry.s2", "voltage_modes.bumpless", "rocof_record.down", "active_ramp.r20"):
        assert _named(rows, name).clause.confidence == "A"
        assert _named(rows, name).plain()["confidence"] == "C"
    for name in (
        "frequency_reaction.s2_up",
        "voltage_settling.grid_up",
        "frequency_droop.range",
        "active_ramp.range",
    ):
        assert _named(rows, name).plain()["confidence"] == "A"


def test_the_paper_is_a_pdf_and_the_same_twice(report: Report) -> None:
    pytest.importorskip("reportlab", reason="reportlab is not installed (the extra `gridcode`)")
    from bessai.gridcode.paper import write

    first = write(report, "es")
    assert first.startswith(b"%PDF-")
    assert first.rstrip().endswith(b"%%EOF")
    assert first == write(report, "es")
    assert len(re.findall(rb"/Type /Page\b", first)) >= 5


def test_no_number_is_absurd(rows: list[Row]) -> None:
    for row in rows:
        for name, value in row.measured.items():
            assert not isinstance(value, float) or math.isfinite(value), (row.name, name)
