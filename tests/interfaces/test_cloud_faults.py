"""What networks and clouds do to the publisher: a real gRPC server behind a TCP proxy that spoils the way.

The oracle is the server: what it has accepted is what a subscriber would get. Nothing may be missing, repetitions
carry the same id and content, each lane is in order, and the chain of `previous` has no hole.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bessai.interfaces.delivery import Pace
from bessai.interfaces.pubsub import PubSubPublisher
from bessai.journal import Journal
from bessai.journal.progress import Progress
from support.chaos_proxy import ChaosProxy
from support.entries import LAYOUT, MemoryJournal, cycle_entry, cycle_record
from support.fake_pubsub import FakePubSub
from support.memory_courier import check_chains, running, wait_until

TOPIC = "projects/plant/topics/telemetry"
PACE = Pace(
    batch_records=100, poll=0.01, attempt_timeout=1.0, retry_first=0.02, retry_passing=0.2, retry_refused=0.2,
    split_after=0.3,
)  # fmt: skip


@dataclass
class Scene:
    server: FakePubSub
    proxy: ChaosProxy
    journal: MemoryJournal
    publisher: PubSubPublisher

    def record(self, count: int) -> int:
        """The plant goes on; the sequence of the last record."""
        last = self.journal.last_sequence()
        self.journal.append(*(cycle_entry(i) for i in range(last + 1, last + count + 1)))
        return last + count

    def wait_for_sequence(self, sequence: int) -> None:
        self.server.wait_until(lambda messages: str(sequence) in {m.attributes["sequence"] for m in messages})

    def wait_for_trouble(self, words: str) -> None:
        wait_until(lambda: words in (self.publisher.status().last_error or ""), f"it says: {words}")

    def check_all_arrived(self) -> None:
        """Waits until the publisher is done, and then asks the server."""
        last = self.journal.last_sequence()
        wait_until(lambda: self.journal.progress("pubsub") == Progress(last), "all is done")
        wait_until(lambda: self.publisher.status().state == "ok", "all is well")
        messages = self.server.wait_for(last)
        assert set(self.server.sequences()) == set(range(1, last + 1)), "nothing is missing"
        first_of: dict[str, bytes] = {}
        for message in messages:
            attributes = message.attributes
            assert attributes["id"] == f"plant-1/0/{attributes['sequence']}"
            assert first_of.setdefault(attributes["id"], message.data) == message.data, "the same content"
            key = "plant-1" if attributes["lane"] == "live" else "plant-1/backlog"
            assert message.ordering_key == key
        assert len(first_of) == last
        assert len(messages) <= last + self.publisher.status().doubtful, "repetitions are counted"
        check_chains(messages)


@contextmanager
def scene(pace: Pace = PACE) -> Iterator[Scene]:
    journal = MemoryJournal()
    with FakePubSub([TOPIC]) as server, ChaosProxy(server.port) as proxy:
        publisher = PubSubPublisher(
            site="plant-1", project="plant", topic="telemetry", emulator_host=proxy.host, pace=pace,
            open_reader=lambda: journal, open_cursors=lambda: journal,
        )  # fmt: skip
        with running(publisher):
            made = Scene(server, proxy, journal, publisher)
            made.record(1)
            server.wait_for(1)
            yield made


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        pytest.param(lambda s: s.proxy.refuse(), "cannot be reached", id="unavailable"),
        pytest.param(lambda s: s.proxy.swallow(), "does not answer in time", id="half-open"),
        pytest.param(
            lambda s: s.proxy.swallow_replies(), "does not answer in time", id="acknowledgement-lost"
        ),
        pytest.param(lambda s: s.server.stop(), "cannot be reached", id="server-down"),
        pytest.param(lambda s: setattr(s.proxy, "reset_after", 300), "cannot be reached", id="reset"),
        pytest.param(
            lambda s: s.server.fail("PERMISSION_DENIED", 6), "roles/pubsub.publisher", id="permission"
        ),
        pytest.param(lambda s: s.server.fail("RESOURCE_EXHAUSTED", 6), "quota", id="quota"),
        pytest.param(
            lambda s: s.server.lose_acks(6), "cannot be reached", id="error-instead-of-acknowledgement"
        ),
    ],
)
def test_nothing_is_lost_and_live_records_go_first(begin: Callable[[Scene], None], words: str) -> None:
    with scene() as s:
        begin(s)
        for _ in range(5):
            s.record(40)
            s.wait_for_trouble(words)
        if s.server._server is None:
            s.server.start()
        s.proxy.heal()
        wait_until(lambda: s.publisher.status().state == "ok", "recovery")
        for _ in range(10):
            s.wait_for_sequence(s.record(1))
        s.check_all_arrived()


def test_connections_that_break_again_and_again_only_slow_it_down() -> None:
    with scene() as s:
        s.proxy.reset_after = 3_000
        for _ in range(8):
            s.wait_for_sequence(s.record(10))
            s.proxy.reset()
        s.proxy.reset_after = None
        s.check_all_arrived()
        assert s.proxy.connections >= 8  # the last one may have broken when all had arrived


def test_a_slow_cloud_is_waited_for() -> None:
    with scene() as s:
        s.server.delay = 0.3
        for _ in range(4):
            s.wait_for_sequence(s.record(20))
        s.server.delay = 0.0
        s.check_all_arrived()
        assert s.publisher.status().failures == 0


def test_on_64_kbit_a_second_the_backlog_drains_and_the_newest_still_goes_first() -> None:
    with scene(Pace(batch_records=100, poll=0.01, attempt_timeout=3.0, split_after=1.0)) as s:
        s.proxy.refuse()
        s.record(200)
        s.wait_for_trouble("cannot be reached")
        s.proxy.heal()
        s.proxy.rate = 8_000.0
        newest = 0
        while s.publisher.status().backlog > 20 or newest < 210:
            newest = s.record(1)
            s.wait_for_sequence(newest)
        s.check_all_arrived()
        assert s.proxy.forwarded < 200 * 1_000, "compressed: a record alone has more than 1,000 bytes"


def test_memory_stays_flat_over_an_outage(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, layout=LAYOUT, device={"profile": "test_device"}, window=0.1)

    def append(first: int, last: int) -> None:
        for cycle in range(first, last + 1):
            journal.append(cycle_record(cycle))
            if cycle % 500 == 0:
                wait_until(lambda: journal.stats().queued == 0, "all is in the journal")

    with FakePubSub([TOPIC]) as server, ChaosProxy(server.port) as proxy:
        environment = {
            "SITE_ID": "plant-1", "DATA_DIR": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": "",
            "GCP_PROJECT_ID": "plant", "GCP_PUBSUB_TOPIC": "telemetry", "PUBSUB_EMULATOR_HOST": proxy.host,
        }  # fmt: skip
        service = subprocess.Popen(
            [sys.executable, "-m", "bessai.interfaces"],
            stdin=subprocess.PIPE,
            env=dict(os.environ) | environment,
        )
        try:
            append(1, 500)
            server.wait_for(500)
            before = _resident_kb(service.pid)
            proxy.refuse()
            append(501, 2_500)
            during = _resident_kb(service.pid)
            proxy.heal()
            server.wait_until(lambda messages: len({m.attributes["sequence"] for m in messages}) == 2_500)
            after = _resident_kb(service.pid)
            service.send_signal(signal.SIGTERM)
            assert service.wait(60) == 0
        finally:
            service.kill()
            service.wait()
            assert service.stdin is not None
            service.stdin.close()
            assert journal.close(30)
        check_chains(server.messages)
    assert during - before < 30_000, "kB more while the cloud is away"
    assert after - before < 30_000, "kB more when 2,000 records have drained"


def _resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS:")))
