"""The papers on security name files and tests that exist, and the promises that SECURITY.md makes are kept there."""

import re
from pathlib import Path

import pytest
from release.iec62443 import CHAPTERS, PAGE, VERDICTS, Requirement, page, requirements
from release.lock import ROOT

ALL = requirements()
THREATS = (ROOT / "docs" / "security" / "threat-model.md").read_text("utf-8")
POLICY = (ROOT / "SECURITY.md").read_text("utf-8")


def missing(test: str) -> str | None:
    """Why a test as pytest names it is not there, or None."""
    file, _, name = test.partition("::")
    path = ROOT / file
    if not path.is_file():
        return f"{file} is not there"
    if name and not re.search(
        rf"^\s*(?:async )?def {re.escape(name)}\(", path.read_text("utf-8"), re.MULTILINE
    ):
        return f"{file} has no {name}"
    return None


def test_a_missing_test_is_found() -> None:
    here = Path(__file__).relative_to(ROOT)
    assert missing(f"{here}::test_a_missing_test_is_found") is None
    assert missing(f"{here}::test_of_nothing") == f"{here} has no test_of_nothing"
    assert missing("tests/nothing.py") == "tests/nothing.py is not there"


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.id)
def test_a_requirement_says_what_stands_behind_it(one: Requirement) -> None:
    assert [name for name in one.where if not (ROOT / name).exists()] == []
    assert [why for test in one.tests if (why := missing(test))] == []
    assert one.verdict in VERDICTS
    assert one.confidence in {"A", "B"}
    assert one.level in {1, 2}
    if one.verdict == "met":
        assert one.where, "met by what?"
        assert one.tests, "shown by what?"
    if one.verdict == "partly":
        assert one.where
        assert one.gap, "what is missing?"
    if one.verdict == "not":
        assert one.gap
        assert not one.how


def test_every_requirement_stands_once_and_in_every_chapter() -> None:
    numbers = [one.id for one in ALL]
    assert len(set(numbers)) == len(numbers)
    assert {one.chapter for one in ALL} == set(range(1, len(CHAPTERS) + 1))
    found = {
        tuple(map(int, match.groups())) for name in numbers if (match := re.search(r"(\d)\.(\d+)$", name))
    }
    whole = {1: 14, 2: 13, 3: 14, 4: 3, 5: 4, 6: 2, 7: 8}
    higher = {(2, 7)}  # asked for by SL 3 and above
    assert found == {(fr, number) for fr, last in whole.items() for number in range(1, last + 1)} - higher


def test_the_page_is_what_the_data_say() -> None:
    assert PAGE.read_text("utf-8") == page(), (
        "run `python -m release.iec62443 > docs/security/iec-62443-4-2.md`"
    )


def test_every_threat_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| (T\d+) \|(.+)\|$", THREATS, re.MULTILINE)
    assert [name for name, _ in rows] == [f"T{number}" for number in range(1, len(rows) + 1)]
    assert len(rows) > 30
    for name, words in rows:
        shown, left = (cell.strip() for cell in words.split("|")[-2:])
        tests = re.findall(r"`([\w/]+\.py(?:::\w+)?)`", shown)
        assert tests or shown == "–", name
        assert [why for test in tests if (why := missing(f"tests/{test}"))] == [], name
        assert left, f"{name}: what is left?"


def test_every_flow_of_the_picture_is_looked_at() -> None:
    drawing = (ROOT / "docs" / "security" / "data-flow.svg").read_text("utf-8")
    drawn = set(re.findall(r">(F\d+)[ <]", drawing)) | set(re.findall(r">(E\d+|P\d+|S\d+)[ <]", drawing))
    listed = set(re.findall(r"^\| ([EPSF]\d+) \|", THREATS, re.MULTILINE))
    assert drawn == listed
    rows = re.findall(r"^\| T\d+ \| ([^|]+) \|", THREATS, re.MULTILINE)
    assert listed == {name for row in rows for name in re.findall(r"[EPSF]\d+", row)}


def test_every_kind_of_threat_is_there() -> None:
    kinds = set(re.findall(r"^\| T\d+ \| [^|]+ \| (\w) \|", THREATS, re.MULTILINE))
    assert kinds == set("STRIDE")


def test_files_that_the_threat_model_names_are_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", THREATS) + re.findall(
        r"\]\((?!https?:)([^)#]+)", PAGE.read_text("utf-8")
    )
    assert [link for link in set(links) if not (PAGE.parent / link).exists()] == []
    assert [
        link for link in re.findall(r"\]\((?!https?:)([^)#]+)", POLICY) if not (ROOT / link).exists()
    ] == []


def test_the_policy_says_whom_to_tell_and_what_follows() -> None:
    assert "https://github.com/open-bess-edge/open-bess-edge/security/advisories/new" in POLICY
    for words in ("within 3 working days", "within 90 days", "Supported versions", "cosign verify-blob"):
        assert words in POLICY
