"""Which sinks the settings ask for. To add one, write its builder and list it in `BUILDERS`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bessai.interfaces.dead_letter import DeadLetters
from bessai.interfaces.settings import ServiceSettings
from bessai.interfaces.sink import CursorStore, Off, Reader, Sink, SinkStatus

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What sinks are made of. Each library is loaded by the builder that needs it: others do without."""

    settings: ServiceSettings
    sinks: list[Sink] = field(default_factory=list)
    """All of them, once they are built."""

    def open_reader(self) -> Reader:
        """A reader of the journal, for one thread."""
        from bessai.journal import JournalReader  # noqa: PLC0415  needs its native library only here

        return JournalReader(self.settings.data_dir)

    def open_cursors(self) -> CursorStore:
        """The durable cursors, for one thread."""
        from bessai.journal import Cursors  # noqa: PLC0415  as above

        return Cursors(self.settings.data_dir)

    def dead_letters(self, name: str) -> DeadLetters:
        """The file of what the sink's far end refuses for its content."""
        return DeadLetters(self.settings.data_dir / "dead-letter" / f"{name}.jsonl")

    def statuses(self) -> list[SinkStatus]:
        """What every sink says about itself."""
        return [sink.status() for sink in self.sinks]


def build_sinks(settings: ServiceSettings) -> list[Sink]:
    """The sinks that the settings ask for, and an `Off` for Pub/Sub and OpenTelemetry when they are not.

    Raises:
        ValueError: a setting cannot be used; it says which.
    """
    parts = Parts(settings=settings)
    parts.sinks.extend(sink for build in BUILDERS if (sink := build(parts)) is not None)
    return parts.sinks


def _pubsub(parts: Parts) -> Sink:
    settings = parts.settings.pubsub
    if settings is None:
        _log.info(
            "publishing is off: everything stays local (set GCP_PROJECT_ID and GCP_PUBSUB_TOPIC to publish)"
        )
        return Off("pubsub")
    from bessai.interfaces.delivery import Pace  # noqa: PLC0415  as above
    from bessai.interfaces.pubsub import CONSUMER, PubSubPublisher  # noqa: PLC0415  48 MB

    return PubSubPublisher(
        site=parts.settings.site,
        project=settings.project,
        topic=settings.topic,
        emulator_host=settings.emulator_host,
        compression=settings.compression,
        pace=Pace(records_per_second=settings.records_per_second, bytes_per_second=settings.bytes_per_second),
        publish=parts.settings.publish,
        open_reader=parts.open_reader,
        open_cursors=parts.open_cursors,
        dead_letters=parts.dead_letters(CONSUMER),
    )


def _telemetry(parts: Parts) -> Sink:
    settings = parts.settings
    if not settings.otlp_endpoint:
        return Off("otel")
    from bessai.interfaces.telemetry import TelemetrySink  # noqa: PLC0415  as above

    return TelemetrySink(
        site=settings.site,
        service_name=settings.service_name,
        endpoint=settings.otlp_endpoint,
        open_reader=parts.open_reader,
        statuses=parts.statuses,
    )


def _schedule(parts: Parts) -> Sink | None:
    settings = parts.settings
    if settings.schedule is None or settings.socket is None:
        return None
    from bessai.interfaces.schedule import ScheduleRequester  # noqa: PLC0415  as above
    from bessai.interfaces.schedule.requester import socket_ask  # noqa: PLC0415  as above

    return ScheduleRequester(settings.schedule, socket_ask(settings.socket))


BUILDERS: Final[Sequence[Callable[[Parts], Sink | None]]] = (_pubsub, _telemetry, _schedule)
"""In the order in which the status shows them."""
