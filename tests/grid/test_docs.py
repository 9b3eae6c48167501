"""The pages are in step with the parameters, and say of nothing more than was read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessai.grid import PARAMETERS
from bessai.grid.docs import Language, with_tables

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("name", "language"), [("grid-functions.md", "en"), ("grid-functions.es.md", "es")])
def test_the_tables_are_in_step(name: str, language: Language) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert page == with_tables(page, language), f"python -m bessai.grid.docs docs/{name}"
    for parameter in PARAMETERS:
        assert f"| `{parameter}` |" in page


def test_only_what_was_read_is_called_compliance() -> None:
    read = {name for name, one in PARAMETERS.items() if one.confidence == "A"}
    assert read == {
        "frequency.enabled", "frequency.droop", "frequency.dead_band", "frequency.shape", "frequency.response_time",
        "voltage.mode", "voltage.droop", "active.ramp",
    }  # fmt: skip
    for one in PARAMETERS.values():
        assert one.clause or one.provisional, f"{one.name} has no clause and cannot be A"
        assert one.description_en.endswith(".")
        assert one.description_es.endswith(".")
    limits = {name: (one.low, one.high) for name, one in PARAMETERS.items()}
    assert limits["frequency.droop"] == (2.0, 5.0)
    assert limits["frequency.dead_band"] == (0.0, 30.0)
    assert limits["voltage.droop"] == (2.0, 10.0)
    assert limits["active.ramp"] == (0.0, 20.0)
