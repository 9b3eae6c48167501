"""What one metric is, and its name in Prometheus."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bessai.interfaces.metrics.figures import Figures, Histogram

Sample = tuple[Mapping[str, str], "float | Histogram | None"]
"""Attributes and value. None: not known, and so not told."""

_WORDS: Final = {
    "s": "seconds",
    "By": "bytes",
    "W": "watts",
    "V": "volts",
    "Hz": "hertz",
    "Cel": "celsius",
    "%": "percent",
    "1": "ratio",
}
"""Units of UCUM as Prometheus writes them."""


class Kind(Enum):
    """How the value behaves."""

    GAUGE = "gauge"
    """It is what it is now."""
    COUNTER = "counter"
    """It only grows; a restart begins at zero."""
    HISTOGRAM = "histogram"
    """How many were how large, since the start."""


class Origin(Enum):
    """Where the value comes from."""

    CONTROL = "control plane"
    """Its own count, asked over the local socket."""
    SINKS = "service plane"
    """What its sinks say of themselves."""
    MACHINE = "kernel"
    """What the machine tells of disk, clock and processes."""
    FILES = "its file"
    """It stands in the file."""
    PAGE = "page"
    """The page's process counts it."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric, told the same to an OTLP collector and to Prometheus."""

    name: str
    """In OpenTelemetry's manner, `bessai.cycle.lateness`."""
    unit: str
    """UCUM; in braces what is counted."""
    kind: Kind
    text: str
    """What it says, one sentence."""
    attributes: tuple[str, ...] = ()
    origin: Origin
    samples: Callable[[Figures], Iterable[Sample]]
    """Reads the values from the figures of one moment."""

    @property
    def prometheus(self) -> str:
        """The name of its family on `/metrics`; a counter's samples end in `_total`, which is part of it here."""
        return prometheus_name(self.name, self.unit, self.kind)

    @property
    def unit_word(self) -> str:
        """The unit at the end of its name; empty where things are counted."""
        return _unit_word(self.unit, self.kind)


def prometheus_name(name: str, unit: str, kind: Kind) -> str:
    """By OpenTelemetry's rules for Prometheus, which the collector follows too.

    Raises:
        ValueError: Prometheus has no word for the unit.
    """
    word = _unit_word(unit, kind)
    suffixes = [word] if word else []
    if kind is Kind.COUNTER:
        suffixes.append("total")
    return "_".join((label(name), *suffixes))


def _unit_word(unit: str, kind: Kind) -> str:
    if unit.startswith("{") and unit.endswith("}"):
        return ""
    if unit not in _WORDS:
        raise ValueError(f"unit {unit!r} has no word in Prometheus; use {', '.join(_WORDS)}, or braces")
    return "" if unit == "1" and kind is not Kind.GAUGE else _WORDS[unit]


def label(attribute: str) -> str:
    """A name or an attribute as Prometheus may write it."""
    return re.sub(r"\W+", "_", attribute)
