"""The device must fall back by itself when the gateway really falls silent."""

from __future__ import annotations

import itertools
from typing import Any

from bessai.commissioning.drive import HOLD, Arrival, drive
from bessai.commissioning.procedure import (
    GRANTED,
    AbortedError,
    Findings,
    Plan,
    Steps,
    Watch,
    Wish,
    not_possible,
    pinned,
    ready,
)
from bessai.commissioning.results import Verdict
from bessai.commissioning.samples import Sample

SILENT_WITHIN = 5.0
"""Seconds within which the gateway must have stopped feeding."""
REARM = 60.0
"""Seconds that the gateway may take to arm the dead-man and to grant power again; it retries every 10 s at most."""
_LATE = 5.0
_LATE_SHARE = 0.10
"""A timer may be late by 5 s or a tenth of its time: resolution and ramps. Judgement."""

EXPECTED = frozenset({"setpoint_not_followed", "setpoint_not_reached", "device_not_running", "write_failed"})
"""Alarms that a fall-back brings about by itself, besides those of the dead-man."""


def deadman_test(plan: Plan, found: Findings) -> Steps[None]:
    """The step: power, silence, fall-back, power again, rest."""
    device = plan.device
    if device.dead_man_kind == "none" or device.dead_man_time <= 0:
        raise not_possible("the profile knows no dead-man of this device")
    watch = yield from ready()
    yield from drive(watch, plan, 0.0, "rest")
    power = plan.power if watch.allowed(plan.power) else -plan.power
    if not watch.allowed(power):
        raise not_possible(f"{watch.room}: no power of {plan.power:.2f} kW to fall back from")
    arrival = yield from drive(watch, plan, power, f"run at {power:+.2f} kW")
    if not arrival.last.armed:
        raise AbortedError("the gateway does not say that the dead-man is armed although power flows")
    fallen, evidence = yield from _silence(watch, plan, found, arrival, power)
    end = _operation(
        plan,
        "deadman_test_end",
        result="passed" if fallen else "failed",
        evidence=evidence,
        seconds=evidence["fell_back_after"],
    )
    asks = (pinned(power * plan.units if fallen else 0.0),)
    sample = yield from watch.tick(Wish(phase="feed again", asks=asks, operations=(end,)), expected=EXPECTED)
    found.mark(sample.time, "fed again")
    for objection in sample.objections:
        found.check("the gateway recorded the result", False, objection)
    if not fallen:
        yield from _stopped(watch, plan, found)
        return  # no power is asked for any more
    yield from _rearmed(watch, plan, found, power)
    yield from drive(watch, plan, 0.0, "rest at the end")


def _silence(
    watch: Watch, plan: Plan, found: Findings, arrival: Arrival, power: float
) -> Steps[tuple[bool, dict[str, Any]]]:
    """Let the gateway fall silent and watch. True, with the evidence, when the device fell back in time."""
    device = plan.device
    undo = _operation(plan, "deadman_test_end", result="failed", evidence={"aborted": True})
    begin = _operation(plan, "deadman_test")
    asks = (pinned(power * plan.units),)
    sample = yield from watch.tick(
        Wish(phase="tell the gateway to fall silent", asks=asks, operations=(begin,), undo=(undo,)),
        expected=EXPECTED,
    )
    if sample.objections:
        raise not_possible(f"the gateway does not begin the test: {'; '.join(sample.objections)}")
    asked_at = sample.time
    wish = Wish(phase="silence: wait for the device to fall back", asks=asks, undo=(undo,))
    while not sample.withheld:
        if sample.time - asked_at > SILENT_WITHIN:
            raise AbortedError(f"the gateway did not stop feeding within {SILENT_WITHIN:g} s")
        sample = yield from watch.tick(wish, expected=EXPECTED)
    fed_at = sample.time - (sample.fed_age or 0.0)
    late = max(_LATE, _LATE_SHARE * device.dead_man_time) + arrival.reached_after
    limit = device.dead_man_time + late
    found.mark(fed_at, "last fed")
    found.mark(fed_at + device.dead_man_time, "dead-man's time")
    left = begun = inside = None
    shown: list[float] = []
    while True:
        age = sample.time - fed_at
        _still_silent(sample, age)
        if sample.remaining is not None and begun is None:
            shown.append(sample.remaining)
        measured = sample.measured
        if measured is None:
            inside = None
        else:
            if begun is None and abs(measured - arrival.target) > device.tolerance:
                begun = age
            left = measured
            if abs(measured) > 2 * abs(arrival.target) + device.tolerance and age <= device.dead_man_time / 2:
                raise AbortedError(
                    f"{measured:+.2f} kW measured while {arrival.target:+.2f} kW was commanded"
                )
            inside = (age if inside is None else inside) if abs(measured) <= device.tolerance else None
        if inside is not None and age - inside >= HOLD:
            break
        if age > limit + HOLD:
            inside = None
            break
        sample = yield from watch.tick(wish, expected=EXPECTED)
    _check_timer(found, shown)
    evidence: dict[str, Any] = {
        "setpoint": arrival.target,
        "measured_before": round(arrival.mean, 4),
        "measured_after": None if left is None else round(left, 4),
        "left_setpoint_after": _rounded(begun),
        "fell_back_after": _rounded(inside),
        "time": device.dead_man_time,
        "limit": round(limit, 2),
        "fallback": device.fallback,
    }
    limits = {
        "dead_man_time_s": device.dead_man_time,
        "limit_s": round(limit, 2),
        "tolerance_kw": device.tolerance,
    }
    values = {key: value for key, value in evidence.items() if key not in {"time", "limit", "fallback"}}
    name = "the device falls back by itself"
    if inside is not None:
        found.mark(fed_at + inside, "at zero")
        good = inside <= limit
        found.check(
            name,
            good,
            f"{inside:.1f} s after it was fed last the power was at {left:+.2f} kW, within {device.tolerance:.2f} kW "
            f"of zero ({device.dead_man_time:g} s stated, {limit:.1f} s accepted)",
            limits, **values,
        )  # fmt: skip
        if inside < device.dead_man_time / 2:
            text = f"it fell back after {inside:.1f} s, much earlier than {device.dead_man_time:g} s"
            found.check("not much too early", Verdict.NOTED, text, limits)
        return good, evidence
    if begun is None or left is None or abs(left - arrival.target) <= device.tolerance:
        shown_power = "not known" if left is None else f"still {left:+.2f} kW"
        text = f"{limit:.1f} s after it was fed last the power is {shown_power}: it did not fall back"
        found.check(name, False, text, limits, **values)
        return False, evidence
    question = (
        f"The power left {arrival.target:+.2f} kW after {begun:.1f} s and is now {left:+.2f} kW, not zero. "
        f"Expected: {device.fallback or 'not known'} Is this what the device's own settings say?"
    )
    sample = yield from watch.tick(
        Wish(phase="ask a person", asks=asks, undo=(undo,), question=question), expected=EXPECTED
    )
    said = {True: "a person confirmed it", False: "a person denied it", None: "nobody confirmed it"}[
        sample.answer
    ]
    in_time = begun <= limit
    found.check(name, bool(sample.answer) and in_time, f"{question} {said}", limits, **values)
    return bool(sample.answer) and in_time, {**evidence, "confirmed_by": plan.user if sample.answer else None}


def _still_silent(sample: Sample, age: float) -> None:
    """The silence must be a silence, or it proves nothing."""
    if not sample.withheld:
        raise AbortedError("the gateway ended the test by itself")
    if sample.fed_age is not None and sample.fed_age < age - 2.0:
        raise AbortedError(f"the device was fed {sample.fed_age:.1f} s ago, in the middle of the silence")


def _check_timer(found: Findings, shown: list[float]) -> None:
    if len(shown) < 2:
        text = "the device shows no time left"
        found.check("the device's own timer runs down", Verdict.NOT_POSSIBLE, text)
        return
    rose = max(b - a for a, b in itertools.pairwise(shown))
    found.check(
        "the device's own timer runs down",
        shown[-1] < shown[0] and rose <= 1.0,
        f"it went from {shown[0]:g} to {shown[-1]:g} s"
        + (" and rose in between: somebody else feeds it" if rose > 1.0 else ""),
        first_s=shown[0], last_s=shown[-1],
    )  # fmt: skip


def _stopped(watch: Watch, plan: Plan, found: Findings) -> Steps[None]:
    """A device that does not fall back must at least obey again."""
    limit, name = plan.device.response_time + REARM, "the gateway brings it to zero after the failed test"
    began: float | None = None
    while True:
        wish = Wish(phase="rest after the failed test", asks=(pinned(0.0),))
        sample = yield from watch.tick(wish, expected=EXPECTED)
        began = sample.time if began is None else began
        after, measured = sample.time - began, sample.measured
        good = measured is not None and abs(measured) <= plan.device.tolerance
        if good or after > limit:
            seen = "is not known" if measured is None else f"is {measured:+.2f} kW"
            found.check(name, good, f"{after:.1f} s after the test the power {seen}", {"limit_s": limit})
            return


def _rearmed(watch: Watch, plan: Plan, found: Findings, power: float) -> Steps[None]:
    """The gateway must arm the dead-man again, and the power must come back."""
    device, began, since = plan.device, None, None
    limit = REARM + device.response_time
    name = "the gateway arms it again and the power returns"
    while True:
        asks = (pinned(power * plan.units),)
        sample = yield from watch.tick(
            Wish(phase="wait for the power to return", asks=asks), expected=EXPECTED
        )
        began = sample.time if began is None else began
        after = sample.time - began
        measured, target = sample.measured, sample.setpoint or 0.0
        back = sample.armed and not sample.withheld and sample.state in GRANTED and target * power > 0
        there = back and measured is not None and abs(measured - target) <= device.tolerance
        since = (after if since is None else since) if there else None
        if measured is not None and since is not None and after - since >= HOLD:
            text = f"{since:.1f} s after the test the dead-man was armed and {measured:+.2f} kW were measured"
            found.check(name, True, text, {"limit_s": limit}, after_s=round(since, 2), measured_kw=measured)
            return
        if after > limit:
            seen = "unknown" if measured is None else f"{measured:+.2f} kW"
            armed = "armed" if sample.armed else "not armed"
            text = f"{limit:g} s after the test: {sample.state}, the dead-man {armed}, the power {seen}"
            found.check(name, False, text, {"limit_s": limit})
            raise AbortedError(text)


def _operation(plan: Plan, op: str, **more: Any) -> dict[str, Any]:
    return {
        "op": op,
        "unit": plan.device.unit,
        "user": plan.user,
        "role": "engineer",
        "reason": plan.reason,
        **more,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
