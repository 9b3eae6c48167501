"""The clauses, and the pages that are made from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bessai.grid import PARAMETERS
from bessai.gridcode.clauses import LANGUAGES, Language, clauses
from bessai.gridcode.matrix import matrix
from bessai.gridcode.words import LIMITS, limit_text

ROOT = Path(__file__).parents[2]
PAGES: dict[Language, Path] = {
    "en": ROOT / "docs" / "compliance" / "ntsycs.md",
    "es": ROOT / "docs" / "compliance" / "ntsycs.es.md",
}
NAMED_FUNCTIONS = {"frequency", "voltage", "change control", "drift", "records", "scada", "incident"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_are_in_step(language: Language) -> None:
    made = matrix(language)
    assert PAGES[language].read_text(encoding="utf-8") == made, (
        f"run `bessai gridcode matrix --lang {language} > {PAGES[language].relative_to(ROOT)}`"
    )


def test_every_clause_says_all_that_there_is_to_say() -> None:
    raw = json.loads((ROOT / "src" / "bessai" / "grid" / "clauses.json").read_text(encoding="utf-8"))
    assert len(raw) == len(clauses()), "ids are unique"
    tests = [clause.test for clause in clauses().values()]
    assert len(set(tests)) == len(tests)
    for clause in clauses().values():
        assert clause.en.endswith("."), clause.id
        assert clause.es.endswith("."), clause.id
        assert clause.en != clause.es
        assert clause.confidence in {"A", "B", "C"}
        assert clause.closes_loop in {"pcs", "ppc", "gateway"}
        assert set(clause.not_tested) in (set(), {"en", "es"})
        assert set(clause.limit) <= set(LIMITS), clause.id
        for language in LANGUAGES:
            assert bool(limit_text(clause.limit, clause.unit, language)) is bool(clause.limit)


def test_what_the_converter_closes_is_no_function_of_ours_and_is_not_tested() -> None:
    for clause in clauses().values():
        if clause.closes_loop == "pcs":
            assert clause.function is None, clause.id
            assert clause.not_tested, clause.id


def test_functions_are_parameters_or_named_ones() -> None:
    for clause in clauses().values():
        for name in (clause.function or "").split(", "):
            assert not name or name in PARAMETERS or name in NAMED_FUNCTIONS, clause.id


def test_clauses_and_parameters_have_the_same_numbers() -> None:
    """What change control lets pass is what the clause says."""
    for name, low, high in (
        ("frequency.droop", "low", "high"), ("voltage.droop", "low", "high"), ("active.ramp", "low", "high"),
        ("frequency.dead_band", None, "at_most"),
    ):  # fmt: skip
        (clause,) = (one for one in clauses().values() if one.function == name)
        assert PARAMETERS[name].high == clause.limit[high]
        assert PARAMETERS[name].low == (0.0 if low is None else clause.limit[low])
        assert clause.confidence == PARAMETERS[name].confidence == "A"


def test_levels_that_nobody_extracted_are_unknown() -> None:
    for name in ("gfm-lvrt", "gfl-hvrt-lvrt"):
        assert clauses()[name].limit["levels"] == "unknown"
        assert "unknown" in clauses()[name].en


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_what_was_read_in_the_official_text_goes_without_the_word_provisional(
    language: Language,
) -> None:
    lines = [line for line in matrix(language).splitlines() if line.startswith("| ") and "---" not in line][
        1:
    ]
    assert len(lines) == len(clauses())
    for line, clause in zip(lines, clauses().values(), strict=True):
        assert line.endswith(f"{clause.confidence} |" if clause.confidence == "A" else "provisional |")
