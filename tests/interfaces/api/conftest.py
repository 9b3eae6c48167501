"""One gateway for all tests that only read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.api_house import House, furnished


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A real gateway on a twin, and the API on it."""
    with furnished(tmp_path_factory.mktemp("house")) as found:
        yield found
