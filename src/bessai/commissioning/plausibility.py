"""Are the values possible, do they fit each other, and are they those that the device itself shows?"""

from __future__ import annotations

from bessai.commissioning.device import Device
from bessai.commissioning.procedure import Findings, Plan, Steps, Watch, Wish, pinned
from bessai.commissioning.results import Verdict
from bessai.commissioning.samples import Sample

WATCHED = 6.0
"""Seconds over which the values are watched at rest."""

_SAID_TO_BE_MISSING = frozenset({"not_available", "absent"})

RANGES: dict[str, tuple[float, float]] = {
    "soc": (0.0, 100.0),
    "frequency": (45.0, 65.0),
    "grid_frequency": (45.0, 65.0),
}
"""In the unit of the point; a share is 0 … 100 %, and no grid runs outside 45 … 65 Hz."""

_PAIRS = (
    ("cell_voltage_min", "cell_voltage_max"),
    ("cell_temperature_min", "cell_temperature_max"),
    ("soc_lowest", "soc_highest"),
)

COMPARED = (
    "soc", "battery_power", "active_power", "battery_voltage", "battery_current", "battery_temperature",
    "cell_voltage_min", "cell_voltage_max", "cell_temperature_min", "cell_temperature_max", "frequency",
    "grid_power", "energy_charged_total", "energy_discharged_total", "device_status", "battery_status",
)  # fmt: skip
"""Points that an engineer compares with the device's own display."""

_ELECTRIC_SHARE = 0.10
"""Of the larger power: losses between battery and terminals, and two instruments of 2–5 %. Judgement."""


def plausibility(plan: Plan, found: Findings) -> Steps[None]:
    """The step: watch the values at rest, judge them, have a person compare them."""
    sample = yield Wish(phase="read every point at rest", asks=(pinned(0.0),))
    watch, began, samples = Watch(sample), sample.time, [sample]
    while sample.time - began < WATCHED:
        wish = Wish(phase="read every point at rest", asks=(pinned(0.0),))
        sample = yield from watch.tick(wish, expected=frozenset(a.code for a in sample.alarms))
        samples.append(sample)
    check_points(found, plan.device, sample)
    check_counters(found, watch)
    check_rest(found, plan.device, samples)
    for name in COMPARED:
        if name in sample.points and sample.points[name].quality == "good":
            yield from _compare(found, name)


def check_points(found: Findings, device: Device, sample: Sample) -> None:
    """Judge the values of one sample."""
    good: list[str] = []
    excused: list[str] = []
    bad: list[str] = []
    for name, point in sample.points.items():
        kind = good if point.quality == "good" else excused if point.quality in _SAID_TO_BE_MISSING else bad
        kind.append(name if kind is good else f"{name} ({point.quality})")
    found.check(
        "every point that the device has is good",
        not bad and bool(good),
        f"{len(good)} of {len(good) + len(bad)} points are good"
        + (f"; not good: {', '.join(sorted(bad))}" if bad else ""),
        points=len(sample.points), good_points=len(good),
    )  # fmt: skip
    if excused:
        text = f"the device says that it has none of these: {', '.join(sorted(excused))}"
        found.check("points that the device does not have", Verdict.NOTED, text, points=len(excused))
    for name, (low, high) in RANGES.items():
        if (value := sample.good(name)) is not None:
            found.check(
                f"{name} is possible",
                low <= value <= high,
                f"{name} is {sample.points[name].text}; {low:g} … {high:g} is possible",
                {"low": low, "high": high},
                value=value,
            )
    for lower, upper in _PAIRS:
        least, most = sample.good(lower), sample.good(upper)
        if least is not None and most is not None:
            found.check(
                f"{lower} ≤ {upper}",
                least <= most,
                f"{lower} is {sample.points[lower].text}, {upper} is {sample.points[upper].text}",
                lowest=least, highest=most,
            )  # fmt: skip
    check_electric(found, device, sample, "at rest")
    _check_cells(found, device, sample)


def check_electric(found: Findings, device: Device, sample: Sample, when: str) -> None:
    """Voltage × current must be the battery's power, in sign and size."""
    voltage, current = sample.good("battery_voltage"), sample.good("battery_current")
    power = sample.good("battery_power")
    name = f"voltage × current = power, {when}"
    if voltage is None or current is None or power is None:
        missing = [
            n for n in ("battery_voltage", "battery_current", "battery_power") if sample.good(n) is None
        ]
        found.check(name, Verdict.NOT_POSSIBLE, f"not known: {', '.join(missing)}")
        return
    product = voltage * current / 1000.0
    allowed = max(_ELECTRIC_SHARE * max(abs(product), abs(power)), device.tolerance / 2)
    opposite = product * power < 0 and min(abs(product), abs(power)) > device.tolerance / 2
    found.check(
        name,
        abs(product - power) <= allowed and not opposite,
        f"{voltage:.1f} V × {current:+.2f} A = {product:+.3f} kW; battery_power is {power:+.3f} kW"
        + (": the signs differ" if opposite else ""),
        {"tolerance_kw": round(allowed, 6)},
        voltage_v=voltage, current_a=current, product_kw=round(product, 6), power_kw=power,
    )  # fmt: skip


def _check_cells(found: Findings, device: Device, sample: Sample) -> None:
    voltage = sample.good("battery_voltage")
    least, most = sample.good("cell_voltage_min"), sample.good("cell_voltage_max")
    if voltage is None or least is None or most is None:
        return
    name = "cell voltages × cells = battery voltage"
    if device.cells is None:
        fit = f"; {round(2 * voltage / (least + most))} would fit" if least + most > 0 else ""
        found.check(
            name,
            Verdict.NOT_POSSIBLE,
            f"the number of cells in series is not known (--cells){fit}: compare with the datasheet",
        )
        return
    # 2 %: the difference of two instruments. Judgement.
    low, high = 0.98 * device.cells * least, 1.02 * device.cells * most
    found.check(
        name,
        low <= voltage <= high,
        f"{device.cells} cells of {least:.3f} … {most:.3f} V make {device.cells * least:.1f} … "
        f"{device.cells * most:.1f} V; battery_voltage is {voltage:.1f} V (2 % allowed)",
        {"low_v": round(low, 3), "high_v": round(high, 3)},
        voltage_v=voltage, cells=device.cells,
    )  # fmt: skip


def check_counters(found: Findings, watch: Watch) -> None:
    """Energy counters must not fall."""
    if not watch.counters:
        found.check("energy counters do not fall", Verdict.NOT_POSSIBLE, "the device shows no energy counter")
        return
    fell = "; ".join(f"{n} fell from {a:g} to {b:g} kWh" for n, (a, b) in sorted(watch.fallen.items()))
    found.check("energy counters do not fall", not fell, fell or f"watched: {', '.join(watch.counters)}")


def check_rest(found: Findings, device: Device, samples: list[Sample]) -> None:
    """With a setpoint of zero the measured power must be near zero."""
    still = [s.measured for s in samples if s.setpoint == 0 and s.measured is not None]
    if not still:
        found.check(
            "no power at rest", Verdict.NOT_POSSIBLE, "the gateway commanded no zero, or nothing was measured"
        )
        return
    most = max(still, key=abs)
    found.check(
        "no power at rest",
        abs(most) <= device.tolerance,
        f"commanded to zero, {device.measured} is {most:+.3f} kW at most",
        {"tolerance_kw": device.tolerance},
        measured_kw=most,
    )


def _compare(found: Findings, name: str) -> Steps[None]:
    sample = yield Wish(phase="read again")
    if (point := sample.points.get(name)) is None:
        return
    text = f"{name}: {point.text}"
    sample = yield Wish(
        phase="compare with the display", question=f"{text}. Does the device's own display show the same?"
    )
    verdict = {True: Verdict.PASSED, False: Verdict.FAILED, None: Verdict.NOTED}[sample.answer]
    said = {
        True: "a person saw the same on the device",
        False: "a person saw something else on the device",
        None: "not confirmed by a person",
    }[sample.answer]
    found.check(f"display: {name}", verdict, f"{text}; {said}", shown=point.text, value=point.value)
