"""All of it on one worker: it computes without a pause, and one core is left for the tests that wait."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`--dist loadgroup` heeds the mark; any other way of distribution does not."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.xdist_group("simulation"))
