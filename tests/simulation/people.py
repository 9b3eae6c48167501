"""Who stands before the plant: resets trips, puts it into maintenance, tests its dead-man; sometimes wrongly."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

from bessai.model import ALL, Operation, Role

Act = Callable[[Operation], str | None]
"""Does it; returns the objection."""
Later = Callable[[float, Callable[[], None]], object]
"""Calls back after seconds."""


class People:
    """An operator and an engineer.

    Args:
        rng: what they do and when.
        act: what the gateway answers.
        later: their watch.
        units: that they may test.
        standing: the codes of the trips that the gateway tells.
    """

    def __init__(
        self,
        rng: Random,
        act: Act,
        later: Later,
        units: Sequence[str],
        standing: Callable[[], Sequence[str]],
        *,
        mean: float = 600.0,
    ) -> None:
        self._rng = rng
        self._act = act
        self._later = later
        self._units = units
        self._standing = standing
        self._mean = mean

    def begin(self) -> None:
        """From now on somebody looks every few simulated minutes, seldom hours."""
        self._later(self._wait(self._mean / 5, self._mean * 6), self._look)

    def _wait(self, low: float, high: float) -> float:
        return math.exp(self._rng.uniform(math.log(low), math.log(high)))

    def _look(self) -> None:
        rng = self._rng
        codes = self._standing()
        chance = rng.random()
        if codes and chance < 0.9:
            role = Role.OPERATOR if rng.random() < 0.15 else Role.ENGINEER
            code = rng.choice([ALL, ALL, *codes])
            if self._do("reset", role, code=code) is not None and role is Role.ENGINEER:
                self._later(self._wait(5, 120), self._look)  # looks again soon: something still stands
                return
        elif chance < 0.15:
            role = rng.choice([Role.OPERATOR, Role.ENGINEER])
            if self._do("maintenance_on", role) is None:
                self._later(self._wait(10, 600), self._end_maintenance)
        elif chance < 0.75:
            unit = rng.choice(self._units)
            if self._do("deadman_test", Role.ENGINEER, unit=unit) is None:
                outcome = rng.choice([True, True, False, None])
                if outcome is not None:
                    self._later(self._wait(1, 60), lambda: self._end_test(unit, outcome))
        self.begin()

    def _end_maintenance(self) -> None:
        if self._do("maintenance_off", Role.ENGINEER) is not None:
            self._later(10.0, self._end_maintenance)  # the gateway is away

    def _end_test(self, unit: str, passed: bool) -> None:
        self._do("deadman_test_end", Role.ENGINEER, unit=unit, passed=passed)

    def _do(
        self, kind: str, role: Role, *, code: str = "", unit: str = "", passed: bool | None = None
    ) -> str | None:
        return self._act(
            Operation(
                kind=kind, user=role.label, role=role, reason="simulated", code=code, unit=unit, passed=passed
            )
        )
