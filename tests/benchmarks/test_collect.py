"""What the benchmarks say is kept, and lands in its own section of the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import collect

SAID = {
    "machine": {"processor": "one", "date": "2026-11-29"},
    "rows": [["a | b", 1234.567, "µs"], ["none", None, ""]],
}


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_every_benchmark_that_can_be_run_alike_is_run() -> None:
    assert {"acquisition", "black_box", "budget", "cycle", "journal", "page", "publish"} <= set(
        collect.names()
    )
    assert not {"collect", "harness", "server", "jitter", "page_loads"} & set(collect.names())


def test_what_one_says_is_kept_with_the_load() -> None:
    found = collect.ran(_python(f"print('a line before'); print({json.dumps(SAID)!r})"), quick=True)
    assert collect.rows_of(found) == [("a | b", 1234.567, "µs"), ("none", None, "")]
    assert found["quick"]
    assert len(found["load_before"]) == len(found["load_after"]) == 3


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import sys; print('no port is free', file=sys.stderr); sys.exit(3)", "no port is free"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("print('hello')", "its last line is no JSON"),
        ("pass", "its last line is no JSON"),
    ],
)
def test_one_that_fails_says_why(code: str, why: str) -> None:
    found = collect.ran(_python(code), quick=False)
    assert found["failed"] == why
    assert f"**Failed**: `{why}`" in collect.section({"x": found})


def test_numbers_without_a_table_are_told_by_their_place() -> None:
    nested = {
        "load_after": [9],
        "seconds": 5,
        "ok": True,
        "rows": [{"row": "nobody", "late": 1.5}],
        "deep": {"a": {"b": 2}},
    }
    assert collect.rows_of(nested) == [
        ("seconds", 5.0, ""),
        ("rows nobody: late", 1.5, ""),
        ("deep: a: b", 2.0, ""),
    ]


def test_the_section_takes_the_place_of_the_former_one_and_nothing_else() -> None:
    result = {
        **SAID,
        "at": "now",
        "quick": True,
        "took_s": 3,
        "load_before": [0.5],
        "load_after": [0.75],
        "notes": ["slow"],
    }
    made = collect.section({"cycle": result})
    assert "| a \\| b | 1,235 | µs |" in made
    assert "| none | not measured |  |" in made
    assert "now, quick, 3 s, load 0.5 before, 0.8 after. processor one." in made
    page = "# Performance\n\nA table.\n"
    once = collect.placed(page, made)
    assert once.startswith(page)
    again = collect.placed(once + "\n## More\n", collect.section({}))
    assert again.startswith(page)
    assert again.endswith("\n\n## More\n")
    assert "cycle" not in again
    assert collect.placed(again, made) == once + "\n## More\n"


def test_only_the_page_is_written_when_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, results = tmp_path / "page.md", tmp_path / "bench"
    page.write_text("# P\n")
    results.mkdir()
    (results / "cycle.json").write_text(
        json.dumps(collect.ran(_python(f"print({json.dumps(SAID)!r})"), quick=True))
    )
    monkeypatch.setattr(sys, "argv", ["collect", "--no-run", "--output", str(results), "--page", str(page)])
    with pytest.raises(SystemExit) as ended:
        collect.main()
    assert ended.value.code == 0
    assert "### `benchmarks.cycle`" in page.read_text()
