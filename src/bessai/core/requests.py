"""Leases on power: higher priority narrows the bounds, lower priority wins inside them.

    book = RequestBook()
    book.put(Request(source="operator", priority=Priority.OPERATOR, power=-20.0, expires=now + 60))
    resolve(book.live(now), Bounds(-50, 50)).power      # -20.0

A frequency response is not a wish for a power but an offset to whatever was preferred: the sum keeps to the bounds of
its own priority and of higher ones.

A lease that has expired, or whose bounds leave nothing of what outranks it, counts as none. Nobody asking
means zero. Bounds of reactive power beyond what the devices have now are met as nearly as they can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from bessai.model import Bounds, Considered, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What the live requests amount to."""

    power: float
    """In kW, inside `bounds`."""
    bounds: Bounds
    winner: Request | None
    """None when nobody prefers a power."""
    limited_by: tuple[str, ...] = ()
    """Sources whose bounds clipped the winner, and `impossible:SOURCE` for requests that were left out."""
    considered: tuple[Considered, ...] = ()
    offset: float | None = None
    """kW to be added to `power`; None when nobody offers any."""
    sum_bounds: Bounds
    """kW that power and offset keep to together; `bounds` when there is no offset."""
    ramp: float | None = None
    """kW per second by which the preferred power may change; None: as the plant's own ramps."""
    reactive: float | None = None
    """In kvar, inside `reactive_bounds`; None when nobody prefers any."""
    reactive_asked: float | None = None
    reactive_bounds: Bounds = field(default_factory=Bounds)


class RequestBook:
    """The live requests, one a source."""

    def __init__(self) -> None:
        self._requests: dict[str, Request] = {}

    def put(self, request: Request) -> None:
        """Add a request, or renew the one of the same source.

        Raises:
            ValueError: the power or a bound is not a number, or the bounds are empty.
        """
        check(request)
        self._requests[request.source] = request

    def cancel(self, source: str) -> bool:
        """End a lease early. False when the source has none."""
        return self._requests.pop(source, None) is not None

    def renew(self, source: str, now: float, seconds: float) -> bool:
        """Let a live lease last some seconds from now. False when the source has none."""
        request = self._requests.get(source)
        if request is None or request.expires <= now:
            return False
        self._requests[source] = replace(request, expires=now + seconds)
        return True

    def live(self, now: float) -> list[Request]:
        """Requests that have not expired, highest priority first; forgets the others."""
        self._requests = {s: r for s, r in self._requests.items() if r.expires > now}
        return sorted(self._requests.values(), key=lambda r: -r.priority)

    def with_(self, request: Request, now: float) -> list[Request]:
        """What `live` would give if a request were put. Changes nothing.

        Raises:
            ValueError: as `put`.
        """
        check(request)
        after = {s: r for s, r in self._requests.items() if r.expires > now} | {request.source: request}
        return sorted(after.values(), key=lambda r: -r.priority)


def check(request: Request) -> None:
    """Refuse what is no request.

    Raises:
        ValueError: as `RequestBook.put`.
    """
    if request.reactive is not None and not abs(request.reactive) < float("inf"):
        raise ValueError(f"reactive power {request.reactive} is not a number")
    if request.reactive_bounds.empty:
        low, high = request.reactive_bounds.low, request.reactive_bounds.high
        raise ValueError(f"bounds {low} … {high} allow no reactive power")
    if request.soc_target is not None and not 0 <= request.soc_target <= 100:
        raise ValueError(f"soc_target {request.soc_target}: give 0 … 100 %")
    if request.power is not None and not abs(request.power) < float("inf"):
        raise ValueError(f"power {request.power} is not a number")
    if request.offset is not None and not abs(request.offset) < float("inf"):
        raise ValueError(f"offset {request.offset} is not a number")
    if request.ramp is not None and not 0 <= request.ramp < float("inf"):
        raise ValueError(f"ramp {request.ramp}: give kW per second, 0 or more")
    if request.bounds.empty:
        raise ValueError(f"bounds {request.bounds.low} … {request.bounds.high} allow no power")


def resolve(
    requests: Sequence[Request],
    envelope: Bounds,
    now: float,
    reactive_envelope: Bounds | None = None,
) -> Resolution:
    """Narrow the guard's envelope by every live request and choose the power.

    Args:
        requests: highest priority first.
        envelope: kW that the guard allows.
        now: monotonic seconds; expired requests count as none.
        reactive_envelope: kvar that the guard allows.
    """
    whole = (envelope, reactive_envelope or Bounds(0.0, 0.0))
    bounds, reactive_bounds = whole
    winner: Request | None = None
    reactive_winner: Request | None = None
    left_out: set[str] = set()
    kept: list[Request] = []
    reactive_kept: list[Request] = []
    live = [request for request in requests if request.expires > now]
    for request in live:
        inner = bounds & request.bounds
        reactive_inner = reactive_bounds & _reachable(request.reactive_bounds, whole[1])
        # what is impossible in one of the two does not lift the other's limits
        if inner.empty or reactive_inner.empty:
            left_out.add(request.source)
        if not inner.empty:
            kept.append(request)
            bounds = inner
            wishes = request.power is not None or request.soc_target is not None
            if wishes and (winner is None or not winner.firm):
                winner = request
        if not reactive_inner.empty:
            reactive_kept.append(request)
            reactive_bounds = reactive_inner
            if request.reactive is not None:
                reactive_winner = request
    # bounds bind what is asked for with the same priority or a lower one, never with a higher one
    binding = [r for r in kept if winner is None or r.priority >= winner.priority]
    bounds = _all(whole[0], (r.bounds for r in binding))
    wanted = 0.0 if winner is None or winner.power is None else winner.power
    power = bounds.clip(wanted)
    clipping = [r.source for r in binding if r.bounds.clip(wanted) != wanted] if power != wanted else []
    reactive = None if reactive_winner is None else reactive_winner.reactive
    lowest = None if reactive_winner is None else reactive_winner.priority
    reactive_binding = [r for r in reactive_kept if lowest is None or r.priority >= lowest]
    reactive_bounds = _all(whole[1], (_reachable(r.reactive_bounds, whole[1]) for r in reactive_binding))
    for request in reactive_binding:
        clips = reactive is not None and request.reactive_bounds.clip(reactive) != reactive
        clipping += [request.source] if clips and request.source not in clipping else []
    offered = next((r for r in kept if r.offset is not None), None)
    sum_bounds = bounds
    if offered is not None:
        allowed = _all(whole[0], (r.bounds for r in kept if r.priority >= offered.priority))
        sum_bounds = Bounds(min(allowed.low, power), max(allowed.high, power))
    ramp = min((r.ramp for r in live if r.ramp is not None), default=None)
    if (
        winner is None and ramp == 0
    ):  # a wish ends with its lease: nothing flows on because nobody may change it
        ramp = None
    impossible = [f"impossible:{request.source}" for request in live if request.source in left_out]
    return Resolution(
        power=power,
        bounds=bounds,
        winner=winner,
        limited_by=(*impossible, *(f"request:{source}" for source in clipping)),
        considered=tuple(_considered(r, winner, left_out, clipping, now) for r in live),
        offset=None if offered is None else offered.offset,
        sum_bounds=sum_bounds,
        ramp=ramp,
        reactive=None if reactive is None else reactive_bounds.clip(reactive) + 0.0,
        reactive_asked=reactive,
        reactive_bounds=reactive_bounds,
    )


def _reachable(wanted: Bounds, whole: Bounds) -> Bounds:
    """Kvar bounds that the devices cannot meet now are met as nearly as they can; nobody else decides instead."""
    return Bounds(whole.clip(wanted.low), whole.clip(wanted.high))


def _all(whole: Bounds, narrower: Iterable[Bounds]) -> Bounds:
    for bounds in narrower:
        whole = whole & bounds
    return whole


def _considered(
    request: Request, winner: Request | None, left_out: set[str], clipping: list[str], now: float
) -> Considered:
    wishes = request.power is not None or request.soc_target is not None
    role = (
        "won"
        if request is winner
        else "impossible"
        if request.source in left_out
        else "narrowed"
        if request.source in clipping
        else "outranked"
        if wishes
        else "bounds_only"
    )
    return Considered(
        source=request.source,
        priority=request.priority,
        power=request.power,
        bounds=request.bounds,
        seconds_left=request.expires - now,
        role=role,
        reason=request.reason,
        id=request.id,
        reactive=request.reactive,
        soc_target=request.soc_target,
        offset=request.offset,
    )
