"""The spans of this room's work, in OpenTelemetry's words."""

from __future__ import annotations

from contextlib import AbstractContextManager

from bessai.interfaces.courier import Batch
from bessai.interfaces.tracing import Span, Tracing, Value, cycle_ids

_LINKS = 16
"""Cycles that a publish span links to at most."""


def publishing(tracing: Tracing, sink: str, batch: Batch, size: int) -> AbstractContextManager[Span]:
    """A batch on its way: where to, what is in it, and links to those of its cycles that are traced.

    Args:
        tracing: opens it.
        sink: name of the destination.
        batch: not empty.
        size: bytes, before compression.
    """
    first, last = batch.entries[0], batch.entries[-1]
    cycles = (
        cycle_ids(tracing.site, entry.epoch, entry.sequence)
        for entry in batch.entries
        if entry.kind == "cycle"
    )
    kept = [ids for ids in cycles if tracing.sampler.keeps(ids.trace)] if tracing.exports else []
    attributes: dict[str, Value] = {
        "messaging.operation.type": "send",
        "messaging.batch.message_count": len(batch.messages),
        "messaging.destination.name": sink,
        "bessai.records": len(batch.entries),
        "bessai.sequence.first": first.sequence,
        "bessai.sequence.last": last.sequence,
        "bessai.lane": batch.lane.value,
        "bessai.size": size,
    }
    return tracing.span(f"publish {sink}", "producer", attributes, links=kept[-_LINKS:])
