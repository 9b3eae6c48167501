"""Carries records to a Kafka topic, or to what speaks Kafka's protocol (Redpanda, managed services).

One batch of records is at most a few requests, one after the other: when one is refused, none that is newer
has overtaken it. The broker acknowledges when all replicas in sync have the records (acks=all), and, where it
hands out producer ids, drops what a broken connection made the library send twice. What this gateway sends
again after a restart it does not know: the header `id` is the same.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from typing import Any, Final

from bessai.interfaces.broker_settings import KafkaSettings, hint
from bessai.interfaces.courier import Message, Trouble
from bessai.interfaces.loop_courier import LoopCourier

_log = logging.getLogger(__name__)

BATCH_BYTES: Final = 900_000
"""Of one request, before compression; brokers take 1 MiB unless told otherwise."""

_FAREWELL: Final = 0.2


class KafkaCourier(LoopCourier):
    """See `Courier`. Key: the ordering key. Headers: the attributes. Value: the message."""

    def __init__(self, settings: KafkaSettings, site: str) -> None:
        super().__init__("kafka")
        self._settings = settings
        self._client_id = f"bessai-{site}"
        self._idempotent = True

    async def connect(self, limit: float) -> _Connection:
        """See `LoopCourier`."""
        from aiokafka import errors  # type: ignore[import-untyped]  # noqa: PLC0415

        # A broker without producer ids says so in one of these ways.
        unable = (
            errors.UnknownError, errors.UnsupportedVersionError, errors.IncompatibleBrokerVersion,
            errors.ClusterAuthorizationFailedError,
        )  # fmt: skip
        try:
            return await self._start(limit)
        except unable:
            if not self._idempotent:
                raise
            _log.info("kafka: the broker hands out no producer ids: a broken connection may repeat records")
            self._idempotent = False
            return await self._start(limit)

    async def _start(self, limit: float) -> _Connection:
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415
        from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]  # noqa: PLC0415

        access = self._access()
        producer = AIOKafkaProducer(
            bootstrap_servers=list(self._settings.brokers),
            acks="all",
            enable_idempotence=self._idempotent,
            compression_type=self._settings.compression,
            max_batch_size=BATCH_BYTES,
            # The library tries again by itself; a refusal has to come out before our own time limit.
            request_timeout_ms=int(limit * 600),
            **access,
        )
        connection = _Connection(producer, self._settings.topic)
        try:
            await producer.start()
        except BaseException as error:
            await connection.close()
            if isinstance(error, KafkaConnectionError):
                await self._find_reason(access)
            raise
        return connection

    def _access(self) -> dict[str, Any]:
        settings = self._settings
        access: dict[str, Any] = {
            "client_id": self._client_id,
            "security_protocol": ("SASL_" if settings.username else "")
            + ("SSL" if settings.tls else "PLAINTEXT"),
            "ssl_context": settings.tls.context() if settings.tls else None,
        }
        if settings.username:
            access |= {
                "sasl_mechanism": settings.mechanism,
                "sasl_plain_username": settings.username,
                "sasl_plain_password": settings.password,
            }
        return access

    async def _find_reason(self, access: dict[str, Any]) -> None:
        """Raise why the first broker lets nobody in: the library logs it and says that there is none."""
        from aiokafka.conn import create_conn  # type: ignore[import-untyped]  # noqa: PLC0415

        host, _, port = self._settings.brokers[0].rpartition(":")
        connection = await create_conn(host.strip("[]"), int(port), **access)
        connection.close()

    def explain(self, error: Exception) -> Trouble:
        """See `Courier`."""
        if isinstance(error, ImportError):
            return Trouble(sentence="Kafka needs a package more: pip install 'open-bess-edge[kafka]'.")
        from aiokafka import errors  # noqa: PLC0415

        where, topic = ", ".join(self._settings.brokers), self._settings.topic
        match error:
            case errors.UnknownTopicOrPartitionError():
                return Trouble(
                    sentence=f"The topic {topic} does not exist at {where}. Create it (kafka-topics.sh --create "
                    f"--topic {topic}) or correct KAFKA_TOPIC."
                )
            case errors.InvalidTopicError():
                return Trouble(
                    sentence=f"The broker at {where} allows no topic of the name KAFKA_TOPIC={topic}."
                )
            case errors.TopicAuthorizationFailedError() | errors.ClusterAuthorizationFailedError():
                return Trouble(
                    sentence=f"No permission to write to the topic {topic} at {where}. Grant the user "
                    f"{self._settings.username or '(none: KAFKA_USERNAME is not set)'} WRITE and DESCRIBE on it."
                )
            case (
                errors.SaslAuthenticationFailed() | errors.AuthenticationFailedError() | KeyError()
            ):  # of SCRAM
                return Trouble(
                    sentence=f"The broker at {where} refused user or password. Check KAFKA_USERNAME, "
                    "KAFKA_PASSWORD and KAFKA_SASL_MECHANISM."
                )
            case errors.UnsupportedSaslMechanismError() | errors.IllegalSaslStateError():
                return Trouble(
                    sentence=f"The broker at {where} does not offer KAFKA_SASL_MECHANISM={self._settings.mechanism}."
                )
            case errors.MessageSizeTooLargeError() | errors.RecordListTooLargeError():
                return Trouble(
                    sentence=f"The broker at {where} refused a record as too large. Raise max.message.bytes of "
                    f"the topic {topic}.",
                    poison=True,
                )
            case errors.InvalidTimestampError():
                return Trouble(
                    sentence=f"The broker at {where} refused the time of sending. Set this machine's clock."
                )
            case ssl.SSLCertVerificationError():
                return Trouble(
                    sentence=f"The certificate of the broker at {where} is not trusted: {error.verify_message}. "
                    "Check KAFKA_BROKERS and KAFKA_CA_FILE."
                )
            case ssl.SSLError():
                return Trouble(
                    sentence=f"No TLS with the broker at {where} ({error.reason or error}). Check its port, "
                    "KAFKA_TLS and KAFKA_CERT_FILE."
                )
            case RuntimeError() if "Compression library" in str(error):
                return Trouble(
                    sentence=f"KAFKA_COMPRESSION={self._settings.compression} needs a package more: pip install "
                    "cramjam, or set it to gzip."
                )
            case TimeoutError():
                return Trouble(
                    sentence=f"Kafka at {where} does not answer in time. If it never has, check the port and "
                    "KAFKA_TLS.",
                    passing=True,
                )
            case OSError() | errors.KafkaConnectionError():
                return Trouble(
                    sentence=f"Kafka at {where} cannot be reached, or hangs up. Check KAFKA_BROKERS, KAFKA_TLS, "
                    f"KAFKA_USERNAME, the network and the name service{hint(self._settings.tls, 'KAFKA')}.",
                    passing=True,
                )
            case _:
                return Trouble(
                    sentence=f"Publishing to the topic {topic} at {where} failed with {type(error).__name__}.",
                    passing=True,
                )


class _Connection:
    """A producer. See `loop_courier.Connection`."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def send(self, messages: Sequence[Message]) -> None:
        """Batches of a lane have one key and so one partition."""
        partition = await self._partition(messages[0].ordering_key.encode())
        batch = self._producer.create_batch()
        for message in messages:
            record = {
                "timestamp": None,
                "key": message.ordering_key.encode(),
                "value": message.data,
                "headers": [(name, value.encode()) for name, value in message.attributes.items()],
            }
            if batch.append(**record) is None:
                await self._send(batch, partition)
                batch = self._producer.create_batch()
                batch.append(**record)
        await self._send(batch, partition)

    async def _send(self, batch: Any, partition: int) -> None:
        await (await self._producer.send_batch(batch, self._topic, partition=partition))

    async def _partition(self, key: bytes) -> int:
        """The one that every other client of Kafka takes for this key."""
        from aiokafka.partitioner import DefaultPartitioner  # type: ignore[import-untyped]  # noqa: PLC0415

        partitions = sorted(await self._producer.partitions_for(self._topic))
        return int(DefaultPartitioner()(key, partitions, partitions))

    async def close(self) -> None:
        """Without waiting for what was not acknowledged."""
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._producer.stop()
        except TimeoutError:
            await self._producer.client.close()
