"""What a master commands, as requests to the control plane: with the grid operator's priority, never around the guard.

`active_power`, its limits and `reactive_power` become one leased request that is renewed while it stands. Every other
target is a command of the grid functions. When no master in command is left, the link's fallback comes into force.
Used by IEC 60870-5-104 and DNP3 alike; everything runs in one asyncio loop.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bessai.interfaces.scada.seldom import Seldom
from bessai.site.scada import CommandPoint, LinkLoss
from bessai.site.scada.names import LEASED, PARAMETERS

_log = logging.getLogger(__name__)

PRIORITY: Final = "grid_operator"
LEASE: Final = 15.0
"""Seconds that the plant goes on with a set-point after this process has died."""
RENEW: Final = 5.0
"""Seconds between two requests for the same set-point."""

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Sends one message to the control plane; raises OSError or ValueError when there is no usable answer."""

_FIELDS: Final = {
    "active_power": "power",
    "active_power_max": "high",
    "active_power_min": "low",
    "reactive_power": "reactive",
}


class Refused(Exception):  # noqa: N818  the word of the trade
    """A command is not carried out; the message says why."""

    noted = False
    """True once it is in the log and the status."""


@dataclass(slots=True, kw_only=True)
class LastCommand:
    """The newest command, for the status."""

    text: str
    """What was commanded, and by whom."""
    refused: str | None = None
    """Why it was not carried out; None: it was."""


@dataclass(slots=True, kw_only=True)
class Counts:
    """Commands since the start."""

    accepted: int = 0
    refused: int = 0


@dataclass(slots=True, kw_only=True)
class _Standing:
    """What the operator's request says now."""

    values: dict[str, float] = field(default_factory=dict)
    """By field of the request: kW and kvar."""
    by: str = ""
    """The master."""


class Commander:
    """Carries commands out.

    Args:
        ask: the control plane.
        source: name of the request, `iec104` or `dnp3`.
        loss: what to do when no master in command is left.
    """

    def __init__(self, ask: Ask, source: str, loss: LinkLoss) -> None:
        self.last: LastCommand | None = None
        self.counts = Counts()
        self.problem: str | None = None
        """Why the standing request could not be renewed."""
        self.fallback = False
        """True while the fallback of a lost link is in force."""
        self._ask = ask
        self._source = source
        self._loss = loss
        self._standing = _Standing()
        self._accepted: dict[str, float] = {}
        self._renewed = -math.inf
        self._down_since: float | None = None
        self._commanded = False
        self._unsure = False
        self._resumed = False
        self._lock = asyncio.Lock()
        self._refusals = Seldom(_log)

    @property
    def told(self) -> dict[str, float]:
        """The last value that was accepted of each target, as `command.TARGET`."""
        return {f"command.{target}": value for target, value in self._accepted.items()}

    @property
    def standing(self) -> dict[str, float]:
        """The operator's request that is being renewed, by field; empty when there is none."""
        return dict(self._standing.values)

    @property
    def waiting(self) -> bool:
        """True while a lost link may come back before the fallback is due."""
        return self._commanded

    async def execute(self, point: CommandPoint, value: float, who: str) -> None:
        """Carry out a command.

        Args:
            point: what is commanded.
            value: of a set-point in the unit on the wire; of a switch 0 or 1.
            who: the master, for the records.

        Raises:
            Refused: with the reason, which is also in the log and the status.
        """
        unit = f" {point.unit}" if point.unit else ""
        text = f"{point.target} = {value:g}{unit} (object {point.ioa}, {who})"
        try:
            meant = check(point, value)
            async with self._lock:
                if point.target in LEASED:
                    await self._lease(point.target, meant, who)
                else:
                    await self._command(point, meant, who)
        except Refused as error:
            self.note(text, error)
            raise
        self._accepted[point.target] = meant
        self._commanded = True
        self.counts.accepted += 1
        self.last = LastCommand(text=text)
        _log.info("%s: command %s", self._source, text)

    def note(self, text: str, error: Refused) -> None:
        """Count, log and show that a command was refused; once."""
        if not error.noted:
            error.noted = True
            self.counts.refused += 1
            self.last = LastCommand(text=text, refused=str(error))
            self._refusals.warning("%s: command %s refused: %s", self._source, text, error)

    async def release(self, point: CommandPoint, who: str) -> bool:
        """End a standing set-point. False when there is none of this target."""
        name = _FIELDS.get(point.target)
        async with self._lock:
            if name is None or name not in self._standing.values:
                return False
            del self._standing.values[name]
            await self._renew_or_cancel()
        self._accepted.pop(point.target, None)
        self.fallback = False
        _log.info("%s: %s ended by %s", self._source, point.target, who)
        return True

    async def look(self, now: float, *, linked: bool) -> None:
        """Renew what stands, and see to a lost link; call it about once a second.

        Args:
            now: monotonic seconds.
            linked: True while the master in command is linked.
        """
        if linked or not self._commanded:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = now
        async with self._lock:
            if self._down_since is not None and now - self._down_since >= self._loss.after:
                await self._fall_back()
            if self._unsure:  # what was not answered may have been taken: say again what counts
                self._unsure = False
                await self._renew_or_cancel()
            if self._standing.values and now - self._renewed >= RENEW:
                await self._renew(now)

    def resume(self, decision: Mapping[str, Any]) -> None:
        """Take up what stands from before a restart of this process: call it with every decision, the first counts."""
        if self._resumed:
            return
        self._resumed = True
        values = standing_of(decision, self._source)
        if values and not self._standing.values:
            self._standing = _Standing(values=values, by="before the restart")
            self._accepted |= {name: values[key] for name, key in _FIELDS.items() if key in values}
            self._commanded = True
            _log.warning("%s: the set-points of before the restart are taken up: %s", self._source, values)

    def renew_soon(self) -> None:
        """The control plane has started anew, and knows of no request."""
        self._renewed = -math.inf

    async def _fall_back(self) -> None:
        self._commanded, self._down_since = False, None
        what = self._loss.fallback
        self.fallback = what == "value" or (what == "hold" and bool(self._standing.values))
        if what == "release":
            self._standing = _Standing()
        elif what == "value":
            self._standing.values["power"] = self._loss.power
            self._standing.by = "link loss"
        if what != "hold":
            for target in LEASED if what == "release" else ("active_power",):
                self._accepted.pop(target, None)
            await self._renew_or_cancel()
        value = f"{self._loss.power:g} kW are requested"
        said = {"hold": "the last set-points stand", "release": "the set-points are ended"}.get(what, value)
        _log.warning("%s: no master in command for %g s: %s", self._source, self._loss.after, said)

    async def _lease(self, target: str, value: float, who: str) -> None:
        name = _FIELDS[target]
        wanted = {**self._standing.values, name: value}
        self._refuse_unless_ok(await self._said(self._request(wanted, who)))
        if self.fallback and (self._loss.fallback == "hold" or name == "power"):
            self.fallback = False
        self._standing = _Standing(values=wanted, by=who)
        self._renewed = asyncio.get_running_loop().time()

    async def _command(self, point: CommandPoint, value: float, who: str) -> None:
        message = {
            "op": "grid_command",
            "name": point.target,
            "value": parameter_value(point, value),
            "user": who,
            "role": PRIORITY,
            "reason": f"command of object {point.ioa}",
            "source": self._source,
        }
        self._refuse_unless_ok(await self._said(message))

    async def _renew(self, now: float) -> None:
        try:
            self._refuse_unless_ok(await self._said(self._request(self._standing.values, self._standing.by)))
        except Refused as error:
            if self.problem is None:
                _log.warning("%s: the set-point could not be renewed: %s", self._source, error)
            self.problem = f"the operator's set-point could not be renewed: {error}"
        else:
            self.problem, self._renewed = None, now

    async def _renew_or_cancel(self) -> None:
        if self._standing.values:
            self._renewed = -math.inf
            await self._renew(asyncio.get_running_loop().time())
            return
        try:
            await self._said({"op": "cancel", "source": self._source})
        except Refused as error:
            _log.warning("%s: the set-point could not be ended, its lease will: %s", self._source, error)
        self.problem = None

    def _request(self, values: dict[str, float], who: str) -> dict[str, Any]:
        reactive = values.get("reactive")
        return {
            "op": "request",
            "source": self._source,
            "priority": PRIORITY,
            "firm": "power" in values,  # what the grid operator wants is not for a lower priority to better
            **values,
            **({"reactive_low": reactive, "reactive_high": reactive} if reactive is not None else {}),
            "for": LEASE,
            "reason": f"{self._source}: {who}"[:128],
            "id": self._source,
        }

    async def _said(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._ask(message)
        except (OSError, ValueError, asyncio.CancelledError) as error:
            self._unsure = message["op"] == "request"
            if isinstance(error, asyncio.CancelledError):
                raise  # the master left meanwhile
            raise Refused(f"the gateway does not answer: {str(error) or type(error).__name__}") from error

    @staticmethod
    def _refuse_unless_ok(answer: dict[str, Any]) -> None:
        if not answer.get("ok"):
            raise Refused(str(answer.get("error") or "the gateway gave no reason"))


def standing_of(decision: Mapping[str, Any], source: str) -> dict[str, float]:
    """What a decision still counts of a source's request, by field of the request; empty when there is none."""
    for request in decision.get("requests") or ():
        if request.get("source") == source:
            low, high = request.get("bounds") or (None, None)
            told = {
                "power": request.get("power"),
                "low": low,
                "high": high,
                "reactive": request.get("reactive"),
            }
            return {name: float(value) for name, value in told.items() if value is not None}
    return {}


def check(point: CommandPoint, value: float) -> float:
    """What a value on the wire means in the target's unit.

    Raises:
        Refused: it is no number, outside the point's limits, or none of its choices.
    """
    if not math.isfinite(value):
        raise Refused("the value is not a number")
    if not point.is_setpoint:
        if value not in (0.0, 1.0):
            raise Refused("a switch is on or off")
        return value
    low, high = point.low, point.high
    if (low is not None and value < low) or (high is not None and value > high):
        limits = f"{'…' if low is None else f'{low:g}'} to {'…' if high is None else f'{high:g}'}"
        raise Refused(f"{value:g} is outside {limits}{f' {point.unit}' if point.unit else ''}")
    if point.choices:
        if value not in point.choices:
            raise Refused(f"{value:g} is none of {', '.join(str(n) for n in sorted(point.choices))}")
        return value
    return point.meant(value)


def parameter_value(point: CommandPoint, value: float) -> float | bool | str:
    """What the grid functions are told: a name, a switch or a number."""
    if point.choices:
        return point.choices[int(value)]
    parameter = PARAMETERS.get(point.target)
    if not point.is_setpoint or (parameter is not None and parameter.switch):
        return bool(value)
    return value
