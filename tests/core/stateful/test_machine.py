"""The same rules as a Hypothesis state machine: it finds less in an hour, and shrinks what it finds."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from bessai.model import Bounds, Operation, Priority, Quality, Request, Role
from support.stateful import Devices, Driver, Mix, PresentGuard

_DEVICES = Devices.of(Path(tempfile.mkdtemp()))
_CALM = Mix(wild=0.0, disobey=0.0, late=0.0)
_SOURCES = st.sampled_from("abc")
_POWERS = st.sampled_from((None, -500.0, -20.0, -0.001, 0.0, 0.001, 6.5, 44.0, 500.0))
_EDGES = st.sampled_from((-50.0, -8.0, 0.0, 6.0, 45.0))


class GuardMachine(RuleBasedStateMachine):
    """One to three units; Hypothesis chooses the plant, the readings, the requests and the people."""

    @initialize(seed=st.integers(0, 500))
    def begin(self, seed: int) -> None:
        setup = _DEVICES.any(random.Random(seed))
        self.driver = Driver(random.Random(seed), PresentGuard(setup), setup, _CALM)
        for _ in range(5):
            self.cycles(1.0, 1)

    @rule(seconds=st.sampled_from((0.1, 1.0, 3.0, 40.0)), count=st.integers(1, 4))
    def cycles(self, seconds: float, count: int) -> None:
        for _ in range(count):
            self.driver.step(seconds, frozenset(self.driver.units))

    @rule()
    def incomplete_cycle(self) -> None:
        self.driver.step(1.0, frozenset())

    @rule(source=_SOURCES, priority=st.sampled_from(Priority), power=_POWERS, low=_EDGES, high=_EDGES)
    def ask(self, source: str, priority: Priority, power: float | None, low: float, high: float) -> None:
        bounds = Bounds(low, high) if low < high else Bounds()
        until = self.driver.now + 60.0
        request = Request(source=source, priority=priority, power=power, bounds=bounds, expires=until)
        self.driver.request(request, source)

    @rule(data=st.data())
    def value(self, data: st.DataObject) -> None:
        unit = self.driver.units[data.draw(st.sampled_from(sorted(self.driver.units)))]
        name = data.draw(st.sampled_from(sorted(unit.setup.edges)))
        unit.world.values[name] = data.draw(st.sampled_from((unit.setup.home[name], *unit.setup.edges[name])))

    @rule(data=st.data(), quality=st.sampled_from(Quality), count=st.integers(1, 5))
    def lost(self, data: st.DataObject, quality: Quality, count: int) -> None:
        unit = self.driver.units[data.draw(st.sampled_from(sorted(self.driver.units)))]
        name = data.draw(st.sampled_from(sorted(unit.setup.home)))
        if quality is not Quality.GOOD:
            unit.world.lose(name, quality, count)

    @rule(
        kind=st.sampled_from(
            ("reset", "maintenance_on", "maintenance_off", "deadman_test", "deadman_test_end")
        ),
        role=st.sampled_from(Role),
        passed=st.booleans(),
    )
    def operate(self, kind: str, role: Role, passed: bool) -> None:
        unit = next(iter(self.driver.units)) if kind.startswith("deadman") else ""
        self.driver.operate(
            Operation(kind=kind, user="ana", role=role, reason="test", code="all", unit=unit, passed=passed)
        )

    @rule()
    def restart(self) -> None:
        self.driver.restart()

    @rule()
    def reconnect(self) -> None:
        self.driver.reconnect(next(iter(self.driver.units)))


TestGuard = GuardMachine.TestCase
TestGuard.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
