"""What can go wrong at a broker; `trouble` says it in sentences."""

from __future__ import annotations


class BrokerError(Exception):
    """The broker has refused something, or has ended the connection.

    Args:
        doing: `connect`, `publish`, `subscribe` or `lost`.
        code: the MQTT 5 reason code; None when it gave none.
        name: what the code is called.
        topic: what was published or subscribed to.
    """

    def __init__(self, doing: str, code: int | None, name: str, topic: str = "") -> None:
        super().__init__(f"{doing} {topic}: {name}")
        self.doing = doing
        self.code = code
        self.name = name
        self.topic = topic


class TooLargeError(Exception):
    """A message is larger than the broker allows."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(f"{topic}: {size} bytes")
        self.topic = topic
        self.size = size
        self.limit = limit


class ClosedError(Exception):
    """The connection was closed by this side."""
