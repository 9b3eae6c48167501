"""Whether the gateway is as well after a restart as it was before, by what it says on its local socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Status = Mapping[str, Any]
Ask = Callable[[], Status | None]
"""The gateway's status; None when it does not answer."""

_CYCLES = 3
"""That must have run while it was watched."""
_TRIES = 3
"""Different processes that answered: one that dies again and again is not waited for."""
_LOOK = 0.5
"""Seconds between looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What was true before."""

    pid: int = 0
    version: str = ""
    healthy: bool = True
    alarms: frozenset[tuple[str, str]] = frozenset()
    """Code and point of every alarm that stood."""
    problems: int = 0
    service: bool = False
    page: bool = False


def baseline(status: Status) -> Baseline:
    """From the status of a gateway that runs."""
    return Baseline(
        pid=int(status["pid"]),
        version=str(status["version"]),
        healthy=bool(status["healthy"]),
        alarms=_alarms(status),
        problems=len(status.get("problems", ())),
        service=bool(status.get("service_plane", {}).get("running")),
        page=bool(status.get("page", {}).get("running")),
    )


def flowing(status: Status) -> str | None:
    """Which devices give or take power because the gateway told them to; None when none does."""
    names = [
        f"{name or 'the device'} {unit['setpoint']:+g} kW"
        for name, unit in status.get("units", {}).items()
        if unit.get("setpoint")
    ]
    return ", ".join(names) or None


def fallbacks(status: Status) -> list[str]:
    """What each commanded device does while the gateway is away."""
    return [
        f"{name or 'the device'}: {dead_man['fallback']}"
        for name, unit in status.get("units", {}).items()
        if (dead_man := unit.get("dead_man") or {}).get("fallback")
    ]


class Watch:
    """Looks at a gateway that was restarted until it has been as well as before for long enough.

    Args:
        ask: for the status.
        before: what was true before the restart.
        slot: from which the process must run.
        steady: seconds in a row that all must be well.
        within: seconds after which it is given up.
        answer: seconds after which a gateway that has never answered is given up.
        interrupted: True when somebody wants the watching to end.
        clock: seconds.
        sleep: waits.
    """

    def __init__(
        self,
        ask: Ask,
        before: Baseline,
        slot: Path,
        *,
        steady: float,
        within: float,
        answer: float,
        interrupted: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ask, self._before, self._slot = ask, before, slot
        self._steady, self._within, self._answer = steady, within, answer
        self._interrupted, self._clock, self._sleep = interrupted, clock, sleep

    def run(self) -> str | None:
        """None when it is as well as before; else why not."""
        began = self._clock()
        since: float | None = None
        first: Status = {}
        seen: set[int] = set()
        why: str | None = "it does not answer"
        while (passed := self._clock() - began) < self._within:
            if self._interrupted():
                return "the update was interrupted"
            status = self._ask()
            seen |= {int(status["pid"])} - {self._before.pid} if status is not None else set()
            if len(seen) > _TRIES:
                return f"it died and was started again {_TRIES} times"
            why = self._wrong(status)
            if status is None or why is not None:
                since = None
                if not seen and passed >= self._answer:
                    return f"{why} after {self._answer:g} s"
            elif since is None or _began_anew(first, status):
                since, first = self._clock(), status
            elif self._clock() - since >= self._steady and _cycles(status) - _cycles(first) >= _CYCLES:
                return None
            self._sleep(_LOOK)
        return why or f"it was not steadily well within {self._within:g} s"

    def _wrong(self, status: Status | None) -> str | None:
        """What is worse than before, in words."""
        before = self._before
        if status is None:
            return "it does not answer"
        if status["pid"] == before.pid:
            return "it has not been restarted"
        if (place := place_of(status["pid"])) is not None and place != self._slot.resolve():
            return f"it runs from {place}, not from {self._slot}"
        if fresh := _alarms(status) - before.alarms:
            return "new alarms: " + ", ".join(f"{code} {point}".strip() for code, point in sorted(fresh))
        problems = list(status.get("problems", ()))
        if not status["healthy"] and (before.healthy or len(problems) > before.problems):
            return f"it is not healthy: {'; '.join(map(str, problems))}"
        if before.service and not status.get("service_plane", {}).get("running"):
            return "its service plane does not run"
        if before.page and not status.get("page", {}).get("running"):
            return "its page does not run"
        return None


def _began_anew(first: Status, status: Status) -> bool:
    """True when one of the processes was started again in between: well for a while is not well."""
    return _starts(first) != _starts(status)


def _starts(status: Status) -> tuple[Any, ...]:
    children = (status.get(name, {}).get("restarts") for name in ("service_plane", "page"))
    return (status["pid"], *children)


def _cycles(status: Status) -> int:
    return int(status.get("cycle", {}).get("cycles", 0))


def _alarms(status: Status) -> frozenset[tuple[str, str]]:
    return frozenset(
        (str(c["code"]), str(c.get("point") or ""))
        for c in status.get("conditions", ())
        if c["severity"] == "alarm"
    )


def place_of(pid: int) -> Path | None:
    """The environment whose interpreter a process was started with; None when this user may not know."""
    try:
        first = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return None
    return Path(first).parent.parent.resolve() if first.startswith("/") else None
