"""Checks a battery's limits once a cycle. Evidence, not absence: a value that is not good allows nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bessai.core.limits.battery import CURRENT_POINTS, SOC_POINTS, Limits
from bessai.core.limits.currents import Currents
from bessai.core.limits.judge import FlagJudge, Judge, LevelJudge, Verdict
from bessai.core.limits.level import Curve
from bessai.core.limits.report import LimitReport, Memory
from bessai.model import Condition, Layout, ProcessImage, Quality, Severity

_TAPER_END = 0.1
"""Share at the edge of the state of charge (judgement): a straight line to 0 would never arrive."""

_ABSENT, _NOT_AVAILABLE = int(Quality.ABSENT), int(Quality.NOT_AVAILABLE)
_INF = float("inf")


@dataclass(frozen=True, slots=True)
class _Bound:
    """The limits tied to the columns of one layout."""

    layout: Layout
    columns: NDArray[np.intp]
    points: tuple[tuple[str, bool], ...]
    """Name, and whether it is excused while the device says that it is not available."""
    place: dict[str, int]
    judges: tuple[tuple[Judge, int], ...]
    fullest: int | None
    emptiest: int | None
    soc: int | None
    currents: Currents | None


class LimitCheck:
    """Checks the limits of one battery.

    `memory` holds all that it remembers; time comes from the image. A value whose quality is not good is `lost`
    and allows nothing. Only a point that the device never had is excused: its address is refused (or, for what is
    optional, it says `not available`) and no good value was ever seen.

    Timers run on while a value is bad: bad evidence does not speak for safety, so a trip whose level was reached
    before latches in time although nobody can read the value any more.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.memory = Memory()
        self._judges: tuple[Judge, ...] = (
            *(LevelJudge(limit) for limit in limits.levels),
            *(FlagJudge(flag) for flag in limits.flags),
        )
        self._high = Curve(((limits.soc_max - limits.soc_taper, 1.0), (limits.soc_max, _TAPER_END)))
        self._low = Curve(((limits.soc_min, _TAPER_END), (limits.soc_min + limits.soc_taper, 1.0)))
        self._bound: dict[int, _Bound] = {}

    def check(self, image: ProcessImage) -> LimitReport:
        """What the limits allow at the image's time."""
        bound = self._bound.get(id(image.layout))
        if bound is None:
            bound = self._bind(image.layout)
        memory, now = self.memory, image.monotonic
        values: list[float] = image.values[bound.columns].tolist()
        quality: list[int] = image.quality[bound.columns].tolist()
        lost: list[Condition] = []
        known: list[float | None] = []
        for i, (name, optional) in enumerate(bound.points):
            value, mark = values[i], quality[i]
            if mark == 0 and -_INF < value < _INF:
                known.append(value)
                if name not in memory.seen:
                    memory.seen[name] = True
                continue
            known.append(None)
            excused = mark == _ABSENT or (optional and mark == _NOT_AVAILABLE)
            if name in memory.seen or not excused:
                lost.append(_lost(name, mark, value))

        verdict = Verdict(now=now, wall_ns=image.wall_ns, memory=memory)
        self._state_of_charge(bound, known, verdict)
        busy = memory.busy
        for judge, place in bound.judges:
            at = known[place]
            if at is not None and judge.low < at < judge.high and judge.code not in busy:
                continue
            judge.judge(at, verdict)
        powers: tuple[float | None, float | None] = (None, None)
        if bound.currents is not None:
            powers = bound.currents.judge(known, verdict)
        if lost:
            verdict.charge = verdict.discharge = 0.0
        return LimitReport(
            charge=verdict.charge,
            discharge=verdict.discharge,
            charge_power=powers[0],
            discharge_power=powers[1],
            limited_by=tuple(verdict.limited_by),
            conditions=tuple(verdict.conditions),
            trips=tuple(verdict.trips),
            lost=tuple(lost),
        )

    def _state_of_charge(self, bound: _Bound, known: list[float | None], verdict: Verdict) -> None:
        """Stops at the edges, each with its hysteresis, and the taper before them."""
        limits, memory = self.limits, self.memory
        soc = None if bound.soc is None else known[bound.soc]
        full = soc if bound.fullest is None or known[bound.fullest] is None else known[bound.fullest]
        empty = soc if bound.emptiest is None or known[bound.emptiest] is None else known[bound.emptiest]
        if full is not None:
            edge = limits.soc_max
            memory.full = full >= edge - (limits.soc_hysteresis if memory.full else 0.0)
            if memory.full:
                verdict.narrow("soc_high", 0.0, 1.0)
                verdict.conditions.append(_edge("soc_high", "above", "charge", full, beyond=full > edge))
            elif full > edge - limits.soc_taper:
                verdict.narrow("soc_high", self._high(full), 1.0)
        if empty is not None:
            edge = limits.soc_min
            memory.empty = empty <= edge + (limits.soc_hysteresis if memory.empty else 0.0)
            if memory.empty:
                verdict.narrow("soc_low", 1.0, 0.0)
                verdict.conditions.append(_edge("soc_low", "below", "discharge", empty, beyond=empty < edge))
            elif empty < edge + limits.soc_taper:
                verdict.narrow("soc_low", 1.0, self._low(empty))

    def _bind(self, layout: Layout) -> _Bound:
        """Look up the columns of a layout, once. A site has two: with all its columns, and with few."""
        index = layout.index
        judges = [judge for judge in self._judges if judge.point in index]
        optional = dict.fromkeys(SOC_POINTS, False)
        for judge in judges:
            optional[judge.point] = judge.optional and optional.get(judge.point, True)
        currents = Currents.of(self.limits, index)
        if currents is not None:
            optional = {**dict.fromkeys(CURRENT_POINTS, True), **optional}
        names = tuple(name for name in optional if name in index)
        place = {name: i for i, name in enumerate(names)}
        if len(self._bound) >= 4:
            self._bound.clear()
        bound = _Bound(
            layout=layout,
            columns=np.array([index[name] for name in names], np.intp),
            points=tuple((name, optional[name]) for name in names),
            place=place,
            judges=tuple((judge, place[judge.point]) for judge in judges),
            fullest=place.get("soc_highest"),
            emptiest=place.get("soc_lowest"),
            soc=place.get("soc"),
            currents=None if currents is None else currents.placed(place),
        )
        self._bound[id(layout)] = bound
        return bound


def _lost(name: str, mark: int, value: float) -> Condition:
    quality = Quality(mark) if mark else Quality.INVALID
    return Condition(
        code="evidence_lost",
        severity=Severity.ALARM,
        message=f"{name} is {quality.label}",
        point=name,
        value=value if quality is Quality.OUT_OF_RANGE and -_INF < value < _INF else None,
    )


def _edge(code: str, where: str, stopped: str, soc: float, *, beyond: bool) -> Condition:
    return Condition(
        code=code,
        severity=Severity.ALARM if beyond else Severity.WARNING,
        message=f"state of charge at or {where} its limit: no {stopped}",
        point="soc",
        value=soc,
    )
