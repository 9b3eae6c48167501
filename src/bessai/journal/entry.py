"""What a reader of the journal gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bessai.model import Event, Layout


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One record of the journal, decoded.

    A cycle entry carries every column; an event entry has `events` only and an empty layout.
    """

    sequence: int
    """Grows by one per record and is never used again, also after the record was dropped."""
    kind: Literal["cycle", "event"]
    wall_ns: int
    """UTC nanoseconds of the tick, or of the event."""
    layout: Layout
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]
    ages: NDArray[np.float32]
    """Seconds between the measurement of each value and `wall_ns`, NaN where never measured."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Text points, such as the serial number."""
    device: Mapping[str, str] = field(default_factory=dict)
    """What was known of the device when the record was written: profile, manufacturer, model."""
    cycle: int = 0
    decision: Mapping[str, Any] = field(default_factory=dict)
    """The decision as plain data, see `bessai.model.Decision`; infinite bounds are None."""
    outcome: Mapping[str, Any] | None = None
    """What was written and whether it was verified; None when nothing was written."""
    timing: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each phase, see `bessai.model.CycleTiming`."""
    verified: bool = False
    fed: bool = False
    events: tuple[Event, ...] = ()
    epoch: int = 0
    """Which life of the journal the record belongs to: a new one begins when a backup is restored. With the site
    and the sequence it names the record for ever."""
    complete: bool = True
    """False when report rules left out points, or the decision, that have not changed."""
