"""Short words for reading figures: what is missing, or no number, is not told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from bessai.interfaces.metrics.figures import Figures
from bessai.interfaces.metrics.metric import Kind, Metric, Origin, Sample

Read = Callable[[Figures], Iterable[Sample]]


def dig(data: Mapping[str, Any] | None, *path: str) -> Any:
    """What stands at a path of nested objects, None where it ends early."""
    found: Any = data
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def number(value: Any, scale: float = 1.0) -> float | None:
    """A number, or None; true is 1."""
    return float(value) * scale if isinstance(value, int | float) else None


def control(*path: str, scale: float = 1.0) -> Read:
    """One number of the control plane's figures."""

    def read(figures: Figures) -> Iterator[Sample]:
        yield {}, number(dig(figures.control, *path), scale)

    return read


def each(attribute: str, names: Mapping[str, tuple[str, ...]], scale: float = 1.0) -> Read:
    """Several numbers of the control plane's figures, told apart by an attribute: its value → where it stands."""

    def read(figures: Figures) -> Iterator[Sample]:
        for value, path in names.items():
            yield {attribute: value}, number(dig(figures.control, *path), scale)

    return read


def counted(attribute: str, *path: str) -> Read:
    """An object of numbers in the control plane's figures, by its keys."""

    def read(figures: Figures) -> Iterator[Sample]:
        for name, value in (dig(figures.control, *path) or {}).items():
            yield {attribute: str(name)}, number(value)

    return read


def state_of(value: Any, states: Iterable[str], attributes: Mapping[str, str]) -> Iterator[Sample]:
    """1 for the state that holds, 0 for the others; nothing when it is not known."""
    if isinstance(value, str):
        for state in dict.fromkeys((*states, value)):
            yield {**attributes, "state": state}, float(state == value)


def gauge(name: str, unit: str, text: str, read: Read, *attributes: str, origin: Origin) -> Metric:
    """A value that is what it is now."""
    return Metric(
        name=name, unit=unit, kind=Kind.GAUGE, text=text, attributes=attributes, origin=origin, samples=read
    )


def counter(name: str, unit: str, text: str, read: Read, *attributes: str, origin: Origin) -> Metric:
    """A value that only grows."""
    return Metric(
        name=name, unit=unit, kind=Kind.COUNTER, text=text, attributes=attributes, origin=origin, samples=read
    )


def histogram(name: str, unit: str, text: str, read: Read, *attributes: str, origin: Origin) -> Metric:
    """How many values were how large."""
    return Metric(
        name=name, unit=unit, kind=Kind.HISTOGRAM, text=text, attributes=attributes, origin=origin,
        samples=read,
    )  # fmt: skip
