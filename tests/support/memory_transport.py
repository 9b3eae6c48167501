"""A connection that ends in this process: what the client sends, a function answers, with any bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from bessai.drivers.modbus import client as modbus_client
from bessai.drivers.modbus.link import Link, Owner
from bessai.model import Endpoint

Answer = Callable[[bytes], Iterable[bytes]]
"""What was sent in one go -> the pieces that come back, each in a turn of the event loop of its own."""


class MemoryTransport(asyncio.Transport):
    """The client's end."""

    def __init__(self, link: Link, answer: Answer) -> None:
        super().__init__()
        self._link = link
        self._answer = answer
        self._closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        for piece in self._answer(bytes(data)):
            asyncio.get_running_loop().call_soon(self._deliver, piece)

    def is_closing(self) -> bool:
        return self._closed

    def abort(self) -> None:
        self._closed = True

    def _deliver(self, piece: bytes) -> None:
        if not self._closed:
            self._link.data_received(piece)


@contextmanager
def in_memory(answer: Answer) -> Iterator[None]:
    """Every connection that a `ModbusClient` opens meanwhile ends at `answer`."""

    async def open_link(owner: Owner, endpoint: Endpoint, within: float) -> Link:
        link = Link(owner, endpoint)
        link.connection_made(cast("asyncio.BaseTransport", MemoryTransport(link, answer)))
        return link

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modbus_client, "open_link", open_link)
        yield
