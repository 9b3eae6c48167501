"""What the alarm book remembers, as plain data: acknowledgements and shelving survive a restart in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(slots=True, kw_only=True)
class AlarmMark:
    """One alarm: a code at a point. Times are monotonic seconds where the name does not end in `_wall_ns`."""

    code: str
    point: str | None
    severity: int = 0
    """Of the condition, when it was last seen."""
    peak: int = -1
    """The highest severity that was announced, lowered again after a while below it."""
    message: str = ""
    value: float | None = None
    tick: int = 0
    """The update in which it was last seen."""
    present: bool = False
    """True when it was seen in the last update."""
    changed: float = 0.0
    """When `present` last changed."""
    lower: float | None = None
    """Since when the severity is below the peak."""
    announced: bool = False
    """Its begin was announced and its end was not."""
    began_wall_ns: int = 0
    ended_wall_ns: int | None = None
    first_out: bool = False
    count: int = 0
    """How often it came, since it is in the book."""
    begins: list[float] = field(default_factory=list)
    """The latest announced begins."""
    chattering: bool = False
    edges: int = 0
    """Changes that were counted, not announced, while it chatters."""
    owed: bool = False
    """It was an alarm, and nobody has acknowledged it since."""
    acknowledged: bool = False
    acknowledged_by: str = ""
    acknowledged_why: str = ""
    acknowledged_wall_ns: int = 0
    shelved_until: float | None = None
    shelved_until_wall_ns: int = 0
    shelved_by: str = ""
    shelved_why: str = ""


@dataclass(slots=True, kw_only=True)
class AlarmMemory:
    """Everything that the book knows between two updates."""

    marks: list[AlarmMark] = field(default_factory=list)
    tick: int = 0
    settled: float = -math.inf
    """Monotonic seconds before which no end is announced: after a restart the values still come in."""
    revision: int = 0
    """Grows whenever something changed that is worth keeping on disk."""

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        plain = {name: getattr(self, name) for name in _OWN}
        plain["marks"] = [_plain(mark) for mark in self.marks]
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> AlarmMemory:
        """The memory that `to_plain` described.

        Raises:
            ValueError: with every field that is missing, unknown or of another kind, one a line.
        """
        if not isinstance(plain, Mapping):
            raise ValueError(f"alarms={plain!r}: give an object")
        problems: list[str] = []
        marks = plain.get("marks", [])
        if not isinstance(marks, list) or not all(isinstance(mark, Mapping) for mark in marks):
            problems.append("alarms.marks: give a list of objects")
            marks = []
        found = [
            _checked(AlarmMark, mark, f"alarms.marks[{number}]", problems)
            for number, mark in enumerate(marks)
        ]
        rest = {name: value for name, value in plain.items() if name != "marks"}
        own = _checked(cls, rest, "alarms", problems)
        if problems:
            raise ValueError("\n".join(problems))
        names = [(mark["code"], mark["point"]) for mark in found]
        if twice := sorted({str(name) for name in names if names.count(name) > 1}):
            raise ValueError("\n".join(f"alarms.marks: {name} is there twice; keep one" for name in twice))
        return cls(marks=[AlarmMark(**mark) for mark in found], **own)


_OWN = tuple(f.name for f in fields(AlarmMemory) if f.name != "marks")
_OF_A_MARK = tuple(f.name for f in fields(AlarmMark))


def _plain(mark: AlarmMark) -> dict[str, Any]:
    # by hand: dataclasses.asdict takes ten times as long, and this runs between two cycles
    plain = {name: getattr(mark, name) for name in _OF_A_MARK}
    plain["begins"] = list(mark.begins)
    plain["value"] = None if mark.value is None else float(mark.value)  # numpy's kinds are not JSON
    return plain


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (lambda v: isinstance(v, str), "a text"),
    "str | None": (lambda v: v is None or isinstance(v, str), "a text or null"),
    "bool": (lambda v: isinstance(v, bool), "true or false"),
    "int": (lambda v: isinstance(v, int) and not isinstance(v, bool), "a whole number"),
    "int | None": (
        lambda v: v is None or (isinstance(v, int) and not isinstance(v, bool)),
        "a whole number or null",
    ),
    "float": (_is_number, "a number"),
    "float | None": (lambda v: v is None or _is_number(v), "a number or null"),
    "list[float]": (lambda v: isinstance(v, list) and all(map(_is_number, v)), "a list of numbers"),
}


def _checked(
    kind: type[AlarmMark | AlarmMemory], plain: Mapping[str, Any], where: str, problems: list[str]
) -> dict[str, Any]:
    types = {f.name: str(f.type) for f in fields(kind) if f.name != "marks"}
    problems += [f"{where}.{name}: unknown; remove it" for name in plain if name not in types]
    if kind is AlarmMark:
        problems += [f"{where}.{name} is missing" for name in ("code", "point") if name not in plain]
    for name, value in plain.items():
        if name in types and not _KINDS[types[name]][0](value):
            problems.append(f"{where}.{name}={value!r}: give {_KINDS[types[name]][1]}")
    for name, lowest in (("severity", 0), ("peak", -1)):
        if name in types and name in plain and plain[name] not in range(lowest, 3):
            problems.append(f"{where}.{name}={plain[name]!r}: give a whole number from {lowest} to 2")
    return dict(plain)
