"""Deliberate faults: each must turn exactly its rows to fail, or the self-test proves nothing.

A fault works behind change control, as a wrong firmware or a wrong wiring does: what people set and read stays right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bessai.core.proposing import Handler, Proposer
from bessai.grid import NONE, GridFunctions
from bessai.model import Condition, Decision, Event, ProcessImage, Request

KINDS = {
    "droop": "droop of the frequency response in %, whatever is set",
    "dead_band": "dead band of the frequency response in mHz, whatever is set",
    "delay": "seconds by which the frequency response comes late",
    "ramp": "ramp of the active power in % Pn/min, whatever is set",
    "overshoot": "share by which the reactive power first overreaches each change",
}
"""Name of each fault to what its number means."""
_PARAMETERS = {"droop": "frequency.droop", "dead_band": "frequency.dead_band", "ramp": "active.ramp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """One fault."""

    kind: str
    amount: float


def parse(text: str) -> Sabotage:
    """From `name=number`.

    Raises:
        ValueError: with the mend.
    """
    kind, _, amount = text.partition("=")
    if kind not in KINDS:
        raise ValueError(f"--sabotage {text}: use one of {', '.join(f'{name}=NUMBER' for name in KINDS)}")
    try:
        value = float(amount)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise ValueError(f"--sabotage {text}: give a number from 0 on, for example {kind}=2")
    return Sabotage(kind=kind, amount=value)


class Saboteur:
    """Stands between the grid functions and the cycle.

    Args:
        inner: what the gateway would ask.
        functions: whose values are changed behind change control's back.
        fault: what goes wrong.
    """

    def __init__(self, inner: Proposer, functions: GridFunctions, fault: Sabotage) -> None:
        self._inner, self._functions, self._fault = inner, functions, fault
        self._late: deque[tuple[float, float]] = deque()
        self._steady = 0.0
        self._last: float | None = None

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """As the inner one's."""
        return self._inner.handlers

    def propose(self, image: ProcessImage) -> Sequence[Request]:
        """The inner one's leases, with the fault in them."""
        kind = self._fault.kind
        if kind in _PARAMETERS:
            return self._with_wrong_value(image, _PARAMETERS[kind])
        asked = self._inner.propose(image)
        if kind == "delay":
            return [self._delayed(one, image.monotonic) for one in asked]
        return [self._overreached(one, image.monotonic) for one in asked]

    def told(self, decision: Decision) -> None:
        """As the inner one's."""
        self._inner.told(decision)

    def conditions(self) -> Sequence[Condition]:
        """As the inner one's."""
        return self._inner.conditions()

    def take_events(self) -> Sequence[Event]:
        """As the inner one's."""
        return self._inner.take_events()

    def status(self) -> dict[str, Any]:
        """As the inner one's."""
        return self._inner.status()

    def _with_wrong_value(self, image: ProcessImage, name: str) -> Sequence[Request]:
        right = self._functions.values[name]
        if right == NONE:
            return self._inner.propose(image)
        self._functions.apply(name, self._fault.amount)
        asked = self._inner.propose(image)
        self._functions.apply(name, right)
        return asked

    def _delayed(self, request: Request, now: float) -> Request:
        if request.offset is None:
            return request
        self._late.append((now, request.offset))
        while len(self._late) > 1 and self._late[1][0] <= now - self._fault.amount:
            self._late.popleft()
        return replace(request, offset=self._late[0][1])

    def _overreached(self, request: Request, now: float) -> Request:
        if request.reactive is None:
            return request
        dt = 0.0 if self._last is None else now - self._last
        self._last = now
        self._steady += (request.reactive - self._steady) * min(1.0, dt / 1.0)
        return replace(
            request, reactive=request.reactive + self._fault.amount * (request.reactive - self._steady)
        )
