"""All grid functions of one plant, as a proposer of the control cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bessai.grid.active import ActivePower
from bessai.grid.config import GridConfig
from bessai.grid.evidence import Evidence
from bessai.grid.frequency import FrequencyResponse
from bessai.grid.parameters import NONE, PARAMETERS, Value
from bessai.grid.settings import ActiveSettings, FrequencySettings, VoltageSettings
from bessai.grid.signals import TestSignal
from bessai.grid.voltage import ReactiveControl
from bessai.model import Bounds, Condition, Decision, Event, Priority, ProcessImage, Request, Severity

REMOTE = frozenset({"agc", "iec104", "dnp3"})
"""Sources of commands that come from the grid operator's systems."""
_LEASE = 3.0
"""Seconds that a request lasts; at least 3 cycles."""
_FREE = Bounds()


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
        for name, mend in config.contradictions(self._values):
            raise ValueError(f"{name}: {mend}")
        nominal = config.nominal_frequency
        self._frequency_in = Evidence(0.9 * nominal, 1.1 * nominal)
        self._voltage_in = Evidence(0.1 * config.nominal_voltage, 1.5 * config.nominal_voltage)
        wide = 10 * config.rated_apparent_power
        self._active_in = Evidence(-wide, wide)
        self._reactive_in = Evidence(-wide, wide)
        self._soc_in = Evidence(0.0, 100.0) if config.points.soc else None
        self._frequency = FrequencyResponse(config, FrequencySettings.of(config, self._values))
        self._voltage = ReactiveControl(config, VoltageSettings.of(self._values), cycle=cycle)
        self._active = ActivePower(config, ActiveSettings.of(self._values))
        self._test: TestSignal | None = None
        self._test_start: float | None = None
        self._heard: float | None = None
        self._silent = False
        self._events: list[Event] = []

    @property
    def values(self) -> Mapping[str, Value]:
        """Every parameter's present value. A fallback, and switching AGC off, change set-points by themselves."""
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
        checked = self.config.checked(name, value)
        if (
            name == "active.setpoint"
            and checked != NONE
            and source in REMOTE
            and not self._values["active.agc"]
        ):
            raise ValueError("the plant does not take part in AGC now; switch active.agc on first")
        for _, mend in self.config.contradictions({**self._values, name: checked}):
            raise ValueError(mend)
        return checked

    def apply(self, name: str, value: Value, *, at: float | None = None, heard: bool = True) -> None:
        """Set a checked value; it counts from the next cycle on.

        Args:
            name: of the parameter.
            value: what `check` returned.
            at: monotonic seconds at which it was asked for; None: at the next cycle.
            heard: False when it is no sign that the grid operator's systems live: a person asked for it.
        """
        self._values[name] = value
        if name == "active.agc" and value is False:
            self._values["active.setpoint"] = NONE
        if heard and PARAMETERS[name].kind == "command":
            self._heard = at
        self._take(at)

    def _take(self, at: float | None) -> None:
        self._frequency.settings = FrequencySettings.of(self.config, self._values)
        self._voltage.settings = VoltageSettings.of(self._values)
        self._active.take(ActiveSettings.of(self._values), at)

    def inject(self, signal: TestSignal | None) -> None:
        """Start a test signal at the next cycle, in place of the one that runs; None ends it."""
        self._test, self._test_start = signal, None

    def propose(self, image: ProcessImage) -> Sequence[Request]:
        """Leases for this cycle."""
        now = image.monotonic
        self._measure(image, now)
        self._listen(image, now)
        return self._requests(now, now + max(_LEASE, 3 * self.cycle))

    def told(self, decision: Decision) -> None:
        """What the last cycle decided."""
        self._voltage.told(decision.reactive)

    def _requests(self, now: float, expires: float) -> list[Request]:
        offset = self._frequency.step(self._frequency_in, self._soc_in, now)
        reactive = self._voltage.step(self._voltage_in, self._active_in, self._reactive_in.present, now)
        active = self._active.step(self._voltage_in, now)
        requests: list[Request] = []
        if offset is not None:
            requests.append(
                Request(
                    source="grid.frequency",
                    priority=Priority.GRID_SUPPORT,
                    power=None,
                    offset=offset,
                    bounds=_FREE,
                    reactive_bounds=_FREE,
                    expires=expires,
                    reason=_reason("frequency", self._frequency_in, "Hz"),
                )
            )
        if reactive is not None:
            requests.append(
                Request(
                    source="grid.reactive",
                    priority=Priority.GRID_SUPPORT,
                    power=None,
                    reactive=reactive,
                    bounds=_FREE,
                    reactive_bounds=_FREE,
                    expires=expires,
                    reason=f"mode {self._voltage.settings.mode}",
                )
            )
        if active is not None:
            requests.append(
                Request(
                    source="grid.active",
                    priority=Priority.GRID_OPERATOR,
                    power=active.power,
                    bounds=active.bounds,
                    reactive_bounds=_FREE,
                    firm=True,
                    ramp=None if active.ramp is None else active.ramp * self.config.rated_power,
                    expires=expires,
                    reason="grid operator",
                )
            )
        return requests

    def _measure(self, image: ProcessImage, now: float) -> None:
        points = self.config.points
        frequency, voltage = _good(image, points.frequency), _good(image, points.voltage)
        change = self._test_change(now)
        if self._test is not None and self._test.quantity == "frequency" and frequency is not None:
            frequency += change
        elif self._test is not None and self._test.quantity == "voltage" and voltage is not None:
            voltage += change / 100 * self.config.nominal_voltage
        self._frequency_in.take(frequency, now)
        self._voltage_in.take(voltage, now)
        power = _good(image, points.active_power)
        self._active_in.take(power, now)
        self._reactive_in.take(_good(image, points.reactive_power), now)
        if self._soc_in is not None:
            self._soc_in.take(_good(image, points.soc), now)
        if power is not None and points.active_power is not None:
            measured = float(image.times[image.layout.index[points.active_power]])
            self._active.curtailment.look(power, measured, self._active.settings, now, image.wall_ns)
        else:
            self._active.curtailment.look(None, now, self._active.settings, now, image.wall_ns)

    def _test_change(self, now: float) -> float:
        if self._test is None:
            return 0.0
        if self._test_start is None:
            self._test_start = now
        elapsed = now - self._test_start
        if elapsed >= self._test.seconds:
            self.inject(None)
            return 0.0
        return self._test.at(elapsed)

    def _listen(self, image: ProcessImage, now: float) -> None:
        """AGC that falls silent gets its fallback, once."""
        after = self.config.fallback_after
        if after is None or not self._values["active.agc"]:
            self._heard, self._silent = None, False
            return
        if self._heard is None:
            self._heard, self._silent = now, False
        if now - self._heard <= after:
            self._silent = False
        elif not self._silent:
            self._silent = True
            fallback = dict(self.config.fallback)
            if fallback.get("active.agc") is False:
                fallback.setdefault("active.setpoint", NONE)
            self._values.update(fallback)
            self._take(now)
            told = ", ".join(f"{name} = {value}" for name, value in fallback.items()) or "nothing"
            self._events.append(
                Event(
                    code="grid_fallback_applied",
                    severity=Severity.WARNING,
                    message=f"AGC gave no command for {after:g} s; the fallback counts: {told}.",
                    wall_ns=image.wall_ns,
                )
            )

    def conditions(self) -> Sequence[Condition]:
        """What is wrong now."""
        found = [*self._frequency.conditions(), *self._voltage.conditions()]
        said = {condition.code for condition in found}
        found += [one for one in self._active.conditions(self._voltage_in) if one.code not in said]
        if self._test is not None:
            found.append(
                Condition(
                    code="grid_test_running",
                    severity=Severity.WARNING,
                    message=f"A test signal is added to the measured {self._test.quantity}.",
                    value=self._test.change,
                )
            )
        if self._silent:
            found.append(
                Condition(
                    code="grid_operator_silent",
                    severity=Severity.ALARM,
                    message="AGC is on and gives no commands; the fallback counts.",
                )
            )
        return found

    def take_events(self) -> Sequence[Event]:
        """What happened since the last call."""
        events, self._events = [*self._events, *self._active.curtailment.take_events()], []
        return events

    def status(self) -> dict[str, Any]:
        """Each function: its input, its output and what limits it; plain JSON-safe data."""
        test = self._test
        return {
            "inputs": {
                "frequency": self._frequency_in.present,
                "voltage": self._voltage_in.present,
                "active_power": self._active_in.present,
                "reactive_power": self._reactive_in.present,
                "soc": self._soc_in.present if self._soc_in is not None else None,
            },
            "frequency": self._frequency.status(),
            "voltage": self._voltage.status(),
            "active": self._active.status(),
            "operator_silent": self._silent,
            "test": None if test is None else {
                "signal": test.quantity, "kind": test.kind, "change": test.change, "seconds": test.seconds,
            },
        }  # fmt: skip


def _good(image: ProcessImage, name: str | None) -> float | None:
    return None if name is None else image.good(name)


def _reason(what: str, evidence: Evidence, unit: str) -> str:
    value = evidence.present
    return f"{what} not known" if value is None else f"{what} {value:.3f} {unit}"
