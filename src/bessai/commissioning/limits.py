"""Whatever is asked for, the setpoint stays inside the bounds; a lease that ends, ends the power."""

from __future__ import annotations

from collections.abc import Sequence

from bessai.commissioning.drive import drive
from bessai.commissioning.procedure import (
    LEASE,
    SOURCE,
    Ask,
    Findings,
    Plan,
    Steps,
    Watch,
    Wish,
    pinned,
    ready,
)
from bessai.commissioning.results import Verdict
from bessai.commissioning.samples import Sample

HIGHER = "commissioning_bounds"
"""A second source that outranks the first, to set bounds."""
LOOKED = 5.0
"""Seconds that a setpoint is looked at. Judgement: some cycles more than it takes to settle."""
NOTICED = 5.0
"""Seconds within which the end of a lease must show: two cycles and two samples, with room."""
_WATT = 0.002


def limit_test(plan: Plan, found: Findings) -> Steps[None]:
    """The step: bounds of a higher priority, a lease that expires, bounds of zero, the plant's limits."""
    watch = yield from ready()
    yield from drive(watch, plan, 0.0, "rest")
    sign = 1.0 if watch.allowed(plan.power) else -1.0 if watch.allowed(-plan.power) else 0.0
    if sign == 0.0:
        found.check("bounds of a higher priority", Verdict.NOT_POSSIBLE, watch.room)
    else:
        power = sign * plan.power * plan.units
        yield from _higher(watch, found, power)
        yield from _zero_bounds(watch, found, power)
        yield from drive(watch, plan, 0.0, "rest before the lease")
        yield from _expiry(watch, found, power)
    rest = yield from drive(watch, plan, 0.0, "rest before the plant's limits")
    for word, limit, edge in (("charge", watch.low, "upper"), ("discharge", watch.high, "lower")):
        named = yield from _plant_limit(watch, plan, found, word, limit)
        _soc_edge(found, rest.last, edge, blocked=limit == 0, named=named)
        yield from drive(watch, plan, 0.0, f"rest after the {word}")


def _higher(watch: Watch, found: Findings, power: float) -> Steps[None]:
    """Ask for twice as much as a source of higher priority allows."""
    low, high = min(power, 0.0), max(power, 0.0)
    asks = (
        Ask(power=None, low=low, high=high, source=HIGHER, priority="grid_operator"),
        Ask(power=2 * power, low=min(2 * power, 0.0), high=max(2 * power, 0.0)),
    )
    seen = yield from _look(watch, asks, f"ask for {2 * power:+.2f} kW where {power:+.2f} kW is the bound")
    setpoints = [s.plant_setpoint for s in seen if s.plant_setpoint is not None and s.source == SOURCE]
    beyond = [p for p in setpoints if not low - _WATT <= p <= high + _WATT]
    named = any(f"request:{HIGHER}" in s.limited_by for s in seen)
    found.check(
        "bounds of a higher priority",
        bool(setpoints) and not beyond and any(setpoints),
        f"asked for {2 * power:+.2f} kW inside {low:+.2f} … {high:+.2f} kW: the setpoint was "
        f"{_span(setpoints)}" + (", and the gateway named the source that clipped it" if named else ""),
        {"low_kw": low, "high_kw": high},
        asked_kw=2 * power, lowest_kw=min(setpoints, default=None), highest_kw=max(setpoints, default=None),
    )  # fmt: skip


def _zero_bounds(watch: Watch, found: Findings, power: float) -> Steps[None]:
    """A source of higher priority allows nothing."""
    asks = (
        Ask(power=None, low=0.0, high=0.0, source=HIGHER, priority="grid_operator"),
        Ask(power=power, low=min(power, 0.0), high=max(power, 0.0)),
    )
    seen = yield from _look(watch, asks, f"ask for {power:+.2f} kW where nothing is allowed", until_zero=True)
    last = seen[-1].plant_setpoint
    found.check(
        "bounds of zero",
        last == 0,
        f"asked for {power:+.2f} kW inside bounds of zero: the setpoint came to {_span([last])}",
        {"low_kw": 0.0, "high_kw": 0.0},
        asked_kw=power, setpoint_kw=last,
    )  # fmt: skip


def _expiry(watch: Watch, found: Findings, power: float) -> Steps[None]:
    """A lease that nobody renews: the request must be gone, and the setpoint on its way to zero."""
    ask = Ask(power=power, low=power, high=power, renew=False)
    wish = Wish(phase="a lease that is not renewed", asks=(ask,))
    sample = yield from watch.tick(wish)
    began, granted = sample.time, False
    gone: float | None = None
    while sample.time - began < LEASE + NOTICED:
        sample = yield from watch.tick(wish)
        won = sample.source == SOURCE
        granted = granted or (won and bool(sample.plant_setpoint))
        if granted and not won:
            gone = sample.time - began
            break
    if not granted:
        found.check("an expired lease", Verdict.NOT_POSSIBLE, "the lease of the test was never granted")
        return
    found.mark(sample.time, "lease over")
    start = sample
    while (
        gone is not None
        and sample.source is None
        and sample.plant_setpoint != 0
        and sample.time - start.time < 600
    ):
        before = sample
        sample = yield from watch.tick(wish)
        if abs(sample.plant_setpoint or 0.0) > abs(before.plant_setpoint or 0.0) + _WATT:
            break
    found.check(
        "an expired lease",
        gone is not None and (sample.plant_setpoint == 0 or sample.source is not None),
        f"a lease of {LEASE:g} s was not renewed: "
        + (
            f"it was over {gone:.1f} s after it began, and the setpoint "
            + (f"{sample.source}'s" if sample.source else "zero")
            + f" after {sample.time - began:.1f} s"
            if gone is not None
            else f"it still had power {sample.time - began:.1f} s later"
        ),
        {"lease_s": LEASE, "noticed_within_s": NOTICED},
        gone_after_s=gone, setpoint_kw=sample.plant_setpoint,
    )  # fmt: skip


def _plant_limit(watch: Watch, plan: Plan, found: Findings, word: str, limit: float) -> Steps[set[str]]:
    """Ask for more than the guard allows. Where it allows something, that is power: only when it was agreed.

    Returns the names of what limited it.
    """
    name = f"the plant's {word} limit"
    sign = -1.0 if word == "charge" else 1.0
    wanted = sign * (1.2 * max(abs(limit) * plan.units, plan.power))
    if limit and not plan.full_power:
        question = f"Asking beyond the limit runs the unit at {limit:+.2f} kW for some seconds. Do it?"
        sample = yield from watch.tick(Wish(phase="ask a person", asks=(pinned(0.0),), question=question))
        if not sample.answer:
            text = f"a test at {limit:+.2f} kW was not agreed to (--full-power)"
            found.check(name, Verdict.NOT_POSSIBLE, f"not tested on the device: {text}")
            return set()
    asks = (Ask(power=wanted, low=min(wanted, 0.0), high=max(wanted, 0.0)),)
    phase = f"ask for {wanted:+.2f} kW where {limit:+.2f} kW is the limit"
    seen = yield from _look(watch, asks, phase)
    own = [s for s in seen if s.setpoint is not None]
    beyond = [s for s in own if not s.low - _WATT <= (s.setpoint or 0.0) <= s.high + _WATT]
    setpoints = [s.setpoint for s in own]
    most = max((sign * s.measured for s in seen if s.measured is not None), default=0.0)
    found.check(
        name,
        bool(own) and not beyond and most <= abs(limit) + plan.device.tolerance,
        f"asked for {wanted:+.2f} kW: the setpoint was {_span(setpoints)}, the unit's bounds "
        f"{seen[-1].low:+.2f} … {seen[-1].high:+.2f} kW, measured {sign * most:+.2f} kW at most",
        {"limit_kw": limit, "tolerance_kw": plan.device.tolerance},
        asked_kw=wanted, setpoint_kw=setpoints[-1] if setpoints else None, measured_kw=sign * most,
    )  # fmt: skip
    return {name for s in seen for name in s.limited_by}


def _soc_edge(found: Findings, sample: Sample, edge: str, *, blocked: bool, named: set[str]) -> None:
    """Shown only where the battery happens to stand at this edge."""
    name, soc = f"{edge} edge of the state of charge", sample.good("soc")
    shown = "soc is not known" if soc is None else f"soc is {soc:.1f} %"
    if blocked and any(limit.startswith("soc") for limit in named):
        text = (
            f"{shown}: the gateway allows nothing in that direction, and says that the state of charge is why"
        )
        found.check(name, Verdict.PASSED, text, soc_percent=soc)
    else:
        text = f"not tested on the device: {shown}, and a short test cannot move it to the edge"
        found.check(name, Verdict.NOT_POSSIBLE, text, soc_percent=soc)


def _look(
    watch: Watch, asks: tuple[Ask, ...], phase: str, *, until_zero: bool = False
) -> Steps[list[Sample]]:
    """Samples while the requests are live. A ramp may take longer; a setpoint that still moves is waited for."""
    seen: list[Sample] = []
    began = moved = None
    before: float | None = None
    while True:
        sample = yield from watch.tick(Wish(phase=phase, asks=asks))
        began = sample.time if began is None else began
        moved = sample.time if moved is None or sample.plant_setpoint != before else moved
        before = sample.plant_setpoint
        seen.append(sample)
        done = until_zero and sample.plant_setpoint == 0 and sample.time - began >= 2.0
        if done or sample.time - moved >= LOOKED or sample.time - began > 600:
            return seen


def _span(setpoints: Sequence[float | None]) -> str:
    known = [p for p in setpoints if p is not None]
    if not known:
        return "not known"
    low, high = min(known), max(known)
    return f"{high:+.2f} kW" if low == high else f"{low:+.2f} … {high:+.2f} kW"
