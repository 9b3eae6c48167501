"""Folds the journal's blocks: from samples to events, hours and quarters, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from bessai.grid.signals import LONGEST
from bessai.journal.block import Block
from bessai.performance.events import EventRecorder, Rows, Signals
from bessai.performance.hours import (
    COUNT,
    EXPECTED,
    FREQUENCY,
    HOUR_NS,
    OUTSIDE,
    RESIDUAL,
    ROCOF,
    Hours,
)
from bessai.performance.law import Law
from bessai.performance.quarters import COUNTERS, Quarters
from bessai.performance.rocof import slopes
from bessai.performance.samples import SAME_NS, SECOND, Bools, Column, Floats, Ints, Reading, Samples, new
from bessai.performance.settings import ROLES, Plant

GATEWAY = "gateway"
"""The source that is there whenever the gateway recorded a cycle."""


_TEST_ENDED = "grid_test_ended"
_TESTS = frozenset({"grid_test_begun", "grid_test_running", _TEST_ENDED})


class Folding:
    """What is carried from one record to the next, and what they add up to."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.hours = Hours()
        self.quarters = Quarters(plant.settings.gap)
        self.events = EventRecorder(plant)
        self.law = plant.law
        self.laws: dict[int, Law] = {}
        """By hour: the law that was in force last."""
        self.floor_ns = -(1 << 62)
        """Earlier records are not counted: they are, already."""
        self.quantum: float | None = None
        """Smallest step of the frequency seen: the resolution of its measurement."""
        self._test_until_ns = 0
        """Before it, a test signal may be what the plant answers, and not the grid."""
        self._reading = Reading(plant)
        self._last_ns: int | None = None
        self._window: tuple[Ints, Floats] = (np.zeros(0, np.int64), np.zeros(0))
        self._voltage_ns: int | None = None

    def fold(self, block: Block) -> None:
        """Take a block of the journal."""
        samples = self._reading.samples(block)
        if not len(samples):
            self._take_changes(samples, len(samples))
            return
        for stepped, stretch in samples.stretches(self._last_ns):
            self._last_ns = int(stretch.wall_ns[-1])
            if stepped:
                self.events.clock_set_back()
                self.quarters.clock_set_back()
                self._window, self._voltage_ns = (np.zeros(0, np.int64), np.zeros(0)), None
            part = stretch.part(int(np.searchsorted(stretch.wall_ns, self.floor_ns)), len(stretch))
            self._fold(part, block.epoch)

    def _fold(self, part: Samples, epoch: int) -> None:
        columns = part.columns
        fresh, rocof = self._slopes(columns["frequency"])
        voltage = columns["voltage"]
        fresh_voltage = voltage.good & new(voltage.times, self._voltage_ns)
        if fresh_voltage.any():
            self._voltage_ns = int(voltage.times[fresh_voltage][-1])
        self._find_events(part, epoch, fresh, rocof, fresh_voltage)
        self._fill_hours(part, fresh, rocof)
        self.quarters.power(columns["active_power"])
        for name in COUNTERS:
            self.quarters.counter(name, columns[f"energy_{name}"])

    def _slopes(self, column: Column) -> tuple[Bools, Floats]:
        """Which rows are a new measurement of frequency, and its slope there."""
        times, values = self._window
        good = np.flatnonzero(column.good)
        good = good[new(column.times[good], int(times[-1]) if len(times) else None)]
        times = np.concatenate([times, column.times[good]])
        values = np.concatenate([values, column.values[good]])
        found = slopes(times, values, self.plant.settings.rocof_window)
        steps = np.abs(np.diff(values[max(0, len(self._window[0]) - 1) :]))
        steps = steps[steps > 1e-9]
        if len(steps):
            least = float(steps.min())
            self.quantum = least if self.quantum is None else min(self.quantum, least)
        rocof = np.full(len(column.values), np.nan)
        rocof[good] = found[len(self._window[0]) :]
        fresh = np.zeros(len(column.values), bool)
        fresh[good] = True
        if len(times):
            kept = times >= times[-1] - int(self.plant.settings.rocof_window * SECOND) - SAME_NS
            self._window = (times[kept], values[kept])
        return fresh, rocof

    def _find_events(self, part: Samples, epoch: int, fresh: Bools, rocof: Floats, fresh_v: Bools) -> None:
        columns = part.columns
        frequency, voltage = columns["frequency"], columns["voltage"]
        share = voltage.values / self.plant.nominal_voltage * 100
        signals = Signals(
            times={"frequency": frequency.times, "rocof": frequency.times, "voltage": voltage.times},
            values={
                "frequency": np.where(fresh, frequency.values, np.nan),
                "rocof": rocof,
                "voltage": np.where(fresh_v, share, np.nan),
            },
        )
        values = [columns[role].values for role in ("frequency", "voltage", "active_power", "reactive_power")]
        rows = Rows(wall_ns=part.wall_ns, values=np.stack([*values, rocof], axis=1))
        self.events.fold(part, rows, signals, epoch)

    def _fill_hours(self, part: Samples, fresh: Bools, rocof: Floats) -> None:
        hours, frequency = self.hours, part.columns["frequency"]
        hours.first(FREQUENCY, frequency.times[fresh], frequency.values[fresh])
        measured = ~np.isnan(rocof)
        hours.steepest(ROCOF, frequency.times[measured], rocof[measured])
        hours.mark(GATEWAY, part.wall_ns)
        for role in ROLES:
            hours.mark(role, part.wall_ns[part.columns[role].good])
        at = 0
        for row in [*(row for row, _ in part.events), len(part)]:
            self._respond(part, at, row)
            self._take_changes(part, row)
            at = row

    def _respond(self, part: Samples, first: int, end: int) -> None:
        """Sum up what the frequency asked for and what came, while one law holds."""
        law, plant = self.law, self.plant
        if first >= end or not law.enabled:
            return
        frequency = part.columns["frequency"].values[first:end]
        residual = part.columns["active_power"].values[first:end] - part.base[first:end]
        if law.curve == "droop":
            expected = law.power(frequency, plant.nominal_frequency, plant.rated_power)
        else:
            expected = np.where(np.isnan(frequency), np.nan, part.offset[first:end])
        tested = part.wall_ns[first:end] < self._test_until_ns
        known = ~np.isnan(expected) & ~np.isnan(residual) & ~tested
        times = part.wall_ns[first:end][known]
        self.hours.add(EXPECTED, times, expected[known])
        self.hours.add(RESIDUAL, times, residual[known])
        self.hours.add(COUNT, times, np.ones(len(times)))
        outside = law.outside(frequency, plant.nominal_frequency)[known]
        self.hours.add(OUTSIDE, times, outside.astype(np.float64))
        self.laws |= dict.fromkeys(np.unique(times // HOUR_NS).tolist(), law)

    def _take_changes(self, part: Samples, row: int) -> None:
        for at, event in part.events:
            if at != row:
                continue
            self.law = self.law.after(event, self.plant.law)
            if event.code in _TESTS:
                goes_on = event.active and event.code != _TEST_ENDED
                self._test_until_ns = event.wall_ns + int(LONGEST * SECOND) if goes_on else 0

    def settle(self) -> None:
        """All is stored."""
        self.hours.settle()
        self.quarters.settle()
        self.laws.clear()
        self.events.touched.clear()
        self.events.parts.clear()

    def state(self) -> dict[str, Any]:
        """What is needed to go on after a restart, as data for JSON."""
        return {
            "law": asdict(self.law),
            "floor_ns": self.floor_ns,
            "quantum": self.quantum,
            "test_until_ns": self._test_until_ns,
            "last_ns": self._last_ns,
            "window": [part.tolist() for part in self._window],
            "voltage_ns": self._voltage_ns,
            "events": self.events.state(),
            "quarters": self.quarters.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` said."""
        self.law = Law(**state["law"])
        self.floor_ns, self.quantum = state["floor_ns"], state["quantum"]
        self._test_until_ns = state["test_until_ns"]
        self._last_ns, self._voltage_ns = state["last_ns"], state["voltage_ns"]
        times, values = state["window"]
        self._window = (np.array(times, np.int64), np.array(values, np.float64))
        self.events.restore(state["events"])
        self.quarters.restore(state["quarters"])
