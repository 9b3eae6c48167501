"""Gateways that many tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bessai.interfaces.api.roles import Role
from support.api_house import House, furnished


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """For all tests that only read: a real gateway on a twin, and the API on it."""
    with furnished(tmp_path_factory.mktemp("house")) as found:
        yield found


@pytest.fixture(scope="session")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The same for rough use."""
    with furnished(tmp_path_factory.mktemp("worn")) as found:
        identity = found.api.app.state.context.identity
        for name in ("ana", "ben"):
            asyncio.run(identity.add_user(name, Role.VIEWER, "correct battery staple"))
        yield found
