"""A small charge must read negative, a small discharge positive, on every instrument that sees it."""

from __future__ import annotations

from bessai.commissioning.device import Device
from bessai.commissioning.drive import Arrival, drive, fresh, hold_until_read
from bessai.commissioning.plausibility import check_counters, check_electric
from bessai.commissioning.procedure import Findings, Plan, Steps, Watch, Wish, not_possible, ready
from bessai.commissioning.results import Verdict
from bessai.commissioning.samples import Sample

_METERS = ("grid_power", "battery_current", "battery_voltage")
"""What is compared with the measured power, and may be read less often."""
_SOC_WRONG = 1.0
"""% by which the state of charge may move the wrong way in so short a time: rounding. Judgement."""


def sign_test(plan: Plan, found: Findings) -> Steps[None]:
    """The step: rest, charge, rest, discharge, rest."""
    watch = yield from ready()
    if not watch.allowed(plan.power) and not watch.allowed(-plan.power):
        raise not_possible(f"{watch.room}: no power of {plan.power:.2f} kW in either direction")
    for word, power in (("charge", -plan.power), ("discharge", plan.power)):
        rest = yield from drive(watch, plan, 0.0, f"rest before the {word}")
        if not watch.allowed(power):
            found.missing.append(f"no {word}")
            found.check(
                f"a small {word}",
                Verdict.NOT_POSSIBLE,
                f"{watch.room}: no {word} of {plan.power:.2f} kW now" + _limited(rest.last),
            )
            continue
        before = yield from hold_until_read(watch, plan, 0.0, rest, _METERS)
        arrival = yield from drive(watch, plan, power, f"small {word}")
        after = yield from hold_until_read(watch, plan, power, arrival, _METERS)
        _check(found, plan.device, word, before, arrival, after)
        yield from _ask(found, watch, word)
    yield from drive(watch, plan, 0.0, "rest at the end")
    check_counters(found, watch)


def _check(found: Findings, device: Device, word: str, rest: Sample, arrival: Arrival, last: Sample) -> None:
    target = arrival.target
    found.mark(last.time, f"{word} seen")
    measured = arrival.mean
    found.check(
        f"a small {word} reads {'negative' if target < 0 else 'positive'}",
        measured * target > 0,
        f"commanded {target:+.2f} kW, measured {measured:+.3f} kW ({device.measured}), "
        f"{arrival.reached_after:.1f} s after the setpoint",
        {"tolerance_kw": device.tolerance, "response_time_s": device.response_time},
        setpoint_kw=target, measured_kw=round(measured, 4), reached_after_s=round(arrival.reached_after, 2),
    )  # fmt: skip
    current = last.good("battery_current")
    if current is None:
        found.check(f"current of the {word}", Verdict.NOT_POSSIBLE, "battery_current is not known")
    else:
        found.check(
            f"current of the {word}",
            current * target > 0,
            f"battery_current is {current:+.2f} A at {target:+.2f} kW",
            current_a=current,
        )
    check_electric(found, device, last, f"{word[:-1]}ing")
    before, after = rest.good("soc"), last.good("soc")
    if before is not None and after is not None:
        wrong = (after - before) if target > 0 else (before - after)
        found.check(
            f"state of charge during the {word}",
            wrong <= _SOC_WRONG,
            f"soc went from {before:.2f} to {after:.2f} %; so short a time may not show it",
            {"wrong_way_max_percent": _SOC_WRONG},
            before_percent=before, after_percent=after,
        )  # fmt: skip
    _check_meter(found, word, rest, arrival, last)


def _check_meter(found: Findings, word: str, rest: Sample, arrival: Arrival, last: Sample) -> None:
    """The meter at the point of connection is an instrument of its own: it tells when the device's sign is wrong."""
    before, after = rest.good("grid_power"), last.good("grid_power")
    name = f"the meter sees the {word}"
    if before is None or after is None:
        text = "grid_power is not known: no second instrument confirms the direction"
        found.check(name, Verdict.NOT_POSSIBLE, text)
        return
    if not fresh(last, "grid_power", arrival.last.time):
        text = "grid_power was not read since the power flowed: give more time (--wait)"
        found.check(name, Verdict.NOT_POSSIBLE, text)
        return
    change, half = after - before, abs(arrival.target) / 2
    seen = change if arrival.target > 0 else -change
    verdict = Verdict.PASSED if seen > half else Verdict.FAILED if seen < -half else Verdict.NOTED
    said = {
        Verdict.PASSED: "the same direction",
        Verdict.FAILED: "the other direction: the sign of the meter or of the device is wrong",
        Verdict.NOTED: "too little to tell: loads may have changed at the same time",
    }[verdict]
    found.check(
        name,
        verdict,
        f"grid_power changed by {change:+.3f} kW at {arrival.target:+.2f} kW: {said}",
        {"least_change_kw": half},
        before_kw=before, after_kw=after,
    )  # fmt: skip


def _ask(found: Findings, watch: Watch, word: str) -> Steps[None]:
    question = f"Did the device's own display show that it was {word[:-1]}ing?"
    sample = yield from watch.tick(Wish(phase="compare with the display", question=question))
    if sample.answer is None:
        found.check(f"display during the {word}", Verdict.NOTED, "not confirmed by a person")
    else:
        said = "a person saw it" if sample.answer else "a person did not see it"
        found.check(f"display during the {word}", sample.answer, f"{question} {said}")


def _limited(sample: Sample) -> str:
    return f" (limited by {', '.join(sample.limited_by)})" if sample.limited_by else ""
