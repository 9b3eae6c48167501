"""What the plant would be asked to do if a request stood now: the same sums as the guard's, on a copy of its memory.

    {"op": "preview", "power": 20.0, "for": 60, "reason": "…"}            # the fields of `request`

A preview looks at the last image, resolves the request among the live ones, and goes to where ramps and dwell times
end; the first of them that would hold it back is named. It changes nothing: no lease, no memory, no count. It runs
between two cycles, as every answer of the socket, costs less than a decision, and whatever it raises is its own answer.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bessai.core.granting import Rehearsal
from bessai.core.guard import SafetyGuard, plant_state
from bessai.core.reactive import reactive_bounds, supported
from bessai.core.request_messages import request_from
from bessai.core.requests import RequestBook, Resolution, resolve
from bessai.core.summing import total
from bessai.core.unit import Look
from bessai.core.unit_memory import GRANTING
from bessai.model import Bounds, Clock, GuardState, Request

log = logging.getLogger("bessai.socket")

_FIELDS = frozenset(
    ("op", "source", "priority", "power", "low", "high", "for", "reactive", "reactive_low", "reactive_high", "firm")
) | {"soc_target", "reason", "id"}  # fmt: skip
_ON_THE_WAY = ("ramp", "min_on", "min_off")
_CLOSE = 0.0015
"""kW; the gateway commands whole watts."""


class Previews:
    """Answers the op `preview`.

    Args:
        guard: whose last look counts.
        book: the live requests.
        clock: of the leases.
        cycle: number of the cycle that ran last.
    """

    def __init__(self, guard: SafetyGuard, book: RequestBook, clock: Clock, cycle: Callable[[], int]) -> None:
        self._guard = guard
        self._book = book
        self._clock = clock
        self._cycle = cycle

    @property
    def handlers(self) -> Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """By `op`."""
        return {"preview": self._answer}

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(message) - _FIELDS):
            raise ValueError(f"{unknown[0]}: a request has no such field")
        now = self._clock.monotonic()
        request = request_from(message, now)
        requests = self._book.with_(request, now)
        try:
            found = preview(self._guard, requests, request, now)
        except Exception as error:
            log.exception("a preview failed")
            raise ValueError(f"no preview: {type(error).__name__}: {error}") from error
        return {"preview": found | {"cycle": self._cycle()}}


def preview(guard: SafetyGuard, requests: Sequence[Request], request: Request, now: float) -> dict[str, Any]:
    """What the guard would make of some requests on its last images, as plain data.

    Args:
        guard: is only looked at.
        requests: the live ones with the one that is asked about, highest priority first.
        request: the one that is asked about.
        now: monotonic seconds.
    """
    looks = guard.looks
    states = guard.states()
    if not looks or set(looks) != set(states):
        states = dict.fromkeys(states, GuardState.STARTING)
        return _nothing(requests, request, now, GuardState.STARTING, ["no cycle has looked at the plant yet"])
    state = plant_state(states.values())
    if state is GuardState.MONITOR:
        why = [look.refusal for look in looks.values() if look.refusal]
        return _nothing(requests, request, now, state, ["the gateway does not control this plant", *why])
    resolution, states = _resolved(guard, requests, states, now)
    state = plant_state(states.values())
    commanded = [name for name, one in states.items() if one is not GuardState.MONITOR]
    rated = total(looks[name].envelope.rated for name in commanded)
    rehearsal = guard.granting.rehearse(resolution, states, looks, _kvar(guard, states), state, rated, now)
    running = any(one in GRANTING for one in states.values())
    limits = list(_limits(resolution, rehearsal, looks, rated, requests, running=running, state=state))
    told = [unit.setpoint for unit in rehearsal.units if unit.setpoint is not None]
    given = [unit.reactive for unit in rehearsal.units if unit.reactive is not None]
    answer = _plain(resolution, request) | {
        "state": state.value,
        "setpoint": round(math.fsum(told), 3) + 0.0,
        "target": rehearsal.target,
        "bounds": _ends(resolution.sum_bounds),
        "asked": rehearsal.asked if resolution.winner else None,
        "reactive": round(math.fsum(given), 3) + 0.0 if given else None,
        "limited_by": limits,
    }
    answer["clipped"] = _clipped(answer, request, resolution, rehearsal)
    reasons = [c.message for c in guard.conditions if c.severity.name == "ALARM"] if not running else []
    return answer | {"words": list(_words(answer, request, resolution, reasons))}


def _resolved(
    guard: SafetyGuard, requests: Sequence[Request], states: dict[str, GuardState], now: float
) -> tuple[Resolution, dict[str, GuardState]]:
    """The requests inside what the units may; and the states, as a request that ends a dead-man test makes them."""
    granted = [name for name, one in states.items() if one in GRANTING]
    envelope = total(guard.looks[name].envelope.bounds for name in granted)
    resolution = resolve(requests, envelope, now, total(_kvar(guard, states).values()))
    tested = [name for name in granted if guard.units[name].withheld]
    standing = math.fsum(unit.standing or 0.0 for unit in guard.units.values())
    around = resolution.sum_bounds
    if not tested or Bounds(min(around.low, 0.0), max(around.high, 0.0)).clip(standing) == standing:
        return resolution, states
    return _resolved(guard, requests, states | dict.fromkeys(tested, GuardState.HOLD), now)


def _kvar(guard: SafetyGuard, states: Mapping[str, GuardState]) -> dict[str, Bounds]:
    units = guard.units
    return {
        name: reactive_bounds(units[name])
        for name, one in states.items()
        if one in GRANTING and supported(units[name])
    }


def _limits(
    resolution: Resolution,
    rehearsal: Rehearsal,
    looks: Mapping[str, Look],
    rated: Bounds,
    requests: Sequence[Request],
    *,
    running: bool,
    state: GuardState,
) -> Iterator[dict[str, Any]]:
    """What narrows the result, in the order of `limited_by` of a decision, with its own bounds where known."""
    names = [*resolution.limited_by, *rehearsal.limited_by]
    known: dict[str, Bounds] = {f"request:{r.source}": r.bounds for r in requests}
    known |= {f"impossible:{r.source}": r.bounds for r in requests}
    known["plant"] = rated
    asked = rehearsal.asked
    if resolution.winner is not None and asked is not None and rehearsal.target != asked:
        for look in looks.values():
            own = look.envelope.limited_by
            names += own
            if len(own) == 1 and len(looks) == 1:  # of several nobody knows which leaves what
                known[own[0]] = look.envelope.bounds
        names += ["plant"] if running and rated.clip(asked) != asked else []
    if not running:
        names.append(state.value)
        known[state.value] = Bounds(0.0, 0.0)
    for name in dict.fromkeys(names):
        low, high = _ends(known.get(name, Bounds()))
        yield {"name": name, "low": low, "high": high}


def _plain(resolution: Resolution, request: Request) -> dict[str, Any]:
    own = next((one for one in resolution.considered if one.source == request.source), None)
    winner = resolution.winner
    return {
        "winner": None if winner is None else winner.source,
        "winner_priority": None if winner is None else winner.priority.name.lower(),
        "role": None if own is None else own.role,
    }


def _clipped(answer: Mapping[str, Any], request: Request, resolution: Resolution, done: Rehearsal) -> bool:
    """True when the request does not get all that it wishes."""
    reactive = request.reactive is not None and (
        answer["reactive"] is None or abs(answer["reactive"] - request.reactive) >= _CLOSE
    )
    if request.power is None and request.soc_target is None:
        return reactive or answer["role"] == "impossible"
    mine = resolution.winner is request
    kept = done.asked is not None and abs(done.target - done.asked) < _CLOSE
    met = any(name in {"refused", "dead_man_test"} for name in done.limited_by)
    return reactive or not mine or not kept or met or answer["state"] not in {s.value for s in GRANTING}


def _nothing(
    requests: Sequence[Request], request: Request, now: float, state: GuardState, words: list[str]
) -> dict[str, Any]:
    """The answer where nothing is granted, whoever asks."""
    resolution = resolve(requests, Bounds(0.0, 0.0), now)
    return _plain(resolution, request) | {
        "state": state.value,
        "setpoint": None if state is GuardState.MONITOR else 0.0,
        "target": None,
        "bounds": [0.0, 0.0],
        "asked": None,
        "reactive": None,
        "limited_by": [{"name": state.value, "low": 0.0, "high": 0.0}],
        "clipped": True,
        "words": words,
    }


def _words(
    answer: Mapping[str, Any], request: Request, resolution: Resolution, reasons: Sequence[str]
) -> Iterator[str]:
    setpoint, winner = answer["setpoint"], resolution.winner
    if answer["state"] not in {s.value for s in GRANTING}:
        yield f"the plant is in the state {answer['state']}: zero power, whoever asks"
        yield from reasons
        return
    yield f"the plant would be told {setpoint:g} kW"
    wishes = request.power is not None or request.soc_target is not None
    if answer["role"] == "impossible":
        yield "its bounds leave nothing of what outranks it: it would be passed over"
    elif wishes and winner is not None and winner is not request:
        below = winner.priority < request.priority
        how = "of lower priority, prefers another power inside the bounds; set low and high to bind it"
        yield f"{winner.source} would decide" + (f": it is {how}" if below else ", it outranks this request")
    ways = [one["name"] for one in answer["limited_by"] if one["name"].startswith(_ON_THE_WAY)]
    if ways:
        yield f"not at once: {', '.join(ways)}"
    others = [one["name"] for one in answer["limited_by"] if one["name"] not in ways]
    if others:
        yield f"limited by {', '.join(others)}"


def _ends(bounds: Bounds) -> list[float | None]:
    return [end if math.isfinite(end) else None for end in (bounds.low, bounds.high)]
