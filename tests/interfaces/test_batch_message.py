"""The batch: every record can be rebuilt from it, exactly, by the documented subscriber."""

from __future__ import annotations

import gzip
import importlib.util
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.interfaces.batch_message import encode_batch
from bessai.interfaces.batch_schema import batch_json_schema
from bessai.interfaces.courier import Lane, Message
from bessai.interfaces.envelope import encode, from_entry, unreadable
from bessai.interfaces.reporting import Reporter
from bessai.journal.entry import Entry
from bessai.model import Event, Layout, Quality, Severity
from bessai.site import ReportFile
from support.entries import LAYOUT, START_NS, cycle_entry, event_entry

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = batch_json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def _subscriber() -> ModuleType:
    spec = importlib.util.spec_from_file_location("unpack_batch", DOCS / "examples" / "unpack_batch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SUBSCRIBER = _subscriber()


def _rebuilt(messages: Sequence[Message]) -> list[dict[str, Any]]:
    records = []
    for message in messages:
        batch = json.loads(message.data)
        VALIDATOR.validate(batch)
        found = [*SUBSCRIBER.records(batch)]
        assert [found[0]["sequence"], found[-1]["sequence"], len(found)] == [
            batch["first"], batch["last"], batch["count"],
        ]  # fmt: skip
        records += found
    return records


def _records(entries: Sequence[Entry], publish: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """What a subscriber would have got one by one."""
    return [json.loads(encode(from_entry(e, "plant-1", publish))) | {"epoch": e.epoch} for e in entries]


def _same(entries: Sequence[Entry], publish: Sequence[str] | None = None) -> list[Message]:
    messages = encode_batch(entries, "plant-1", Lane.LIVE, 0, publish)
    assert _bits(_rebuilt(messages)) == _bits(_records(entries, publish))
    return messages


def _bits(records: list[dict[str, Any]]) -> str:
    return json.dumps(records, sort_keys=True)  # tells 0.0 from -0.0, which == does not


def test_a_batch_of_cycles() -> None:
    entries = [cycle_entry(n) for n in range(7, 107)]
    (message,) = _same(entries)
    batch = json.loads(message.data)
    assert batch["points"][0]["names"] == list(LAYOUT.names)
    assert batch["points"][0]["values"][1:] == [-1.5, -1.25, 25.5, 512.0, 9.0], "what is steady stands once"
    assert (len(batch["points"]), len(batch["decisions"]), batch["kind"]) == (1, 1, "cycle")
    assert message.id == "plant-1/0/7-106"
    assert message.sequence == 7
    assert message.ordering_key == "plant-1"
    assert message.attributes == {
        "id": "plant-1/0/7-106", "site": "plant-1", "epoch": "0", "sequence": "7", "last": "106", "previous": "0",
        "lane": "live", "schema": "bessai.batch/1", "kind": "batch",
    }  # fmt: skip


def test_one_record_is_a_batch_too() -> None:
    _same([cycle_entry(1)])
    _same([event_entry(1)])
    assert encode_batch([], "plant-1", Lane.LIVE, 0) == []


def test_a_new_life_of_the_journal_begins_a_message_and_previous_links_them() -> None:
    entries = [cycle_entry(n) for n in (5, 6, 9)] + [cycle_entry(n, epoch=3) for n in (10, 11)]
    messages = encode_batch(entries, "plant-1", Lane.BACKLOG, 4)
    assert [message.id for message in messages] == ["plant-1/0/5-9", "plant-1/3/10-11"]
    assert [message.attributes["previous"] for message in messages] == ["4", "9"]
    assert {message.ordering_key for message in messages} == {"plant-1/backlog"}
    assert _rebuilt(messages) == _records(entries)


def test_a_large_plant_is_cut_into_messages() -> None:
    layout = Layout(tuple(f"rack_{i}.soc" for i in range(70_000)), ("%",) * 70_000)
    messages = encode_batch([cycle_entry(n, layout=layout) for n in range(5)], "plant-1", Lane.LIVE, 0)
    assert [message.id for message in messages] == ["plant-1/0/0-1", "plant-1/0/2-3", "plant-1/0/4-4"]
    assert max(len(message.data) for message in messages) < 9_000_000, "Pub/Sub takes 10 MB"


def test_events_decisions_and_devices_between_cycles() -> None:
    event = Event(
        code="soc_low", severity=Severity.WARNING, message="m", wall_ns=START_NS, point="soc", value=3.5
    )
    base = cycle_entry(1).decision
    entries = [
        cycle_entry(1),
        event_entry(2),
        cycle_entry(3),
        cycle_entry(
            4, decision={**base, "setpoint": 2.0, "considered": [{"seconds_left": 3}]}, events=(event, event)
        ),
        cycle_entry(5, decision={**base, "setpoint": 2.0, "considered": [{"seconds_left": 2}]}),
        cycle_entry(6, decision={}, verified=False, texts={"serial_number": "HV2", "firmware": "ü"}),
        cycle_entry(7, complete=False),
        cycle_entry(8, wall_ns=START_NS - 86_400 * 10**9),
    ]
    (message,) = _same(entries)
    assert len(json.loads(message.data)["decisions"]) == 4, "what nobody publishes is no change"


def test_the_records_of_a_fast_cycle_and_of_a_new_profile() -> None:
    part = Layout(LAYOUT.names[:4], LAYOUT.units[:4])
    again = Layout(LAYOUT.names, LAYOUT.units, LAYOUT.states, LAYOUT.bits)
    other = Layout(LAYOUT.names, ("‰", *LAYOUT.units[1:]), {"device_status": {512: "running"}}, {})
    layouts = [LAYOUT, part, LAYOUT, part, again, other, other]
    (message,) = _same([cycle_entry(n, layout=layout) for n, layout in enumerate(layouts)])
    assert len(json.loads(message.data)["points"]) > 2


def test_only_published_devices() -> None:
    layout = Layout(("soc", "pcs.soc", "rack_1.soc", "rack_1.state"), ("%",) * 4, {"rack_1.state": {50: "x"}})
    entries = [cycle_entry(n, layout=layout) for n in range(3)]
    _same(entries, ["plant", "pcs"])
    _same(entries, ["plant"])
    _same([cycle_entry(n, layout=Layout(("a.b",), (None,))) for n in range(3)], ["plant"])


def test_with_report_rules_a_batch_holds_what_was_reported() -> None:
    rng = np.random.default_rng(3)
    rules = {"rules": [{"points": ["*"], "dead_band": 0.5, "at_least_every": 20.0}]}
    reporter = Reporter(ReportFile.model_validate(rules), "pubsub")
    values = rng.normal(50, 0.25, (100, 6)).round(1)
    values[:, 4:] = 0
    entries = [cycle_entry(n, values=values[n]) for n in range(100)]
    chosen = [told for entry in entries if (told := reporter.choose(entry))]
    assert 20 < len(chosen) < 100
    (message,) = _same(chosen)
    alone = [encode(from_entry(entry, "plant-1")) for entry in chosen]
    assert len(message.data) < sum(map(len, alone)) / 5


def test_it_is_a_tenth_of_separate_messages_and_less_compressed() -> None:
    rng = np.random.default_rng(3)
    layout = Layout(tuple(f"rack_{i}.cell_voltage_max" for i in range(60)), ("V",) * 60)
    volts = 3.3 + rng.normal(0, 0.001, (100, 60)).cumsum(axis=0).round(3)
    entries = [cycle_entry(n, layout=layout, values=volts[n]) for n in range(100)]
    (message,) = _same(entries)
    alone = [encode(from_entry(entry, "plant-1")) for entry in entries]
    assert len(message.data) * 10 < sum(map(len, alone))
    assert len(gzip.compress(message.data)) * 3 < sum(len(gzip.compress(data)) for data in alone)


def test_a_record_that_cannot_be_expressed_leaves_its_place() -> None:
    odd = replace(cycle_entry(2), decision={"setpoint": 1.0})  # no `state`
    entries = [cycle_entry(1), odd, cycle_entry(3)]
    rebuilt = _rebuilt(encode_batch(entries, "plant-1", Lane.LIVE, 0))
    stand_in = json.loads(encode(unreadable(odd, "plant-1", KeyError("state")))) | {"epoch": 0}
    assert rebuilt == [*_records(entries[:1]), stand_in, *_records(entries[2:])]
    assert _rebuilt(encode_batch([odd], "plant-1", Lane.LIVE, 0)) == [stand_in]


LAYOUTS = (
    LAYOUT,
    Layout(LAYOUT.names[2:], LAYOUT.units[2:], LAYOUT.states, LAYOUT.bits),
    Layout(LAYOUT.names[:3], LAYOUT.units[:3]),
    Layout((), ()),
)
numbers = st.sampled_from([0.0, -0.0, 512.0, 9.0, 2.0**60, math.nan, math.inf, -math.inf]) | st.floats(
    width=64
)
ages = st.sampled_from([math.nan, math.inf, 0.0, 0.25, 1e-7]) | st.floats(0, 1e6, width=32)


@st.composite
def journals(draw: st.DrawFn) -> list[Entry]:
    entries = []
    sequence, wall_ns, epoch = draw(st.integers(0, 10)), START_NS, 0
    for _ in range(draw(st.integers(1, 12))):
        sequence += draw(st.sampled_from([1, 1, 1, 5]))
        wall_ns += draw(st.integers(-(10**9), 3 * 10**9))
        epoch += draw(st.sampled_from([0] * 9 + [1]))
        if draw(st.sampled_from([True] + [False] * 5)):
            entries.append(replace(event_entry(sequence), epoch=epoch, wall_ns=wall_ns))
            continue
        layout = draw(st.sampled_from(LAYOUTS))
        size = len(layout)

        def column(items: st.SearchStrategy[Any], kind: Any, size: int = size) -> Any:
            return np.array(draw(st.lists(items, min_size=size, max_size=size)), kind)

        entries.append(
            cycle_entry(
                sequence, layout=layout, epoch=epoch, wall_ns=wall_ns, values=column(numbers, np.float64),
                quality=column(st.sampled_from([0, 0, *Quality]), np.uint8), ages=column(ages, np.float32),
                verified=draw(st.booleans()), complete=draw(st.booleans()),
                texts=draw(st.sampled_from([{}, {"serial_number": "A"}, {"a": '"\n'}])),
                decision=draw(st.sampled_from([{}, cycle_entry(1).decision, {"state": "hold", "setpoint": math.inf}])),
            )
        )  # fmt: skip
    return entries


@settings(max_examples=80, deadline=None)
@given(journals())
def test_any_records_are_rebuilt_exactly(entries: list[Entry]) -> None:
    _same(entries)


def test_a_resend_that_is_cut_elsewhere_gives_each_record_once() -> None:
    """By site, epoch and sequence, as docs/message.md says."""
    entries = [cycle_entry(n) for n in range(20)]
    got: dict[tuple[str, int, int], dict[str, Any]] = {}
    for first, last in ((0, 8), (0, 5), (5, 20), (8, 20)):
        for record in _rebuilt(encode_batch(entries[first:last], "plant-1", Lane.LIVE, first - 1)):
            identity = record["site"], record["epoch"], record["sequence"]
            assert got.setdefault(identity, record) == record
    assert list(got.values()) == _records(entries)


def test_the_schema_in_the_documentation_is_the_one_in_the_code() -> None:
    text = (DOCS / "schemas" / "batch.schema.json").read_text(encoding="utf-8")
    assert json.loads(text) == SCHEMA, "run: bessai schema batch > docs/schemas/batch.schema.json"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_example_and_the_table_in_the_documentation() -> None:
    text = (DOCS / "message.md").read_text(encoding="utf-8").split("## Many records in one message")[1]
    batch = json.loads(text.split("```json\n")[1].split("```")[0])
    VALIDATOR.validate(batch)
    assert [record["points"]["soc"]["value"] for record in SUBSCRIBER.records(batch)] == [63.4, 63.4, 63.3]
    definitions = SCHEMA["properties"] | SCHEMA["$defs"]["Block"]["properties"]
    for member in definitions:
        assert f"`{member}`" in text, f"docs/message.md says nothing about {member}"


@pytest.mark.parametrize("member", ["schema", "first", "points", "decisions"])
def test_the_schema_refuses_what_lacks_a_member(member: str) -> None:
    batch = json.loads(encode_batch([cycle_entry(1)], "plant-1", Lane.LIVE, 0)[0].data)
    del batch[member]
    assert not VALIDATOR.is_valid(batch)
