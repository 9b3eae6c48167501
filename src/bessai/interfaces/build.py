"""Which sinks the settings ask for. To add one, write its builder and list it in `BUILDERS`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from bessai.interfaces.dead_letter import DeadLetters
from bessai.interfaces.settings import ServiceSettings
from bessai.interfaces.sink import CursorStore, Off, Sink, SinkStatus
from bessai.interfaces.tracing import Tracing

if TYPE_CHECKING:
    from bessai.interfaces.certificates import Certificates
    from bessai.interfaces.courier import Courier, Lane, Message
    from bessai.interfaces.delivery import Pace
    from bessai.interfaces.messages import Encoder
    from bessai.interfaces.metrics import Figures
    from bessai.interfaces.track import Choose
    from bessai.journal import JournalReader
    from bessai.journal.entry import Entry
    from bessai.site.scada import Scada

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What sinks are made of. Each library is loaded by the builder that needs it: others do without."""

    settings: ServiceSettings
    sinks: list[Sink] = field(default_factory=list)
    """All of them, once they are built."""

    @cached_property
    def tracing(self) -> Tracing:
        """Opens the spans of this process."""
        settings = self.settings
        return Tracing(settings.sampler, site=settings.site, exports=bool(settings.otlp_endpoint))

    def open_reader(self) -> JournalReader:
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

    def encoder(self, *, one_each: bool = False) -> Encoder:
        """Makes the messages that the settings ask for; a message a record when `one_each`."""
        from bessai.interfaces.messages import RecordEncoder  # noqa: PLC0415  as above

        site, publish = self.settings.site, self.settings.publish
        if one_each or not self.settings.batch:
            return RecordEncoder(site, publish)
        from bessai.interfaces.batch_message import encode_batch  # noqa: PLC0415  as above

        def encode(entries: Sequence[Entry], *, lane: Lane, previous: int) -> Sequence[Message]:
            return encode_batch(entries, site, lane, previous, publish)

        return encode

    def filters(self, name: str) -> Callable[[], Choose] | None:
        """Makes what applies the site's report rules to a lane of a sink; None without rules."""
        if self.settings.report is None:
            return None
        from bessai.interfaces.reporting import Reporter  # noqa: PLC0415  as above
        from bessai.site import ReportFile  # noqa: PLC0415  as above

        rules, publish = ReportFile.model_validate_json(self.settings.report), self.settings.publish
        return lambda: Reporter(rules, name, publish).choose

    def deliver(self, name: str, courier: Courier, *, one_each: bool = False) -> Sink:
        """A sink that delivers with a courier."""
        from bessai.interfaces.delivery import Delivery  # noqa: PLC0415  as above

        return Delivery(
            name,
            courier,
            encode=self.encoder(one_each=one_each),
            open_reader=self.open_reader,
            open_cursors=self.open_cursors,
            dead_letters=self.dead_letters(name),
            filters=self.filters(name),
            pace=self.pace(),
            tracing=self.tracing,
        )

    def pace(self, records_per_second: float | None = None, bytes_per_second: float | None = None) -> Pace:
        """How often to send, and how much; whoever sends seldom is not behind for that."""
        from bessai.interfaces.delivery import Pace  # noqa: PLC0415  as above

        every = self.settings.publish_every
        return Pace(
            poll=every,
            split_after=max(Pace().split_after, 3 * every),
            records_per_second=records_per_second,
            bytes_per_second=bytes_per_second,
        )

    @cached_property
    def scada(self) -> Scada | None:
        """The operator's links and the point list of the site file; None without one.

        Raises:
            ValueError: the site file cannot be used.
        """
        path = self.settings.site_file
        if path is None:
            return None
        from bessai.site import load_site  # noqa: PLC0415  as above
        from bessai.site.reading import read_mapping  # noqa: PLC0415  as above

        # most sites have no such link, and need not read every profile once more for that
        return load_site(path).scada if "scada" in read_mapping(path, "site file", "`devices`") else None

    def figures(self) -> Figures:
        """What the metrics are read from."""
        from bessai.interfaces.metrics.collecting import collect  # noqa: PLC0415  as above

        sinks = [status.as_dict() for status in self.statuses()]
        return collect(self.settings.socket, self.settings.data_dir, sinks, self.certificates)

    @cached_property
    def certificates(self) -> Certificates:
        """What the gateway uses, as it told this process."""
        from bessai.interfaces.certificates import Certificates  # noqa: PLC0415  as above

        return Certificates(os.environ, self.settings.data_dir)

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
    from bessai.interfaces.pubsub import CONSUMER, PubSubPublisher  # noqa: PLC0415  48 MB

    return PubSubPublisher(
        site=parts.settings.site,
        project=settings.project,
        topic=settings.topic,
        emulator_host=settings.emulator_host,
        compression=settings.compression,
        pace=parts.pace(settings.records_per_second, settings.bytes_per_second),
        open_reader=parts.open_reader,
        open_cursors=parts.open_cursors,
        dead_letters=parts.dead_letters(CONSUMER),
        encode=parts.encoder(),
        filters=parts.filters(CONSUMER),
        tracing=parts.tracing,
    )


def _mqtt(parts: Parts) -> Sink | None:
    settings = parts.settings.mqtt
    if settings is None:
        return None
    from bessai.interfaces.mqtt.courier import MqttCourier  # noqa: PLC0415  as above
    from bessai.interfaces.schedule.requester import socket_ask  # noqa: PLC0415  as above

    socket = parts.settings.socket
    ask = socket_ask(socket) if socket is not None else None
    return parts.deliver("mqtt", MqttCourier(settings, parts.settings.site, ask), one_each=True)


def _sparkplug(parts: Parts) -> Sink | None:
    settings = parts.settings.mqtt
    if settings is None or settings.sparkplug_group is None:
        return None
    from bessai.interfaces.mqtt.sparkplug import SparkplugCourier  # noqa: PLC0415  as above

    courier = SparkplugCourier(settings, parts.settings.site, parts.settings.publish)
    return parts.deliver("sparkplug", courier, one_each=True)


def _kafka(parts: Parts) -> Sink | None:
    settings = parts.settings.kafka
    if settings is None:
        return None
    from bessai.interfaces.kafka import KafkaCourier  # noqa: PLC0415  as above

    return parts.deliver("kafka", KafkaCourier(settings, parts.settings.site))


def _nats(parts: Parts) -> Sink | None:
    settings = parts.settings.nats
    if settings is None:
        return None
    from bessai.interfaces.nats import NatsCourier  # noqa: PLC0415  as above

    # The stream knows a repeated record by its id, so every message must hold the same records each time.
    return parts.deliver("nats", NatsCourier(settings, parts.settings.site), one_each=True)


def _parquet(parts: Parts) -> Sink | None:
    settings = parts.settings.parquet
    if settings is None:
        return None
    from bessai.interfaces.files import ParquetFiles  # noqa: PLC0415  as above

    return ParquetFiles(
        settings,
        site=parts.settings.site,
        open_reader=parts.open_reader,
        open_cursors=parts.open_cursors,
        publish=parts.settings.publish,
    )


def _history(parts: Parts) -> Sink | None:
    if parts.settings.history is None:
        return None
    from bessai.interfaces.history_sink import HistorySink  # noqa: PLC0415  as above

    return HistorySink(
        directory=parts.settings.data_dir,
        open_reader=parts.open_reader,
        open_cursors=parts.open_cursors,
        keep=parts.settings.history,
    )


def _performance(parts: Parts) -> Sink | None:
    path = parts.settings.grid
    if path is None:
        return None
    from bessai.interfaces.performance_sink import PerformanceSink  # noqa: PLC0415  as above
    from bessai.performance import read_plant  # noqa: PLC0415  as above

    return PerformanceSink(
        directory=parts.settings.data_dir,
        open_reader=parts.open_reader,
        open_cursors=parts.open_cursors,
        plant=lambda names: read_plant(path, names),
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
        collect=parts.figures,
        tracing=parts.tracing,
    )


def _schedule(parts: Parts) -> Sink | None:
    settings = parts.settings
    if settings.schedule is None or settings.socket is None:
        return None
    from bessai.interfaces.schedule import ScheduleRequester  # noqa: PLC0415  as above
    from bessai.interfaces.schedule.requester import socket_ask  # noqa: PLC0415  as above

    return ScheduleRequester(settings.schedule, socket_ask(settings.socket))


def _notify(parts: Parts) -> Sink | None:
    settings = parts.settings
    if settings.notify is None:
        return None
    from bessai.interfaces.notify.asking import ask_alarms  # noqa: PLC0415  as above
    from bessai.interfaces.notify.sink import NotifySink  # noqa: PLC0415  as above
    from bessai.interfaces.notify.words import Place  # noqa: PLC0415  as above

    socket = settings.socket
    return NotifySink(
        settings.notify,
        directory=settings.data_dir,
        place=Place(site=settings.site, link=settings.page),
        open_reader=parts.open_reader,
        open_cursors=parts.open_cursors,
        alarms=lambda: None if socket is None else ask_alarms(socket),
    )


def _iec104(parts: Parts) -> Sink | None:
    socket = parts.settings.socket
    try:
        scada = parts.scada
    except ValueError as error:  # changed since the gateway started: every other sink goes on
        off = Off("iec104")
        off.last_error = f"the operator's link is off, the site file cannot be used any more: {error}"
        _log.error("%s", off.last_error)
        return off
    if socket is None or scada is None or scada.iec104 is None:
        return None
    from bessai.interfaces.scada.sink import Iec104Sink  # noqa: PLC0415  as above

    return Iec104Sink(scada, socket)


def _dnp3(parts: Parts) -> Sink | None:
    socket = parts.settings.socket
    try:
        scada = parts.scada
    except ValueError:
        return None  # the link beside it says so
    if socket is None or scada is None or scada.dnp3 is None:
        return None
    try:
        from bessai.interfaces.dnp3.sink import Dnp3Sink  # noqa: PLC0415  as above
    except ImportError:
        off = Off("dnp3")
        off.last_error = "DNP3 is off: it needs the package dnp3py; install open-bess-edge[scada]"
        _log.error("%s", off.last_error)
        return off
    return Dnp3Sink(scada, socket)


BUILDERS: Final[Sequence[Callable[[Parts], Sink | None]]] = (
    _pubsub, _mqtt, _sparkplug, _kafka, _nats, _parquet, _history, _performance, _telemetry, _schedule,
    _iec104, _dnp3, _notify,
)  # fmt: skip
"""In the order in which the status shows them."""
