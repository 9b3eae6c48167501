"""Whether a device falls back by itself while the gateway is silent: the judge of a dead-man test.

The control plane only falls silent. Here somebody watches the power, and tells it what came of it:

    silence = Silence(unit)                 # the unit of the status in which power still flows
    verdict = silence.see(now, unit)        # with each later status; None: look on
    await judge(ask, name, silence, who)    # all of it, until the control plane is told

Whoever is gone in the middle judges nothing: the control plane then ends the test by itself, without a result.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bessai.interfaces.api.problems import Problem

HOLD = 3.0
"""Seconds that the power must stay at zero to count as fallen. Judgement, as in `bessai commission deadman`."""
BEGINS = 5.0
"""Seconds within which the gateway must have stopped feeding."""
_LATE, _LATE_SHARE = 5.0, 0.10
"""A timer may be late by 5 s or a tenth of its time. Judgement, the same."""
_LOOK = 0.5
_BLIND = 30.0
"""Seconds without any status after which nothing can be judged."""

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a silence."""

    passed: bool | None
    """None: it could not be judged."""
    why: str
    evidence: dict[str, float | str | bool | None]


class Silence:
    """Watches one unit.

    Args:
        unit: of a status in which power flows, before the silence.

    Raises:
        ValueError: there is no fall to be seen from this power, with what to do.
    """

    def __init__(self, unit: Mapping[str, Any]) -> None:
        dead_man = unit["dead_man"]
        self._time = float(dead_man["time"])
        self._target, self._tolerance = unit["standing"], unit["tolerance"]
        if not self._target or self._tolerance is None or abs(self._target) <= 2 * self._tolerance:
            least = "the device's tolerance" if self._tolerance is None else f"{2 * self._tolerance:g} kW"
            raise ValueError(f"ask for a small power first, above {least}: a fall to zero must be seen")
        self.limit = self._time + max(_LATE, _LATE_SHARE * self._time) + float(unit["response_time"] or 0.0)
        """Seconds after the last feed within which the power must be at zero."""
        self._asked: float | None = None
        self._fed_at: float | None = None
        self._inside: float | None = None
        self._measured: float | None = None

    def see(self, now: float, unit: Mapping[str, Any]) -> Verdict | None:
        """Take note of the unit at a monotonic time in seconds; the verdict once there is one."""
        dead_man = unit["dead_man"]
        self._asked = now if self._asked is None else self._asked
        if not dead_man["withheld"]:
            if self._fed_at is not None:
                return self._verdict(
                    None, "the gateway ended the test by itself: the device was no longer safe"
                )
            late = now - self._asked > BEGINS
            return self._verdict(None, "the gateway did not stop feeding the device") if late else None
        fed_age = dead_man["fed_age"]
        if self._fed_at is None:
            self._fed_at = now - (fed_age or 0.0)
        age = now - self._fed_at
        if fed_age is not None and fed_age < age - 2.0:
            return self._verdict(None, "the device was fed in the middle of the silence")
        measured = self._measured = unit["measured"]
        if measured is None or abs(measured) > self._tolerance:
            self._inside = None
        elif self._inside is None:
            self._inside = age
        if self._inside is not None and age - self._inside >= HOLD:
            good = self._inside <= self.limit
            return self._verdict(good, f"at zero {self._inside:.1f} s after the last feed")
        if age <= self.limit + HOLD:
            return None
        if measured is not None and abs(measured - self._target) <= self._tolerance:
            return self._verdict(False, f"still {measured:+.2f} kW {age:.1f} s after the last feed")
        seen = "not known" if measured is None else f"{measured:+.2f} kW, neither as before nor zero"
        return self._verdict(None, f"the power is {seen}: judge it with `bessai commission deadman`")

    def blind(self) -> Verdict:
        """The verdict when the gateway does not answer any more."""
        return self._verdict(None, "the gateway fell silent itself")

    def _verdict(self, passed: bool | None, why: str) -> Verdict:
        evidence: dict[str, float | str | bool | None] = {
            "setpoint": self._target,
            "measured_after": self._measured,
            "fell_back_after": None if self._inside is None else round(self._inside, 2),
            "time": self._time,
            "limit": round(self.limit, 2),
            "why": why,
        }
        return Verdict(passed, why, evidence if passed is not None else {**evidence, "aborted": True})


async def judge(
    ask: Ask, name: str, silence: Silence, who: Mapping[str, str], pause: float = _LOOK
) -> Verdict:
    """Watch a silence to its end, and tell the control plane.

    Args:
        ask: the control plane.
        name: of the unit; empty for the only one.
        silence: which has begun.
        who: user, role and reason.
        pause: seconds between looks.
    """
    verdict, heard = None, time.monotonic()
    while verdict is None:
        await asyncio.sleep(pause)
        now = time.monotonic()
        try:
            units = (await ask({"op": "summary"}))["status"]["units"]
            verdict, heard = silence.see(now, units[name]), now
        except (Problem, KeyError):
            if now - heard > _BLIND:
                verdict = silence.blind()
    end = {"op": "deadman_test_end", "unit": name, "result": "passed" if verdict.passed else "failed", **who}
    try:
        await ask({**end, "evidence": verdict.evidence})
    except Problem as problem:
        _log.warning("the end of a dead-man test was not taken: %s", problem.detail)
        return Verdict(None, f"{verdict.why}; {problem.detail}", {**verdict.evidence, "aborted": True})
    return verdict
