"""What stands around the control plane: sinks, disk, clock, processes, certificates, the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from bessai.interfaces.metrics.figures import Figures
from bessai.interfaces.metrics.metric import Origin, Sample
from bessai.interfaces.metrics.reading import Read, counter, dig, gauge, histogram, number, state_of

_sinks_gauge = partial(gauge, origin=Origin.SINKS)
_sinks_counter = partial(counter, origin=Origin.SINKS)
_machine = partial(gauge, origin=Origin.MACHINE)
_page = partial(counter, origin=Origin.PAGE)

_SINK_STATES: Final = ("ok", "retrying", "off")
_BREAKER_STATES: Final = ("closed", "open", "half_open")
_CARRIERS_OF_NOTHING: Final = frozenset({"otel", "history", "performance", "schedule"})
"""Sinks without a breaker."""


def _sinks(key: str, *, carriers: bool = False) -> Read:
    """One number of each sink that is on."""

    def read(figures: Figures) -> Iterator[Sample]:
        for sink in figures.sinks:
            if sink["state"] != "off" and not (carriers and sink["name"] in _CARRIERS_OF_NOTHING):
                yield {"sink": str(sink["name"])}, number(sink.get(key))

    return read


def _sink_states(figures: Figures) -> Iterator[Sample]:
    for sink in figures.sinks:
        yield from state_of(sink["state"], _SINK_STATES, {"sink": str(sink["name"])})


def _breakers(figures: Figures) -> Iterator[Sample]:
    for sink in figures.sinks:
        if sink["state"] != "off" and sink["name"] not in _CARRIERS_OF_NOTHING:
            yield from state_of(sink.get("breaker"), _BREAKER_STATES, {"sink": str(sink["name"])})


def _delivery_age(figures: Figures) -> Iterator[Sample]:
    for sink in figures.sinks:
        at = number(sink.get("delivered_ns"))
        if at is not None:
            yield {"sink": str(sink["name"])}, max(0.0, time.time() - at / 1e9)


def _notified(key: str) -> Read:
    """What the sink that notifies people counts in its details."""

    def read(figures: Figures) -> Iterator[Sample]:
        for sink in figures.sinks:
            if sink["name"] == "notify" and sink["state"] != "off":
                yield {}, number(dig(sink, "details", key))

    return read


def _disk(key: str) -> Read:
    def read(figures: Figures) -> Iterator[Sample]:
        if figures.disk is not None:
            yield {}, number(getattr(figures.disk, key))

    return read


def _clock(key: str) -> Read:
    def read(figures: Figures) -> Iterator[Sample]:
        if figures.clock is not None:
            yield {}, number(getattr(figures.clock, key))

    return read


def _processes(key: str) -> Read:
    def read(figures: Figures) -> Iterator[Sample]:
        for name, process in figures.processes.items():
            yield {"process": name}, number(getattr(process, key))

    return read


def _pages(key: str) -> Read:
    def read(figures: Figures) -> Iterator[Sample]:
        if figures.page is not None:
            yield {}, number(getattr(figures.page, key))

    return read


def _certificates(figures: Figures) -> Iterator[Sample]:
    for name, end in figures.certificates.items():
        yield {"certificate": name}, end


def _answers(figures: Figures) -> Iterator[Sample]:
    if figures.page is not None:
        yield from figures.page.requests


SINKS = (
    _sinks_gauge("bessai.sink.state", "{state}", "1 for the state that a sink is in.", _sink_states, "sink", "state"),
    _sinks_gauge("bessai.sink.backlog", "{record}", "Records that wait for a sink.", _sinks("backlog"), "sink"),
    _sinks_gauge(
        "bessai.sink.oldest.age", "s", "Age of the oldest record that waits for a sink.", _sinks("oldest_age"), "sink"
    ),
    _sinks_gauge(
        "bessai.sink.lag", "s", "How much older the newest delivered record is than the newest of the journal.",
        _sinks("lag"), "sink",
    ),
    _sinks_gauge("bessai.sink.delivery.age", "s", "Time since a sink delivered last.", _delivery_age, "sink"),
    _sinks_gauge(
        "bessai.sink.connected", "{connection}", "1: the sink holds a connection; a sink that keeps none is not told.",
        _sinks("connected"), "sink",
    ),
    _sinks_gauge(
        "bessai.sink.breaker.state", "{state}", "1 for the state of the sink's circuit breaker.", _breakers,
        "sink", "state",
    ),
    _sinks_gauge(
        "bessai.sink.dead_letters", "{message}", "Messages set aside: refused for their content.",
        _sinks("dead_letters", carriers=True), "sink",
    ),
    _sinks_counter("bessai.sink.delivered", "{record}", "Records delivered.", _sinks("delivered"), "sink"),
    _sinks_counter("bessai.sink.failures", "{attempt}", "Failed attempts.", _sinks("failures"), "sink"),
    _sinks_counter("bessai.sink.batches", "{batch}", "Batches acknowledged.", _sinks("batches", carriers=True), "sink"),
    _sinks_counter(
        "bessai.sink.sent", "By", "Bytes acknowledged, before compression.", _sinks("sent_bytes", carriers=True), "sink"
    ),
    _sinks_counter(
        "bessai.sink.missed", "{record}", "Sequence numbers without a readable record.", _sinks("missed"), "sink"
    ),
    _sinks_counter(
        "bessai.sink.doubtful", "{record}", "Records that may have arrived twice.",
        _sinks("doubtful", carriers=True), "sink",
    ),
    _sinks_counter(
        "bessai.notifications.sent", "{notification}", "Notifications that a service took.", _notified("sent")
    ),
    _sinks_counter(
        "bessai.notifications.failed", "{attempt}", "Attempts to notify that no service took.", _notified("failed")
    ),
)  # fmt: skip

MACHINE = (
    _machine("bessai.disk.free", "By", "Free room on the disk of the data directory.", _disk("free")),
    _machine("bessai.disk.total", "By", "Size of the disk of the data directory.", _disk("total")),
    _machine("bessai.disk.wear", "1", "Share of the disk's life that is used; only eMMC tells.", _disk("wear")),
    _machine(
        "bessai.process.memory.usage", "By", "Resident memory of the gateway's processes.", _processes("memory"),
        "process",
    ),
    counter(
        "bessai.process.cpu.time", "s", "Processor time of the gateway's processes.", _processes("cpu"), "process",
        origin=Origin.MACHINE,
    ),
    _machine(
        "bessai.clock.synchronized", "{clock}", "1: the kernel's clock is kept by a time service.",
        _clock("synchronized"),
    ),
    _machine("bessai.clock.offset", "s", "What the kernel still has to correct of its clock.", _clock("offset")),
    _machine(
        "bessai.clock.error.max", "s", "By how much the clock may be wrong at most, as its time service reckons.",
        _clock("error_max"),
    ),
)  # fmt: skip

CERTIFICATES = (
    gauge(
        "bessai.certificate.expiration.timestamp", "s",
        "When a certificate in use ends, in UTC seconds since 1970; of a chain the first, of authorities the last.",
        _certificates, "certificate", origin=Origin.FILES,
    ),
)  # fmt: skip

PAGE = (
    gauge("bessai.page.viewers", "{viewer}", "Live streams that are open.", _pages("viewers"), origin=Origin.PAGE),
    _page("bessai.page.cycles", "{cycle}", "Cycles that the page has been told of.", _pages("cycles")),
    _page("bessai.page.missed", "{cycle}", "Cycles lost by viewers that read slowly.", _pages("missed")),
    histogram(
        "http.server.request.duration", "s", "How long an answer took to begin.", _answers,
        "http.request.method", "http.route", "http.response.status_code", origin=Origin.PAGE,
    ),
)  # fmt: skip
