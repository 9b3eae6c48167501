"""Commands from a topic, as leased requests to the control plane.

The priority is that of a virtual power plant: whoever is far away outranks the schedule and the optimiser, and
never a person at the plant, grid support or the grid operator.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

_log = logging.getLogger(__name__)

SOURCE: Final = "mqtt"
PRIORITY: Final = "power_plant"
_MEMBERS: Final = {"power", "seconds", "reason", "id", "until", "cancel"}
_TEXT: Final = 128
_LARGEST: Final = 4096
_REMEMBERED: Final = 256

Ask = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A message of the command topic."""

    payload: bytes
    retained: bool = False
    """True when it was left at the broker, or sent to be left there."""
    expiry: float | None = None
    """Seconds that it was still good for when it arrived; None: for ever."""
    arrived: float
    """Monotonic seconds."""
    response_topic: str | None = None
    correlation: bytes | None = None


class Commands:
    """Checks commands and asks the control plane, one after the other.

    Args:
        ask: sends one message to the control plane and returns the answer; raises OSError when there is none.
        wall: seconds since 1970.
        monotonic: seconds.
    """

    def __init__(
        self,
        ask: Ask,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._wall = wall
        self._monotonic = monotonic
        self._done: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def handle(self, command: Command) -> dict[str, Any]:
        """Carry out one command; returns what is published as its result. Never raises."""
        with self._lock:
            return self._handle(command)

    def _handle(self, command: Command) -> dict[str, Any]:
        name = ""
        try:
            message = _parse(command.payload)
            name = _text(message, "id")
            if name in self._done:
                return {**self._done[name], "duplicate": True}
            self._check_age(command, message)
            request = _request(message)
            answer = self._ask(request)
            if not answer.get("ok"):
                raise ValueError(answer.get("error") or "the gateway gave no reason")
        except (OSError, ValueError) as error:
            said = f"the gateway does not answer: {error}" if isinstance(error, OSError) else str(error)
            _log.warning("MQTT command %r refused: %s", name, said)
            return {"id": name or None, "ok": False, "error": said}
        _log.info("MQTT command %r: %s", name, _told(request))
        result = {"id": name or None, "ok": True, "source": SOURCE}
        result |= (
            {"cancelled": answer.get("cancelled")} if "cancel" in message else {"seconds": answer.get("for")}
        )
        if name:
            self._done[name] = result
            if len(self._done) > _REMEMBERED:
                self._done.popitem(last=False)
        return result

    def _check_age(self, command: Command, message: dict[str, Any]) -> None:
        if command.retained:
            raise ValueError("the command is retained, so nobody knows how old it is: send it without retain")
        if command.expiry is not None and self._monotonic() - command.arrived >= command.expiry:
            raise ValueError("the command has expired")
        until = message.get("until")
        if until is not None and self._wall() > _time(until):
            raise ValueError(f"until={until}: the command has expired")


def _parse(payload: bytes) -> dict[str, Any]:
    if len(payload) > _LARGEST:
        raise ValueError(f"the command has {len(payload)} bytes: at most {_LARGEST} are read")
    try:
        message = json.loads(payload, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueError(
            'the command is no JSON: send {"power": KW, "seconds": S, "reason": "…", "id": "…"}'
        ) from None
    if not isinstance(message, dict):
        raise ValueError("the command is no JSON object")
    for unknown in sorted(message.keys() - _MEMBERS):
        raise ValueError(f"{unknown[:_TEXT]!r} is unknown: use {', '.join(sorted(_MEMBERS))}")
    return message


def _request(message: dict[str, Any]) -> dict[str, Any]:
    cancel = message.get("cancel", False)
    if not isinstance(cancel, bool):
        raise ValueError(f"cancel={cancel!r}: use true")
    if cancel:
        if "power" in message or "seconds" in message:
            raise ValueError("cancel ends the request: leave out power and seconds")
        return {"op": "cancel", "source": SOURCE}
    return {
        "op": "request",
        "source": SOURCE,
        "priority": PRIORITY,
        "power": _number(message, "power", "kW, + = discharge"),
        "for": _number(message, "seconds", "how long the request lasts"),
        "reason": _text(message, "reason") or "MQTT command",
        "id": _text(message, "id"),
    }


def _number(message: dict[str, Any], name: str, meaning: str) -> float:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        said = f"{name}={value!r}" if name in message else f"{name} is missing"
        raise ValueError(f"{said[:_TEXT]}: give a number ({meaning})")
    return float(value)


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name, "")
    if not isinstance(value, str) or len(value) > _TEXT or not value.isprintable():
        raise ValueError(f"{name}: give a printable text of at most {_TEXT} characters")
    return value


def _time(text: object) -> float:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(
            f"until={str(text)[:_TEXT]!r}: give a time such as {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        )
    return found.timestamp()


def _told(request: dict[str, Any]) -> str:
    if request["op"] == "cancel":
        return "the request is ended"
    return f"{request['power']:g} kW for {request['for']:g} s ({request['reason']})"


def _no_constant(name: str) -> None:
    raise ValueError(name)
