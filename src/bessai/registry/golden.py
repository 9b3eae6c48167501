"""Golden vectors: for each profile, registers with the values they mean and setpoints with the writes they cause.

They live in `registry/golden/ID.json`, written by hand from the device's documentation, so that neither side is
computed by the code that they check.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from bessai.model import Quality
from bessai.registry.base import Name, SourceId, Strict
from bessai.registry.blocks import build_block
from bessai.registry.compiled import CompiledProfile
from bessai.registry.sequences import exponent_of, fill

Words = str
"""Registers as hexadecimal words (`09C4 FFFF`), or bits as 0 and 1 (`1 0`), separated by blanks."""


class GoldenRead(Strict):
    """Registers, and what they mean."""

    name: str
    source: SourceId | Literal["computed"]
    """Where the example was read; `computed`: by hand, from the types and gains in the sources."""
    registers: dict[str, dict[str, Words]]
    """Table (`holding`, or `holding@station`) to first address (decimal) to consecutive words."""
    values: dict[Name, float | str | list[str] | None]
    """Point to its value in its unit, its text, the name of its state, the names of its bits; null: not available."""


class GoldenWrite(Strict):
    """A setpoint, and what goes to the device for it."""

    name: str
    source: SourceId | Literal["computed"]
    setpoint: float | None = None
    """kW, + = discharge; 0 is the safe state."""
    reactive: float | None = None
    """kvar, + = export, instead of `setpoint`: the writes of the reactive sequence alone."""
    command: Literal["stop"] | None = None
    points: dict[Name, float] = Field(default_factory=dict)
    """Present values that the sequence depends on, in their units."""
    writes: list[tuple[str, int, Words]]
    """Table (`holding`, or `holding@station`), address and words, in order."""

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("writes"), list):
            value = {**value, "writes": [tuple(w) if isinstance(w, list) else w for w in value["writes"]]}
        return value

    @model_validator(mode="after")
    def _one(self) -> GoldenWrite:
        if [self.setpoint, self.reactive, self.command].count(None) != 2:
            raise ValueError("give one of `setpoint`, `reactive` and `command`")
        return self


class Golden(Strict):
    """The golden vectors of one profile."""

    profile: Name
    reads: list[GoldenRead] = Field(min_length=1)
    writes: list[GoldenWrite] = Field(default_factory=list)


def golden_path(profile_file: Path) -> Path:
    """Where the golden vectors of a profile's file live."""
    return profile_file.parent / "golden" / profile_file.name


def load_golden(path: Path) -> Golden:
    """Read golden vectors.

    Raises:
        ValueError: names the file and everything that is wrong with it.
    """
    try:
        return Golden.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise ValueError("\n".join(f"{path}: {problem}" for problem in problems)) from None
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None


def check_golden(profile: CompiledProfile, golden: Golden) -> list[str]:
    """What does not come out as the vectors say, in words; empty when all is well."""
    problems = [] if golden.profile == profile.id else [f"profile: must be {profile.id!r}"]
    for i, read in enumerate(golden.reads):
        problems += [f"reads.{i} ({read.name}): {problem}" for problem in _check_read(profile, read)]
    for i, write in enumerate(golden.writes):
        problems += [f"writes.{i} ({write.name}): {problem}" for problem in _check_write(profile, write)]
    control = profile.control
    if control is not None:
        needed = {"charge", "discharge", "zero", "stop"} | ({"reactive"} if control.reactive else set())
        missing = needed - {_kind(write) for write in golden.writes}
        problems += [f"writes: no vector for `{kind}`" for kind in sorted(missing)]
    return problems


def _kind(write: GoldenWrite) -> str:
    """The profile's sequence that a vector is of."""
    if write.command is not None:
        return write.command
    return "reactive" if write.reactive is not None else _direction(write.setpoint or 0.0)


def _direction(setpoint: float) -> str:
    return "charge" if setpoint < 0 else "discharge" if setpoint > 0 else "zero"


def _check_read(profile: CompiledProfile, read: GoldenRead) -> Iterator[str]:
    memory: dict[tuple[str, int], int] = {}
    for table, spans in read.registers.items():
        for first, words in spans.items():
            base = 2 if table.split("@")[0] in {"coil", "discrete"} else 16
            memory |= {(table, int(first) + i): int(word, base) for i, word in enumerate(words.split())}
    values, quality, texts = _decode(profile, memory)
    for name, expected in read.values.items():
        if name not in profile.points:
            yield f"{name}: the profile has no such point"
        elif profile.points[name].type == "text":
            if texts.get(name) != expected:
                yield f"{name}: is {texts.get(name)!r}, expected {expected!r}"
        else:
            i = profile.layout.index[name]
            if not _agrees(profile, name, float(values[i]), Quality(int(quality[i])), expected):
                yield f"{name}: is {values[i]:.10g} ({Quality(int(quality[i])).label}), expected {expected!r}"


def _agrees(profile: CompiledProfile, name: str, value: float, quality: Quality, expected: Any) -> bool:
    if expected is None:
        return quality is Quality.NOT_AVAILABLE
    if quality is not Quality.GOOD:
        return False
    if isinstance(expected, float | int):
        return math.isclose(value, expected, rel_tol=1e-6, abs_tol=1e-9)
    return bool(profile.layout.meaning(name, value) == expected)


def _decode(
    profile: CompiledProfile, memory: Mapping[tuple[str, int], int]
) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Values, qualities and texts of every point whose registers are all in memory, point by point."""
    values = np.full(len(profile.layout), np.nan)
    quality = np.full(len(profile.layout), Quality.MISSING, np.uint8)
    texts: dict[str, str] = {}
    for plan in profile.plans.values():
        raw = np.full(len(plan.columns), np.nan)
        where = np.zeros(len(raw), bool)
        place = {profile.layout.names[column]: i for i, column in enumerate(plan.columns)}
        for name in (n for block in plan.blocks for n in (*block.names, *(text[0] for text in block.texts))):
            data = _bytes(profile, name, memory)
            if data is None:
                continue
            block = build_block([(name, profile.points[name])], 0)
            texts |= block.unpack_texts(data)
            if name in place:
                raw[place[name]], where[place[name]] = block.unpack(data)[0], True
        plan.place(raw, values, quality, where)
    return values, quality, texts


def _bytes(profile: CompiledProfile, name: str, memory: Mapping[tuple[str, int], int]) -> bytes | None:
    point = profile.points[name]
    table = _table(profile, name)
    words = [memory.get((table, point.address + i)) for i in range(point.registers)]
    if any(word is None for word in words):
        return None
    size = 1 if point.type == "bool" else 2
    return b"".join((word or 0).to_bytes(size, "big") for word in words)


def _table(profile: CompiledProfile, name: str) -> str:
    point = profile.points[name]
    return point.table if point.station is None else f"{point.table}@{point.station}"


def _check_write(profile: CompiledProfile, write: GoldenWrite) -> Iterator[str]:
    control, dead_man = profile.control, profile.dead_man
    if control is None:
        yield "the profile has no control section"
        return
    kind = _kind(write)
    if getattr(control, kind) is None:
        yield f"the profile has no `{kind}`"
        return
    time = getattr(dead_man, "time", 0.0)
    try:
        steps = fill(
            getattr(control, kind),
            profile.points,
            write.setpoint or 0.0,
            time,
            write.points.get,
            write.reactive or 0.0,
        )
        found = [
            (
                _table(profile, name),
                profile.points[name].address,
                profile.encode(name, value, exponent_of(profile.points[name], write.points.get, value)),
            )
            for name, value in steps
        ]
    except (LookupError, ValueError) as error:
        yield f"cannot be written: {error}"
        return
    expected = [(table, address, _data(table, words)) for table, address, words in write.writes]
    if found != expected:
        yield f"writes {[(t, a, d.hex(' ', 2)) for t, a, d in found]}, expected {write.writes}"


def _data(table: str, words: Words) -> bytes:
    if table.split("@", maxsplit=1)[0] == "coil":
        return bytes(int(word) for word in words.split())
    return b"".join(int(word, 16).to_bytes(2, "big") for word in words.split())
