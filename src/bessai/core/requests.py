"""Leases on power: higher priority narrows the bounds, lower priority wins inside them.

    book = RequestBook()
    book.put(Request(source="operator", priority=Priority.OPERATOR, power=-20.0, expires=now + 60))
    book.resolve(Bounds(-50, 50), now).power      # -20.0

A lease that has expired, or whose bounds leave nothing of what outranks it, counts as none. Nobody asking
means zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessai.model import Bounds, Request


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


class RequestBook:
    """The live requests, one a source."""

    def __init__(self) -> None:
        self._requests: dict[str, Request] = {}

    def put(self, request: Request) -> None:
        """Add a request, or renew the one of the same source.

        Raises:
            ValueError: the power or a bound is not a number, or the bounds are empty.
        """
        if request.power is not None and not abs(request.power) < float("inf"):
            raise ValueError(f"power {request.power} is not a number")
        if request.bounds.empty:
            raise ValueError(f"bounds {request.bounds.low} … {request.bounds.high} allow no power")
        self._requests[request.source] = request

    def cancel(self, source: str) -> bool:
        """End a lease early. False when the source has none."""
        return self._requests.pop(source, None) is not None

    def live(self, now: float) -> list[Request]:
        """Requests that have not expired, highest priority first; forgets the others."""
        self._requests = {s: r for s, r in self._requests.items() if r.expires > now}
        return sorted(self._requests.values(), key=lambda r: -r.priority)

    def resolve(self, envelope: Bounds, now: float) -> Resolution:
        """Narrow the guard's envelope by every live request and choose the power."""
        bounds = envelope
        winner: Request | None = None
        limited: list[str] = []
        narrowed_by: list[tuple[str, Bounds]] = []
        for request in self.live(now):
            inner = bounds & request.bounds
            if inner.empty:
                limited.append(f"impossible:{request.source}")
                continue
            if inner != bounds:
                narrowed_by.append((request.source, request.bounds))
            bounds = inner
            if request.power is not None:
                winner = request
        wanted = 0.0 if winner is None or winner.power is None else winner.power
        power = bounds.clip(wanted)
        if power != wanted:
            limited += [f"request:{source}" for source, own in narrowed_by if own.clip(wanted) != wanted]
        return Resolution(power=power, bounds=bounds, winner=winner, limited_by=tuple(limited))
