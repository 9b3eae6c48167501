"""The page's process is as loud as the control plane says."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bessai.interfaces.api import server
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.server import Server


def test_it_asks_and_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "bessai.test_log_level"
    answers = [Problem(503, "gateway_silent", "x"), {name: "DEBUG"}, {name: "DEBUG"}, {}]
    seen: list[int] = []

    async def ask(message: dict[str, Any]) -> dict[str, Any]:
        assert message == {"op": "log_level"}
        seen.append(logging.getLogger(name).level)
        answer = answers.pop(0) if answers else {}
        if isinstance(answer, Problem):
            raise answer
        return {"log": {"changed": answer}}

    monkeypatch.setattr(server, "_LEVELS_LOOK", 0.001)
    made = SimpleNamespace(
        settings=SimpleNamespace(log_level="INFO"), context=SimpleNamespace(gateway=SimpleNamespace(ask=ask))
    )

    async def play() -> None:
        task = asyncio.create_task(Server._keep_levels(cast("Server", made)))
        while len(seen) < 5:  # noqa: ASYNC110  it is the other side that waits
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(play())
    assert seen[:5] == [logging.NOTSET, logging.NOTSET, logging.DEBUG, logging.DEBUG, logging.NOTSET]
