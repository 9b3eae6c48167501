"""All grid functions of one plant, as a proposer of the control cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bessai.grid.config import GridConfig
from bessai.grid.parameters import PARAMETERS, Value
from bessai.grid.signals import TestSignal
from bessai.model import Condition, Event, ProcessImage, Request


class GridFunctions:
    """Answers frequency and voltage, and keeps the grid operator's active power. Satisfies `core.proposing.Proposer`.

    Args:
        config: the plant.
        values: values that differ from the configuration's, for instance from the last run; each must be sound.
        cycle: seconds of a control cycle.

    Raises:
        ValueError: a value is not sound.
    """

    def __init__(
        self, config: GridConfig, *, values: Mapping[str, Value] | None = None, cycle: float
    ) -> None:
        self.config = config
        self.cycle = cycle
        self._values: dict[str, Value] = {name: config.default(name) for name in PARAMETERS}
        for name, value in (values or {}).items():
            self._values[name] = config.checked(name, value)
        self._test: TestSignal | None = None

    @property
    def values(self) -> Mapping[str, Value]:
        """Every parameter's present value."""
        return dict(self._values)

    @property
    def test(self) -> TestSignal | None:
        """The test signal that runs."""
        return self._test

    @property
    def handlers(self) -> Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """None; see `change.ChangeDesk`."""
        return {}

    def check(self, name: str, value: Any, *, source: str = "") -> Value:
        """The value as it may be applied now: limits, and what the other values allow.

        Args:
            name: of the parameter.
            value: what is asked for.
            source: `iec104`, `dnp3` or `agc` for a command of the grid operator's systems.

        Raises:
            ValueError: with the mend.
        """
        return self.config.checked(name, value)

    def apply(self, name: str, value: Value, *, at: float | None = None) -> None:
        """Set a checked value; it counts from the next cycle on.

        Args:
            name: of the parameter.
            value: what `check` returned.
            at: monotonic seconds at which it was asked for; None: at the next cycle.
        """
        self._values[name] = value

    def inject(self, signal: TestSignal | None) -> None:
        """Start a test signal at the next cycle, in place of the one that runs; None ends it."""
        self._test = signal

    def propose(self, image: ProcessImage) -> Sequence[Request]:
        """Leases for this cycle."""
        return ()

    def conditions(self) -> Sequence[Condition]:
        """What is wrong now."""
        return ()

    def take_events(self) -> Sequence[Event]:
        """What happened since the last call."""
        return ()

    def status(self) -> dict[str, Any]:
        """Each function: its input, its output and what limits it; plain JSON-safe data."""
        return {}
