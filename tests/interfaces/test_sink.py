"""Keeping sinks running, and the pauses between attempts."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from bessai.interfaces.sink import Backoff, Sink, keep_running


class Breaking(Sink):
    """Raises in its first runs, then delivers until told to stop."""

    def __init__(self, breaks: int) -> None:
        super().__init__("breaking")
        self.breaks = breaks
        self.working = threading.Event()

    def run(self, stop: threading.Event) -> None:
        if self.failures < self.breaks:
            raise OSError("no disk")
        self.recovered()
        self.working.set()
        stop.wait()


def test_a_sink_that_breaks_is_started_again_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sink = Breaking(3)
    stop = threading.Event()
    thread = threading.Thread(target=keep_running, args=(sink, stop, Backoff(0.01, 0.02)), daemon=True)
    thread.start()
    assert sink.working.wait(30)
    status = sink.status()
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert (status.state, status.failures, status.last_error) == ("ok", 3, None)
    said = [record.message for record in caplog.records]
    assert said == [
        "breaking: stopped by OSError: no disk; it is started again",
        "breaking: working again, 0 records waiting",
    ]


def test_pauses_double_up_to_their_limit_with_jitter() -> None:
    backoff = Backoff(0.1, 1.0)
    for longest in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert longest / 2 <= backoff.next() <= longest
    backoff.reset()
    assert backoff.next() <= 0.1


def test_a_new_trouble_is_said_again(caplog: pytest.LogCaptureFixture) -> None:
    sink = Breaking(0)
    for sentence in ("a", "a", "b", "a"):
        sink.failed(sentence)
    assert [record.message for record in caplog.records] == ["breaking: a", "breaking: b", "breaking: a"]
    status = sink.status()
    assert (status.name, status.state, status.failures, status.last_error) == ("breaking", "retrying", 4, "a")
    assert status.as_dict()["last_error"] == "a"


def test_the_newest_error_and_the_newest_delivery_are_remembered() -> None:
    sink = Breaking(0)
    assert (sink.status().delivered_ns, sink.status().newest_error, sink.status().connected) == (None,) * 3
    before = time.time_ns()
    sink.failed("a")
    sink.recovered()
    sink.delivered += 0  # nothing was delivered
    told = sink.status()
    assert (told.last_error, told.newest_error, told.delivered_ns) == (None, "a", None)
    assert told.newest_error_ns is not None
    assert before <= told.newest_error_ns <= time.time_ns()
    sink.delivered += 2
    told = sink.status()
    assert told.delivered == 2
    assert told.delivered_ns is not None
    assert before <= told.delivered_ns <= time.time_ns()
