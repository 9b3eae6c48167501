"""What it costs to bring a record from the control plane to Pub/Sub, and how fast a backlog drains.

    python -m benchmarks.publish [--quick] [--json]

A real gRPC server in a process of its own. Cost: CPU of this process, user and system, in µs a record of 60 points:
encoded and stored in batches of 100, read again and published in requests of 100; beside it google-cloud-pubsub,
one message at a time, waiting for each, as many gateways do. Catch-up: records of one a second that wait while the
publisher is away, and live ones that go on meanwhile.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from benchmarks.harness import Row, machine, median, parser, report
from benchmarks.outbox import Outbox, row
from benchmarks.pubsub_server import TOPIC, ServerProcess, serving
from bessai.interfaces.batch_message import encode_batch
from bessai.interfaces.delivery import Pace
from bessai.interfaces.pubsub import PubSubPublisher
from bessai.journal import Cursors, Journal, JournalReader
from bessai.journal.disk import RealDisk
from bessai.journal.log import Log
from bessai.journal.row import row_of
from bessai.model import CycleRecord

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.plant_records import plant_layout, plant_records

BATCH = 100
DEVICE = {"profile": "bench"}
WITHIN = 300.0

_IN_BATCHES = partial(encode_batch, site="bench")
FORMATS: dict[str, dict[str, Any]] = {
    "a message a record": {},
    "a message a record, not compressed": {"compression": "none"},
    "a message a batch": {"encode": _IN_BATCHES},
    "a message a batch, not compressed": {"encode": _IN_BATCHES, "compression": "none"},
}
"""What a message is, and the arguments of the publisher that make it so."""


def store(directory: Path, records: list[CycleRecord]) -> float:
    """Encode and store all of them in a new journal; CPU in seconds."""
    log = Log.open(RealDisk(), directory, max_bytes=1 << 32)
    begin = time.process_time()
    for start in range(0, len(records), BATCH):
        log.append([row_of(record) for record in records[start : start + BATCH]], plant_layout(), DEVICE)
    took = time.process_time() - begin
    log.close()
    return took


@contextmanager
def publishing(directory: Path, server: ServerProcess, pace: Pace, **more: Any) -> Iterator[PubSubPublisher]:
    """The real publisher on its thread."""
    stop = threading.Event()
    publisher = PubSubPublisher(
        site="bench", project="bench", topic=TOPIC, emulator_host=server.host, pace=pace,
        open_reader=lambda: JournalReader(directory), open_cursors=lambda: Cursors(directory), **more,
    )  # fmt: skip
    thread = threading.Thread(target=publisher.run, args=(stop,))
    thread.start()
    try:
        yield publisher
    finally:
        stop.set()
        publisher.abort()
        thread.join(30)


def _until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError("the publisher does not get there")
        time.sleep(0.05)


def publish(directory: Path, server: ServerProcess, last: int, **more: Any) -> float:
    """Read and publish all of a journal; CPU in seconds of this process."""
    begin = time.process_time()
    with publishing(directory, server, Pace(batch_records=BATCH), **more) as publisher:
        _until(lambda: publisher.cursor >= last)
        return time.process_time() - begin


def one_by_one(directory: Path, server: ServerProcess, records: list[CycleRecord]) -> tuple[float, float]:
    """A row of JSON put into an outbox, published alone, waited for and deleted; CPU in seconds: store, publish."""
    channel = grpc.insecure_channel(server.host)
    client = pubsub_v1.PublisherClient(
        transport=PublisherGrpcTransport(channel=channel, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    )
    outbox = Outbox(directory / "outbox.db", "NORMAL")
    client.publish(TOPIC, b"warm", sequence="0").result()
    begin = time.process_time()
    for start in range(0, len(records), BATCH):
        outbox.put(records[start : start + BATCH])
    stored = time.process_time()
    for number, body in outbox.take(len(records)):
        client.publish(TOPIC, body, sequence=str(number)).result()
        outbox.done(number)
    end = time.process_time()
    outbox.close()
    channel.close()
    return stored - begin, end - stored


def cost(directory: Path, *, quick: bool) -> dict[str, float | None]:
    """CPU in µs a record."""
    with serving() as server:
        return _cost(directory, server, quick=quick)


def _cost(directory: Path, server: ServerProcess, *, quick: bool) -> dict[str, float | None]:
    rounds, count, alone = (1, 1_000, 50) if quick else (7, 10_000, 1_000)
    records = plant_records(count)
    found: dict[str, list[float]] = {}

    def note(what: str, seconds: float, of: int) -> float:
        found.setdefault(what, []).append(seconds / of * 1e6)
        return seconds / of * 1e6

    for n in range(rounds):
        (folder := directory / str(n)).mkdir()
        stored = note("encode and store", store(folder, records), count)
        theirs = sum(
            note(f"one by one: {what}", seconds, alone)
            for what, seconds in zip(
                ("outbox", "publish().result()"), one_by_one(folder, server, records[:alone]), strict=True
            )
        )
        for name, more in FORMATS.items():
            for file in folder.glob("cursors/*"):
                file.unlink()
            sent = note(f"publish, {name}", publish(folder, server, count, **more), count)
            note(f"all together, {name}", 1e-6 * (stored + sent), 1)
            note(f"one by one / ours, {name} (times)", 1e-6 * theirs / (stored + sent), 1)
    return {what: median(values) for what, values in found.items()}


def catch_up(directory: Path, *, quick: bool) -> dict[str, float | None]:
    """How fast a backlog drains, in seconds of records a second, and how late live records are meanwhile."""
    found: dict[str, float | None] = {}
    waiting = 1_500 if quick else 3_600 * 8
    records = plant_records(waiting)
    for name, more in FORMATS.items():
        if "not compressed" not in name:
            with serving() as server:
                reached, lags = _caught_up(directory / name, server, records, **more)
            found[f"{name}: backlog drained, seconds of records a second"] = round(waiting / reached, 1)
            found[f"{name}: live records meanwhile, median lag from the cycle, s"] = median(lags)
            found[f"{name}: worst lag, s"] = round(max(lags), 2)
    return found


def _caught_up(
    folder: Path, server: ServerProcess, records: list[CycleRecord], **more: Any
) -> tuple[float, list[float]]:
    """Seconds until the backlog was delivered, and the lag of each live record from its cycle."""
    waiting = len(records)
    _fill(folder, records, time.time_ns() - waiting * 10**9)
    journal = Journal.open(folder, layout=plant_layout(), device=DEVICE)
    live = iter(plant_records(int(WITHIN), seed=2))
    appended: list[float] = []
    reached: float | None = None
    begin = time.monotonic()
    with publishing(folder, server, Pace(), **more) as publisher:
        while reached is None or len(appended) < 4:
            journal.append(_now(next(live)))
            appended.append(time.monotonic())
            while time.monotonic() < appended[-1] + 1.0:
                if reached is None and publisher.cursor >= waiting:
                    reached = time.monotonic()
                time.sleep(0.01)
        _until(partial(_done, publisher, waiting + len(appended)))
    journal.close(10.0)
    arrivals = server.arrived(waiting)["arrivals"]
    return reached - begin, [arrivals[str(waiting + n)] - at for n, at in enumerate(appended, 1)]


def _done(publisher: PubSubPublisher, last: int) -> bool:
    return publisher.cursor >= last


def _fill(folder: Path, records: list[CycleRecord], began_ns: int) -> None:
    log = Log.open(RealDisk(), folder)
    for start in range(0, len(records), BATCH):
        rows = [row_of(record) for record in records[start : start + BATCH]]
        for n, stored in enumerate(rows, start):
            stored.wall_ns = began_ns + n * 10**9
        log.append(rows, plant_layout(), DEVICE)
    log.close()


def _now(record: CycleRecord) -> CycleRecord:
    return replace(record, image=replace(record.image, wall_ns=time.time_ns()))


def main() -> None:
    """Measure and report."""
    options = parser(__doc__ or "").parse_args()
    rows: list[Row] = []
    result: dict[str, Any] = {"benchmark": "publish", "machine": machine("google-cloud-pubsub", "grpcio")}
    with tempfile.TemporaryDirectory() as name:
        for part in (cost, catch_up):
            found = part(Path(name), quick=options.quick)
            result[part.__name__] = found
            unit = "µs CPU a record" if part is cost else ""
            rows += [(what, value, "" if "times" in what else unit) for what, value in found.items()]
    result["notes"] = [
        f"a row of the outbox has {len(row(plant_records(1)[0]))} bytes: time and values only; ours has the decision",
        "aims: ≤ 15 µs all together in batches; ≥ 50 seconds of records a second; lag ≤ 2 s and a window",
    ]
    report(result, rows, as_json=options.json)


if __name__ == "__main__":
    main()
