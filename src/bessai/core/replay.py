"""Replay: the recorded calls of a black box, put before today's guard, compared bit for bit."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import numpy as np

from bessai.core.assembly import guard_from
from bessai.core.black_box.calls import Raised, plain_result
from bessai.core.black_box.guard import Guard
from bessai.core.black_box.identity import build_id
from bessai.core.black_box.reading import Box, Call, Snapshot
from bessai.core.memory import from_plain
from bessai.model import ProcessImage, Quality, Request, WriteOutcome

Build = Callable[[dict[str, Any]], Guard]

_CHANGED = 12
"""Points that a difference shows of each unit."""


class ReplayError(ValueError):
    """A record that today's code cannot replay at all."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value that differs."""

    name: str
    recorded: Any
    today: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """A call whose result differs, with what led to it."""

    call: str
    """The method."""
    cycle: int | None
    wall_ns: int | None
    unit: str | None
    """The unit it was about; None for `decide` and `operate`."""
    fields: list[Field]
    inputs: dict[str, Any]
    """For `decide`: requests, fresh units, and each unit's points that changed since the cycle before."""
    before: list[dict[str, Any]]
    """The cycles before it: number and recorded decision."""


@dataclass(slots=True)
class Report:
    """What came of a replay."""

    same_build: bool
    """True when the code is the one that recorded; then every difference is a defect."""
    cycles: int = 0
    agree: int = 0
    """Cycles of which every result is the same."""
    calls: int = 0
    snapshots: int = 0
    """Snapshots of the guard's memory that the replay was compared with."""
    first: Difference | None = None
    notes: list[str] = field(default_factory=list)
    """What could not be compared, because one of the versions lacks it."""

    @property
    def identical(self) -> bool:
        """True when nothing differed."""
        return self.first is None


def build_guard(header: Mapping[str, Any]) -> Guard:
    """The guard that a record's header describes, of today's code.

    Raises:
        ReplayError: the description cannot be used.
    """
    try:
        return guard_from(header["description"])
    except (KeyError, TypeError, ValueError) as error:
        raise ReplayError(
            f"the guard of gateway {header.get('gateway')} cannot be built by this version: {error}"
        ) from error


def replay(box: Box, build: Build = build_guard, *, keep: int = 3) -> Report:
    """Put every call of a record before a guard built from its header.

    Args:
        box: the record.
        build: makes the guard.
        keep: cycles that a difference shows of what was before it.

    Raises:
        ReplayError: the guard cannot be built, or its memory not be restored.
    """
    return _Replay(box, build, keep).run()


class _Replay:
    def __init__(self, box: Box, build: Build, keep: int) -> None:
        self._items = box.items
        try:
            self._guard = build(box.header)
        except ReplayError:
            raise
        except Exception as error:
            raise ReplayError(f"the guard cannot be built from the record: {error}") from error
        self._report = Report(same_build=box.header.get("build") == build_id())
        self._operation = get_type_hints(type(self._guard).operate).get("operation", Any)
        self._images: Mapping[str, ProcessImage] = {}
        self._previous: Mapping[str, ProcessImage] = {}
        self._cycle_agrees = True
        self._began = False
        self._before: deque[dict[str, Any]] = deque(maxlen=max(0, keep))

    def run(self) -> Report:
        for item in self._items:
            if isinstance(item, Snapshot):
                self._snapshot(item)
            elif self._began:
                self._call(item)
        if not self._began:
            raise ReplayError("the record holds no snapshot of the guard's memory to start from")
        self._count()
        self._report.notes = list(dict.fromkeys(self._report.notes))
        return self._report

    def _count(self) -> None:
        if self._images:
            self._report.cycles += 1
            self._report.agree += self._cycle_agrees
        self._cycle_agrees = True

    def _snapshot(self, snapshot: Snapshot) -> None:
        if self._began and not snapshot.gap:
            self._report.snapshots += 1
            self._compare("memory", None, snapshot.memory, _through_json(self._guard.memory))
            return
        try:
            self._guard.remember(from_plain(type(self._guard.memory), snapshot.memory, self._notes()))
        except ValueError as error:
            raise ReplayError(f"the recorded memory does not fit today's guard: {error}") from error
        self._began = True

    def _call(self, call: Call) -> None:
        self._report.calls += 1
        plant = {"decide", "operate", "settled", "fall_back"}
        unit = call.arguments[0] if call.kind not in plant else None
        if call.kind == "decide":
            self._count()
            self._previous, self._images = self._images, call.arguments[0]
        try:
            result = self._again(call)
        except ReplayError:
            raise
        except Exception as error:  # noqa: BLE001  # what the guard raised is its result
            result = Raised(f"{type(error).__name__}: {error}")
        self._compare(call.kind, unit, call.result, _through_json(result), call)
        if call.kind == "decide":
            self._before.append({**self._moment(), "decision": call.result})

    def _again(self, call: Call) -> Any:
        guard, arguments = self._guard, call.arguments
        match call.kind:
            case "decide":
                images, requests, fresh = arguments
                asked = from_plain(tuple[Request, ...], requests, self._notes())
                return guard.decide(images, asked, fresh=frozenset(fresh))
            case "command":
                return guard.command(*arguments)
            case "feed":
                return guard.feed(*arguments)
            case "wrote":
                unit, outcome, now = arguments
                guard.wrote(unit, from_plain(WriteOutcome, outcome, self._notes()), now)
            case "connection_changed":
                guard.connection_changed(*arguments)
            case "operate":
                operation, now, wall_ns = arguments
                return guard.operate(from_plain(self._operation, operation, self._notes()), now, wall_ns)
            case "settled":
                guard.settled(*arguments)
            case "fall_back":
                return guard.fall_back(*arguments)
            case other:
                raise ReplayError(f"the call {other!r} is unknown to this version")
        return None

    def _notes(self) -> list[str] | None:
        return None if self._report.same_build else self._report.notes

    def _compare(
        self, name: str, unit: str | None, recorded: Any, today: Any, call: Call | None = None
    ) -> None:
        found: list[Field] = []
        _differences("", recorded, today, found, self._notes(), name)
        if not found:
            return
        self._cycle_agrees = False
        if self._report.first is None:
            moment = self._moment()
            self._report.first = Difference(
                call=name,
                cycle=moment["cycle"],
                wall_ns=moment["wall_ns"],
                unit=unit,
                fields=found,
                inputs=self._inputs(call),
                before=list(self._before),
            )

    def _moment(self) -> dict[str, Any]:
        image = next(iter(self._images.values()), None)
        return {
            "cycle": None if image is None else image.cycle,
            "wall_ns": None if image is None else image.wall_ns,
        }

    def _inputs(self, call: Call | None) -> dict[str, Any]:
        if call is None:
            return {}
        if call.kind != "decide":
            return {"arguments": call.arguments}
        images, requests, fresh = call.arguments
        points = {unit: changed(self._previous.get(unit), image) for unit, image in images.items()}
        return {"requests": requests, "fresh": fresh, "points": points}


def changed(before: ProcessImage | None, image: ProcessImage) -> dict[str, Any]:
    """The points whose value or quality is not as it was, and every one that is no evidence; at most a dozen."""
    bad = image.quality != Quality.GOOD
    bad &= image.quality != Quality.ABSENT
    news = bad
    if before is not None and before.layout.names == image.layout.names:
        news = bad | (before.values.view("u8") != image.values.view("u8")) | (before.quality != image.quality)
    elif before is None:
        news = np.ones(len(image.values), bool)
    shown = {}
    for i in np.flatnonzero(news)[:_CHANGED].tolist():
        quality = Quality(int(image.quality[i]))
        shown[image.layout.names[i]] = float(image.values[i]) if quality is Quality.GOOD else quality.label
    return shown


def _through_json(value: Any) -> Any:
    """As the record holds it, so that both sides compare alike."""
    return json.loads(json.dumps(plain_result(value)))


def _differences(
    where: str, recorded: Any, today: Any, found: list[Field], notes: list[str] | None, call: str
) -> None:
    """What differs, field by field; a field that one version lacks is noted when `notes` are kept."""
    both = isinstance(recorded, dict) and isinstance(today, dict)
    if both and ("raised" in recorded) == ("raised" in today):
        for name in {**recorded, **today}:
            inner = f"{where}.{name}" if where else name
            if name in recorded and name in today:
                _differences(inner, recorded[name], today[name], found, notes, call)
            elif notes is None:
                found.append(Field(inner, recorded.get(name, "absent"), today.get(name, "absent")))
            else:
                note = f"{call}.{inner} is {'new' if name in today else 'gone'}: not compared"
                if note not in notes:
                    notes.append(note)
    elif isinstance(recorded, list) and isinstance(today, list) and len(recorded) == len(today):
        for i, (old, new) in enumerate(zip(recorded, today, strict=True)):
            label = old.get("unit") or old.get("source") if isinstance(old, dict) else None
            _differences(f"{where}[{label or i}]", old, new, found, notes, call)
    elif json.dumps(recorded) != json.dumps(today):  # exact: -0.0 is not 0.0, 1 is not 1.0, NaN is NaN
        found.append(Field(where or call, recorded, today))
