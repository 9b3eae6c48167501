"""One experiment: a bench with the grid functions behind change control, and people who set and command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from types import TracebackType
from typing import Any

from bessai.core.state_file import MemoryState
from bessai.grid import GridFunctions, Value
from bessai.grid.change import ChangeDesk
from bessai.gridcode.bench import Bench, Series
from bessai.gridcode.bench_plant import Sizes
from bessai.gridcode.measure import StepResponse, step_response
from bessai.gridcode.sabotage import Sabotage, Saboteur
from bessai.model import Priority, Request

BEFORE = 1.0
"""Seconds before a step that count as its initial state; at least 2.5 cycles."""
_ENGINEER = {"user": "selftest", "role": "engineer", "reason": "grid-code self-test"}
_SCHEDULE = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What all experiments of a run share."""

    seed: int = 0
    sizes: Sizes = field(default_factory=Sizes)
    sabotage: Sabotage | None = None


class Lab:
    """A running bench; also a context manager.

    Args:
        setup: of the run.
        name: of the experiment, which has noise of its own.
        values: start values of the grid functions, as in the grid file.
    """

    def __init__(self, setup: Setup, name: str, values: Mapping[str, Value]) -> None:
        own = Random(f"{setup.seed}/{name}").getrandbits(19)  # noqa: S311 - a simulation
        self.bench = Bench(own, setup.sizes)
        self.sizes = setup.sizes
        self._before = max(BEFORE, 2.5 * setup.sizes.cycle)
        config = replace(self.bench.plant.grid_config, values=values)
        self.functions = GridFunctions(config, cycle=self.bench.cycle)
        self.desk = ChangeDesk(self.functions, MemoryState(), self.bench.clock)
        fault = setup.sabotage
        self.bench.start(self.desk if fault is None else Saboteur(self.desk, self.functions, fault))

    def ask(self, op: str, **more: Any) -> dict[str, Any]:
        """Send a message as the local socket does. Raises ValueError when it is refused."""
        return self.desk.handlers[op]({"op": op, **_ENGINEER, **more})

    def refusal(self, op: str, **more: Any) -> str | None:
        """Why a message was refused; None when it was not."""
        try:
            self.ask(op, **more)
        except ValueError as error:
            return str(error)
        return None

    def set(self, name: str, value: Value) -> None:
        """Change a parameter, with an authorisation."""
        self.ask("grid_set", name=name, value=value, authorisation="SELFTEST")

    def command(self, name: str, value: Value) -> float:
        """Give a command. Returns the monotonic time."""
        self.ask("grid_command", name=name, value=value)
        return self.bench.now

    def schedule(self, power: float) -> None:
        """Let a schedule ask for a power in kW."""
        self.bench.ask(
            Request(
                source="schedule", priority=Priority.SCHEDULE, power=power, expires=self.bench.now + _SCHEDULE
            )
        )

    def records(self, point: str, step_at: float, until: float) -> Series:
        """The gateway's samples of a point around a step."""
        return _between(self.bench.recorder.series(point, since=step_at - self._before), until)

    def witness(self, quantity: str, step_at: float, until: float) -> Series:
        """The twin's true values around a step."""
        return _between(self.bench.witness.series(quantity, since=step_at - self._before), until)

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bench.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A step by both recorders."""

    records: StepResponse
    """From the gateway's own records."""
    witness: StepResponse
    """From the twin's true values, at every step of the plant."""

    def fit_for(self, limit: float) -> tuple[StepResponse, StepResponse, str] | None:
        """Who may judge a time limit, the other one, and the first one's name.

        The gateway's records where they are dense enough, else the witness; None when nobody is.
        """
        if self.records.resolves(limit):
            return self.records, self.witness, "records"
        return (self.witness, self.records, "witness") if self.witness.resolves(limit) else None


def response(
    records: Series, witness: Series, *, step_at: float, band: float, detected_at: float | None
) -> Response:
    """Measure a step in both."""
    return Response(
        records=step_response(*records, step_at=step_at, band=band, detected_at=detected_at),
        witness=step_response(*witness, step_at=step_at, band=band, detected_at=detected_at),
    )


def _between(series: Series, until: float) -> Series:
    times, values = series
    kept = times <= until
    return times[kept], values[kept]
