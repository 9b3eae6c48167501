"""Report rules: truth tables, and what must hold for any values, times and rules."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.interfaces.reporting import Reporter
from bessai.journal.entry import Entry
from bessai.model import Event, Layout, Quality, Severity
from bessai.site import ReportFile
from support.entries import LAYOUT, START_NS, cycle_entry, event_entry

NAN = math.nan
ONE = Layout(names=("soc",), units=("%",))
QUIET = {"at_least_every": 86_400.0}


def _reporter(
    *rules: dict[str, Any], sink: str = "pubsub", publish: list[str] | None = None, **rest: Any
) -> Reporter:
    given = {"decision": QUIET, "rules": [*rules] or [{"points": ["*"]}], **rest}
    return Reporter(ReportFile.model_validate(given), sink, publish)


def _entry(second: int, values: list[float], layout: Layout = ONE, **changes: Any) -> Entry:
    return cycle_entry(second, layout=layout, **{"values": np.array(values, np.float64)} | changes)


def _sent(reporter: Reporter, values: list[float], **changes: Any) -> list[int]:
    """The seconds at which `soc` is reported, when it has these values one a second."""
    return [
        n
        for n, value in enumerate(values)
        if (told := reporter.choose(_entry(n, [value], **changes))) and len(told.layout)
    ]


@pytest.mark.parametrize(
    ("rule", "values", "reported"),
    [
        ({}, [50, 50, 51, 51, 50], [0, 2, 4]),
        ({"dead_band": 1.0}, [50, 51, 51.5, 50.5, 50.4, 49], [0, 2, 4, 5]),
        ({"dead_band": 0.0}, [50, 50, 50.000001], [0, 2]),
        ({"dead_band_percent": 10.0}, [50, 55, 55.1, 50, 49.5, 0, 0, 0.1], [0, 2, 4, 5, 7]),
        ({"dead_band_percent": 10.0, "span": 20.0}, [50, 52, 52.5, 50.5, 50.4], [0, 2, 4]),
        ({"dead_band": 0.5, "dead_band_percent": 10.0}, [0, 0.4, 0.6, 1.0, 1.2], [0, 2, 4]),
        ({"dead_band_percent": 1.0}, [-100, -101, -102], [0, 2]),
        ({"at_most_every": 3.0}, [1, 2, 3, 4, 4, 4, 4], [0, 3]),
        ({"at_most_every": 3.0}, [1, 2, 1, 1, 1, 1, 2], [0, 6]),
        ({"at_most_every": 3.0}, [1, 2, 2, 2, 3, 3, 3], [0, 3, 6]),
        ({"at_least_every": 3.0}, [1, 1, 1, 1, 2, 2, 2, 2], [0, 3, 4, 7]),
        ({"at_most_every": 2.0, "at_least_every": 4.0}, [1, 2, 2, 2, 2, 2, 2, 3, 3], [0, 2, 6, 8]),
        ({"when": "always"}, [1, 1, 1], [0, 1, 2]),
        ({"when": "always", "at_most_every": 2.0}, [1, 1, 1, 1, 2], [0, 2, 4]),
        ({"when": "never"}, [1, 2, 3], []),
        ({"dead_band": 1.0}, [NAN, NAN, 50, 50, NAN, NAN, 50], [0, 2, 4, 6]),
        ({"dead_band_percent": 5.0}, [math.inf, math.inf, NAN, -math.inf, 5, math.inf], [0, 4, 5]),
        ({"dead_band": 1e308}, [1.7e308, -1.7e308, -1.7e308], [0, 1]),
    ],
)  # fmt: skip
def test_when_a_point_is_reported(rule: dict[str, Any], values: list[float], reported: list[int]) -> None:
    assert _sent(_reporter({"points": ["soc"], **rule}), values) == reported


def test_the_first_rule_that_names_a_point_and_the_sink_counts() -> None:
    layout = Layout(names=("soc", "rack_1.soc", "rack_2.soc", "load"), units=("%", "%", "%", "kW"))
    rules = (
        {"points": ["rack_1.*"], "when": "never", "sinks": ["m*"]},
        {"points": ["*.soc"], "dead_band": 10.0},
        {"points": ["soc", "rack_1.soc"], "dead_band": 100.0},
    )

    def names(sink: str) -> tuple[str, ...]:
        reporter = _reporter(*rules, sink=sink)
        reporter.choose(_entry(1, [50, 50, 50, 50], layout))
        told = reporter.choose(_entry(2, [70, 70, 50, 50], layout))
        assert told is not None
        return told.layout.names

    assert names("pubsub") == ("rack_1.soc", "load")  # `load` has no rule: it is in every record
    assert names("mqtt") == ("load",)


def test_a_device_that_is_not_published_is_not_reported() -> None:
    layout = Layout(names=("soc", "pcs.soc", "rack_1.soc"), units=("%",) * 3)
    reporter = _reporter(publish=["plant", "pcs"])
    told = reporter.choose(_entry(1, [1, 1, 1], layout))
    assert told is not None
    assert (told.layout.names, told.complete) == (("soc", "pcs.soc"), True)
    assert reporter.choose(_entry(2, [1, 1, 2], layout)) is None
    told = reporter.choose(_entry(3, [1, 2, 2], layout))
    assert told is not None
    assert told.layout.names == ("pcs.soc",)


def test_quality_counts_as_a_change_and_a_state_has_no_dead_band() -> None:
    reporter = _reporter({"points": ["*"], "dead_band": 1000.0})
    reporter.choose(cycle_entry(1))
    good = cycle_entry(2, values=cycle_entry(1).values)
    assert reporter.choose(good) is None
    quality = good.quality.copy()
    quality[1] = Quality.STALE
    changed = good.values.copy()
    changed[4] = 513.0
    told = reporter.choose(replace(good, sequence=3, quality=quality, values=changed))
    assert told is not None
    assert told.layout.names == ("active_power", "device_status")
    assert told.layout.states == {"device_status": LAYOUT.states["device_status"]}
    assert told.layout.units == ("kW", None)
    assert (told.values.tolist(), told.quality.tolist(), told.complete) == (
        [-1.5, 513.0],
        [Quality.STALE, 0],
        False,
    )
    assert told.ages.tolist() == [0.25, 0.25]


def test_the_first_record_is_complete_and_so_is_the_one_after_a_gap() -> None:
    def told(reporter: Reporter, entry: Entry) -> tuple[bool, int] | None:
        chosen = reporter.choose(entry)
        return (chosen.complete, len(chosen.layout)) if chosen else None

    reporter = _reporter()
    values = cycle_entry(1).values
    assert told(reporter, cycle_entry(1, values=values)) == (True, 6)
    assert told(reporter, cycle_entry(2, values=values)) is None
    assert told(reporter, cycle_entry(4, values=values)) == (True, 6), "3 is missing"
    assert told(reporter, cycle_entry(3, values=values)) == (True, 6), "it comes again"
    assert told(reporter, cycle_entry(4, values=values, epoch=1)) == (True, 6), "another life of the journal"
    assert told(reporter, cycle_entry(5, values=values, epoch=1)) is None
    assert told(reporter, event_entry(7)) == (True, 0)
    assert told(reporter, cycle_entry(8, values=values)) == (True, 6), "6 is missing"


def test_events_are_always_reported_with_the_decision() -> None:
    event = Event(code="soc_low", severity=Severity.WARNING, message="m", wall_ns=START_NS)
    reporter = _reporter({"points": ["*"], "when": "never"})
    reporter.choose(cycle_entry(1))
    told = reporter.choose(cycle_entry(2, events=(event,)))
    assert told is not None
    assert (told.events, len(told.layout), told.decision["state"]) == ((event,), 0, "normal")
    alone = replace(event_entry(3), epoch=0)
    assert reporter.choose(alone) is alone
    assert reporter.choose(cycle_entry(4)) is None


def test_the_decision_is_reported_when_it_changed_or_time_has_passed() -> None:
    reporter = _reporter({"points": ["*"]}, decision={"at_most_every": 2.0, "at_least_every": 5.0})
    base = cycle_entry(1)
    setpoints = [1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3]
    seen = []
    for n, setpoint in enumerate(setpoints):
        considered = [{"source": "ana", "seconds_left": 60 - n}]
        decision = {**base.decision, "setpoint": setpoint, "considered": considered}
        told = reporter.choose(cycle_entry(n, values=base.values, decision=decision))
        if told is not None and told.decision:
            seen.append((n, told.decision["setpoint"]))
    assert seen == [(0, 1), (2, 2), (4, 3), (9, 3)]


def test_a_cycle_that_is_no_longer_verified_is_a_change() -> None:
    reporter = _reporter()
    values = cycle_entry(1).values
    reporter.choose(cycle_entry(1, values=values))
    told = reporter.choose(cycle_entry(2, values=values, verified=False))
    assert told is not None
    assert (told.verified, len(told.layout), bool(told.decision)) == (False, 0, True)


def test_texts_are_reported_when_they_change_and_the_serial_number_always() -> None:
    reporter = _reporter()
    values = cycle_entry(1).values
    reporter.choose(cycle_entry(1, values=values))
    told = reporter.choose(cycle_entry(2, values=values + 1))
    assert told is not None
    assert (told.texts, told.device["serial"], told.device["model"]) == ({}, "HV0001", "T1")
    told = reporter.choose(cycle_entry(3, values=values + 1, texts={"serial_number": "HV0002"}))
    assert told is not None
    assert (told.texts, len(told.layout)) == ({"serial_number": "HV0002"}, 0)


def test_a_fast_cycle_whose_records_are_of_two_layouts() -> None:
    whole = Layout(names=("soc", "rack_1.soc"), units=("%", "%"))
    reporter = _reporter({"points": ["*"], "at_least_every": 4.0})
    seen = []
    for n in range(10):
        entry = _entry(n, [50.0], ONE) if n % 2 else _entry(n, [50.0, 60.0 + n // 6], whole)
        told = reporter.choose(entry)
        seen.append(told.layout.names if told else ())
    assert seen == [
        ("soc", "rack_1.soc"), (), (), (), ("soc", "rack_1.soc"), (), ("rack_1.soc",), (), ("soc",), (),
    ]  # fmt: skip


@pytest.mark.parametrize("step", [-86_400, -1, 0, 86_400 * 365 * 10, -86_400 * 365 * 10])
def test_a_clock_that_is_set_does_not_silence_a_point(step: int) -> None:
    reporter = _reporter({"points": ["soc"], "at_least_every": 10.0})
    seen = []
    for n in range(60):
        wall_ns = START_NS + (n + (step if n >= 30 else 0)) * 1_000_000_000
        if reporter.choose(_entry(n, [50.0], wall_ns=wall_ns)):
            seen.append(n)
    assert max(later - earlier for earlier, later in zip(seen, [*seen[1:], 60], strict=True)) <= 11
    assert len(seen) <= 7, "and does not make it talk"


def test_a_clock_that_runs_backwards_does_not_silence_a_point() -> None:
    reporter = _reporter({"points": ["soc"], "at_least_every": 10.0})
    seconds = [0, 1, 2, *range(2, -60, -1)]
    walls = [START_NS + second * 1_000_000_000 for second in seconds]
    seen = [n for n, wall_ns in enumerate(walls) if reporter.choose(_entry(n, [50.0], wall_ns=wall_ns))]
    assert len(seen) >= 6


def test_a_reader_that_brings_a_new_layout_object_each_time_changes_nothing() -> None:
    reporter = _reporter({"points": ["*"], "dead_band": 1.0})
    seen = [
        n for n in range(100) if reporter.choose(_entry(n, [n / 10], Layout(names=("soc",), units=("%",))))
    ]
    assert seen == [0, *range(11, 100, 11)]


times = st.lists(st.integers(1, 5_000), min_size=2, max_size=60)
seconds = st.none() | st.sampled_from([0.5, 1.0, 2.0, 5.0, 10.0])


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    steps=times,
    band=st.none() | st.sampled_from([0.0, 0.5, 2.0]),
    percent=st.none() | st.sampled_from([1.0, 10.0]),
    at_most=seconds,
    at_least=seconds,
)
def test_for_any_values_and_rules(
    data: st.DataObject,
    steps: list[int],
    band: float | None,
    percent: float | None,
    at_most: float | None,
    at_least: float | None,
) -> None:
    """Told points are what a reader knows; whatever the rule may not hide, the reader knows."""
    if at_most is not None and at_least is not None and at_most > at_least:
        at_most, at_least = at_least, at_most
    rule = {
        "dead_band": band, "dead_band_percent": percent, "at_most_every": at_most, "at_least_every": at_least,
    }  # fmt: skip
    reporter = _reporter({"points": ["*"], **rule})
    layout = Layout(names=("a", "b", "c"), units=(None,) * 3)
    value = st.sampled_from([NAN, math.inf, 0.0, 1.0, 1.4, 1.6, 10.0, 10.5, 11.5, -3.0]) | st.floats(-20, 20)
    known: dict[str, tuple[float, int, float]] = {}
    now = 0.0
    for n, step in enumerate(steps):
        now += step / 1000
        values = data.draw(st.lists(value, min_size=3, max_size=3))
        quality = data.draw(st.lists(st.sampled_from([0, 0, 0, 2]), min_size=3, max_size=3))
        event = data.draw(st.booleans())
        entry = _entry(
            n, values, layout, quality=np.array(quality, np.uint8), wall_ns=START_NS + round(now * 1000) * 10**6,
            events=(Event(code="e", severity=Severity.INFO, message="", wall_ns=0),) if event else (),
        )  # fmt: skip
        told = reporter.choose(entry)
        assert told is not None or not event, "events always"
        reported = told.layout.names if told else ()
        for i, name in enumerate(layout.names):
            if name in reported:
                assert told is not None
                where = told.layout.index[name]
                np.testing.assert_array_equal(told.values[where], entry.values[i])
                assert told.quality[where] == entry.quality[i]
                if at_most is not None and name in known:
                    assert now - known[name][2] >= at_most - 1e-6, "never more often"
            else:
                last, trust, then = known[name]
                waited = now - then
                assert at_least is None or waited < at_least + 1e-6, "never rarer"
                if at_most is None or waited >= at_most + 1e-6:
                    assert trust == quality[i], "a change of quality is a change"
                    reach = max(band or 0.0, (percent or 0.0) / 100 * abs(last))
                    same = not math.isfinite(last) and not math.isfinite(values[i])
                    assert same or abs(values[i] - last) <= reach + 1e-9, "every change beyond the dead band"
            if name in reported:
                known[name] = (values[i], quality[i], now)
    assert [*known] == ["a", "b", "c"]


def test_two_that_saw_the_same_records_choose_the_same() -> None:
    rng = np.random.default_rng(5)
    entries = [cycle_entry(n, values=np.round(rng.normal(50, 1, 6), 1)) for n in range(50)]
    rule = {"points": ["*"], "dead_band": 0.5, "at_most_every": 3.0, "at_least_every": 20.0}

    def told() -> list[tuple[str, ...] | None]:
        reporter = _reporter(rule)
        chosen = [reporter.choose(entry) for entry in entries]
        return [entry.layout.names if entry else None for entry in chosen]

    assert told() == told()
    assert len({*told()}) > 5
