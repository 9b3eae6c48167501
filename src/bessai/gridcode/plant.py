"""The same measurements on a real plant, through the running gateway's socket and nothing else.

The gateway adds a test signal to the frequency or voltage that it measured, and the plant answers as to a real
deviation; what it does is measured with the gateway's samples. Nothing is set: droop, dead band and mode stay as they
are, and the answer is compared with them. A run needs an arm, a highest power and a longest time; it ends at once, and
takes its signal back, when the power leaves the limit or is not known, when the guard grants no power, or on Ctrl-C.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from bessai.gridcode.bench import Series
from bessai.gridcode.clauses import clauses
from bessai.gridcode.feed import Frame
from bessai.gridcode.frequency import BAND_SHARE, expected
from bessai.gridcode.judging import band_of, time_row, traces
from bessai.gridcode.lab import Response
from bessai.gridcode.measure import step_response
from bessai.gridcode.plant_plan import BEFORE, HOLD, PAUSE, POWER, REACTIVE, SIGNALS, Plan, Signal, clause_of
from bessai.gridcode.rows import Evidence, Row, Text, judged, not_tested, number

Ask = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Sends one message to the gateway; None when it is not there."""

_UNKNOWN = 1.0
"""Seconds for which the power may be unknown."""
_NO_TIME: Text = {"en": "the longest time would be exceeded", "es": "se excedería el tiempo máximo"}


class AbortedError(RuntimeError):
    """The run ended before its end; the message says why."""


class Pace:
    """The real time; tests hand in another one."""

    def monotonic(self) -> float:
        """Seconds for every timer."""
        return time.monotonic()

    def wall(self) -> float:
        """UTC seconds, as the gateway stamps its cycles."""
        return time.time()


class Frames(Protocol):
    """Where samples come from."""

    def next(self) -> Frame:
        """The next cycle, when it is there."""
        ...


@dataclass(slots=True)
class _Samples:
    times: dict[str, list[float]] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)

    def series(self, point: str, since: float) -> Series:
        times, values = np.array(self.times.get(point, [])), np.array(self.values.get(point, []))
        kept = times > since
        return times[kept], values[kept]


class PlantRun:
    """One run.

    Args:
        ask: sends one message to the gateway.
        feed: its live feed, with the points of this module.
        plan: what was agreed.
        told: called with what happens.
        pace: the time.
    """

    def __init__(
        self,
        ask: Ask,
        feed: Frames,
        plan: Plan,
        told: Callable[[str], None] = lambda _: None,
        pace: Pace | None = None,
    ) -> None:
        self._ask, self._feed, self._plan, self._told = ask, feed, plan, told
        self._pace = pace or Pace()
        self._samples = _Samples()
        self._known_at = self._began = self._pace.monotonic()
        self._parameters: Mapping[str, Any] = {}
        self._sizes: Mapping[str, float] = {}

    def run(self, wanted: Callable[[str], bool] = lambda _: True) -> list[Row]:
        """The rows of every signal that fits into the limits.

        Raises:
            AbortedError: the run was ended; its signal is taken back.
            FeedError: the gateway has fallen silent; its signal ends by itself.
        """
        self._parameters = self._grid()
        rows: list[Row] = []
        for signal in SIGNALS:
            if not any(wanted(name) for name in signal.rows):
                continue
            if self._pace.monotonic() - self._began + PAUSE + HOLD > 60 * self._plan.max_minutes:
                rows += self._unmeasured(signal, _NO_TIME)
                continue
            self._told(", ".join(signal.rows))
            self._watch(PAUSE)  # the last answer fades, and what was before this one is known
            why = self._unfit(signal)
            rows += self._unmeasured(signal, why) if why else self._measured(signal)
        return [row for row in rows if wanted(row.name)]

    def _measured(self, signal: Signal) -> list[Row]:
        point = POWER if signal.quantity == "frequency" else REACTIVE
        started = self._pace.wall()
        try:
            self._operate(
                "grid_test", signal=signal.quantity, kind="step", change=signal.change, seconds=HOLD,
                authorisation=self._plan.authorisation,
            )  # fmt: skip
            self._watch(HOLD - 0.5)
        finally:
            self._end()
        series = self._samples.series(point, started - BEFORE)
        found = step_response(*series, step_at=started, band=BAND_SHARE)
        both = Response(records=found, witness=found)
        evidence = self._evidence(signal, point, series, started, both)
        family = signal.quantity
        rows = [
            time_row(f"{family}_{what}.{signal.case}", f"{family}-{what}", what, both, evidence)
            for what in ("reaction", "rise", "settling")
        ]
        last = self._droop_row if family == "frequency" else _overshoot_row
        return [*rows, last(signal, both, evidence)]

    def _droop_row(self, signal: Signal, found: Response, evidence: Evidence) -> Row:
        wanted = self._expected(signal.change)
        error = (found.records.change - wanted) / abs(wanted) if wanted else float("inf")
        return Row(
            name=f"frequency_droop.{signal.case}",
            clause=clauses()["frequency-droop"],
            limit={"expected": number(wanted, 2), "unit": "kW", "within_percent": 100 * BAND_SHARE},
            measured={"value": number(found.records.change, 2), "unit": "kW", "error_percent": number(100 * error, 2)},
            verdict=judged(abs(error) <= BAND_SHARE),
            evidence=evidence,
        )  # fmt: skip

    def _unfit(self, signal: Signal) -> Text | None:
        """Why a signal is not tried; None when it is."""
        if signal.quantity == "voltage":
            if self._value("voltage.mode") not in {"voltage", "voltage_droop"}:
                return {"en": "no voltage mode is in force", "es": "ningún modo de tensión está vigente"}
            return None
        if not self._value("frequency.enabled") or self._value("frequency.curve") != "droop":
            return {
                "en": "the droop of the frequency response is not in force",
                "es": "el estatismo de la respuesta en frecuencia no está vigente",
            }
        known = self._samples.values.get(POWER) or [float("nan")]
        if (
            not abs(known[-1] + self._expected(signal.change)) <= self._plan.max_power
        ):  # also when it is not known
            return {
                "en": "the answer would leave the highest power that was agreed",
                "es": "la respuesta excedería la potencia máxima acordada",
            }
        return None

    def _expected(self, change: float) -> float:
        rated, nominal = self._sizes["rated_power"], self._sizes["nominal_frequency"]
        droop, band = float(self._value("frequency.droop")), float(self._value("frequency.dead_band")) / 1000
        if self._value("frequency.shape") == "step":
            return expected(change, droop, 0.0, rated, nominal)
        return expected(change, droop, band, rated, nominal)

    def _value(self, name: str) -> Any:
        return self._parameters[name]["value"]

    def _watch(self, seconds: float) -> None:
        """Collect samples for some seconds; every one is looked at."""
        until = self._pace.monotonic() + seconds
        while (now := self._pace.monotonic()) < until:
            frame = self._feed.next()
            for name, value in frame.values.items():
                times = self._samples.times.setdefault(name, [])
                at = frame.measured.get(name, frame.time)
                if not times or at > times[-1] + 1e-4:
                    times.append(at)
                    self._samples.values.setdefault(name, []).append(float("nan") if value is None else value)
            self._look(frame.values.get(POWER), frame.state, now, told=POWER in frame.values)

    def _look(self, power: float | None, state: str, now: float, *, told: bool) -> None:
        if told and power is not None:
            self._known_at = now
            if abs(power) > self._plan.max_power:
                raise AbortedError(f"the power is {power:g} kW, beyond {self._plan.max_power:g} kW")
        if now - self._known_at > _UNKNOWN:
            raise AbortedError(f"the power at the point of connection is not known for {_UNKNOWN:g} s")
        if state not in {"normal", "derated"}:
            raise AbortedError(f"the guard grants no power: {state}")
        if now - self._began > 60 * self._plan.max_minutes:
            raise AbortedError(f"{self._plan.max_minutes:g} minutes are over")

    def _grid(self) -> Mapping[str, Any]:
        answer = self._ask({"op": "grid"})
        if answer is None or not answer.get("ok"):
            why = "no gateway is running" if answer is None else answer.get("error")
            raise AbortedError(f"the gateway has no grid functions to test: {why}")
        self._sizes = answer["grid"]["plant"]
        parameters: Mapping[str, Any] = answer["grid"]["parameters"]
        return parameters

    def _operate(self, op: str, **more: Any) -> None:
        plan = self._plan
        answer = self._ask({"op": op, "user": plan.user, "role": plan.role, "reason": plan.reason, **more})
        if answer is None or not answer.get("ok"):
            raise AbortedError(f"{op}: {'no answer' if answer is None else answer.get('error')}")

    def _end(self) -> None:
        """Take the signal back; it also ends by itself."""
        try:
            self._operate("grid_test_end")
        except (AbortedError, OSError) as error:
            self._told(f"the test signal could not be ended ({error}); it ends by itself within {HOLD:g} s")

    def _unmeasured(self, signal: Signal, why: Text) -> list[Row]:
        return [not_tested(name, clause_of(name), why) for name in signal.rows]

    def _evidence(
        self, signal: Signal, point: str, series: Series, started: float, found: Response
    ) -> Evidence:
        unit = "kW" if point == POWER else "kvar"
        return traces(
            {
                "en": f"Test signal on the {signal.quantity}: {signal.change:+g} {_SIGNAL_UNIT[signal.quantity]}",
                "es": f"Señal de ensayo en la {_SPANISH[signal.quantity]}: {signal.change:+g} "
                f"{_SIGNAL_UNIT[signal.quantity]}",
            },
            started,
            band_of(found.records, BAND_SHARE),
            (
                {"en": "gateway's records", "es": "registros del gateway"},
                unit,
                series,
                False,
            ),
        )


_SIGNAL_UNIT = {"frequency": "Hz", "voltage": "% Un"}
_SPANISH = {"frequency": "frecuencia", "voltage": "tensión"}


def _overshoot_row(signal: Signal, found: Response, evidence: Evidence) -> Row:
    rule, worst = clauses()["voltage-overshoot"], found.records.overshoot
    return Row(
        name=f"voltage_overshoot.{signal.case}", clause=rule, limit={"at_most": 5.0, "unit": "%"},
        measured={"value": None if worst is None else number(100 * worst, 2), "unit": "%"},
        verdict=judged(worst is not None and 100 * worst <= float(rule.limit["at_most"])), evidence=evidence,
    )  # fmt: skip
