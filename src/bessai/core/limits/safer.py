"""Whether limits are at least as safe as the preset they override: each way in which they are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bessai.core.limits.battery import Limits
from bessai.core.limits.level import Curve, Flag, Limit

MEND = "keep the preset's or a safer one, or let an engineer sign it: bessai limits sign"

_STOPPED = {"both": {"charge", "discharge"}, "charge": {"charge"}, "discharge": {"discharge"}, "none": set()}


@dataclass(frozen=True, slots=True)
class Weaker:
    """One field that is less safe than the preset's."""

    field: str
    """Path in the limits file."""
    preset: str
    """The preset's value, for people."""

    @property
    def mend(self) -> str:
        """What a person reads of it."""
        return f"less safe than the preset's {self.preset}; {MEND}"


def weaker(limits: Limits, preset: Limits) -> Iterator[Weaker]:
    """Each field of `limits` that allows what `preset` does not."""
    for name, sign, unit in (
        ("soc_min", -1.0, "%"), ("soc_max", 1.0, "%"), ("soc_hysteresis", -1.0, "%"), ("soc_taper", -1.0, "%"),
    ):  # fmt: skip
        if sign * getattr(limits, name) > sign * getattr(preset, name):
            yield Weaker(name, f"{getattr(preset, name):g} {unit}")
    levels = {limit.code: limit for limit in limits.levels}
    for base in preset.levels:
        limit = levels.get(base.code)
        where = f"limits.{base.code}"
        if limit is None:
            yield Weaker(where, f"limit of {base.point}")
        else:
            yield from _limit(where, limit, base)
    flags = {flag.code: flag for flag in limits.flags}
    for flag in preset.flags:
        given = flags.get(flag.code)
        if given is None:
            yield Weaker(f"flags.{flag.code}", f"flag on {flag.point}")
        else:
            yield from _flag(f"flags.{flag.code}", given, flag)


def _limit(where: str, limit: Limit, base: Limit) -> Iterator[Weaker]:
    for name, curve, own in (
        ("charge", limit.charge, base.charge),
        ("discharge", limit.discharge, base.discharge),
    ):
        if own is not None and (curve is None or not _below(curve, own)):
            yield Weaker(f"{where}.{name}", f"{[list(point) for point in own.points]}")
    if limit.hysteresis < base.hysteresis:
        yield Weaker(f"{where}.hysteresis", f"{base.hysteresis:g} {base.unit}")
    sign = 1.0 if base.side == "high" else -1.0
    if base.warning is not None:
        if limit.warning is None:
            yield Weaker(f"{where}.warning", f"warning at {base.warning.at:g} {base.unit}")
        else:
            for name in ("at", "clear"):
                if sign * getattr(limit.warning, name) > sign * getattr(base.warning, name):
                    yield Weaker(f"{where}.warning.{name}", f"{getattr(base.warning, name):g} {base.unit}")
            if limit.warning.delay > base.warning.delay:
                yield Weaker(f"{where}.warning.delay", f"{base.warning.delay:g} s")
    if base.trip is not None:
        if limit.trip is None:
            yield Weaker(f"{where}.trip", f"trip at {base.trip.at:g} {base.unit}")
        else:
            if sign * limit.trip.at > sign * base.trip.at:
                yield Weaker(f"{where}.trip.at", f"{base.trip.at:g} {base.unit}")
            if limit.trip.delay > base.trip.delay:
                yield Weaker(f"{where}.trip.delay", f"{base.trip.delay:g} s")
            if limit.trip.reset < base.trip.reset:
                yield Weaker(f"{where}.trip.reset", base.trip.reset.label)


def _below(curve: Curve, base: Curve) -> bool:
    """Whether a curve allows nowhere more: straight lines differ most at an end of one of them."""
    xs = [x for x, _ in (*curve.points, *base.points)]
    return all(curve(x) <= base(x) + 1e-12 for x in xs)


def _flag(where: str, flag: Flag, base: Flag) -> Iterator[Weaker]:
    rules = (flag.point, flag.bits, flag.bad, flag.required)
    if rules != (base.point, base.bits, base.bad, base.required):
        required = f"{base.point} required {list(base.required or ())}"
        yield Weaker(where, required)
    if base.action == "trip" and flag.action != "trip":
        yield Weaker(f"{where}.action", base.action)
    if not _STOPPED[base.stops] <= _STOPPED[flag.stops]:
        yield Weaker(f"{where}.stops", base.stops)
    # a trip must not wait longer; a hold must not let go earlier
    later = flag.delay > base.delay if base.action == "trip" else flag.delay < base.delay
    if later:
        yield Weaker(f"{where}.delay", f"{base.delay:g} s")
    if base.plant_wide and not flag.plant_wide:
        yield Weaker(f"{where}.plant_wide", "true")
    if flag.reset < base.reset:
        yield Weaker(f"{where}.reset", base.reset.label)
