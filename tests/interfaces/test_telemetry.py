"""Spans and metrics against a real OTLP receiver, and without one."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from bessai import __version__
from bessai.interfaces.metrics import METRICS, Figures, Origin
from bessai.interfaces.sink import keep_running
from bessai.interfaces.telemetry import TelemetrySink
from bessai.interfaces.tracing import Sampler, Tracing, cycle_ids
from bessai.model import Event, Severity
from support.entries import MemoryJournal, cycle_entry, event_entry
from support.otlp_receiver import OtlpReceiver

CONTROL: dict[str, Any] = {
    "site": "plant-1", "version": "1", "uptime": 60.0, "healthy": True, "problems": 0, "maintenance": False,
    "pids": {}, "restarts": {"service": 1, "page": None}, "heartbeat": {"sent": 2, "withheld": 0},
    "cycle": {"cycles": 2, "missed": 3, "unverified": 1, "late_max": 0.2, "late_p50": 0.001, "late_p99": 0.1,
              "phases": {"read": 0.4, "decide": 0.1, "guard": 0.2, "write": 0.3, "record": 0.1}},
    "events": {"info": 0, "warning": 0, "alarm": 1},
    "control": {"state": "hold", "setpoint": -1.5, "requests": 1, "trips": 0},
    "points": {"soc": 52.0, "active_power": -1.5, "battery_power": None},
    "quality": {"good": 5, "stale": 1}, "alarms": {"info": 0, "warning": 0, "alarm": 1}, "units": {},
    "devices": {"total": 1, "well": 1, "oldest_value": 0.4},
    "journal": {"records": 3, "size_bytes": 4096, "queued": 0}, "sync": None,
}  # fmt: skip
SINK = {
    "name": "pubsub", "state": "retrying", "backlog": 17, "lag": 2.5, "dead_letters": 1, "breaker": "open",
    "oldest_age": 30.0, "connected": None,
}  # fmt: skip


def make_sink(
    journal: MemoryJournal, endpoint: str, tracing: Tracing | None = None, figures: Figures | None = None
) -> TelemetrySink:
    return TelemetrySink(
        site="plant-1", service_name="gateway-under-test", endpoint=endpoint, open_reader=lambda: journal,
        collect=lambda: figures or Figures(control=CONTROL, sinks=[SINK]),
        tracing=tracing or Tracing(Sampler("always_on")), poll=0.02, metric_interval=0.3,
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
    timing = {
        "late": 0.001,
        "read": 0.2,
        "decide": 0.002,
        "write": 0.03,
        "total": 0.236,
        "guard": 0.0015,
        "record": 0.004,
    }
    journal = MemoryJournal([cycle_entry(i) for i in range(1, 6)])
    with OtlpReceiver() as receiver, running(make_sink(journal, receiver.endpoint)) as sink:
        follow(sink, journal)
        journal.append(
            cycle_entry(6, timing=timing, epoch=3), cycle_entry(7, verified=False, events=(ALARM,))
        )
        received = receiver.wait_for_spans(10)
        wait_until(lambda: sink.delivered == 2, "both counted")
    assert len(received) == 10, "it starts at the newest record"
    roots = {r.attributes["bessai.cycle"]: r for r in received if r.span.name == "cycle"}
    assert set(roots) == {6, 7}
    good, bad = roots[6], roots[7]
    assert good.attributes == {
        "bessai.sequence": 6, "bessai.cycle": 6, "bessai.guard.state": "normal", "bessai.setpoint": -1500.0,
        "bessai.verified": True,
    }  # fmt: skip
    assert good.resource["service.name"] == "gateway-under-test"
    assert good.resource["service.version"] == __version__
    assert good.resource["service.instance.id"]
    assert good.resource["site"] == good.resource["deployment.name"] == "plant-1"
    assert good.span.status.code == Status.STATUS_CODE_UNSET
    assert bad.span.status.code == Status.STATUS_CODE_ERROR
    assert bad.span.status.message == "No fresh soc."
    assert [event.name for event in bad.span.events] == ["evidence_lost"]
    ids = cycle_ids("plant-1", 3, 6)
    assert (good.span.trace_id, good.span.span_id) == (ids.trace.to_bytes(16), ids.span.to_bytes(8)), (
        "known to all"
    )
    spans = {r.span.name: r.span for r in received if r.span.trace_id == good.span.trace_id}
    tick, ms = journal.entries[5].wall_ns, 1_000_000
    times = {
        name: (span.start_time_unix_nano - tick, span.end_time_unix_nano - tick)
        for name, span in spans.items()
    }
    assert times == {
        "cycle": (-200 * ms, 36 * ms), "read": (-200 * ms, 0), "decide": (0, 2 * ms), "guard": (ms // 2, 2 * ms),
        "write": (2 * ms, 32 * ms), "record": (32 * ms, 36 * ms),
    }  # fmt: skip
    assert spans["guard"].parent_span_id == spans["decide"].span_id
    assert {spans[name].parent_span_id for name in ("read", "decide", "write", "record")} == {
        good.span.span_id
    }


def test_a_share_of_cycles_is_traced_and_every_unsafe_one() -> None:
    journal = MemoryJournal()
    with OtlpReceiver() as receiver:
        sink = make_sink(journal, receiver.endpoint, Tracing(Sampler("always_off")))
        with running(sink):
            receiver.wait_for_metrics("bessai.journal.records")
            held = {**cycle_entry(1).decision, "state": "hold"}
            journal.append(
                cycle_entry(1), cycle_entry(2, verified=False), cycle_entry(3, decision=held), cycle_entry(4)
            )
            receiver.wait_for_spans(8)
            follow(sink, journal)
            exemplars = sink.status().details["exemplars"]
    assert {r.attributes["bessai.cycle"] for r in receiver.spans if r.span.name == "cycle"} == {2, 3}
    assert exemplars["bessai.cycle.duration"]["8"]["trace_id"] == f"{cycle_ids('plant-1', 0, 3).trace:032x}"


def test_the_same_share_of_traces_everywhere() -> None:
    half = Sampler("traceidratio", 0.5)
    kept = [half.keeps(cycle_ids("plant-1", 1, n).trace) for n in range(2000)]
    assert 900 < sum(kept) < 1100
    assert kept == [half.keeps(cycle_ids("plant-1", 1, n).trace) for n in range(2000)]
    assert not Sampler("traceidratio", 0.0).keeps(0)
    assert Sampler("traceidratio", 1.0).keeps((1 << 128) - 1)
    assert Sampler("parentbased_always_off").keeps(1, parent=True)
    assert not Sampler("always_off").keeps(1, parent=True)
    with pytest.raises(ValueError, match="OTEL_TRACES_SAMPLER_ARG=2: give the share"):
        Sampler.from_environment({"OTEL_TRACES_SAMPLER_ARG": "2"})
    with pytest.raises(ValueError, match="OTEL_TRACES_SAMPLER=some: use one of"):
        Sampler.from_environment({"OTEL_TRACES_SAMPLER": "some"})


def test_metrics_carry_units_and_only_what_is_known() -> None:
    journal = MemoryJournal()
    with OtlpReceiver() as receiver, running(make_sink(journal, receiver.endpoint)):
        receiver.wait_for_metrics("bessai.journal.records")  # it follows
        journal.append(cycle_entry(1), cycle_entry(2, verified=False), event_entry(3))
        receiver.wait_for_metrics("bessai.cycle.duration", "bessai.soc", "bessai.setpoint")
        wait_until(lambda: receiver.metrics["bessai.cycle.duration"].values() == {None: 2}, "both cycles")
        metrics = dict(receiver.metrics)
    table = {metric.name: metric for metric in METRICS}
    assert set(metrics) <= set(table), "what is sent stands in the table"
    for name, received in metrics.items():
        assert (received.metric.unit, received.metric.description) == (table[name].unit, table[name].text)
        assert table[name].origin is not Origin.PAGE
    assert metrics["bessai.cycles"].metric.sum.is_monotonic
    assert metrics["bessai.cycles.missed"].values() == {None: 3}
    assert metrics["bessai.cycle.phase.time"].values(by="phase")["guard"] == 0.2
    duration = metrics["bessai.cycle.duration"].metric.histogram.data_points[0]
    assert duration.sum == pytest.approx(0.464)
    assert {e.trace_id for e in duration.exemplars} <= {
        cycle_ids("plant-1", 0, n).trace.to_bytes(16) for n in (1, 2)
    }
    assert duration.exemplars, "a traced cycle can be found from the histogram"
    assert metrics["bessai.cycle.lateness"].values() == {None: 2}
    assert metrics["bessai.events"].values(by="severity") == {"info": 0, "warning": 0, "alarm": 1}
    assert metrics["bessai.points"].values(by="quality") == {"good": 5, "stale": 1}
    assert metrics["bessai.soc"].values() == {None: 52.0}
    assert metrics["bessai.soc"].metric.unit == "%"
    assert metrics["bessai.power"].values(by="point") == {"active_power": -1500.0}, (
        "a stale value is not sent"
    )
    assert metrics["bessai.setpoint"].values() == {None: -1500.0}
    assert metrics["bessai.guard.state"].values(by="state")["hold"] == 1
    assert metrics["bessai.process.restarts"].values(by="process") == {"service": 1}
    assert metrics["bessai.sink.backlog"].values(by="sink") == {"pubsub": 17}
    assert metrics["bessai.sink.oldest.age"].values(by="sink") == {"pubsub": 30.0}
    assert metrics["bessai.sink.breaker.state"].values(by="state") == {"closed": 0, "open": 1, "half_open": 0}
    assert metrics["bessai.sink.dead_letters"].values(by="sink") == {"pubsub": 1}
    assert metrics["bessai.journal.size"].values() == {None: 4096}
    assert "bessai.sink.connected" not in metrics
    assert "bessai.soh" not in metrics
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
    questions: list[None] = []
    sink = make_sink(journal, receiver.endpoint)

    def collect() -> Figures:
        questions.append(None)
        return Figures(control=CONTROL)

    sink._collect = collect
    with running(sink):
        wait_until(lambda: sink.failures >= 1, "it follows")
        wait_until(lambda: sink.unheard, "two failed exports")
        asked, read = len(questions), sink.cursor
        journal.append(*(cycle_entry(i) for i in range(1, 400)))
        assert sink.status().state == "retrying"
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in (sink.status().last_error or "")
        warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(warnings) == 1, [record.message for record in warnings]
        wait_until(lambda: sink.failures >= 3, "another")
        assert len(questions) == asked, "nobody is asked for what nobody takes"
        assert sink.cursor == read, "nothing is read for it"
        assert sink.backlog == 0, "and nothing waits"
        receiver.start()
        wait_until(lambda: sink.status().state == "ok", "recovery")
        wait_until(lambda: sink.cursor == 399, "it goes on where it was")
        receiver.wait_for_metrics("bessai.uptime")
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
    assert {r.attributes["bessai.cycle"] for r in received if r.span.name == "cycle"} == {1001}
