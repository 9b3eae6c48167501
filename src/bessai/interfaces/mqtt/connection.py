"""One connection to the broker: acknowledged sending within time limits, closed from any thread.

The library's own thread does the input and output. A connection is used once; whoever loses it opens another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from bessai.interfaces.mqtt.errors import BrokerError, ClosedError, TooLargeError
from bessai.interfaces.mqtt.settings import MqttSettings

_WINDOW: Final = 100
"""Most messages without acknowledgement; a broker may allow fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker publishes when this connection is gone, however it ends."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message that is on its way."""

    id: int
    topic: str


class Connection:
    """A connection that is opened once. Its calls block until `deadline`, in seconds of `time.monotonic`.

    There is no session: records are in the journal, and a command that came while nobody listened must not be
    carried out later.

    Args:
        settings: where to, and with what rights.
        client_id: unique at the broker.
        will: published when the connection is gone, also after `close`.
        subscribe: topics to listen to.
        on_message: called with what arrives, by the library's thread; must not block and not raise.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        will: Will,
        subscribe: Sequence[str] = (),
        on_message: Callable[[paho.MQTTMessage], None] | None = None,
    ) -> None:
        self.deaf: list[BrokerError] = []
        """The subscriptions that the broker has refused. Sending goes on."""
        self._settings = settings
        self._subscribe = subscribe
        self._changed = threading.Condition()
        self._error: Exception | None = None
        self._accepted = False
        self._subscribed = 0
        self._asked = 0
        self._window = _WINDOW
        self._largest = 0xFFFFFFF
        self._in_flight = 0
        self._acknowledged: dict[int, ReasonCode] = {}
        client = self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, reconnect_on_failure=False
        )
        client.max_inflight_messages = 0  # unlimited: the window is kept here, where the broker's is known
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        if on_message is not None:
            client.on_message = lambda _client, _data, message: on_message(message)

    def open(self, deadline: float) -> None:
        """Returns when the broker has accepted the connection and answered every subscription, see `deaf`.

        Raises:
            Exception: it has not, see `trouble.explain`.
        """
        self._client.connect_timeout = max(0.1, deadline - time.monotonic())
        threading.Thread(target=self._connect, name="mqtt-connect", daemon=True).start()
        self._until(lambda: self._accepted and self._subscribed >= len(self._subscribe), deadline)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        deadline: float,
        qos: int = 1,
        retain: bool = False,
        attributes: Mapping[str, str] | None = None,
        correlation: bytes | None = None,
        content_type: str | None = "application/json",
    ) -> Sent:
        """Hand over a message; waits while the broker has as many unacknowledged ones as it takes.

        Raises:
            Exception: it could not be handed over; the connection is then of no more use, except after
                `TooLargeError`.
        """
        properties = _properties(PacketTypes.PUBLISH)
        if attributes:
            properties.UserProperty = list(attributes.items())
        if correlation is not None:
            properties.CorrelationData = correlation
        if content_type is not None:
            properties.ContentType = content_type
        texts = [*(attributes or {}).items(), (topic, content_type or "")]
        size = (
            len(payload) + len(correlation or b"") + 20 + sum(5 + len(f"{k}{v}".encode()) for k, v in texts)
        )
        if size > self._largest:
            raise TooLargeError(topic, size, self._largest)
        with self._changed:
            self._until(lambda: self._in_flight < self._window, deadline)
            self._in_flight += 1
        info = self._client.publish(topic, payload, qos, retain, properties)
        if info.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._error or BrokerError("lost", None, paho.error_string(info.rc), topic)
        return Sent(id=info.mid, topic=topic)

    def wait(self, sent: Sequence[Sent], deadline: float) -> None:
        """Returns when all of them are acknowledged; with QoS 0, written. Give each message once.

        Raises:
            BrokerError: the broker has refused one of them, or the connection ended before.
            TimeoutError: the broker did not answer in time.
        """
        self._until(lambda: all(one.id in self._acknowledged for one in sent), deadline)
        refused: BrokerError | None = None
        for one in sent:
            reason = self._acknowledged.pop(one.id)
            if reason.is_failure and refused is None:
                refused = BrokerError("publish", reason.value, reason.getName(), one.topic)
        if refused is not None:
            raise refused

    def barrier(self, deadline: float) -> None:
        """Returns when the broker has handled all that was sent so far, also what it does not acknowledge.

        It subscribes once more to the first topic: a broker handles the packets of a client in order.
        """
        with self._changed:
            wanted = self._asked + 1
        self._ask_for(self._subscribe[0])
        self._until(lambda: self._subscribed >= wanted, deadline)

    def close(self) -> None:
        """End the connection; the broker then publishes the will. From any thread, does not wait."""
        with self._changed:
            self._error = self._error or ClosedError()
            self._changed.notify_all()
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))

    @property
    def usable(self) -> bool:
        """True until it is lost or closed."""
        return self._error is None

    @property
    def accepted(self) -> bool:
        """The broker has accepted it, and it was neither lost nor closed since."""
        return self._accepted and self._error is None

    # the connecting thread and the library's thread -------------------------------------------------------------

    def _connect(self) -> None:
        settings = self._settings
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0
        try:
            if settings.tls:
                self._client.tls_set_context(settings.tls_context())
            if settings.username is not None:
                self._client.username_pw_set(settings.username, settings.password())
            self._client.connect(
                settings.host, settings.port, settings.keepalive, clean_start=True, properties=properties
            )
        except Exception as error:  # noqa: BLE001  handed to whoever waits in `open`
            self._fail(error)
            return
        self._client.loop_start()
        if not self.usable:  # closed meanwhile
            self._client.disconnect()

    def _on_connect(
        self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._fail(BrokerError("connect", reason.value, reason.getName()))
            return
        with self._changed:
            self._window = min(_WINDOW, getattr(properties, "ReceiveMaximum", _WINDOW))
            self._largest = getattr(properties, "MaximumPacketSize", self._largest)
            self._accepted = True
            self._changed.notify_all()
        for topic in self._subscribe:
            self._ask_for(topic)

    def _ask_for(self, topic: str) -> None:
        # Retain as published: a command that somebody has left at the broker must be known as such.
        options = SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True)
        with self._changed:
            self._asked += 1
        self._client.subscribe(topic, options=options)

    def _on_subscribe(
        self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        with self._changed:
            if reasons[0].is_failure:
                topic = self._subscribe[
                    self._subscribed % len(self._subscribe)
                ]  # answered in the order asked
                self.deaf.append(BrokerError("subscribe", reasons[0].value, reasons[0].getName(), topic))
            self._subscribed += 1
            self._changed.notify_all()

    def _on_publish(
        self, _client: Any, _data: Any, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        with self._changed:
            self._acknowledged[mid] = reason
            self._in_flight -= 1
            self._changed.notify_all()

    def _on_disconnect(
        self,
        _client: Any,
        _data: Any,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        said = reason.value if flags.is_disconnect_packet_from_server else None
        self._fail(BrokerError("lost" if self._accepted else "connect", said, reason.getName()))

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def _until(self, done: Callable[[], bool], deadline: float) -> None:
        with self._changed:
            while not done():
                if self._error is not None:
                    raise self._error
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("the broker did not answer in time")
                self._changed.wait(left)


def _properties(packet: int) -> Any:
    return Properties(packet)  # type: ignore[no-untyped-call]
