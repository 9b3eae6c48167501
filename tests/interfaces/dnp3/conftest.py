"""Needs the library; gives a running outstation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("dnp3", reason="dnp3py is not installed")

from support.dnp3 import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A running outstation that has seen a cycle."""
    with Rig(tmp_path) as running:
        yield running
