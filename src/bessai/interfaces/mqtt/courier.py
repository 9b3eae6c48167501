"""Carries the records of the journal to the broker, with what else is to be seen there."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from typing import Any, Final

from paho.mqtt.client import MQTTMessage

from bessai.interfaces.courier import Batch, Lane, Trouble
from bessai.interfaces.mqtt.commands import Ask, Command, Commands
from bessai.interfaces.mqtt.connection import Connection, Sent, Will
from bessai.interfaces.mqtt.errors import TooLargeError
from bessai.interfaces.mqtt.home_assistant import discovery
from bessai.interfaces.mqtt.picture import News, Picture
from bessai.interfaces.mqtt.settings import MqttSettings
from bessai.interfaces.mqtt.topics import Topics
from bessai.interfaces.mqtt.trouble import explain

_log = logging.getLogger(__name__)

_ONLINE: Final = b"online"
_OFFLINE: Final = b"offline"
_INBOX: Final = 32
"""Commands that may wait; more are dropped, and said."""
_ANSWER_TIME: Final = 5.0
"""Seconds for the result of a command to reach the broker."""


class MqttCourier:
    """Publishes with QoS 1 and listens for commands while it is connected.

    Args:
        settings: where to and what.
        site: the unique id of the site.
        ask: how the control plane is asked for what commands want; None: there is none to ask, no commands.
    """

    def __init__(self, settings: MqttSettings, site: str, ask: Ask | None = None) -> None:
        if settings.commands and ask is None:
            raise ValueError(
                "MQTT_COMMANDS=true needs the gateway's socket: run the service from `bessai run`"
            )
        self._settings = settings
        self._topics = Topics(settings.topic_prefix, site)
        self._commands = Commands(ask) if settings.commands and ask is not None else None
        self._picture = Picture(self._topics)
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._birth_topic = f"{settings.home_assistant_prefix}/status"
        self._discovery: dict[str, bytes] = {}
        self._discovery_due = threading.Event()
        if not settings.tls:
            _log.warning("MQTT to %s is not encrypted: everybody on the way can read it", settings.url)

    def send(self, batch: Batch, timeout: float) -> None:
        """Publish the batch; in the live lane also what is true now. See `Courier`."""
        deadline = time.monotonic() + timeout
        connection = self._connected(deadline)
        sent = [
            connection.publish(
                self._topics.records, message.data, attributes=message.attributes, deadline=deadline
            )
            for message in batch.messages
        ]
        sent += self._send_events(connection, batch, deadline)
        news = self._picture.news(batch) if batch.lane is Lane.LIVE else None
        if news is not None:
            sent += [
                connection.publish(topic, payload, retain=True, deadline=deadline)
                for topic, payload in news.messages.items()
            ]
            sent += self._send_discovery(connection, news, deadline)
        connection.wait(sent, deadline)
        if news is not None:
            self._picture.keep(news)

    @property
    def connected(self) -> bool:
        """The broker has accepted the connection and was not lost since."""
        connection = self._connection
        return connection is not None and connection.accepted

    def explain(self, error: Exception) -> Trouble:
        """See `Courier`."""
        return explain(error, self._settings)

    def close(self) -> None:
        """See `Courier`. The broker then tells everybody that the site is offline."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self, deadline: float) -> Connection:
        with self._lock:
            if self._connection is not None and self._connection.usable:
                return self._connection
        self.close()
        inbox: queue.Queue[Command] = queue.Queue(_INBOX)
        listening = [self._topics.command] if self._commands else []
        listening += [self._birth_topic] if self._settings.home_assistant else []
        connection = Connection(
            self._settings,
            self._settings.client_id,
            will=Will(topic=self._topics.availability, payload=_OFFLINE, retain=True),
            subscribe=listening,
            on_message=lambda message: self._take(message, inbox),
        )
        with self._lock:
            self._connection = connection
        self._picture.forget()
        self._discovery_due.set()
        try:
            connection.open(deadline)
            online = connection.publish(
                self._topics.availability, _ONLINE, retain=True, content_type=None, deadline=deadline
            )
            connection.wait([online], deadline)
        except BaseException:
            self.close()
            raise
        for refused in connection.deaf:
            _log.warning("MQTT: %s", self.explain(refused).sentence)
        _log.info("MQTT: connected to %s as %s", self._settings.url, self._settings.client_id)
        if self._commands is not None:
            threading.Thread(
                target=self._serve,
                args=(self._commands, connection, inbox),
                name="mqtt-commands",
                daemon=True,
            ).start()
        return connection

    def _send_events(self, connection: Connection, batch: Batch, deadline: float) -> list[Sent]:
        sent = []
        for entry, message in zip(batch.entries, batch.messages, strict=True):
            if entry.events:
                record = json.loads(message.data)
                sent += [
                    connection.publish(
                        self._topics.events,
                        json.dumps({"site": record["site"], "sequence": record["sequence"]} | event).encode(),
                        attributes={**message.attributes, "event": str(number)},
                        deadline=deadline,
                    )
                    for number, event in enumerate(record["events"])
                ]
        return sent

    def _send_discovery(self, connection: Connection, news: News, deadline: float) -> list[Sent]:
        if not self._settings.home_assistant or self._topics.state not in news.messages:
            return []
        known = discovery(self._topics, self._settings.home_assistant_prefix, news.device, news.points)
        again = self._discovery_due.is_set()
        self._discovery_due.clear()
        due = {t: payload for t, payload in known.items() if again or self._discovery.get(t) != payload}
        self._discovery = known
        sent = []
        for topic, payload in due.items():
            try:
                sent.append(connection.publish(topic, payload, retain=True, deadline=deadline))
            except TooLargeError as error:  # no reason to hold up records
                _log.warning("MQTT: no discovery for Home Assistant: %s", self.explain(error).sentence)
        return sent

    # what arrives -----------------------------------------------------------------------------------------------

    def _take(self, message: MQTTMessage, inbox: queue.Queue[Command]) -> None:
        """In the library's thread: must not block and not raise."""
        if message.topic == self._birth_topic:
            if message.payload == _ONLINE:
                self._discovery_due.set()
            return
        properties: Any = message.properties
        command = Command(
            payload=bytes(message.payload),
            retained=message.retain,
            expiry=getattr(properties, "MessageExpiryInterval", None),
            arrived=time.monotonic(),
            response_topic=getattr(properties, "ResponseTopic", None),
            correlation=getattr(properties, "CorrelationData", None),
        )
        try:
            inbox.put_nowait(command)
        except queue.Full:
            _log.warning("MQTT: more than %d commands wait; one was dropped", _INBOX)

    def _serve(self, commands: Commands, connection: Connection, inbox: queue.Queue[Command]) -> None:
        while connection.usable:
            try:
                command = inbox.get(timeout=1.0)
            except queue.Empty:
                continue
            result = json.dumps(commands.handle(command), ensure_ascii=False).encode()
            deadline = time.monotonic() + _ANSWER_TIME
            for topic in self._answer_topics(command):
                try:
                    sent = connection.publish(
                        topic, result, correlation=command.correlation, deadline=deadline
                    )
                    connection.wait([sent], deadline)
                except Exception as error:  # noqa: BLE001  the command stands, whoever can be told
                    _log.warning(
                        "MQTT: no result of a command at %s: %s", topic, self.explain(error).sentence
                    )

    def _answer_topics(self, command: Command) -> list[str]:
        asked = command.response_topic
        # Whoever may send commands must not write to the site's other topics with the gateway's rights.
        own = asked is not None and f"{asked}/".startswith((f"{self._topics.base}/", "$"))
        return [self._topics.result] + ([asked] if asked and not own else [])
