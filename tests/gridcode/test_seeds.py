"""The self-test passes whatever chance decides: noise, and where a step falls in the cycle."""

from __future__ import annotations

import pytest

from bessai.gridcode.lab import Setup
from bessai.gridcode.rows import Verdict
from bessai.gridcode.suite import run


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_no_row_fails(seed: int) -> None:
    assert [row.plain() for row in run(Setup(seed=seed)) if row.verdict is Verdict.FAIL] == []
