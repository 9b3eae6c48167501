"""The log of all processes: one form, whoever writes it."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from bessai.interfaces.structured import formatter
from bessai.interfaces.tracing import Sampler, Tracing
from bessai.logs import JsonLines, Origin, TextLines, wants_json

ORIGIN = Origin("plant-1", "service")


def record(message: str, *arguments: object, error: Exception | None = None) -> logging.LogRecord:
    exc_info = None
    if error is not None:
        try:
            raise error
        except type(error):
            exc_info = sys.exc_info()
    made = logging.LogRecord("bessai.x", logging.WARNING, __file__, 1, message, arguments, exc_info)
    made.created = 1_767_225_600.0625
    return made


@pytest.mark.parametrize(
    "made",
    [
        record("%d records wait", 3),
        record('odd "signs"\nand ñ 100 %'),
        record("failed", error=ValueError("no\nnumber")),
        record("the broker mqtts://me:hunter2@broker:8883 refuses %s", "http://a@b/c"),
    ],
)
def test_both_formatters_write_the_same(made: logging.LogRecord) -> None:
    lines = [one.format(made) for one in (JsonLines(ORIGIN), formatter(ORIGIN))]
    assert "\n" not in lines[0] + lines[1], "a line is a message"
    first, second = map(json.loads, lines)
    assert first == second
    assert list(first) == list(second)
    assert first["timestamp"] == "2026-01-01T00:00:00.062Z"
    assert (first["level"], first["logger"]) == ("warning", "bessai.x")
    assert (first["site"], first["process"]) == ("plant-1", "service")
    assert "hunter2" not in lines[0] + lines[1] + TextLines().format(made)
    if made.exc_info:
        assert (first["exception.type"], first["exception.message"]) == ("ValueError", "no\nnumber")
        assert "test_logs.py" in first["exception.stacktrace"]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("mqtts://me:hun/ter2@broker:8883 refuses", "mqtts://***@broker:8883 refuses"),
        ("mqtts://me:hun@ter2@broker:8883 refuses", "mqtts://***@broker:8883 refuses"),
        ("nats://me:h,ter2@a:4222,nats://me:h/ter2@b:4222", "nats://***@a:4222,nats://***@b:4222"),
        ("('https://me:h/ter2@host/x', 'a@b')", "('https://***@host/x', 'a@b')"),
        ("see http://host:8080/@ana/x, or ask\nana@x.cl", "see http://host:8080/@ana/x, or ask\nana@x.cl"),
        ("https://host/pkg@1.2 at //[::1]:80/a@b", "https://host/pkg@1.2 at //[::1]:80/a@b"),
        ('{"url":"http://host:80","mail":"ana@x.cl"}', '{"url":"http://host:80","mail":"ana@x.cl"}'),
    ],
)  # fmt: skip
def test_a_password_in_an_address_is_hidden_and_nothing_else(said: str, left: str) -> None:
    for form in (JsonLines(ORIGIN), formatter(ORIGIN)):
        assert json.loads(form.format(record(said)))["event"] == left
        found = json.loads(form.format(record("failed", error=ValueError(said))))
        assert found["exception.message"] == left
        assert "ter2" not in found["exception.stacktrace"]
    assert TextLines().format(record(said)).endswith(left.replace("\n", " | "))


def test_lines_within_a_span_carry_its_ids() -> None:
    tracing = Tracing(Sampler("always_off"))
    with tracing.span("publish", "producer", {}) as span:
        inside = json.loads(formatter(ORIGIN).format(record("sent")))
    outside = json.loads(formatter(ORIGIN).format(record("sent")))
    assert (inside["trace_id"], inside["span_id"]) == span.ids.texts()
    assert "trace_id" not in outside


def test_structlogs_own_events_keep_their_fields() -> None:
    import structlog

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(ORIGIN))
    logger = logging.getLogger("bessai.test_logs")
    logger.setLevel("INFO")
    logger.propagate = False
    logger.addHandler(handler)
    structlog.wrap_logger(
        logger, processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    ).info("delivered", records=17, to=["nats://a:ter2@b"], error=ValueError("nats://a:ter2@b"))  # fmt: skip
    logger.removeHandler(handler)
    said: dict[str, Any] = json.loads(stream.getvalue())
    assert (said["event"], said["records"], said["level"]) == ("delivered", 17, "info")
    assert said["to"] == ["nats://***@b"]
    assert said["error"] == "ValueError('nats://***@b')"


def test_auto_is_json_unless_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert [wants_json(form) for form in ("auto", "text", "json")] == [False, False, True]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert [wants_json(form) for form in ("auto", "text", "json")] == [True, False, True]


def test_the_control_plane_loads_neither_structlog_nor_opentelemetry() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import bessai.core.start, sys; print(*sorted({n.split('.')[0] for n in sys.modules}))"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert not {"structlog", "opentelemetry", "grpc", "rich"} & set(done.stdout.split())
