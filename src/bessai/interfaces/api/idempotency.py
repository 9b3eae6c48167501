"""The same key within ten minutes gives the same answer: whoever heard nothing asks again and changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request

from bessai.interfaces.api.problems import Problem, field_problem

HEADER = "idempotency-key"
KEEP = 600.0
"""Seconds."""
MOST = 1000
"""Answers that are kept."""
_TEXT = 128


class Answers:
    """What was answered lately, by caller and key. Only what was done is kept."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, str, asyncio.Future[Any]]] = OrderedDict()

    async def once(self, caller: str, key: str | None, body: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """The answer of `work`, or the one that this key had.

        Raises:
            Problem: of the work; 422 for a key that is no text, or that had another body.
        """
        if key is None:
            return await work()
        if not 0 < len(key) <= _TEXT or not key.isprintable():
            raise field_problem(
                "Idempotency-Key", None, f"give 1 to {_TEXT} printable characters", "bad_idempotency_key"
            )
        now, digest = self._clock(), hashlib.sha256(body.encode()).hexdigest()
        while self._known and (len(self._known) >= MOST or next(iter(self._known.values()))[0] <= now - KEEP):
            self._known.popitem(last=False)
        place = caller, key
        if place in self._known:
            _, had, answer = self._known[place]
            if had != digest:
                raise field_problem(
                    "Idempotency-Key",
                    None,
                    "it was used for another body: take a new one",
                    "idempotency_key_used",
                )
            return await asyncio.shield(answer)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._known[place] = now, digest, future
        try:
            answer = await work()
        except BaseException as error:
            self._known.pop(place, None)
            told = (
                error if isinstance(error, Problem) else Problem(503, "unsure", "it did not end: ask again")
            )
            future.set_exception(told)
            future.exception()  # nobody may wait for it
            raise
        future.set_result(answer)
        return answer


def answers_of(request: Request) -> Answers:
    """Those of the server."""
    state = request.app.state
    if not hasattr(state, "answers"):
        state.answers = Answers()
    found: Answers = state.answers
    return found
