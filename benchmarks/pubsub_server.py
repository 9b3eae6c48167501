"""A Pub/Sub server as a process of its own: prints its port; answers each line with what has arrived.

{"count": 3, "arrivals": {"1": 1234.5, …}}    sequences above the number on the line, and the monotonic time of each
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TOPIC = "projects/bench/topics/bench"


class ServerProcess:
    """Use `serving`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.host = f"127.0.0.1:{int(process.stdout.readline())}"
        """For PUBSUB_EMULATOR_HOST."""

    def arrived(self, above: int = 1 << 62) -> dict[str, Any]:
        """How many messages have arrived, and when each record above a sequence did, in monotonic seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{above}\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def serving() -> Iterator[ServerProcess]:
    """A server with one topic."""
    command = [sys.executable, "-m", "benchmarks.pubsub_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield ServerProcess(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from support.fake_pubsub import FakePubSub  # noqa: PLC0415

    with FakePubSub([TOPIC]) as server:
        print(server.port, flush=True)
        for line in sys.stdin:
            above = int(line)
            count = sum(server.requests)
            arrivals: dict[str, float] = {}
            if above < 1 << 62:
                for message in server.messages:
                    first = int(message.attributes["sequence"])
                    for number in range(
                        max(first, above + 1), int(message.attributes.get("last", first)) + 1
                    ):
                        arrivals.setdefault(str(number), message.arrival)
            print(json.dumps({"count": count, "arrivals": arrivals}), flush=True)


if __name__ == "__main__":
    _main()
