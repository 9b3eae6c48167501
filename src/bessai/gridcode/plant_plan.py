"""What a run on a plant is: who agreed to what, the test signals, and the rows that they can fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bessai.gridcode.clauses import Clause, clauses
from bessai.gridcode.frequency import CHANGE
from bessai.gridcode.rows import Row, Text, not_tested

POWER, REACTIVE, FREQUENCY, VOLTAGE = "grid_power", "grid_reactive_power", "grid_frequency", "grid_voltage"
HOLD, BEFORE, PAUSE = 14.0, 3.0, 10.0
"""Seconds of a signal, of the samples before it that count, and between two signals."""
VOLTAGE_CHANGE = 1.0
"""% of the nominal voltage of a voltage signal."""
_NEEDS_TWIN: Text = {
    "en": "needs a real disturbance, or other settings than those in force: tested on the simulated plant only",
    "es": "requiere una perturbación real, u otros ajustes que los vigentes: se ensaya solo en la planta simulada",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was agreed."""

    user: str
    reason: str
    authorisation: str
    role: str = "engineer"
    max_power: float
    """kW at the point of connection, either way."""
    max_minutes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One test signal and its rows."""

    case: str
    quantity: str
    change: float
    """Hz, or % of the nominal voltage."""

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of its rows."""
        last = "droop" if self.quantity == "frequency" else "overshoot"
        return tuple(f"{self.quantity}_{what}.{self.case}" for what in ("reaction", "rise", "settling", last))


SIGNALS: Sequence[Signal] = (
    Signal(case="plant_down", quantity="frequency", change=-CHANGE),
    Signal(case="plant_up", quantity="frequency", change=CHANGE),
    Signal(case="plant_low", quantity="voltage", change=-VOLTAGE_CHANGE),
)


def clause_of(name: str) -> Clause:
    """The clause of a row."""
    test = name.partition(".")[0]
    return next(clause for clause in clauses().values() if clause.test == test)


def plant_row_names() -> list[str]:
    """Rows that a plant can be tested for."""
    return [name for signal in SIGNALS for name in signal.rows]


def untested_on_plant(names: Sequence[str]) -> list[Row]:
    """Rows that only the simulated plant can be tested for."""
    rules = [(name, clause_of(name)) for name in names]
    return [not_tested(name, rule, rule.not_tested or _NEEDS_TWIN) for name, rule in rules]
