"""What the schema alone cannot say: names that must exist, units that must agree, addresses that collide."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from bessai.model import SHARED_POINTS
from bessai.registry.commands import Control, DurationDeadMan, NoDeadMan, TimeoutDeadMan
from bessai.registry.compiled import encode
from bessai.registry.schema import Point, Profile

Problem = tuple[str, str]
"""Path of the field, and the mend."""


def cross_check(profile: Profile, stem: str) -> Iterator[Problem]:
    """Every inconsistency of a profile whose fields are each valid. `stem` is the file's name."""
    if profile.id != stem:
        yield "id", f"must equal the file's name, {stem!r}"
    yield from _points(profile)
    yield from _sources(profile)
    if profile.control is not None:
        yield from _control(profile, profile.control)
        if profile.dead_man is None:
            yield "dead_man", "a profile with `control` must say how the device falls back; see docs"
    yield from _dead_man(profile)
    yield from _identity(profile)


def _points(profile: Profile) -> Iterator[Problem]:
    for name, point in profile.points.items():
        shared = SHARED_POINTS.get(name)
        if shared is not None and point.unit != shared.unit:
            yield f"points.{name}.unit", f"the shared name {name!r} is in {shared.unit or 'no unit'}"
        if point.registers > profile.connection.max_registers:
            yield f"points.{name}", "is larger than `connection.max_registers`"
        if point.station is not None and point.station not in profile.connection.stations:
            known = profile.connection.stations
            yield f"points.{name}.station", f"is not in `connection.stations`{_suggest(point.station, known)}"
        if point.scale is not None:
            yield from _scale(profile, name, point)
    places = {(point.station, point.table) for point in profile.points.values()}
    for place in sorted(places, key=str):
        spans = sorted(
            (point.address, point.address + point.registers, name)
            for name, point in profile.points.items()
            if (point.station, point.table) == place
        )
        widest = (0, 0, "")
        for span in spans:
            if span[0] < widest[1] and span[:2] != widest[:2]:
                yield f"points.{span[2]}.address", f"overlaps {widest[2]!r}, which ends at {widest[1] - 1}"
            widest = max(widest, span, key=lambda item: item[1])


def _scale(profile: Profile, name: str, point: Point) -> Iterator[Problem]:
    scale = profile.points.get(point.scale or "")
    if scale is None:
        yield f"points.{name}.scale", f"no point {point.scale!r}{_suggest(point.scale or '', profile.points)}"
    elif (
        scale.type not in {"i16", "u16"}
        or scale.scale is not None
        or (scale.gain, scale.offset) != (1.0, 0.0)
    ):
        yield f"points.{name}.scale", f"{point.scale!r} must be a plain `i16` or `u16`"
    elif scale.valid is None or not -10 <= scale.valid[0] <= scale.valid[1] <= 10:
        yield f"points.{point.scale}.valid", "an exponent of ten needs `valid` within [-10, 10]"
    elif _pace(scale) > _pace(point):
        yield f"points.{point.scale}.poll", f"must be read at least as often as {name!r}"


def _pace(point: Point) -> int:
    return ("fast", "normal", "slow", "once", "never").index(point.poll)


def _identity(profile: Profile) -> Iterator[Problem]:
    if profile.status == "field-tested" and not profile.field_tests:
        yield "status", "`field-tested` needs its evidence in `field_tests`"
    if profile.alive is not None:
        field, point = "alive.point", profile.points.get(profile.alive.point)
        if point is None:
            yield field, f"no point {profile.alive.point!r}{_suggest(profile.alive.point, profile.points)}"
        elif point.poll != "fast" or point.type == "text":
            yield field, f"{profile.alive.point!r} must be a number with poll `fast`"
    for i, check in enumerate(profile.fingerprint):
        point = profile.points.get(check.point or "")
        if check.point is None:
            continue
        if point is None:
            yield f"fingerprint.{i}.point", f"no point {check.point!r}{_suggest(check.point, profile.points)}"
        elif (point.type == "text") != (check.matches is not None):
            yield f"fingerprint.{i}", "`matches` is for texts, and a text needs it"
        elif point.poll == "never":
            yield f"fingerprint.{i}.point", f"{check.point!r} is never read"


def _sources(profile: Profile) -> Iterator[Problem]:
    cited = [(f"points.{name}.sources", point.sources) for name, point in profile.points.items()]
    cited += [(f"caveats.{i}.source", [caveat.source]) for i, caveat in enumerate(profile.caveats)]
    if profile.dead_man is not None:
        cited.append(("dead_man.sources", profile.dead_man.sources))
    for field, sources in cited:
        for source in sources:
            if source not in profile.sources:
                yield field, f"{source!r} is not in `sources`{_suggest(source, profile.sources)}"
    for name, point in profile.points.items():
        if not point.sources:
            yield f"points.{name}.sources", "say where the address was read"
        elif profile.status != "documented" and len(set(point.sources)) < 2:
            yield f"points.{name}.sources", f"status {profile.status!r} needs a second source"


def _control(profile: Profile, control: Control) -> Iterator[Problem]:
    def power(field: str, name: str | None, *units: str) -> Iterator[Problem]:
        point = profile.points.get(name) if name else None
        if name and point is None:
            yield field, f"no point {name!r}{_suggest(name, profile.points)}"
        elif point is not None and point.unit not in (units or ("kW",)):
            yield field, f"{name!r} must be in {' or '.join(units or ('kW',))}"

    for field in ("charge", "discharge", "zero", "stop", "reactive", "charge_limit", "discharge_limit"):
        for i, step in enumerate(getattr(control, field) or ()):
            path = f"control.{field}.{i}"
            point = profile.points.get(step.point)
            if point is None:
                yield f"{path}.point", f"no point {step.point!r}{_suggest(step.point, profile.points)}"
                continue
            if point.access == "r":
                yield f"{path}.point", f"{step.point!r} has access `r`; a written point needs `rw` or `w`"
            if step.value is not None:
                yield from _encodable(f"{path}.value", profile, step.point, step.value)
            elif step.of is not None:
                whole = ("kvar", "kVA") if step.quantity == "reactive" else ("kW",)
                yield from power(f"{path}.of", step.of, *whole)
                if point.unit != "%":
                    yield f"{path}.of", f"{step.point!r} must be in %"
            elif step.quantity == "dead_man_time":
                yield from _seconds(f"{path}.point", step.point, point)
            elif point.unit != (unit := "kvar" if step.quantity == "reactive" else "kW"):
                yield f"{path}.quantity", f"{step.point!r} must be in {unit}"
    for field in ("measured", "charge_power_max", "discharge_power_max"):
        yield from power(f"control.{field}", getattr(control, field))
    for field in ("reactive_power_max", "absorbed_reactive_power_max", "measured_reactive"):
        yield from power(f"control.{field}", getattr(control, field), "kvar")
    yield from power("control.apparent_power_max", control.apparent_power_max, "kVA")
    for i, name in enumerate(control.evidence):
        point = profile.points.get(name)
        if point is None:
            yield f"control.evidence.{i}", f"no point {name!r}{_suggest(name, profile.points)}"
        elif point.poll != "fast":
            yield f"control.evidence.{i}", f"{name!r} must have poll `fast`"
        elif point.type == "text":
            yield f"control.evidence.{i}", f"{name!r} is a text; evidence is numbers"
    if control.measured not in control.evidence:
        yield "control.evidence", f"must contain {control.measured!r}, which proves every command"
    for name, states in control.running_states.items():
        if name not in control.evidence:
            yield f"control.running_states.{name}", "must be an evidence point"
        elif (point := profile.points.get(name)) is not None:
            known = {int(key, 0) for key in point.enum or {}}
            for state in states:
                if state not in known:
                    yield f"control.running_states.{name}", f"{state} is not in the point's `enum`"


def _dead_man(profile: Profile) -> Iterator[Problem]:
    dead_man = profile.dead_man
    if dead_man is None or isinstance(dead_man, NoDeadMan):
        return
    names = list(getattr(dead_man, "feed", ()))
    for field, name in [("feed", name) for name in names] + (
        [("point", dead_man.point)] if hasattr(dead_man, "point") else []
    ):
        point = profile.points.get(name)
        if point is None:
            yield f"dead_man.{field}", f"no point {name!r}{_suggest(name, profile.points)}"
        elif point.access == "r":
            yield f"dead_man.{field}", f"{name!r} has access `r`; it must be written"
        elif field == "point" and isinstance(dead_man, DurationDeadMan | TimeoutDeadMan):
            yield from _seconds("dead_man.point", name, point)
            yield from _dead_man_time(profile, dead_man, point)
            if point.access != "rw":
                yield "dead_man.point", f"{name!r} must be readable: an unproved dead-man is none"
    remaining = profile.points.get(dead_man.remaining or "")
    if dead_man.remaining is not None and (remaining is None or remaining.poll != "fast"):
        yield "dead_man.remaining", f"{dead_man.remaining!r} must be a point with poll `fast`"
    if 2 * dead_man.feed_interval > dead_man.time:
        yield "dead_man.feed_interval", "must be at most half of `time`, so that one lost feed does no harm"
    for field in ("charge", "discharge", "zero") if profile.control is not None else ():
        steps = getattr(profile.control, field)
        if isinstance(dead_man, DurationDeadMan) and not any(
            s.point == dead_man.point and s.quantity == "dead_man_time" for s in steps
        ):
            yield f"control.{field}", f"must write `dead_man_time` to {dead_man.point!r}"
        if names and not any(step.point in names for step in steps):
            yield f"control.{field}", "must write a point of `dead_man.feed`"


def _dead_man_time(
    profile: Profile, dead_man: DurationDeadMan | TimeoutDeadMan, point: Point
) -> Iterator[Problem]:
    time = dead_man.time / 60 if point.unit == "min" else dead_man.time
    yield from _encodable("dead_man.time", profile, dead_man.point, time)
    steps = (time - point.offset) / point.gain
    if abs(steps - round(steps)) > 1e-6:
        step = abs(point.gain) * (60 if point.unit == "min" else 1)
        yield "dead_man.time", f"{dead_man.point!r} counts in steps of {step:g} s; use a multiple"


def _encodable(field: str, profile: Profile, name: str, value: float) -> Iterator[Problem]:
    point = profile.points[name]
    if point.scale is not None:
        return  # what fits depends on the exponent that the device will have
    own = point.sentinel_list()
    try:
        encode(point, value, frozenset(profile.sentinels.get(point.type, []) if own is None else own))
    except ValueError as error:
        yield field, f"cannot be written to {name!r}: {error}"


def _seconds(field: str, name: str, point: Point) -> Iterator[Problem]:
    if point.unit not in {"s", "min"}:
        yield field, f"{name!r} must be in `s` or `min` to hold a time"


def _suggest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
