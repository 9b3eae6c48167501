"""Wrong profiles: each mistake is named with its file, field, value and mend, all of them at once."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bessai.registry import (
    Problem,
    ProfileError,
    find_profile,
    list_profiles,
    load_profile,
    profile_directory,
)

Change = Callable[[dict[str, Any]], None]

GOOD: dict[str, Any] = {
    "schema_version": 1,
    "id": "device",
    "manufacturer": "Maker",
    "model": "Model",
    "kinds": ["battery"],
    "status": "documented",
    "sentinels": {"u16": [65535]},
    "points": {
        "soc": {"address": 10, "type": "u16", "gain": 0.1, "unit": "%", "poll": "fast", "sources": ["list"]},
        "battery_power": {"address": 11, "type": "i32", "unit": "kW", "poll": "fast", "sources": ["list"]},
        "battery_status": {
            "address": 13,
            "type": "u16",
            "poll": "fast",
            "enum": {"0": "off", "0x02": "on"},
            "sources": ["list"],
        },
        "mode": {"address": 20, "type": "u16", "access": "rw", "valid": [0, 2], "sources": ["list"]},
        "power": {"address": 21, "type": "u32", "unit": "kW", "access": "rw", "sources": ["list"]},
        "duration": {"address": 23, "type": "u16", "unit": "min", "access": "rw", "sources": ["list"]},
    },
    "control": {
        "charge": [
            {"point": "power", "quantity": "magnitude"},
            {"point": "duration", "quantity": "dead_man_time"},
            {"point": "mode", "value": 1},
        ],
        "discharge": [
            {"point": "power", "quantity": "magnitude"},
            {"point": "duration", "quantity": "dead_man_time"},
            {"point": "mode", "value": 2},
        ],
        "zero": [{"point": "duration", "quantity": "dead_man_time"}, {"point": "mode", "value": 2}],
        "stop": [{"point": "mode", "value": 0}],
        "measured": "battery_power",
        "evidence": ["soc", "battery_power", "battery_status"],
        "running_states": {"battery_status": [2]},
    },
    "dead_man": {
        "kind": "duration",
        "point": "duration",
        "feed": ["mode"],
        "time": 120,
        "feed_interval": 30,
        "fallback": "It stops.",
        "sources": ["list"],
    },
    "caveats": [{"text": "It is slow.", "source": "list"}],
    "sources": {"list": {"title": "Register list", "kind": "maker", "where": "section 3"}},
}


def _write(directory: Path, document: Any, name: str = "device") -> Path:
    path = directory / f"{name}.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def _problems(directory: Path, change: Change) -> dict[str, Problem]:
    document = copy.deepcopy(GOOD)
    change(document)
    path = _write(directory, document)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert all(problem.file == str(path) for problem in caught.value.problems)
    assert all(problem.mend for problem in caught.value.problems)
    return {problem.field: problem for problem in caught.value.problems}


def _set(field: str, value: Any) -> Change:
    """Set a field by its path; a value of `...` removes it."""

    def change(document: Any) -> None:
        *parents, last = field.split("|")
        for part in parents:
            document = document[int(part)] if isinstance(document, list) else document[part]
        if value is ...:
            del document[last]
        else:
            document[int(last) if isinstance(document, list) else last] = value

    return change


def test_the_good_profile_is_good(tmp_path: Path) -> None:
    profile = load_profile(_write(tmp_path, GOOD))
    assert profile.points["soc"].registers == 1
    assert profile.connection.port == 502


@pytest.mark.parametrize(
    ("field", "value", "at", "shown", "mend"),
    [
        ("points|soc|gian", 0.1, "points.soc.gian", "0.1", "did you mean `gain`?"),
        ("points|soc|zzz", 0.1, "points.soc.zzz", "0.1", "remove it"),
        ("points|soc|address", ..., "points.soc.address", "", "missing"),
        ("points|soc|address", "10", "points.soc.address", '"10"', "integer"),
        ("points|soc|address", 65536, "points.soc.address", "65536", "65535"),
        ("points|soc|address", True, "points.soc.address", "true", "integer"),
        ("points|soc|type", "u17", "points.soc.type", '"u17"', "'u16'"),
        ("points|soc|gain", 0, "points.soc", "", "every value 0"),
        ("points|soc|valid", [5, 1], "points.soc", "", "[lowest, highest]"),
        ("points|soc|valid", [5], "points.soc.valid.1", "", "missing"),
        ("points|soc|sentinel", "x", "points.soc.sentinel", '"x"', "or:"),
        ("points|soc|sentinel", 65536, "points.soc", "", "not a value of type `u16`"),
        ("points|soc|count", 2, "points.soc", "", "goes with type `text`"),
        ("points|soc|type", "text", "points.soc", "", "`count`"),
        ("points|soc|type", "bool", "points.soc", "", "`coil`"),
        ("points|soc|bits", {"16": "x"}, "points.soc", "", "0 … 15"),
        ("points|soc|enum", {"on": "x"}, "points.soc.enum", '{"on": "x"}', "'on' is not a number"),
        ("points|soc|enum", {"2": "a", "0x2": "b"}, "points.soc.enum", "", "repeats the number 2"),
        ("points|mode|table", "input", "points.mode", "", "cannot be written"),
        ("points|mode|access", "w", "points.mode", "", "`never`"),
        ("points|power|address", 65535, "points.power", "", "beyond address 65535"),
        ("points|duration|gain", "1", "points.duration.gain", '"1"', "number"),
        ("points|Bad-Name", {"address": 90, "type": "u16"}, "points.Bad-Name", "", "lower-case"),
        ("sentinels|u16", [-1], "sentinels", '{"u16": [-1]}', "not a value of type `u16`"),
        ("sentinels|text", [0], "sentinels", "", "not a value of type `text`"),
        ("schema_version", 2, "schema_version", "2", "1"),
        ("kinds", [], "kinds", "[]", "at least 1"),
        ("sources|list|kind", "rumour", "sources.list.kind", '"rumour"', "'maker'"),
        ("connection", {"timeout": -1}, "connection.timeout", "-1", "greater than 0"),
        ("control|stop", [], "control.stop", "[]", "at least 1"),
        ("control|stop|0|quantity", "power", "control.stop.0", "", "either `value` or `quantity`"),
        ("dead_man|kind", "hope", "dead_man.kind", '"hope"', "heartbeat"),
        ("dead_man|kind", ..., "dead_man.kind", "", "heartbeat"),
        ("dead_man|time", 0, "dead_man.time", "0", "greater than 0"),
        ("dead_man|tiem", 9, "dead_man.tiem", "9", "did you mean `time`?"),
    ],
)
def test_a_wrong_field(tmp_path: Path, field: str, value: Any, at: str, shown: str, mend: str) -> None:
    problems = _problems(tmp_path, _set(field, value))
    assert list(problems) == [at]
    assert shown in problems[at].value
    assert mend in problems[at].mend


@pytest.mark.parametrize(
    ("field", "value", "at", "mend"),
    [
        ("id", "other", "id", "'device'"),
        ("points|soc|unit", "kW", "points.soc.unit", "'soc' is in %"),
        ("points|battery_status|unit", "V", "points.battery_status.unit", "no unit"),
        ("points|soc|sources", [], "points.soc.sources", "where the address was read"),
        ("points|soc|sources", ["lits"], "points.soc.sources", "did you mean 'list'?"),
        ("caveats|0|source", "nobody", "caveats.0.source", "not in `sources`"),
        ("dead_man|sources", ["nobody"], "dead_man.sources", "not in `sources`"),
        ("connection", {"max_registers": 1}, "points.battery_power", "max_registers"),
        ("points|soc|address", 12, "points.soc.address", "overlaps 'battery_power', which ends at 12"),
        ("points|soc|address", 11, "points.battery_power.address", "overlaps 'soc'"),
        # control
        ("control|charge|0|point", "powr", "control.charge.0.point", "did you mean 'power'?"),
        ("control|charge|0|point", "battery_power", "control.charge.0.point", "access `r`"),
        ("control|charge|2|value", 3, "control.charge.2.value", "outside 0 … 2"),
        ("control|stop|0|value", -1, "control.stop.0.value", "cannot be written"),
        ("control|measured", "soc", "control.measured", "must be in kW"),
        ("control|measured", "nothing", "control.measured", "no point 'nothing'"),
        ("control|charge_power_max", "soc", "control.charge_power_max", "must be in kW"),
        ("control|evidence", ["soc", "battery_status"], "control.evidence", "'battery_power'"),
        ("control|evidence|0", "sock", "control.evidence.0", "did you mean 'soc'?"),
        ("points|soc|poll", "slow", "control.evidence.0", "poll `fast`"),
        ("points|power|unit", "A", "control.charge.0.quantity", "must be in kW"),
        ("control|running_states", {"mode": [1]}, "control.running_states.mode", "evidence"),
        (
            "control|running_states",
            {"battery_status": [1]},
            "control.running_states.battery_status",
            "1 is not",
        ),
        # dead-man
        ("dead_man", ..., "dead_man", "how the device falls back"),
        ("dead_man|point", "duraton", "dead_man.point", "did you mean 'duration'?"),
        ("dead_man|point", "soc", "dead_man.point", "access `r`"),
        ("dead_man|feed", ["sock"], "dead_man.feed", "did you mean 'soc'?"),
        ("dead_man|feed", ["soc"], "dead_man.feed", "access `r`"),
        ("dead_man|time", 90, "dead_man.time", "steps of 60 s"),
        ("dead_man|feed_interval", 61, "dead_man.feed_interval", "at most half"),
        ("points|duration|unit", "h", "dead_man.point", "`s` or `min`"),
        ("points|duration|valid", [0, 1], "dead_man.time", "outside 0 … 1 min"),
        ("control|zero|0", {"point": "mode", "value": 1}, "control.zero", "must write `dead_man_time`"),
        ("control|zero|1", {"point": "power", "value": 0}, "control.zero", "`dead_man.feed`"),
    ],
)
def test_an_inconsistency(tmp_path: Path, field: str, value: Any, at: str, mend: str) -> None:
    problems = _problems(tmp_path, _set(field, value))
    assert mend in problems[at].mend


_VARS: dict[str, Any] = {
    "share": {"address": 80, "type": "i16", "gain": 0.1, "unit": "%", "access": "rw", "sources": ["list"]},
    "most": {"address": 81, "type": "u16", "unit": "kvar", "sources": ["list"]},
    "whole": {"address": 82, "type": "u16", "unit": "kVA", "sources": ["list"]},
}


@pytest.mark.parametrize(
    ("control", "at", "mend"),
    [
        ({}, None, ""),
        ({"reactive": [{"point": "share", "quantity": "reactive", "of": "most"}]}, None, ""),
        ({"measured_reactive": "most"}, None, ""),
        (
            {"reactive": [{"point": "share", "quantity": "reactive", "of": "soc"}]},
            "control.reactive.0.of",
            "must be in kvar or kVA",
        ),
        ({"measured_reactive": "soc"}, "control.measured_reactive", "must be in kvar"),
        ({"measured_reactive": "mots"}, "control.measured_reactive", "did you mean 'most'?"),
        ({"reactive": None, "reactive_power_max": None}, None, ""),
        (
            {"reactive": None, "reactive_power_max": None, "measured_reactive": "most"},
            "control",
            "`measured_reactive` go with `reactive`",
        ),
    ],
)
def test_reactive_power(tmp_path: Path, control: dict[str, Any], at: str | None, mend: str) -> None:
    def change(document: dict[str, Any]) -> None:
        document["points"] |= _VARS
        document["control"] |= {
            "reactive": [{"point": "share", "quantity": "reactive", "of": "whole"}],
            "reactive_power_max": "most",
        } | control

    if at is None:
        document = json.loads(json.dumps(GOOD))
        change(document)
        load_profile(_write(tmp_path, document))
    else:
        assert mend in _problems(tmp_path, change)[at].mend


def test_an_unreadable_dead_man_is_refused(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["points"]["duration"] |= {"access": "w", "poll": "never"}

    assert "unproved" in _problems(tmp_path, change)["dead_man.point"].mend


@pytest.mark.parametrize("status", ["cross-checked", "field-tested"])
def test_cross_checked_needs_a_second_source_for_every_point(tmp_path: Path, status: str) -> None:
    def change(document: dict[str, Any]) -> None:
        document["status"] = status
        document["sources"]["other"] = {"title": "Project", "kind": "project", "where": "its register file"}
        document["points"]["mode"]["sources"] = ["list", "other"]
        document["points"]["soc"]["sources"] = ["list", "list"]

    problems = _problems(tmp_path, change)
    wanting = {"soc", "battery_power", "battery_status", "power", "duration"}
    evidence = {"status"} if status == "field-tested" else set()
    assert set(problems) == {f"points.{name}.sources" for name in wanting} | evidence
    assert "second source" in problems["points.soc.sources"].mend


def test_every_field_problem_is_reported_at_once(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["points"]["soc"]["gian"] = 1
        document["points"]["mode"]["address"] = -1
        document["control"]["zero"][0]["value"] = 1
        document["dead_man"]["time"] = "2 min"
        del document["manufacturer"]

    expected = {"points.soc.gian", "points.mode.address", "control.zero.0", "dead_man.time", "manufacturer"}
    assert set(_problems(tmp_path, change)) == expected


def test_every_inconsistency_is_reported_at_once(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["id"] = "another"
        document["points"]["soc"]["unit"] = None
        document["control"]["stop"][0]["point"] = "nothing"
        document["dead_man"]["time"] = 90

    expected = {"id", "points.soc.unit", "control.stop.0.point", "dead_man.time"}
    assert set(_problems(tmp_path, change)) == expected


def test_a_long_point_overlaps_everything_in_it(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        for name, address, kind in (("wide", 100, "u64"), ("inner", 101, "u16"), ("last", 103, "u16")):
            document["points"][name] = {"address": address, "type": kind, "sources": ["list"]}

    problems = _problems(tmp_path, change)
    assert set(problems) == {"points.inner.address", "points.last.address"}
    assert all("'wide'" in problem.mend for problem in problems.values())


def test_the_same_registers_may_have_two_names(tmp_path: Path) -> None:
    document = copy.deepcopy(GOOD)
    document["points"]["soc_raw"] = {"address": 10, "type": "i16", "sources": ["list"]}
    document["points"]["soc_input"] = {"address": 10, "type": "u32", "table": "input", "sources": ["list"]}
    assert "soc_raw" in load_profile(_write(tmp_path, document)).points


def test_a_problem_reads_as_one_line(tmp_path: Path) -> None:
    problems = _problems(tmp_path, _set("points|soc|gian", 0.1))
    path = tmp_path / "device.json"
    assert str(problems["points.soc.gian"]) == (
        f"{path}: points.soc.gian = 0.1: unknown field; did you mean `gain`?"
    )


@pytest.mark.parametrize(
    ("text", "field", "mend"),
    [
        ("{", "line 1 column 2", "not JSON"),
        ('{"a": 1,\n "b" 2}', "line 2 column 6", "not JSON"),
        ("", "line 1 column 1", "not JSON"),
        ('{"id": "a", "id": "b"}', "id", "given twice"),
        ("[]", "", "dictionary"),
        ('{"schema_version": NaN}', "schema_version", "1"),
    ],
)
def test_a_file_that_is_no_profile(tmp_path: Path, text: str, field: str, mend: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    found = {problem.field: problem.mend for problem in caught.value.problems}
    assert mend in found[field]


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    path.write_bytes(b'{"id": "\xff"}')
    with pytest.raises(ProfileError, match="not UTF-8"):
        load_profile(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_gain_must_be_finite(tmp_path: Path, number: str) -> None:
    text = json.dumps(GOOD).replace('"gain": 0.1', f'"gain": {number}')
    with pytest.raises(ProfileError, match=r"points\.soc\.gain.*finite"):
        load_profile(_write(tmp_path, text))


@pytest.mark.parametrize("name", ["huawei_sun2000", "huawei_sun2000.json", "registry/huawei_sun2000.json"])
def test_a_registry_name_is_found_from_anywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_profile(name) == profile_directory() / "huawei_sun2000.json"


def test_a_file_at_hand_goes_before_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, GOOD, "huawei_sun2000")
    assert find_profile("huawei_sun2000.json") == Path("huawei_sun2000.json")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("huawei_sun200", "did you mean huawei_sun2000?"),
        ("elsewhere/huawei_sun2000.json", "did you mean huawei_sun2000?"),
        ("zzz", "the registry has:"),
    ],
)
def test_a_missing_profile_suggests_one(name: str, hint: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProfileError) as caught:
        load_profile(name)
    (problem,) = caught.value.problems
    assert problem.file == name
    assert hint in problem.mend


def test_the_schema_is_not_a_profile() -> None:
    assert "profile.schema" not in {path.stem for path in list_profiles()}


def test_a_sunspec_device_needs_its_description_saved() -> None:
    with pytest.raises(ProfileError, match="bessai probe HOST:PORT --draft"):
        load_profile("sunspec")
