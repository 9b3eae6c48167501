"""How fast and how exactly the unit follows."""

from __future__ import annotations

from bessai.commissioning.drive import Arrival, drive
from bessai.commissioning.procedure import Findings, Plan, Steps, ready
from bessai.commissioning.results import Verdict

HOLD = 5.0
"""Seconds over which the accuracy is measured."""


def response_test(plan: Plan, found: Findings) -> Steps[None]:
    """The step: a step to power and back to zero, in each direction that is allowed."""
    watch = yield from ready()
    yield from drive(watch, plan, 0.0, "rest", hold=HOLD)
    for word, power in (("discharge", plan.power), ("charge", -plan.power)):
        if not watch.allowed(power):
            found.missing.append(f"no {word}")
            found.check(f"step to {word}", Verdict.NOT_POSSIBLE, watch.room)
            continue
        arrival = yield from drive(watch, plan, power, f"step to {power:+.2f} kW", hold=HOLD)
        _check(found, plan, f"step to {word}", arrival)
        rest = yield from drive(watch, plan, 0.0, "step to zero", hold=HOLD)
        _check(found, plan, f"step from {word} to zero", rest)


def _check(found: Findings, plan: Plan, name: str, arrival: Arrival) -> None:
    device, error = plan.device, arrival.mean - arrival.target
    found.check(
        name,
        arrival.reached_after <= device.response_time and abs(error) <= device.tolerance,
        f"to {arrival.target:+.2f} kW: within {device.tolerance:.2f} kW after {arrival.reached_after:.1f} s "
        f"({device.response_time:g} s wanted), "
        f"overshoot {arrival.overshoot:.2f} kW, then {error:+.3f} kW off in the mean",
        {"response_time_s": device.response_time, "tolerance_kw": device.tolerance},
        target_kw=arrival.target, reached_after_s=round(arrival.reached_after, 2),
        granted_after_s=round(arrival.granted_after, 2), overshoot_kw=round(arrival.overshoot, 4),
        error_kw=round(error, 4),
    )  # fmt: skip
