"""Who proposes power from inside the cycle: functions that must answer the grid at once, as a frequency response.

A proposer sees the image that the cycle froze and answers with leases, as everybody else does; the guard decides.
One that fails is an alarm and prefers nothing; the bounds that it set stand meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from bessai.core.requests import RequestBook
from bessai.model import Condition, Decision, Event, ProcessImage, Request, Severity

log = logging.getLogger("bessai.cycle")

Handler = Callable[[dict[str, Any]], dict[str, Any]]
"""Answers one message of the local socket, or raises ValueError with the mend."""


class Proposer(Protocol):
    """Asked once a cycle, before the decision."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What it answers on the local socket, by `op`."""
        ...

    def told(self, decision: Decision) -> None:
        """What the last cycle decided, before it is asked again. Must not block."""
        ...

    def propose(self, image: ProcessImage) -> Sequence[Request]:
        """Leases for this cycle. Must not block; its time is `image.monotonic`."""
        ...

    def conditions(self) -> Sequence[Condition]:
        """What is wrong with it now."""
        ...

    def take_events(self) -> Sequence[Event]:
        """What happened since the last call."""
        ...

    def status(self) -> dict[str, Any]:
        """Plain JSON-safe data for the status."""
        ...


class Asking:
    """The cycle's side: asks a proposer, and survives it.

    Args:
        proposer: whom to ask; None: nobody.
        book: takes the requests.
        period: seconds of a cycle.
    """

    def __init__(self, proposer: Proposer | None, book: RequestBook, period: float) -> None:
        self._proposer = proposer
        self._book = book
        self._period = period
        self._failed = self._logged = ""
        self._proposed: list[Request] = []

    def ask(self, image: ProcessImage, decided: Decision | None) -> list[Event]:
        """Let it see the image and ask; what happened since the last time."""
        proposer = self._proposer
        if proposer is None:
            return []
        try:
            if decided is not None:
                proposer.told(decided)
            requests = proposer.propose(image)
            for request in requests:
                self._book.put(request)
            sources = {request.source for request in requests}
            for gone in {request.source for request in self._proposed} - sources:
                self._book.cancel(gone)  # what is no longer asked for does not last its lease
            self._proposed = list(requests)
            events = list(proposer.take_events())
        except Exception as error:  # noqa: BLE001 - told below
            self._fails(error)
            self._keep_bounds(image.monotonic)
            return []
        self._failed = ""
        return events

    def conditions(self) -> list[Condition]:
        """What is wrong with it now, its own failure first of all."""
        if self._proposer is None:
            return []
        if not self._failed:
            try:
                return list(self._proposer.conditions())
            except Exception as error:  # noqa: BLE001 - told below
                self._fails(error)
        message = f"the grid functions failed: {self._failed}"
        return [Condition(code="grid_functions_failed", severity=Severity.ALARM, message=message)]

    def last_events(self) -> list[Event]:
        """What happened since it was asked last, for the end."""
        with contextlib.suppress(Exception):
            return [] if self._proposer is None else list(self._proposer.take_events())
        return []

    def _fails(self, error: Exception) -> None:
        self._failed = f"{type(error).__name__}: {error}"
        if self._failed != self._logged:  # once, however often it happens
            log.error("the grid functions failed", exc_info=error)
            self._logged = self._failed

    def _keep_bounds(self, now: float) -> None:
        """A maximum that was ordered does not end with the code that kept it."""
        for one in self._proposed:
            expires = max(one.expires, now + 3 * self._period)
            limit = replace(one, power=None, soc_target=None, offset=None, reactive=None, firm=False)
            self._book.put(replace(limit, expires=expires))
