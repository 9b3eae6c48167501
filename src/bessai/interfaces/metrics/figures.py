"""The figures of one moment, as plain data: what the metrics are read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """One value of a histogram, and the trace in which it can be looked at."""

    value: float
    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    wall_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How many values were how large."""

    edges: Sequence[float]
    counts: Sequence[int]
    """Values not beyond each edge but beyond the one before; the last: beyond all edges."""
    sum: float
    exemplars: Mapping[int, Exemplar] = field(default_factory=dict)
    """By class."""

    @property
    def count(self) -> int:
        """Of all values."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFigures:
    """One of the gateway's processes. None: the kernel does not tell."""

    memory: int | None
    """Resident bytes."""
    cpu: float | None
    """Seconds of processor time since it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFigures:
    """What the kernel says of its clock."""

    synchronized: bool
    offset: float | None
    """Seconds that are still to be corrected; None while nobody corrects it."""
    error_max: float | None
    """Seconds by which it may be wrong at most, as the time service reckons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFigures:
    """The disk of the data directory. Bytes."""

    free: int
    total: int
    wear: float | None
    """Share of the life that is used, 0 to 1; None: it does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFigures:
    """What the page's process counts."""

    viewers: int
    cycles: int
    missed: int
    requests: Sequence[tuple[Mapping[str, str], Histogram]] = ()
    """Answers by method, route and status: how long they took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that the metrics are read from. What is not known is None, or not there."""

    asked: bool = True
    """False: nobody was asked, and nothing is said of who is silent."""
    control: Mapping[str, Any] | None = None
    """What the control plane answers to `{"op": "figures"}`; None: it is silent."""
    devices: Sequence[Mapping[str, Any]] = ()
    """What it answers to `{"op": "device_figures"}`."""
    sinks: Sequence[Mapping[str, Any]] = ()
    """`SinkStatus` of each sink as plain data, with `oldest_age`, s, where records wait."""
    exemplars: Mapping[str, Mapping[int, Exemplar]] = field(default_factory=dict)
    """Of the histograms, by the metric's name and the class."""
    processes: Mapping[str, ProcessFigures] = field(default_factory=dict)
    """By name: `control`, `service`, `page`."""
    disk: DiskFigures | None = None
    clock: ClockFigures | None = None
    certificates: Mapping[str, float] = field(default_factory=dict)
    """When each ends that is in use, UTC seconds, by the name of its setting."""
    page: PageFigures | None = None
    """None outside the page's process."""
