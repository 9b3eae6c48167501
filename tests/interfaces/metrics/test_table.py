"""The table of metrics: names by the rules, what is told of real figures, and the page that is made of it."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bessai.core.socket_file import socket_path
from bessai.interfaces.metrics import METRICS, Exemplar, Figures, Histogram, Kind, kernel
from bessai.interfaces.metrics.collecting import collect
from bessai.interfaces.metrics.document import metrics_markdown
from bessai.interfaces.metrics.figures import ClockFigures, PageFigures, ProcessFigures
from bessai.interfaces.metrics.metric import prometheus_name
from bessai.interfaces.metrics.text import page, wants_open
from bessai.journal import Journal
from support.answering_socket import AnsweringSocket
from support.entries import LAYOUT, cycle_record

LATE = Histogram(
    edges=(0.001, 0.01), counts=(3, 2, 1), sum=0.06,
    exemplars={2: Exemplar(value=0.05, trace_id="0" * 31 + "a", span_id="0" * 15 + "b", wall_ns=1_500_000_000)},
)  # fmt: skip


def test_names_follow_opentelemetrys_rules() -> None:
    for given, expected in (
        (("bessai.cycle.duration", "s", Kind.HISTOGRAM), "bessai_cycle_duration_seconds"),
        (("bessai.cycles", "{cycle}", Kind.COUNTER), "bessai_cycles_total"),
        (("bessai.sink.sent", "By", Kind.COUNTER), "bessai_sink_sent_bytes_total"),
        (("bessai.disk.wear", "1", Kind.GAUGE), "bessai_disk_wear_ratio"),
        (("bessai.temperature", "Cel", Kind.GAUGE), "bessai_temperature_celsius"),
        (("bessai.soc", "%", Kind.GAUGE), "bessai_soc_percent"),
    ):
        assert prometheus_name(*given) == expected
    with pytest.raises(ValueError, match="unit 'kW' has no word"):
        prometheus_name("bessai.power", "kW", Kind.GAUGE)


def test_each_metric_stands_once_and_well_formed() -> None:
    for names in ([m.name for m in METRICS], [m.prometheus for m in METRICS]):
        assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"(bessai|http)(\.[a-z_]+)+", metric.name)
        assert re.fullmatch(r"[A-Z0-9].*\.", metric.text), metric.text


def test_the_page_of_the_documentation_is_of_this_table() -> None:
    said = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert said == metrics_markdown(), "run: bessai metrics document > docs/metrics.md"


def test_without_figures_nothing_is_made_up() -> None:
    assert page(Figures()).splitlines()[-1] == "bessai_up 0"
    assert page(Figures(asked=False)) == "\n"
    half: dict[str, Any] = {"site": "s", "version": "1", "uptime": math.nan, "points": {"soc": None}}
    assert "uptime" not in (said := page(Figures(control=half)))
    assert "soc" not in said
    assert "bessai_up 1" in said
    sinks: list[dict[str, Any]] = [
        {"name": "notify", "state": "ok", "details": {"failed": 2}},
        {"name": "mqtt", "state": "off"},
    ]
    said = page(Figures(sinks=sinks))
    assert "bessai_notifications_failed_total 2" in said
    assert "bessai_notifications_sent_total" not in said
    assert 'bessai_sink_backlog{sink="mqtt"}' not in said


def test_histograms_with_exemplars_in_openmetrics() -> None:
    figures = Figures(
        asked=False,
        page=PageFigures(
            viewers=1, cycles=2, missed=0,
            requests=[
                ({"http.request.method": "GET", "http.route": '/a"b\\', "http.response.status_code": "200"}, LATE)
            ],
        ),
    )  # fmt: skip
    labels = r'http_request_method="GET",http_route="/a\"b\\",http_response_status_code="200"'
    plain, other = page(figures), page(figures, openmetrics=True)
    name = "http_server_request_duration_seconds"
    for said in (plain, other):
        assert f"# TYPE {name} histogram\n" in said
        assert f'{name}_bucket{{{labels},le="0.001"}} 3\n' in said
        assert f'{name}_bucket{{{labels},le="0.01"}} 5\n' in said
        assert f"{name}_count{{{labels}}} 6\n" in said
    assert f'{name}_bucket{{{labels},le="+Inf"}} 6\n' in plain
    ids = f'trace_id="{"0" * 31}a",span_id="{"0" * 15}b"'
    assert f'{name}_bucket{{{labels},le="+Inf"}} 6 # {{{ids}}} 0.05 1.500\n' in other
    assert "# TYPE bessai_page_cycles counter\n" in other
    assert f"# UNIT {name} seconds\n" in other
    assert other.endswith("\n# EOF\n")
    assert "# TYPE bessai_page_cycles_total counter\n" in plain
    assert "# EOF" not in plain


def test_who_wants_openmetrics() -> None:
    assert wants_open(
        "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    )
    assert not wants_open("text/plain;version=0.0.4, */*")
    assert not wants_open("application/openmetrics-text;q=0")
    assert not wants_open("")


def test_figures_are_collected_from_socket_journal_and_kernel(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, layout=LAYOUT, device={}, window=0.05)
    for cycle in range(1, 4):
        journal.append(cycle_record(cycle))
    assert journal.close()
    control = {"site": "s", "version": "1", "devices": {"total": 120}, "pids": {"control": 1, "page": None}}
    asked: list[dict[str, Any]] = []

    def answer(message: dict[str, Any]) -> dict[str, Any]:
        asked.append(message)
        if message["op"] == "figures":
            return {"ok": True, "figures": control}
        return {"ok": True, "devices": [{"name": f"d{message['from']}", "role": "meter", "connected": True}]}

    sinks: list[Any] = [  # other processes may write anything
        {"name": "pubsub", "state": "retrying", "backlog": 2, "cursor": 1},
        {"name": "mqtt", "state": "ok", "backlog": 0},
        "nonsense",
    ]
    path = socket_path(tmp_path)
    with AnsweringSocket(path, answer):
        figures = collect(path, tmp_path, sinks)
    assert [message.get("from") for message in asked] == [None, 0, 50, 100], "devices come in pages"
    assert [device["name"] for device in figures.devices] == ["d0", "d50", "d100"]
    ages = {sink["name"]: sink["oldest_age"] for sink in figures.sinks}
    assert ages["mqtt"] == 0.0
    assert ages["pubsub"] > 0.0
    assert figures.disk is not None
    assert figures.disk.free > 0
    assert set(figures.processes) == {"control"}
    assert collect(path, tmp_path, []).control is None, "nobody answers any more"


def test_what_the_kernel_tells() -> None:
    own = kernel.process(os.getpid())
    assert own.memory is not None
    assert own.memory > 1 << 20
    assert own.cpu is not None
    assert kernel.process(1 << 30) == ProcessFigures(memory=None, cpu=None)
    clock = kernel.clock()
    if clock is not None and not clock.synchronized:
        assert clock == ClockFigures(synchronized=False, offset=None, error_max=None), (
            "what nobody keeps has no offset"
        )


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian's prometheus) is not installed"
)
def test_prometheus_finds_nothing_wrong_with_the_names() -> None:
    lines = []
    for metric in METRICS:
        lines += [
            f"# HELP {metric.prometheus} {metric.text}",
            f"# TYPE {metric.prometheus} {metric.kind.value}",
        ]
        if metric.kind is Kind.HISTOGRAM:
            lines += [
                f'{metric.prometheus}_bucket{{le="+Inf"}} 1',
                f"{metric.prometheus}_sum 1",
                f"{metric.prometheus}_count 1",
            ]
        else:
            lines.append(f"{metric.prometheus} 1")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
