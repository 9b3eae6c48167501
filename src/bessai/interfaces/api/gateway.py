"""Questions to the control plane, over its local socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bessai.interfaces.api.problems import Problem

_LINE = 64 << 20
_FRESH = 0.3
"""Seconds for which a status is shown again: many viewers cost one question."""
_CONSTANT = 30.0
"""The same of the configuration, which changes with a restart only."""


class _Shared:
    """One answer for all who ask within a time; those who come while it is under way wait for it."""

    def __init__(self, ask: Callable[[], Awaitable[dict[str, Any]]], fresh: float) -> None:
        self._ask = ask
        self._fresh = fresh
        self._held: tuple[float, dict[str, Any]] | None = None
        self._flight: asyncio.Task[dict[str, Any]] | None = None

    async def get(self) -> dict[str, Any]:
        if self._held is not None and time.monotonic() - self._held[0] < self._fresh:
            return self._held[1]
        if self._flight is None:
            self._flight = asyncio.create_task(self._fetch())
        return await asyncio.shield(self._flight)

    async def _fetch(self) -> dict[str, Any]:
        try:
            answer = await self._ask()
            self._held = (time.monotonic(), answer)
            return answer
        finally:
            self._flight = None


class Gateway:
    """Asks; a connection for each question, `ask` waits at most `timeout` seconds."""

    def __init__(self, path: Path, timeout: float = 3.0) -> None:
        self.path = path
        self._timeout = timeout
        self._turn = asyncio.Semaphore(4)  # the socket has few places, and others need them too
        self._status = _Shared(lambda: self.ask({"op": "status"}), _FRESH)
        self._configuration = _Shared(lambda: self.ask({"op": "configuration"}), _CONSTANT)

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to one message.

        Raises:
            Problem: 503 when no gateway answers, 409 with its words when it refuses.
        """
        try:
            async with self._turn, asyncio.timeout(self._timeout):
                answer = await self._exchange(message)
        except (OSError, TimeoutError, ValueError) as error:
            raise Problem(
                503, "gateway_silent", "the control plane does not answer; see the gateway's log"
            ) from error
        if not answer.get("ok"):
            raise Problem(409, "refused", str(answer.get("error") or "the gateway refused without a word"))
        return answer

    async def status(self) -> dict[str, Any]:
        """Its status, as `bessai status --json` shows it, at most 0.3 s old. Shared: nobody may change it.

        Raises:
            Problem: as `ask`.
        """
        status: dict[str, Any] = (await self._status.get())["status"]
        return status

    async def summary(self) -> dict[str, Any]:
        """Its status without the points, which costs it little on the largest plants too.

        Raises:
            Problem: as `ask`.
        """
        status: dict[str, Any] = (await self.ask({"op": "summary"}))["status"]
        return {name: value for name, value in status.items() if name != "points"}

    async def configuration(self) -> dict[str, Any]:
        """What it is configured as, see `bessai.core.describing`. Shared: nobody may change it.

        Raises:
            Problem: as `ask`.
        """
        return await self._configuration.get()

    async def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(self.path, limit=_LINE)
        try:
            writer.write(json.dumps(message, allow_nan=False).encode() + b"\n")
            line = await reader.readline()
        finally:
            writer.close()
        if not line:
            raise ConnectionError("it closed the connection")
        answer: dict[str, Any] = json.loads(line)
        return answer
