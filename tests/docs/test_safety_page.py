"""The safety argument names tests: each of them must exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "safety.md").read_text()
CLAIMS = PAGE[PAGE.index("## The claims") : PAGE.index("## Hazards")]
ROWS = re.findall(r"^\| (\d+) \|(.*)\|(.*)\|(.*)\|$", CLAIMS, re.MULTILINE)


@pytest.mark.parametrize(("number", "shown"), [(row[0], row[3]) for row in ROWS])
def test_every_claim_names_what_shows_it(number: str, shown: str) -> None:
    named = re.findall(r"`([\w/]+\.py|[\w/]+/)(?:::(\w+))?`", shown)
    assert named or "contracts" in shown, f"claim {number} names no test"
    for path, name in named:
        file = ROOT / "tests" / path
        assert file.exists(), f"claim {number}: there is no tests/{path}"
        if name:
            assert f"def {name}(" in file.read_text(), f"claim {number}: tests/{path} has no {name}"


def test_the_invariants_that_it_names_are_there() -> None:
    invariants = (ROOT / "tests" / "simulation" / "invariants.py").read_text()
    for name in re.findall(r"`(\w+_\w+)`", " ".join(row[3] for row in ROWS)):
        assert f"def {name}(" in invariants, name


def test_the_claims_are_numbered() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, len(ROWS) + 1))
    assert len(ROWS) >= 20


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
