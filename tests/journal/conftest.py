"""A journal that closes itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bessai.journal import Journal
from support.records import DEVICE, LAYOUT

Open = Callable[..., Journal]


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[Open]:
    """Opens journals in `tmp_path` and closes what a test left open."""
    opened: list[Journal] = []

    def open_(directory: Path = tmp_path, **options: Any) -> Journal:
        chosen: dict[str, Any] = {"layout": LAYOUT, "device": DEVICE, "window": 0.02} | options
        opened.append(Journal.open(directory, **chosen))
        return opened[-1]

    yield open_
    for journal in opened:
        journal.close(30)
