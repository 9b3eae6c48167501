"""The judge of trips, judged: guards that latch badly are found out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bessai.model import (
    Bounds,
    Command,
    Decision,
    GuardState,
    Operation,
    ProcessImage,
    Request,
    Role,
    Trip,
    WriteOutcome,
)
from support.stateful import Expectations, Mix, Violation, profile, run


def trip(code: str, unit: str) -> Trip:
    return Trip(code=code, unit=unit, reset=Role.ENGINEER)


def told(*trips: Trip) -> Decision:
    return Decision(state=GuardState.TRIPPED, setpoint=0.0, bounds=Bounds(0, 0), trips=trips)


class Toy:
    """A guard of two units that never gives power, but latches: a trip from 60 °C on for each unit.

    Args:
        delay: seconds after which it trips.
        forgets: a trip goes when the value is good again.
        restarts_clean: trips do not survive a restart.
        careless: it says that it reset a trip for anybody.
    """

    units: tuple[str, ...] = ("one", "two")
    latches = True

    def __init__(
        self,
        delay: float = 2.0,
        *,
        forgets: bool = False,
        restarts_clean: bool = False,
        careless: bool = False,
    ) -> None:
        self._delay, self._forgets, self._careless = delay, forgets, careless
        self._restarts_clean = restarts_clean
        self._since: dict[str, float] = {}
        self._trips: dict[str, Trip] = {}

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        for unit, image in images.items():
            value = image.good("battery_temperature")
            if value is None:
                continue
            if value < 60.0:
                self._since.pop(unit, None)
                if self._forgets:
                    self._trips.pop(unit, None)
            elif image.monotonic - self._since.setdefault(unit, image.monotonic) >= self._delay:
                self._trips[unit] = trip("hot", unit)
        return told(*self._trips.values())

    def command(self, unit: str, now: float) -> Command | None:
        return None

    def feed(self, unit: str, now: float) -> Command | None:
        return None

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        raise AssertionError("nothing was commanded")

    def connection_changed(self, unit: str) -> None:
        pass

    def operate(self, operation: Operation, now: float, wall_ns: int) -> str | None:
        if operation.kind == "reset" and operation.role < Role.ENGINEER:
            if self._careless:
                self._trips.clear()
                return None
            return "only an engineer may"
        if operation.kind == "reset":
            self._trips.clear()
        return None

    def restart(self) -> None:
        self._since.clear()
        if self._restarts_clean:
            self._trips.clear()


@pytest.mark.parametrize(
    ("toy", "found"),
    [
        (Toy(), None),
        (Toy(delay=60.0), "nothing tripped"),
        (Toy(forgets=True), "nobody reset it"),
        (Toy(restarts_clean=True), "nobody reset it"),
        (Toy(careless=True), "nobody reset it"),
    ],
)
def test_trips_that_unlatch_are_found_out(tmp_path: Path, toy: Toy, found: str | None) -> None:
    hot = Expectations(must_trip=[("battery_temperature", "high", 60.0, 2.0)])
    device, mix = profile(tmp_path), Mix(wild=0.5, restart=0.02, operate=0.05)
    if found is None:
        assert run(1, 2000, lambda: toy, device, hot, mix).tripped > 100
    else:
        with pytest.raises(Violation, match=found):
            run(1, 2000, lambda: toy, device, hot, mix)
