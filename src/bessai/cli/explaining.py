"""A cycle's record in words: who asked, what narrowed it, what was written, what came back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bessai.cli.export import LABELS, time_text
from bessai.journal import Entry
from bessai.model import Quality, wording

_MEASURED = ("battery_power", "active_power", "grid_power", "reactive_power", "soc")


def in_words(limit: str) -> str:
    """What one name of `limited_by` means."""
    return wording.in_words(limit)["en"]


def explained(entry: Entry) -> Iterator[str]:
    """The lines about one cycle. A record of an older version lacks some of them."""
    decision = entry.decision
    late = "" if entry.verified else "  (not a complete, verified cycle)"
    yield f"{time_text(entry.wall_ns)}  cycle {entry.cycle}  {decision.get('state', '?')}{late}"
    yield "asked"
    yield from _asked(decision)
    yield "narrowed"
    yield from _narrowed(decision)
    yield "decided"
    yield f"  {_way(decision)}"
    if units := decision.get("units"):
        yield "units"
        yield from _units(units)
    yield "written"
    yield from _written(entry)
    yield "came back"
    yield from _measured(entry)
    if timing := entry.timing:
        parts = [f"{name} {timing[name] * 1000:.1f}" for name in timing if _number(timing[name]) is not None]
        yield f"timing, ms: {', '.join(parts)}"
    for event in entry.events:
        ended = "" if event.active else " (ended)"
        yield f"event: {event.severity.label} {event.code}{ended}: {event.message}"


def summary(entry: Entry) -> tuple[Any, ...]:
    """What must change for a cycle to be worth a line: the plant's and each unit's state, setpoint and why."""
    decision = entry.decision
    units = tuple((u.get("unit"), u.get("state"), u.get("setpoint")) for u in decision.get("units") or ())
    trips = tuple((t.get("code"), t.get("unit")) for t in decision.get("trips") or ())
    return (
        decision.get("state"),
        decision.get("setpoint"),
        decision.get("reactive"),
        decision.get("source"),
        tuple(decision.get("limited_by") or ()),
        trips,
        units,
    )


def change_line(entry: Entry) -> str:
    """One cycle in one line."""
    decision = entry.decision
    parts = [time_text(entry.wall_ns), f"{decision.get('state', '?'):<10}", _kw(decision.get("setpoint"))]
    if (reactive := decision.get("reactive")) is not None:
        parts.append(f"{reactive:g} kvar")
    source, asked = decision.get("source"), decision.get("asked")
    parts.append(f"{source} asked {_kw(asked)}" if source else "nobody asked")
    if decision.get("limited_by"):
        parts.append(f"limited by {', '.join(decision['limited_by'])}")
    parts += [f"trip {_trip_name(trip)}" for trip in decision.get("trips") or ()]
    if not decision.get("source") and decision.get("reasons"):
        parts.append("; ".join(decision["reasons"]))
    return "  ".join(parts)


def _asked(decision: Mapping[str, Any]) -> Iterator[str]:
    considered = decision.get("considered")
    if considered is None:  # an older record knows the winner only
        source = decision.get("source")
        yield f"  {source}: {_kw(decision.get('asked'))}" if source else "  nobody: zero is commanded"
        return
    if not considered:
        yield "  nobody: zero is commanded"
    for one in considered:
        wish = [_kw(one.get("power"))] if one.get("power") is not None else []
        if one.get("reactive") is not None:
            wish.append(f"{one['reactive']:g} kvar")
        if one.get("offset") is not None:
            wish.append(f"{one['offset']:+.4g} kW on top")
        if one.get("soc_target") is not None:
            wish.append(f"to {one['soc_target']:g} % SOC")
        if (within := _bounds(one.get("bounds"))) is not None:
            wish.append(f"within {within}")
        left = _number(one.get("seconds_left"))
        parts = [
            f"{one.get('source')} ({str(one.get('priority', '?')).replace('_', ' ')})",
            f"{', '.join(wish) or 'nothing'}",
            _role(one),
            f"{left:.0f} s left" if left is not None else "no end",
        ]
        reason = f" “{one['reason']}”" if one.get("reason") else ""
        identity = f" [id {one['id']}]" if one.get("id") else ""
        yield f"  {': '.join(parts[:2])}; {'; '.join(parts[2:])}{reason}{identity}"


def _role(one: Mapping[str, Any]) -> str:
    role = str(one.get("role", "?"))
    if role == "bounds_only" and (one.get("offset") is not None or one.get("reactive") is not None):
        role = "no_power"
    return wording.role_words(role)["en"]


def _narrowed(decision: Mapping[str, Any]) -> Iterator[str]:
    bounds = _bounds(decision.get("bounds"))
    yield f"  to {bounds}" if bounds is not None else "  by nothing: no bounds"
    for limit in decision.get("limited_by") or ():
        yield f"  {limit}: {in_words(limit)}"
    for reason in decision.get("reasons") or ():
        yield f"  guard: {reason}"
    for trip in decision.get("trips") or ():
        value = "" if trip.get("value") is None else f" ({trip.get('point') or 'value'} {trip['value']:g})"
        since = f", since {time_text(trip['wall_ns'])}" if trip.get("wall_ns") else ""
        yield f"  trip {_trip_name(trip)}{since}: {trip.get('message') or 'stands'}{value}"


def _trip_name(trip: Mapping[str, Any]) -> str:
    where = "the whole plant" if trip.get("plant_wide") else trip.get("unit")
    return f"{trip.get('code')} of {where}" if where else str(trip.get("code"))


def _way(decision: Mapping[str, Any]) -> str:
    if decision.get("setpoint") is None:
        return "no setpoint: the gateway does not control"
    steps = [("asked", decision.get("asked")), ("target", decision.get("target"))]
    way = [f"{name} {_kw(value)}" for name, value in steps if value is not None]
    if (offset := decision.get("offset")) is not None:
        way.append(f"{offset:+g} kW for the grid's frequency")
    text = " → ".join([*way, f"setpoint {_kw(decision['setpoint'])}"])
    if (reactive := decision.get("reactive")) is not None:
        asked = decision.get("reactive_asked")
        text += f"; reactive {'' if asked is None else f'asked {asked:g} kvar → '}{reactive:g} kvar"
    target = decision.get("target")
    ramps = any(limit.startswith(("ramp", "min_")) for limit in decision.get("limited_by") or ())
    return text + (" (on its way)" if ramps and target != decision["setpoint"] else "")


def _units(units: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for unit in units:
        bounds = _bounds(unit.get("bounds"))
        parts = [str(unit.get("state")), _kw(unit.get("setpoint"))]
        if unit.get("reactive") is not None:
            parts.append(f"{unit['reactive']:g} kvar")
        if bounds is not None:
            parts.append(f"may {bounds}")
        if unit.get("limited_by"):
            parts.append("; ".join(f"{limit}: {in_words(limit)}" for limit in unit["limited_by"]))
        yield f"  {unit.get('unit') or 'device'}: {', '.join(parts)}"


def _written(entry: Entry) -> Iterator[str]:
    outcome = entry.outcome
    if outcome is None:
        controlled = entry.decision.get("setpoint") is not None
        yield "  nothing new" if controlled else "  nothing"
    else:
        outcomes = outcome.items() if outcome and "verified" not in outcome else [("", outcome)]
        for unit, one in outcomes:  # one of the plant, or one a unit
            writes = ", ".join(
                f"{write['point']}={_plain(write['value'])}" for write in one.get("written") or ()
            )
            came = "read back as written" if one.get("verified") else f"NOT verified: {one.get('error')}"
            yield f"  {f'{unit}: ' if unit else ''}{writes or 'nothing acknowledged'} ({came})"
    if entry.fed:
        yield "  the dead-man was fed"


def _measured(entry: Entry) -> Iterator[str]:
    last = [name for name in entry.layout.names if name.rpartition(".")[2] in _MEASURED]
    names = [name for name in last if "." not in name] or last
    parts = []
    for name in names[:12]:
        i = entry.layout.index[name]
        good = entry.quality[i] == Quality.GOOD
        value = f"{entry.values[i]:.6g} {entry.layout.units[i] or ''}".rstrip()
        age = float(entry.ages[i])
        old = f" ({age:.1f} s old)" if math.isfinite(age) and age > 1.0 else ""
        parts.append(f"{name} {value if good else LABELS.get(int(entry.quality[i]), '?')}{old}")
    yield f"  {', '.join(parts)}" if parts else "  no power or state of charge is recorded"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _kw(value: object) -> str:
    return f"{value:g} kW" if isinstance(value, int | float) else "no power"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "?"


def _bounds(bounds: Mapping[str, Any] | None) -> str | None:
    """None when both ends are open."""
    low, high = (None, None) if bounds is None else (bounds.get("low"), bounds.get("high"))
    if low is None and high is None:
        return None
    ends = ("-∞" if low is None else f"{low:g}", "∞" if high is None else f"{high:g}")
    return f"{ends[0]} … {ends[1]} kW"
