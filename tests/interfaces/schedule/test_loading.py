"""Schedule files as people and spreadsheets write them, and everything that can be wrong with one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bessai.interfaces.schedule import ScheduleError, load_schedule, schedule_json_schema
from bessai.interfaces.schedule.model import Wish
from bessai.interfaces.schedule.times import utc

ROOT = Path(__file__).parents[3]
ZONE = "# timezone: America/Santiago\n"
HEAD = ZONE + "start,end,power_kw\n"


def load(tmp_path: Path, content: str | bytes | dict[str, Any]) -> list[tuple[str, str, Wish]]:
    path = tmp_path / "schedule.csv"
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(utc(e.start), utc(e.end), e.wish) for e in load_schedule(path).entries]


EXCEL = '24-11-2026 18:00;24-11-2026 22:00;"40,5";peak\r\n;;;\r\n'
EVENING = [("2026-11-24T21:00:00Z", "2026-11-25T01:00:00Z", Wish(power=40.5, reason="peak"))]


@pytest.mark.parametrize(
    "content",
    [
        ZONE + "start,end,power_kw,reason\n2026-11-24 18:00,2026-11-24 22:00,40.5,peak\n",
        "\n# a comment\n"
        + ZONE
        + "\nEnd, Start ,power_kw,reason\n2026-11-24T22:00,2026-11-24T18:00,+40.5,peak\n\n# end",
        "start,end,power_kw,reason\n2026-11-24T18:00-03:00,2026-11-25T01:00Z,40.5,peak\n",
        # as a spreadsheet in Chile saves it
        "\ufeff# timezone: America/Santiago;;;\r\nstart;end;power_kw;reason\r\n" + EXCEL,
        ZONE + "start\tend\tpower_kw\treason\n24-11-2026 18:00\t24-11-2026 22:00\t40,5\tpeak",
        ZONE + 'start,end,power_kw,reason\n2026-11-24 18:00,2026-11-24 22:00,"40,5",peak,,\n',
        {
            "timezone": "America/Santiago",
            "entries": [
                {"start": "2026-11-24T18:00", "end": "2026-11-24T22:00", "power_kw": 40.5, "reason": "peak"}
            ],
        },
    ],
)
def test_the_same_evening_in_many_hands(tmp_path: Path, content: str) -> None:
    assert load(tmp_path, content) == EVENING


def test_every_column(tmp_path: Path) -> None:
    content = (
        "start,end,power_kw,reactive_kvar,soc_target_pct,low_kw,high_kw,reason\n"
        "2026-01-01T01:00Z,2026-01-01T02:00Z,,,80,,,fill\n"
        "2026-01-01T00:00Z,2026-01-01T01:00Z,-10,2.5,,-20,0,\n"
    )
    assert [wish for _, _, wish in load(tmp_path, content)] == [
        Wish(power=-10.0, reactive=2.5, low=-20.0, high=0.0),
        Wish(soc_target=80.0, reason="fill"),
    ]


DAY = "2026-01-01T00:00,2026-01-01T05:00"


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("", [": is empty; the first line names the columns"]),
        ("\n\n", [": is empty"]),
        (b"start,end,power_kw,reason\n\xf1", [": is not UTF-8 text"]),
        (ZONE + "start,end,power_kv\n", ['line 2 = "power_kv": unknown column; did you mean `power_kw`?',
                                         "line 2: column `power_kw` is missing"]),
        (ZONE + "start,start,power_kw\n", ["is there twice", "column `end` is missing"]),
        ("start,end,power_kw\n" + DAY + ",5\n", ["line 2, start", "line 2, end"]),
        (HEAD.replace("Santiago", "Santigo") + DAY + ",5\n", ['line 1, timezone = "America/Santigo": no such']),
        (HEAD + DAY + ",nan\n", ['line 3, power_kw = "nan": is no number']),
        (HEAD + DAY + ",inf\n", ['line 3, power_kw = "inf": is no number']),
        (HEAD + DAY + ",1e999\n", ["line 3, power_kw"]),
        (HEAD + DAY + ",\n", ['line 3 = "2026-01-01T00:00,2026-01-01T05:00,": give `power_kw`']),
        (HEAD + DAY + ",5,5\n", ["has 4 fields and the first line 3 (a decimal comma needs ; between fields)"]),
        (HEAD.replace(",", ";") + DAY.replace(",", ";") + ";1.500\n", ["write 1500 or 1,500"]),
        (HEAD + "2026-01-01T05:00,2026-01-01T05:00,5\n", ["line 3, end", "is not after start 2026-01-01T05:00"]),
        (HEAD + DAY + ",5\n2026-01-01T04:00,2026-01-01T06:00,6\n", ["line 4", "overlaps line 3"]),
        (HEAD + "2026-09-06T00:30,2026-09-06T05:00,5\n", ["line 3, start", "does not exist"]),
        (HEAD + "2026-04-04T20:00,2026-04-04T23:30,5\n", ["line 3, end", "comes twice"]),
        (ZONE + "start,end,power_kw,low_kw,high_kw\n" + DAY + ",5,9,8\n", ["low_kw 9 is above high_kw 8"]),
        (ZONE + "start,end,power_kw,low_kw,high_kw\n" + DAY + ",5,6,8\n", ["is outside its own bounds"]),
        (ZONE + "start,end,soc_target_pct\n" + DAY + ",101\n", ["line 3, soc_target_pct", "less than or equal to 100"]),
        (HEAD[:-1] + ",reason\n" + DAY + ",5," + "x" * 129, ["line 3, reason", "at most 128"]),
        ("{", ["line 1 column 2", "not JSON"]),
        ({"entries": 5}, ["entries = 5"]),
        ({"entires": []}, ["entires", "did you mean `entries`?"]),
        ({"entries": [{"start": "2026-01-01T00:00Z", "end": "2026-01-01T01:00Z", "power_kw": "5"}]},
         ['entries.0.power_kw = "5"']),
        ({"daily": [{"from": "18:00", "to": "22:00", "power_kw": 5}]}, ["timezone: daily entries are local"]),
        ({"timezone": "UTC", "daily": [{"from": "18:00", "to": "25:00", "power_kw": 5}]}, ['daily.0.to = "25:00"']),
        ({"timezone": "UTC", "daily": [{"from": "18:00", "to": "18:00", "power_kw": 5}]}, ["equals `from`"]),
        ({"timezone": "UTC", "daily": [{"from": "24:00", "to": "18:00", "power_kw": 5}]}, ["write 00:00"]),
        ({"timezone": "UTC", "daily": [{"from": "1:00", "to": "2:00", "power_kw": 5, "days": ["Monday"]}]},
         ["daily.0.days.0"]),
        ({"timezone": "UTC", "daily": [{"from": "18:00", "to": "02:00", "power_kw": 5},
                                       {"from": "01:00", "to": "04:00", "power_kw": 5, "days": ["mon"]}]},
         ["daily.1: overlaps daily.0 on mon"]),
        ({"timezone": "UTC", "daily": [{"from": "18:00", "to": "02:00", "power_kw": 5, "days": ["sun"]},
                                       {"from": "01:00", "to": "04:00", "power_kw": 5, "days": ["mon"]}]},
         ["overlaps", "on mon"]),
    ],
)  # fmt: skip
def test_what_is_wrong(tmp_path: Path, content: str | bytes | dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(ScheduleError) as caught:
        load(tmp_path, content)
    for problem in problems:
        assert problem in str(caught.value)
    assert all(str(tmp_path) in str(problem) for problem in caught.value.problems)


def test_every_problem_at_once(tmp_path: Path) -> None:
    content = HEAD + "x,2026-01-01T05:00,5\n" + DAY + ",five\n" + "2026-01-01T05:00,2026-01-01T04:00,5\n"
    with pytest.raises(ScheduleError) as caught:
        load(tmp_path, content)
    assert sorted(problem.field for problem in caught.value.problems) == [
        "line 3, start",
        "line 4, power_kw",
        "line 5, end",
    ]


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match="cannot be read: No such file"):
        load_schedule(tmp_path / "none.csv")


def test_a_schedule_without_entries_is_one(tmp_path: Path) -> None:
    assert load(tmp_path, HEAD) == []
    assert load(tmp_path, {"entries": []}) == []


def test_days_that_only_touch_do_not_overlap(tmp_path: Path) -> None:
    day = {"from": "00:00", "to": "24:00", "power_kw": 1}
    parts = [{"from": "22:00", "to": "06:00", "power_kw": 1}, {"from": "06:00", "to": "22:00", "power_kw": 2}]
    assert load(tmp_path, {"timezone": "UTC", "daily": [day]}) == []
    assert load(tmp_path, {"timezone": "UTC", "daily": parts}) == []


@pytest.mark.parametrize("name", ["schedule.example.csv", "schedule.example.json"])
def test_the_examples_are_valid(name: str) -> None:
    assert load_schedule(ROOT / "config" / name).entries


def test_the_schema_is_the_published_one_and_fits_the_example() -> None:
    schema = schedule_json_schema()
    assert json.loads((ROOT / "docs/schemas/schedule.schema.json").read_text()) == schema
    jsonschema.validate(json.loads((ROOT / "config/schedule.example.json").read_text()), schema)
