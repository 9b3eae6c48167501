"""Messages that become requests and leases, renewals among them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from bessai.core.local_socket import LocalSocket
from bessai.core.request_messages import LEASE, MAX_LEASE, lease_of, request_from
from bessai.core.requests import RequestBook
from bessai.model import Bounds, Priority


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall_ns(self) -> int:
        return 0


class Served:
    """A socket's answers, and its book."""

    def __init__(self) -> None:
        self.clock, self.book = Clock(), RequestBook()
        self._socket = LocalSocket(Path("unused"), self.book, dict, self.clock)

    def ask(self, **message: Any) -> dict[str, Any]:
        return self._socket.answer(json.dumps(message).encode())

    def renew(self, source: str, seconds: object = 30) -> dict[str, Any]:
        return self.ask(op="renew", source=source, **{"for": seconds})


@pytest.fixture
def served() -> Served:
    made = Served()
    assert made.ask(
        op="request", source="me", power=-5, low=-6, priority="schedule", reason="why", **{"for": 60}
    )["ok"]
    return made


def test_a_renewal_moves_the_end_and_nothing_else(served: Served) -> None:
    (before,) = served.book.live(100.0)
    served.clock.now = 150.0
    assert served.renew("me") == {"ok": True, "renewed": True, "for": 30}
    (after,) = served.book.live(179.9)
    assert (after.expires, after.power, after.bounds) == (180.0, -5.0, Bounds(-6.0, math.inf))
    assert (after.priority, after.reason, after.source) == (Priority.SCHEDULE, "why", "me") == (
        before.priority, before.reason, before.source,
    )  # fmt: skip
    assert served.book.live(180.1) == []


def test_a_renewal_may_shorten(served: Served) -> None:
    served.renew("me", 1)
    assert served.book.live(101.1) == []


@pytest.mark.parametrize("at", [160.0, 160.1, 9999.0])
def test_what_is_over_is_not_renewed(served: Served, at: float) -> None:
    served.clock.now = at
    assert served.renew("me")["renewed"] is False
    assert served.book.live(at) == []


def test_nobody_elses_request_is_renewed(served: Served) -> None:
    for source in ("you", "", "ME", "me "):
        assert served.renew(source)["renewed"] is False
    assert served.ask(op="renew")["renewed"] is False
    (request,) = served.book.live(100.0)
    assert request.expires == 160.0


def test_a_renewal_without_a_time_is_the_usual_lease(served: Served) -> None:
    assert served.ask(op="renew", source="me") == {"ok": True, "renewed": True, "for": LEASE}


@pytest.mark.parametrize("seconds", [0, -1, MAX_LEASE + 1, 1e300, True, "60", [60], {}])
def test_a_renewal_for_no_time_changes_nothing(served: Served, seconds: object) -> None:
    refused = served.renew("me", seconds)
    assert refused["ok"] is False
    assert refused["error"].startswith("for=")
    (request,) = served.book.live(100.0)
    assert request.expires == 160.0


def test_leases() -> None:
    assert lease_of({}) == LEASE
    assert lease_of({"for": None}) == LEASE
    assert lease_of({"for": MAX_LEASE}) == MAX_LEASE
    for bad in (math.nan, math.inf, -math.inf, 0, MAX_LEASE * 1.01):
        with pytest.raises(ValueError, match=r"^for="):
            lease_of({"for": bad})


def test_a_request_that_says_little() -> None:
    request = request_from({}, 5.0)
    assert (request.source, request.priority, request.expires) == ("operator", Priority.OPERATOR, 5.0 + LEASE)
    assert (request.power, request.reactive, request.soc_target, request.firm) == (None, None, None, False)
    assert request.bounds == Bounds(-math.inf, math.inf)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("power", "1"), ("power", math.nan), ("power", True), ("low", []), ("firm", 1), ("priority", "boss"),
        ("source", 7), ("source", "x" * 129), ("reason", "a\tb"), ("id", "\u202e"), ("soc_target", math.inf),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field}[=:]"):
        request_from({field: value}, 0.0)
