"""A record on its way into a block: its columns as they are, everything else as forms (see `forms`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bessai.journal.forms import Forms, decision_form, events_form, outcome_form, texts_form, timing_form
from bessai.model import CycleRecord, Event

CYCLE, VERIFIED, FED = 1, 2, 4
"""Flags of a row."""

_NO_VALUES = np.zeros(0, np.float64)
_NO_QUALITY = np.zeros(0, np.uint8)
_FIRST, _LAST = -(2**63), 2**63 - 1


@dataclass(slots=True, kw_only=True, eq=False)
class Row:
    """One record, ready for `pack`."""

    wall_ns: int
    """UTC nanoseconds of the tick, or of the event."""
    flags: int
    cycle: int = 0
    events: int = 0
    """How many events the record carries."""
    values: NDArray[np.float64] = field(default_factory=_NO_VALUES.view)
    quality: NDArray[np.uint8] = field(default_factory=_NO_QUALITY.view)
    monotonic: float = 0.0
    times: NDArray[np.float64] = field(default_factory=_NO_VALUES.view)
    """Seconds on the clock of `monotonic` at which each value was measured, NaN where never."""
    forms: Forms
    numbers: Sequence[float]
    """What stands in the blanks of the forms, in order."""

    @property
    def cells(self) -> int:
        """How many columns it has."""
        return len(self.values)


def row_of(item: CycleRecord | Event) -> Row:
    """A record or an event that belongs to no cycle, as a row.

    Seconds left of requests and the timing are kept to the microsecond, everything else exactly.

    Raises:
        ValueError: the image's columns do not fit its layout, or a time is no 64-bit number.
    """
    if isinstance(item, Event):
        numbers: list[float] = []
        form = events_form([item], numbers)
        return Row(
            wall_ns=_counted(item.wall_ns),
            flags=0,
            events=1,
            forms=("{}", "{}", "null", "{}", form),
            numbers=numbers,
        )
    image = item.image
    wanted = (len(image.layout),)
    if not image.values.shape == image.quality.shape == image.times.shape == wanted:
        shapes = [part.shape for part in (image.values, image.quality, image.times)]
        raise ValueError(f"the image has columns of shapes {shapes}, its layout has {wanted[0]} names")
    numbers = []
    forms = (
        decision_form(item.decision, numbers),
        timing_form(item.timing, numbers),
        "null" if item.outcome is None else outcome_form(item.outcome, numbers),
        texts_form(item.texts),
        events_form(item.events, numbers) if item.events else "[]",
    )
    return Row(
        wall_ns=_counted(image.wall_ns),
        flags=CYCLE | VERIFIED * item.verified | FED * item.fed,
        cycle=_counted(image.cycle),
        events=len(item.events),
        values=image.values,
        quality=image.quality,
        monotonic=image.monotonic,
        times=image.times,
        forms=forms,
        numbers=numbers,
    )


def _counted(number: int) -> int:
    if not _FIRST <= number <= _LAST:
        raise ValueError(f"the record carries the number {number}, which has more than 64 bits")
    return int(number)
