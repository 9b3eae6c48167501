"""What the tests of the page share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.page import browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One for all tests of a file."""
    with browser() as found:
        yield found
