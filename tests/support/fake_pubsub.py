"""A real gRPC Pub/Sub server for tests: topics and Publish over the wire, with faults on demand.

with FakePubSub(topics=["projects/p/topics/t"]) as server:
    server.host                     # "127.0.0.1:port", for PUBSUB_EMULATOR_HOST; survives stop and start
    server.fail("UNAVAILABLE", times=3)
    server.lose_acks(times=1)       # accepts the messages, then fails the reply
    server.stop(); server.start()   # an outage; accepted messages are kept
    server.wait_for(100)            # messages, duplicates included
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from google.pubsub_v1 import types


@dataclass(frozen=True, kw_only=True)
class Received:
    """One accepted message."""

    topic: str
    data: bytes
    attributes: dict[str, str]
    ordering_key: str
    arrival: float
    """Monotonic seconds."""


class FakePubSub:
    """Start with `start()` or as a context manager."""

    def __init__(self, topics: Iterable[str] = ()) -> None:
        self.topics = set(topics)
        self.messages: list[Received] = []
        """Every accepted message in the order of acceptance."""
        self.requests: list[int] = []
        """Messages in each Publish request, refused ones included."""
        self.delay = 0.0
        """Seconds before each Publish is looked at."""
        self.port = 0
        self._faults: list[grpc.StatusCode] = []
        self._lost_acks = 0
        self._changed = threading.Condition()
        self._server: grpc.Server | None = None

    @property
    def host(self) -> str:
        """Address for PUBSUB_EMULATOR_HOST."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> FakePubSub:
        """Listen; after `stop` on the same port again."""
        server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((self._handlers(),))
        for _ in range(50):  # the port may still be closing
            try:
                self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
                break
            except RuntimeError:
                time.sleep(0.1)
        else:
            raise RuntimeError(f"port {self.port} is taken")
        server.start()
        self._server = server
        return self

    def stop(self) -> None:
        """Drop every connection and stop listening."""
        if self._server is not None:
            self._server.stop(grace=None).wait()
            self._server = None

    def __enter__(self) -> FakePubSub:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def fail(self, code: str, times: int = 1) -> None:
        """Refuse the next `times` Publish requests with a gRPC status, such as `PERMISSION_DENIED`."""
        with self._changed:
            self._faults += [grpc.StatusCode[code]] * times

    def lose_acks(self, times: int = 1) -> None:
        """Accept the next `times` Publish requests but answer UNAVAILABLE."""
        with self._changed:
            self._lost_acks += times

    def wait_for(self, count: int, timeout: float = 60.0) -> list[Received]:
        """All messages, as soon as there are `count` of them.

        Raises:
            TimeoutError: there are still fewer.
        """
        return self.wait_until(lambda messages: len(messages) >= count, timeout)

    def wait_until(self, true: Callable[[list[Received]], bool], timeout: float = 60.0) -> list[Received]:
        """All messages, as soon as `true` of them."""
        with self._changed:
            if not self._changed.wait_for(lambda: true(self.messages), timeout):
                raise TimeoutError(f"only {len(self.messages)} messages after {timeout:g} s")
            return list(self.messages)

    def sequences(self) -> list[int]:
        """The `sequence` attribute of every accepted message, in order, duplicates included."""
        with self._changed:
            return [int(message.attributes["sequence"]) for message in self.messages]

    def _handlers(self) -> grpc.GenericRpcHandler:
        def unary(method: Callable[[Any, grpc.ServicerContext], Any], request: Any, reply: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                method, request_deserializer=request.deserialize, response_serializer=reply.serialize
            )

        return grpc.method_handlers_generic_handler(
            "google.pubsub.v1.Publisher",
            {
                "CreateTopic": unary(self._create_topic, types.Topic, types.Topic),
                "GetTopic": unary(self._get_topic, types.GetTopicRequest, types.Topic),
                "Publish": unary(self._publish, types.PublishRequest, types.PublishResponse),
            },
        )

    def _create_topic(self, request: types.Topic, _: grpc.ServicerContext) -> types.Topic:
        self.topics.add(request.name)
        return request

    def _get_topic(self, request: types.GetTopicRequest, context: grpc.ServicerContext) -> types.Topic:
        self._require(request.topic, context)
        return types.Topic(name=request.topic)

    def _publish(self, request: types.PublishRequest, context: grpc.ServicerContext) -> types.PublishResponse:
        time.sleep(self.delay)
        with self._changed:
            self.requests.append(len(request.messages))
            if self._faults:
                code = self._faults.pop(0)
                context.abort(code, f"injected {code.name}")
            self._require(request.topic, context)
            first = len(self.messages)
            self.messages += [
                Received(
                    topic=request.topic,
                    data=message.data,
                    attributes=dict(message.attributes),
                    ordering_key=message.ordering_key,
                    arrival=time.monotonic(),
                )
                for message in request.messages
            ]
            self._changed.notify_all()
            if self._lost_acks:
                self._lost_acks -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "the reply got lost")
            return types.PublishResponse(message_ids=[str(i) for i in range(first, len(self.messages))])

    def _require(self, topic: str, context: grpc.ServicerContext) -> None:
        if topic not in self.topics:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={topic}).")
