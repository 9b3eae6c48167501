"""Spans of this process, without OpenTelemetry: who has nothing to export them to pays nothing for them.

tracing = Tracing(sampler)
with tracing.span("publish", PRODUCER, {"bessai.sink": "pubsub"}) as span:
    …                                    # log lines in here carry `trace_id` and `span_id`
    span.attributes["bessai.records"] = 17
for span in tracing.take(): …            # `telemetry.SpanWriter` hands them to OpenTelemetry

The ids of a cycle's trace follow from the record's own name (site, epoch, sequence). So every process knows them: a
publish span links to the cycles that it carried, and nobody has to hand ids through the journal.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

Kind = Literal["internal", "server", "producer"]
Value = str | bool | int | float

_WAITING: Final = 1024
"""Spans that wait to be exported; the oldest give way."""
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
SAMPLERS: Final = (
    "always_on", "always_off", "traceidratio",
    "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
)  # fmt: skip
"""What OTEL_TRACES_SAMPLER may be."""


class Ids(NamedTuple):
    """Of a span."""

    trace: int
    span: int

    def texts(self) -> tuple[str, str]:
        """As logs and headers write them."""
        return f"{self.trace:032x}", f"{self.span:016x}"


@dataclass(slots=True, kw_only=True)
class Span:
    """Something that took time."""

    name: str
    kind: Kind
    ids: Ids
    parent: Ids | None
    start_ns: int
    end_ns: int = 0
    attributes: dict[str, Value] = field(default_factory=dict)
    links: Sequence[Ids] = ()
    events: Sequence[tuple[str, Mapping[str, Value], int]] = ()
    """What happened within: name, attributes, UTC nanoseconds."""
    error: str | None = None
    """What went wrong, in a sentence; None: nothing did."""


current: ContextVar[Ids | None] = ContextVar("bessai_span", default=None)
"""The span that is open here."""


def cycle_ids(site: str, epoch: int, sequence: int) -> Ids:
    """Of the trace of a cycle and of its first span."""
    digest = hashlib.blake2b(f"{site}/{epoch}/{sequence}".encode(), digest_size=24).digest()
    return Ids(int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:]) or 1)


def random_ids(trace: int | None = None) -> Ids:
    """Of a new span, in a trace of its own unless one is given."""
    return Ids(trace or secrets.randbits(128) or 1, secrets.randbits(64) or 1)


def parent_of(traceparent: str | None) -> tuple[Ids, bool] | None:
    """What the header `traceparent` (W3C) says, and whether that trace is sampled; None: nothing usable."""
    match = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
    if match is None or match[0].startswith("ff"):
        return None
    ids = Ids(int(match[1], 16), int(match[2], 16))
    return (ids, bool(int(match[3], 16) & 1)) if ids.trace and ids.span else None


@dataclass(frozen=True, slots=True)
class Sampler:
    """Which traces are kept: by OpenTelemetry's rule, a share of all by their id. Errors are always kept."""

    name: str = "parentbased_traceidratio"
    ratio: float = 0.1

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Sampler:
        """By OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG.

        Raises:
            ValueError: one of them cannot be used.
        """
        name = environment.get("OTEL_TRACES_SAMPLER") or cls().name
        if name not in SAMPLERS:
            raise ValueError(f"OTEL_TRACES_SAMPLER={name}: use one of {', '.join(SAMPLERS)}")
        text = environment.get("OTEL_TRACES_SAMPLER_ARG") or str(cls().ratio)
        try:
            ratio = float(text)
        except ValueError:
            ratio = -1.0
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"OTEL_TRACES_SAMPLER_ARG={text}: give the share of traces to keep, 0 to 1")
        return cls(name, ratio)

    def keeps(self, trace: int, parent: bool | None = None) -> bool:
        """Whether a trace is kept. `parent`: what its parent, which is elsewhere, was; None: it has none."""
        if parent is not None and self.name.startswith("parentbased"):
            return parent
        if self.name.endswith("always_on"):
            return True
        if self.name.endswith("always_off"):
            return False
        return trace & (1 << 64) - 1 < round(self.ratio * (1 << 64))


class Tracing:
    """Opens spans, and holds those that are to be exported. From any thread."""

    def __init__(self, sampler: Sampler | None = None, *, site: str = "", exports: bool = True) -> None:
        self.site = site
        self.sampler = sampler or Sampler()
        self.exports = exports
        """False: spans are opened for the ids in the log, and none is kept."""
        self._done: deque[Span] = deque(maxlen=_WAITING)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        kind: Kind,
        attributes: Mapping[str, Value],
        *,
        parent: tuple[Ids, bool] | None = None,
        links: Sequence[Ids] = (),
    ) -> Iterator[Span]:
        """Open a span around a block. An exception, or `error` set by the block, makes it one that is always kept."""
        above = parent[0] if parent else None
        span = Span(
            name=name, kind=kind, ids=random_ids(above.trace if above else None), parent=above,
            start_ns=time.time_ns(), attributes=dict(attributes), links=links,
        )  # fmt: skip
        begun = time.perf_counter_ns()
        token = current.set(span.ids)
        try:
            yield span
        except BaseException as error:
            span.error = span.error or type(error).__name__
            span.attributes["error.type"] = type(error).__name__
            raise
        finally:
            current.reset(token)
            span.end_ns = span.end_ns or span.start_ns + time.perf_counter_ns() - begun
            kept = span.error is not None or self.sampler.keeps(span.ids.trace, parent[1] if parent else None)
            if kept and self.exports:
                with self._lock:
                    self._done.append(span)

    def take(self) -> list[Span]:
        """What has ended since the last call."""
        with self._lock:
            done = list(self._done)
            self._done.clear()
        return done
