"""The layouts behind the lines of an export, found out from the lines themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bessai.model import Layout

if TYPE_CHECKING:
    from bessai.journal.importing import Line, Point

_Key = tuple[tuple[str, ...], tuple[str | None, ...], tuple[tuple[str, str], ...]]


class LayoutBook:
    """Which line has which layout. Add every line in order, then ask."""

    def __init__(self) -> None:
        self.lines = 0
        self._drafts: list[_Draft] = []
        self._current: dict[_Key, int] = {}
        self._runs: list[tuple[int, int]] = []
        """Number of lines, and their layout."""

    @property
    def layouts(self) -> list[tuple[Layout, Mapping[str, str]]]:
        """The layouts and devices."""
        return [(draft.layout(), draft.device) for draft in self._drafts]

    def numbers(self) -> Iterator[int]:
        """The place in `layouts` of every line."""
        for count, number in self._runs:
            for _ in range(count):
                yield number

    def add(self, line: Line) -> tuple[str, object, str] | None:
        """Take the next line: None, or the field, the value and what it should be when it cannot be."""
        key = (
            tuple(line.points),
            tuple([point.unit for point in line.points.values()]),
            tuple(line.device.items()),
        )
        number = self._current.get(key)
        if number is None or not self._drafts[number].takes(line.points):
            number = len(self._drafts)
            self._drafts.append(_Draft(key))
            self._current[key] = number
        for name, point in line.points.items():
            if problem := self._drafts[number].learn(name, point):
                return f"points.{name}.meaning", point.meaning, problem
        self.lines += 1
        if self._runs and self._runs[-1][1] == number:
            self._runs[-1] = (self._runs[-1][0] + 1, number)
        else:
            self._runs.append((1, number))
        return None


class _Draft:
    """A layout that is being found out."""

    def __init__(self, key: _Key) -> None:
        self._names, self._units, device = key
        self.device = dict(device)
        self._plain: set[str] = set()
        """Points that had a value without a meaning before any with one."""
        self._states: dict[str, dict[int, str | None]] = {}
        self._bits: dict[str, dict[int, str]] = {}

    def layout(self) -> Layout:
        states = {
            name: {raw: meaning for raw, meaning in known.items() if meaning is not None}
            for name, known in self._states.items()
        }
        bits = {
            name: {bit: label for bit, label in known.items() if label != f"bit_{bit}"}
            for name, known in self._bits.items()
        }
        return Layout(self._names, self._units, states, bits)

    def takes(self, points: Mapping[str, Point]) -> bool:
        """False when a point means something else here than it did before."""
        for name, point in points.items():
            if point.value is None or not math.isfinite(point.value):
                continue
            meaning = point.meaning
            if name in self._states:
                if isinstance(meaning, list):
                    return False
                raw = int(point.value)
                if self._states[name].get(raw, meaning) != meaning:
                    return False
            elif name in self._bits:
                if not isinstance(meaning, list):
                    return False
                known = self._bits[name]
                labels = zip(_bits(int(point.value)), meaning, strict=False)
                if any(known.get(bit, label) != label for bit, label in labels):
                    return False
            elif name in self._plain and meaning is not None:
                return False
        return True

    def learn(self, name: str, point: Point) -> str | None:
        """Take over what a point says; what is wrong with it, None when nothing is."""
        if point.value is None or not math.isfinite(point.value):
            return None if point.meaning is None else "a point without a value has no meaning"
        raw = int(point.value)
        if isinstance(point.meaning, list):
            if len(point.meaning) != len(_bits(raw)):
                return f"it must have one name for each bit that is set in {raw}"
            self._bits.setdefault(name, {}).update(zip(_bits(raw), point.meaning, strict=True))
        elif point.meaning is not None or name in self._states:
            self._states.setdefault(name, {})[raw] = point.meaning
        else:
            self._plain.add(name)
        return None


def _bits(raw: int) -> list[int]:
    """The bits that are set."""
    return [bit for bit in range(raw.bit_length()) if raw >> bit & 1]
