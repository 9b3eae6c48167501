"""The active power that a plant owes to a frequency: a second calculation, independent of the one that controls.

`dP/Pn = -(df -/+ db) / (s f_nom)` outside the dead band (offset shape), or `-df / (s f_nom)` (step shape): the annex
on the performance of frequency control shows both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bessai.model import Event

Floats = NDArray[np.float64]

_CHANGED = frozenset({"grid_parameter_changed", "grid_command"})
_FILE_COUNTS = frozenset({"grid_parameters_begun", "grid_parameters_lost"})
_NEW = re.compile(r"(?P<name>[a-z0-9_.]+): .*? → (?P<new>\S+?),? ")
"""How such an event tells a parameter and its new value."""
_FALLBACK = re.compile(r"frequency\.enabled = (True|False)")
"""How `grid_fallback_applied` tells that the response was switched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The parameters of the frequency response at one time."""

    NAMES: ClassVar = (
        "frequency.enabled", "frequency.curve", "frequency.droop", "frequency.dead_band", "frequency.shape",
        "frequency.authority_up", "frequency.authority_down",
    )  # fmt: skip

    enabled: bool = False
    curve: str = "droop"
    """Of any other curve, what is expected is what the gateway asked for."""
    droop: float = 5.0
    """% of the nominal frequency for the rated power."""
    dead_band: float = 30.0
    """mHz to either side."""
    shape: str = "offset"
    authority_up: float = 100.0
    """% of the rated power, the most that is added."""
    authority_down: float = 100.0

    @classmethod
    def of(cls, values: Mapping[str, float | bool | str]) -> Law:
        """The law of these parameters; the defaults for those that are not given."""
        return cls().changed(values)

    def changed(self, values: Mapping[str, float | bool | str]) -> Law:
        """With some parameters changed; others than those of the law are ignored."""
        known = {
            name.removeprefix("frequency."): value for name, value in values.items() if name in self.NAMES
        }
        return replace(self, **known)  # type: ignore[arg-type]

    def power(self, frequency: Floats, nominal: float, rated: float) -> Floats:
        """KW that are owed on top of the schedule, + = discharge; NaN where the frequency is."""
        deviation = frequency - nominal
        band = self.dead_band / 1000
        beyond = self.outside(frequency, nominal)
        if self.shape == "offset":
            deviation = np.sign(deviation) * (np.abs(deviation) - band)
        owed = np.where(beyond, -deviation / (self.droop / 100 * nominal), 0.0) * rated
        owed = np.clip(owed, -self.authority_down / 100 * rated, self.authority_up / 100 * rated)
        return np.where(np.isnan(frequency), np.nan, owed)

    def outside(self, frequency: Floats, nominal: float) -> NDArray[np.bool_]:
        """Where the frequency is outside the dead band; a µHz beyond its edge counts as inside."""
        return np.abs(frequency - nominal) > self.dead_band / 1000 + 1e-6

    def after(self, event: Event, of_file: Law) -> Law:
        """The law once an event has happened; `of_file` is that of GRID_FILE."""
        if event.code in _FILE_COUNTS and event.active:
            return of_file
        if event.code == "grid_fallback_applied" and (switched := _FALLBACK.search(event.message)):
            return replace(self, enabled=switched[1] == "True")
        told = _NEW.match(f"{event.message} ") if event.code in _CHANGED else None
        if told is None or told["name"] not in self.NAMES:
            return self
        name, field = told["name"], told["name"].removeprefix("frequency.")
        if isinstance(getattr(self, field), bool):
            return self.changed({name: told["new"] in {"true", "on"}})
        if isinstance(getattr(self, field), str):
            return self.changed({name: told["new"]})
        return self if event.value is None else self.changed({name: event.value})
