"""A recorded decision for people: its steps from what the battery can do to the set-point, and in sentences.

A record says what the guard allowed each unit, every live request with its bounds, what was left, the power before
ramps, and the set-point. It does not say what each single limit left: that is None here, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bessai.interfaces.api.answers import finite, time_text
from bessai.model import Priority
from bessai.model import wording as words

Pair = tuple[float | None, float | None]
"""Lowest and highest kW; None: not known."""

_LATER = {"write_interval", "refused"}
"""Limits of a unit that come after the requests."""
_UNKNOWN: Pair = (None, None)


def decision_as_plain(decision: Mapping[str, Any]) -> dict[str, Any]:
    """The decision of a record in the form of the status."""
    return {
        "state": decision.get("state"),
        "asked": finite(decision.get("asked")),
        "setpoint": finite(decision.get("setpoint")),
        "target": finite(decision.get("target")),
        "offset": finite(decision.get("offset")),
        "bounds": list(_pair(decision.get("bounds"))),
        "reactive": finite(decision.get("reactive")),
        "reactive_asked": finite(decision.get("reactive_asked")),
        "source": decision.get("source"),
        "reason": decision.get("reason") or "",
        "limited_by": list(decision.get("limited_by") or ()),
        "reasons": list(decision.get("reasons") or ()),
        "requests": [_request(one) for one in decision.get("considered") or ()],
        "trips": [_trip(trip) for trip in decision.get("trips") or ()],
    }


def steps(decision: Mapping[str, Any], reported: Pair = _UNKNOWN) -> list[dict[str, Any]]:
    """From what the battery can do, through limits and requests, to the set-point, each with what it leaves.

    Args:
        decision: of a record.
        reported: lowest and highest kW that the battery itself reports, measured in the same cycle.

    `low` and `high` are kW after the step; None where the record does not say.
    """
    units = [u for u in decision.get("units") or () if u.get("state") != "monitor"]
    guard, left = _sum([_pair(u.get("bounds")) for u in units]), _pair(decision.get("bounds"))
    own = list(dict.fromkeys(name for u in units for name in u.get("limited_by") or () if name not in _LATER))
    found = [_step("bounds", "reported", reported, None, words.step_words("reported"))]
    # what all of them leave is known, what each of them leaves is not
    found += [
        _step("limit", name, guard if name == own[-1] else _UNKNOWN, None, words.in_words(name))
        for name in own
    ]
    found.append(_step("bounds", "guard", guard, None, words.step_words("guard")))
    found += _requests(decision.get("considered") or (), guard)
    target = finite(decision.get("target"))
    found.append(_step("bounds", "left", left, target, words.step_words("left")))
    for name in decision.get("limited_by") or ():
        if name not in own and not name.startswith(("request:", "impossible:")):
            found.append(_step("limit", name, _UNKNOWN, None, words.in_words(name)))
    setpoint = finite(decision.get("setpoint"))
    what = words.step_words("monitor" if setpoint is None else "setpoint")
    found.append(_step("result", "setpoint", left if setpoint is not None else _UNKNOWN, setpoint, what))
    return found


def sentences(decision: Mapping[str, Any], language: str) -> list[str]:
    """Who asked, what narrowed it, and what the plant is told, one sentence each."""
    source, asked = decision.get("source"), finite(decision.get("asked"))
    if source:
        power: Any = words.sentence("no_power") if asked is None else _kw(asked, language)
        reason = decision.get("reason")
        name = "asked" if reason else "asked_plain"
        said = [words.sentence(name, source=source, power=power, reason=reason)]
    else:
        said = [words.sentence("nobody")]
    for limit in decision.get("limited_by") or ():
        said.append(words.sentence("limit", name=limit, text=words.in_words(limit)))
    for trip in decision.get("trips") or ():
        said.append(words.sentence("trip", name=trip.get("code")))
    setpoint = finite(decision.get("setpoint"))
    if setpoint is None:
        said.append(words.step_words("monitor"))
    else:
        said.append(words.sentence("told", power=_kw(setpoint, language)))
    return [text[language] for text in said]


def _requests(considered: Sequence[Mapping[str, Any]], guard: Pair) -> list[dict[str, Any]]:
    """Each request in order of priority, with what is left for those below. Nobody binds who outranks him."""
    low, high = guard
    winner = next((_rank(one) for one in considered if one.get("role") == "won"), None)
    found = []
    for one in considered:
        binds = one.get("role") != "impossible" and (winner is None or _rank(one) >= winner)
        ask = _pair(one.get("bounds"))
        if binds:
            low = low if low is None or ask[0] is None else max(low, ask[0])
            high = high if high is None or ask[1] is None else min(high, ask[1])
        role = str(one.get("role"))
        plain = one.get("power") is None and one.get("soc_target") is None
        other = one.get("offset") is not None or one.get("reactive") is not None
        text = words.role_words("no_power" if role == "bounds_only" and plain and other else role)
        step = _step("request", str(one.get("source")), (low, high), finite(one.get("power")), text)
        found.append(
            step
            | {
                "priority": str(one.get("priority")),
                "role": role,
                "asks": list(ask),
                "offset": finite(one.get("offset")),
                "soc_target": finite(one.get("soc_target")),
            }
        )
    return found


def _step(kind: str, name: str, bounds: Pair, power: float | None, text: words.Words) -> dict[str, Any]:
    return {"kind": kind, "name": name, "low": bounds[0], "high": bounds[1], "power": power, "text": text}


def _rank(one: Mapping[str, Any]) -> int:
    name = str(one.get("priority")).upper()
    return Priority[name] if name in Priority.__members__ else 0


def _sum(pairs: Sequence[Pair]) -> Pair:
    """What several units may do together; None where one of them is not known."""
    if not pairs:
        return _UNKNOWN
    lows, highs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return (
        None if None in lows else round(sum(low for low in lows if low is not None), 6) + 0.0,
        None if None in highs else round(sum(high for high in highs if high is not None), 6) + 0.0,
    )


def _pair(bounds: Mapping[str, Any] | None) -> Pair:
    return _UNKNOWN if bounds is None else (finite(bounds.get("low")), finite(bounds.get("high")))


def _request(one: Mapping[str, Any]) -> dict[str, Any]:
    numbers = ("power", "reactive", "soc_target", "offset", "seconds_left")
    return {
        "source": str(one.get("source")),
        "priority": str(one.get("priority")),
        "bounds": list(_pair(one.get("bounds"))),
        "role": str(one.get("role")),
        "reason": str(one.get("reason") or ""),
        "id": str(one.get("id") or ""),
        **{name: finite(one.get(name)) for name in numbers},
    }


def _trip(trip: Mapping[str, Any]) -> dict[str, Any]:
    wall_ns = trip.get("wall_ns")
    return {
        "code": str(trip.get("code")),
        "unit": str(trip.get("unit") or ""),
        "plant_wide": bool(trip.get("plant_wide")),
        "point": trip.get("point"),
        "value": finite(trip.get("value")),
        "message": str(trip.get("message") or ""),
        "time": time_text(wall_ns) if wall_ns else None,
    }


def _kw(power: float, language: str) -> str:
    text = f"{power:g} kW"
    return text.replace(".", ",") if language == "es" else text  # in Chile 1.766 is a thousand and more
