"""Applies report rules to the records of one lane: what has not changed stays at home.

A **record** that goes out is reduced to the points that are due, and says so (`complete` is False). The first one
after a start, and after a gap in the sequence, is complete: whoever reads the lane from there, and applies each
record in turn, knows every point to within its dead band.

Time is the records' own. A clock that is set back silences nothing: the step between the two records before counts
instead.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessai.interfaces.envelope import DecisionPart, published
from bessai.journal.entry import Entry
from bessai.model import Layout
from bessai.site import ReportFile, ReportRule

_NEVER = 2**62
"""Nanoseconds that never come."""
_TOLD = tuple(DecisionPart.model_fields)
_ALWAYS = ReportRule(points=["*"], sinks=["*"], when="always")


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the points of one layout are."""

    layout: Layout
    columns: NDArray[np.intp] | None
    """Those that may be reported; None: all."""
    slots: NDArray[np.intp]
    """Place of each of them in the reporter's memory."""
    view: NDArray[np.intp] | slice
    """The same; a slice where they stand together, which is quicker."""


class Reporter:
    """Chooses what is reported of each record. One instance a lane; depends on the records that it saw only.

    Args:
        rules: the site's report rules.
        sink: name of the sink that reports.
        publish: the devices whose points may be reported besides the plant's own; None: all.
    """

    def __init__(self, rules: ReportFile, sink: str, publish: Sequence[str] | None = None) -> None:
        self._rules = [rule for rule in rules.rules if rule.for_sink(sink)]
        self._publish = publish
        at_most, at_least = rules.decision.at_most_every, rules.decision.at_least_every
        self._decision_times = _ns(at_most or 0), _ns(at_least)
        self._plans: dict[int, _Plan] = {}
        self._slots: dict[str, int] = {}
        # One item a point: what its rule says …
        self._band = np.empty(0)
        self._share = np.empty(0)
        self._at_most = np.empty(0, np.int64)
        self._at_least = np.empty(0, np.int64)
        self._paced = False
        # … and what was reported last: its quality, whether it was a number, the dead band around it, and from when
        # it may and must be reported again.
        self._quality = np.empty(0, np.uint8)
        self._number = np.empty(0, np.bool_)
        self._low = np.empty(0)
        self._high = np.empty(0)
        self._earliest = np.empty(0, np.int64)
        self._latest = np.empty(0, np.int64)
        self._wake = 0
        """Before this time no point must be reported."""
        self._decision: tuple[Any, ...] = ()
        self._decision_due = 0, 0
        self._texts: Any = None
        self._last: tuple[int, int] | None = None
        self._now = 0
        self._step = 0
        self._wall: int | None = None

    def choose(self, entry: Entry) -> Entry | None:
        """The record reduced to what is due; None when nothing is."""
        if self._last != (entry.epoch, entry.sequence - 1):
            self._forget()
        self._last = entry.epoch, entry.sequence
        if entry.kind != "cycle":
            return entry
        now = self._tick(entry.wall_ns)
        plan = self._plans.get(id(entry.layout)) or self._plan(entry.layout)
        due = self._due(entry, plan, now)
        decide = self._decide(entry, now)
        texts = self._texts != entry.texts
        if not (due.size or decide or texts):
            return None
        self._texts = entry.texts
        complete = due.size == plan.slots.size and decide and texts
        if complete and plan.columns is None:
            return entry
        columns = due if plan.columns is None else plan.columns[due]
        serial = entry.texts.get("serial_number")
        return replace(
            entry,
            layout=_reduced(entry.layout, columns),
            values=entry.values[columns],
            quality=entry.quality[columns],
            ages=entry.ages[columns],
            texts=entry.texts if texts else {},
            device=entry.device if texts or serial is None else {"serial": serial, **entry.device},
            decision=entry.decision if decide else {},
            complete=complete,
        )

    def _forget(self) -> None:
        """Report everything once more."""
        self._earliest.fill(-_NEVER)
        self._latest.fill(-_NEVER)
        self._wake = -_NEVER
        self._decision_due = -_NEVER, -_NEVER
        self._texts = None

    def _tick(self, wall_ns: int) -> int:
        if self._wall is not None:
            step = wall_ns - self._wall
            if step > 0:
                self._step = step
            self._now += self._step
        self._wall = wall_ns
        return self._now

    def _due(self, entry: Entry, plan: _Plan, now: int) -> NDArray[np.intp]:
        """The places in the plan of the points that are due, noted as reported."""
        values, quality, view = entry.values, entry.quality, plan.view
        if plan.columns is not None:
            values, quality = values[plan.columns], quality[plan.columns]
        number = np.isfinite(values)
        mask = values < self._low[view]
        mask |= values > self._high[view]
        mask |= number != self._number[view]
        mask |= quality != self._quality[view]
        if self._paced:
            mask &= self._earliest[view] <= now
        if now >= self._wake:
            mask |= self._latest[view] <= now
        due = np.flatnonzero(mask)
        if due.size:
            at = plan.slots[due]
            self._number[at] = number[due]
            value = np.where(number[due], values[due], np.nan)
            with np.errstate(over="ignore"):
                reach = np.fmax(self._band[at], self._share[at] * np.abs(value))
                self._low[at], self._high[at] = value - reach, value + reach
            self._quality[at] = quality[due]
            self._earliest[at] = now + self._at_most[at]
            self._latest[at] = now + self._at_least[at]
        if now >= self._wake:
            self._wake = int(self._latest.min(initial=_NEVER))
        return due

    def _decide(self, entry: Entry, now: int) -> bool:
        told = (entry.verified, *map(entry.decision.get, _TOLD))
        earliest, latest = self._decision_due
        if now < latest and not entry.events and (told == self._decision or now < earliest):
            return False
        self._decision = told
        at_most, at_least = self._decision_times
        self._decision_due = now + at_most, now + at_least
        return True

    def _plan(self, layout: Layout) -> _Plan:
        """The plan of a layout that was not seen yet; a reader may bring one that it has brought before anew."""
        plan = next((plan for plan in self._plans.values() if plan.layout.names == layout.names), None)
        if plan is None or (plan.layout.states, plan.layout.bits) != (layout.states, layout.bits):
            plan = self._place(layout)
        if len(self._plans) >= 16:
            self._plans.clear()
        self._plans[id(layout)] = plan = replace(plan, layout=layout)
        return plan

    def _place(self, layout: Layout) -> _Plan:
        rules = _assign(self._rules, layout.names)
        coded = {*layout.states, *layout.bits}
        kept = [
            i
            for i, (name, rule) in enumerate(zip(layout.names, rules, strict=True))
            if rule.when != "never" and published(name, self._publish)
        ]
        new = [i for i in kept if layout.names[i] not in self._slots]
        self._slots.update({layout.names[i]: len(self._slots) + n for n, i in enumerate(new)})
        self._grow([(rules[i], layout.names[i] in coded) for i in new])
        slots = np.array([self._slots[layout.names[i]] for i in kept], np.intp)
        together = slots.size > 0 and bool((np.diff(slots) == 1).all())
        return _Plan(
            layout=layout,
            columns=None if len(kept) == len(layout) else np.array(kept, np.intp),
            slots=slots,
            view=slice(int(slots[0]), int(slots[-1]) + 1) if together else slots,
        )

    def _grow(self, rules: Sequence[tuple[ReportRule, bool]]) -> None:
        """Make room for points that were never seen, each with its rule and whether it is a state or bits."""
        if not rules:
            return
        kinds = {(id(rule), coded): (rule, coded) for rule, coded in rules}
        numbers = {key: _numbers(*kind) for key, kind in kinds.items()}
        table = [numbers[id(rule), coded] for rule, coded in rules]
        band, share, at_most, at_least = zip(*table, strict=True)
        count = len(rules)

        def more(known: NDArray[Any], new: Any) -> NDArray[Any]:
            return np.append(known, np.array(new, known.dtype))

        self._band, self._share = more(self._band, band), more(self._share, share)
        self._at_most, self._at_least = more(self._at_most, at_most), more(self._at_least, at_least)
        self._paced = bool(self._at_most.any())
        self._quality = more(self._quality, [0] * count)
        self._number = more(self._number, [False] * count)
        self._low, self._high = more(self._low, [np.nan] * count), more(self._high, [np.nan] * count)
        self._earliest = more(self._earliest, [-_NEVER] * count)
        self._latest = more(self._latest, [-_NEVER] * count)
        self._wake = -_NEVER


def _assign(rules: Sequence[ReportRule], names: Sequence[str]) -> list[ReportRule]:
    """The first rule that names each point; a point that none names is in every record."""
    left = dict.fromkeys(names, _ALWAYS)
    found: dict[str, ReportRule] = {}
    for rule in rules:
        for pattern in rule.points:
            for name in fnmatch.filter(left, pattern):
                found[name] = rule
                del left[name]
    return [found.get(name, _ALWAYS) for name in names]


def _numbers(rule: ReportRule, coded: bool) -> tuple[float, float, int, int]:
    """Dead band in the point's unit and as a share of the value; nanoseconds of at most and at least every."""
    at_most = _ns(rule.at_most_every or 0)
    if rule.when == "always":
        return 0.0, 0.0, at_most, at_most
    at_least = _NEVER if rule.at_least_every is None else _ns(rule.at_least_every)
    if coded:  # one state is as far from another as any
        return 0.0, 0.0, at_most, at_least
    percent = (rule.dead_band_percent or 0.0) / 100
    band = rule.dead_band or 0.0
    if rule.span is not None:
        return max(band, percent * rule.span), 0.0, at_most, at_least
    return band, percent, at_most, at_least


def _reduced(layout: Layout, columns: NDArray[np.intp]) -> Layout:
    if columns.size == len(layout):
        return layout
    if columns.size < 2:  # itemgetter gives no tuple for one
        names = tuple(layout.names[i] for i in columns.tolist())
        units = tuple(layout.units[i] for i in columns.tolist())
    else:
        pick = itemgetter(*columns.tolist())
        names, units = pick(layout.names), pick(layout.units)
    return Layout(
        names=names,
        units=units,
        states={name: layout.states[name] for name in names if name in layout.states},
        bits={name: layout.bits[name] for name in names if name in layout.bits},
    )


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
