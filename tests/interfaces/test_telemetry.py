"""Spans and metrics against a real OTLP receiver, and without one."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from bessai import __version__
from bessai.interfaces.sink import SinkStatus, keep_running
from bessai.interfaces.telemetry import TelemetrySink
from bessai.model import Event, Quality, Severity
from support.entries import LAYOUT, MemoryJournal, cycle_entry, event_entry
from support.otlp_receiver import OtlpReceiver


def make_sink(journal: MemoryJournal, endpoint: str) -> TelemetrySink:
    return TelemetrySink(
        site="plant-1", service_name="gateway-under-test", endpoint=endpoint, open_reader=lambda: journal,
        statuses=lambda: [SinkStatus(name="pubsub", state="retrying", backlog=17, lag=2.5, dead_letters=1)],
        poll=0.02, metric_interval=0.3,
    )  # fmt: skip


@contextmanager
def running(sink: TelemetrySink) -> Iterator[TelemetrySink]:
    stop = threading.Event()
    thread = threading.Thread(target=keep_running, args=(sink, stop), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def wait_until(true: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"not reached: {what}"
        time.sleep(0.01)


def follow(sink: TelemetrySink, journal: MemoryJournal) -> None:
    """Wait until the sink has seen the newest record, so that what is appended next is news to it."""
    wait_until(lambda: sink.cursor == journal.last_sequence(), "the sink follows")


ALARM = Event(code="evidence_lost", severity=Severity.ALARM, message="No fresh soc.", wall_ns=1)


def test_a_cycle_is_a_span_with_its_phases() -> None:
    journal = MemoryJournal([cycle_entry(i) for i in range(1, 6)])
    with OtlpReceiver() as receiver, running(make_sink(journal, receiver.endpoint)) as sink:
        follow(sink, journal)
        journal.append(cycle_entry(6), cycle_entry(7, verified=False, events=(ALARM,)))
        received = receiver.wait_for_spans(8)
        wait_until(lambda: sink.delivered == 2, "both counted")
    assert len(received) == 8, "it starts at the newest record"
    roots = {r.attributes["cycle"]: r for r in received if r.span.name == "cycle"}
    assert set(roots) == {6, 7}
    good, bad = roots[6], roots[7]
    assert good.attributes == {
        "site": "plant-1", "sequence": 6, "cycle": 6, "state": "normal", "setpoint": -1.5, "verified": True,
    }  # fmt: skip
    assert good.resource["service.name"] == "gateway-under-test"
    assert good.resource["service.version"] == __version__
    assert good.resource["site"] == "plant-1"
    assert good.span.status.code == Status.STATUS_CODE_UNSET
    assert bad.span.status.code == Status.STATUS_CODE_ERROR
    assert bad.span.status.message == "No fresh soc."
    assert [event.name for event in bad.span.events] == ["evidence_lost"]
    children = [r.span for r in received if r.span.parent_span_id == good.span.span_id]
    assert [span.name for span in children] == ["read", "decide", "write"]
    tick = journal.entries[5].wall_ns
    read, decide, write = children
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == (tick - 200_000_000, tick)
    assert (decide.start_time_unix_nano, decide.end_time_unix_nano) == (tick, tick + 2_000_000)
    assert (write.start_time_unix_nano, write.end_time_unix_nano) == (tick + 2_000_000, tick + 32_000_000)
    assert good.span.start_time_unix_nano == read.start_time_unix_nano
    assert good.span.end_time_unix_nano == write.end_time_unix_nano
    assert all(span.trace_id == good.span.trace_id for span in children)


def test_metrics_carry_units_and_only_good_values() -> None:
    journal = MemoryJournal()
    quality = np.zeros(len(LAYOUT), np.uint8)
    quality[LAYOUT.index["battery_power"]] = Quality.STALE
    with OtlpReceiver() as receiver, running(make_sink(journal, receiver.endpoint)):
        receiver.wait_for_metrics("bessai.journal.records")  # it follows
        journal.append(cycle_entry(1), cycle_entry(2, verified=False, quality=quality), event_entry(3))
        receiver.wait_for_metrics("bessai.events", "bessai.cycle.duration", "bessai.soc", "bessai.setpoint")
        wait_until(lambda: receiver.metrics["bessai.cycles"].values() == {None: 2}, "both cycles")
        wait_until(lambda: receiver.metrics["bessai.journal.records"].values() == {None: 3}, "journal")
        wait_until(lambda: bool(receiver.metrics["bessai.events"].values()), "event")
        metrics = dict(receiver.metrics)
    assert metrics["bessai.cycles.unverified"].values() == {None: 1}
    assert metrics["bessai.cycle.duration"].values() == {None: 2}
    assert metrics["bessai.cycle.duration"].metric.unit == "s"
    assert metrics["bessai.cycle.duration"].metric.histogram.data_points[0].sum == pytest.approx(0.464)
    assert metrics["bessai.events"].values(by="severity") == {"alarm": 1}
    assert metrics["bessai.points"].values(by="quality") == {
        "good": 5, "missing": 0, "stale": 1, "not_available": 0, "invalid": 0, "out_of_range": 0,
        "absent": 0, "implausible": 0, "frozen": 0,
    }  # fmt: skip
    assert metrics["bessai.soc"].values() == {None: 52.0}
    assert metrics["bessai.soc"].metric.unit == "%"
    assert metrics["bessai.power"].values(by="point") == {"active_power": -1.5}, "a stale value is not sent"
    assert metrics["bessai.power"].metric.unit == "kW"
    assert metrics["bessai.setpoint"].values() == {None: -1.5}
    assert metrics["bessai.sink.backlog"].values(by="sink") == {"pubsub": 17}
    assert metrics["bessai.sink.lag"].values(by="sink") == {"pubsub": 2.5}
    assert metrics["bessai.sink.dead_letters"].values(by="sink") == {"pubsub": 1}
    assert metrics["bessai.journal.size"].values() == {None: 4096}
    assert metrics["bessai.soc"].resource["service.name"] == "gateway-under-test"


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_collector_that_is_away_is_said_once_and_does_not_hold_up_the_sink(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = MemoryJournal()
    receiver = OtlpReceiver()
    receiver.port = closed_port()
    with running(make_sink(journal, receiver.endpoint)) as sink:
        wait_until(lambda: sink.failures >= 1, "it follows")
        journal.append(*(cycle_entry(i) for i in range(1, 400)))
        wait_until(lambda: sink.failures >= 2, "two failed exports")
        assert sink.cursor == 399
        assert sink.status().state == "retrying"
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in (sink.status().last_error or "")
        warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(warnings) == 1, [record.message for record in warnings]
        receiver.start()
        wait_until(lambda: sink.status().state == "ok", "recovery")
    receiver.stop()


def test_the_end_does_not_wait_for_a_collector_that_hangs() -> None:
    journal = MemoryJournal()
    with OtlpReceiver() as receiver:
        with running(make_sink(journal, receiver.endpoint)) as sink:
            receiver.wait_for_metrics("bessai.journal.records")
            journal.append(cycle_entry(1))
            receiver.wait_for_spans(4)
            wait_until(lambda: sink.delivered == 1, "reached once")
            receiver.delay = 3.0
            journal.append(cycle_entry(2))
            wait_until(lambda: sink.cursor == 2, "second cycle taken")
        # `running` has seen the thread end while the collector was still holding its answers back.
        assert len(receiver.spans) == 4
        receiver.delay = 0.0


def test_what_is_queued_at_the_end_is_still_sent() -> None:
    journal = MemoryJournal()
    with OtlpReceiver() as receiver:
        with running(make_sink(journal, receiver.endpoint)) as sink:
            receiver.wait_for_metrics("bessai.journal.records")
            journal.append(cycle_entry(1))
            receiver.wait_for_spans(4)
            journal.append(cycle_entry(2))
            wait_until(lambda: sink.cursor == 2, "second cycle taken")
        assert len(receiver.spans) == 8


def test_a_sink_far_behind_jumps_to_the_newest_record() -> None:
    journal = MemoryJournal()
    with OtlpReceiver() as receiver, running(make_sink(journal, receiver.endpoint)) as sink:
        wait_until(lambda: "bessai.journal.records" in receiver.metrics, "the sink follows")
        journal.append(*(cycle_entry(i) for i in range(1, 1001)))
        follow(sink, journal)
        journal.append(cycle_entry(1001))
        received = receiver.wait_for_spans(4)
    assert {r.attributes["cycle"] for r in received if r.span.name == "cycle"} == {1001}
