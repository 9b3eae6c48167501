"""Publishes the journal to Google Cloud Pub/Sub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from bessai.interfaces.dead_letter import DeadLetters
from bessai.interfaces.delivery import Delivery, Pace
from bessai.interfaces.messages import Encoder, RecordEncoder
from bessai.interfaces.pubsub_client import Compression, PubSubCourier, topic_path
from bessai.interfaces.sink import CursorStore, Reader
from bessai.interfaces.tracing import Tracing
from bessai.interfaces.track import Choose

CONSUMER: Final = "pubsub"
"""Name of the durable cursor."""


class PubSubPublisher(Delivery):
    """Publishes every record of the journal: at least once, each lane in order, none missing.

    The ordering key is the site, `<site>/backlog` for what an outage has left behind. The attributes stand in
    `docs/message.md`.

    `publish` names the devices whose points go with the plant's own; None stands for every point. `encode`
    makes another kind of message, `filters` leaves out what need not be sent, see `delivery.Delivery`.

    Credentials come from GOOGLE_APPLICATION_CREDENTIALS or the machine's own identity; with an emulator
    (host:port) none are used.
    """

    def __init__(
        self,
        *,
        site: str,
        project: str,
        topic: str,
        open_reader: Callable[[], Reader],
        open_cursors: Callable[[], CursorStore],
        emulator_host: str | None = None,
        compression: Compression = "gzip",
        pace: Pace | None = None,
        publish: Sequence[str] | None = None,
        encode: Encoder | None = None,
        filters: Callable[[], Choose] | None = None,
        dead_letters: DeadLetters | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        super().__init__(
            CONSUMER,
            PubSubCourier(
                topic=topic_path(project, topic), emulator_host=emulator_host, compression=compression
            ),
            encode=encode or RecordEncoder(site, publish),
            open_reader=open_reader,
            open_cursors=open_cursors,
            dead_letters=dead_letters,
            filters=filters,
            pace=pace,
            tracing=tracing,
        )
