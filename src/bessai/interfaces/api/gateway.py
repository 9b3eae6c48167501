"""Questions to the control plane, over its local socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from bessai.interfaces.api.problems import Problem

_LINE = 64 << 20


class Gateway:
    """Asks; a connection for each question, `ask` waits at most `timeout` seconds."""

    def __init__(self, path: Path, timeout: float = 3.0) -> None:
        self.path = path
        self._timeout = timeout
        self._turn = asyncio.Semaphore(4)  # the socket has few places, and others need them too

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
        """Its status, as `bessai status --json` shows it.

        Raises:
            Problem: as `ask`.
        """
        status: dict[str, Any] = (await self.ask({"op": "status"}))["status"]
        return status

    async def summary(self) -> dict[str, Any]:
        """Its status without the points, which costs it little on the largest plants too.

        Raises:
            Problem: as `ask`.
        """
        status: dict[str, Any] = (await self.ask({"op": "summary"}))["status"]
        return {name: value for name, value in status.items() if name != "points"}

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
