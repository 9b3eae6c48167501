"""The audit log: every kind of tampering is found, and no power cut is taken for one."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessai.interfaces.api.audit import Audit, AuditError, Verdict
from bessai.interfaces.api.audit.entries import ORIGIN, line_of, make, parse


def opened(data: Path, **more: Any) -> Audit:
    return Audit(data / "audit", **more)


def note(audit: Audit, *actions: str, **more: Any) -> None:
    async def work() -> None:
        for action in actions:
            await audit.note(user="ana", role="operator", address="10.0.0.7", action=action, **more)

    asyncio.run(work())


def verdict(data: Path) -> Verdict:
    audit = opened(data)
    try:
        return audit.check()
    finally:
        audit.close()


def actions(data: Path) -> list[str]:
    audit = opened(data)
    try:
        return [entry.action for entry in reversed(audit.read_page(limit=500)[0])]
    finally:
        audit.close()


def files(data: Path) -> list[Path]:
    return sorted((data / "audit").glob("*.jsonl"))


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve entries in three files."""
    data = tmp_path_factory.mktemp("twelve")
    audit = opened(data, file_bytes=1200)
    note(audit, *(f"action_{number}" for number in range(12)), reason="peak", detail={"power": 4.5})
    audit.close()
    assert len(files(data)) == 3
    assert verdict(data) == Verdict(ok=True, entries=12, first_bad=None, problem=None)
    return data


@pytest.fixture
def copy(twelve: Path, tmp_path: Path) -> Path:
    shutil.copytree(twelve, tmp_path / "copy")
    return tmp_path / "copy"


def lines(data: Path) -> list[tuple[Path, bytes]]:
    return [(path, line) for path in files(data) for line in path.read_bytes().splitlines(keepends=True)]


def store(held: list[tuple[Path, bytes]]) -> None:
    for path in {path for path, _ in held}:
        path.write_bytes(b"".join(line for place, line in held if place == path))


def change(data: Path, number: int, edit: Callable[[dict[str, Any]], None], *, rehash: bool) -> None:
    held = lines(data)
    path, line = held[number - 1]
    entry = json.loads(line)
    edit(entry)
    if rehash:
        del entry["hash"]
        held[number - 1] = (path, line_of(make(**entry)))
    else:
        held[number - 1] = (path, json.dumps(entry, separators=(",", ":")).encode() + b"\n")
    store(held)


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_change_of_any_bytes_is_overlooked(twelve: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "edited"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(twelve, folder)
    path = data.draw(st.sampled_from(files(folder)))
    before = path.read_bytes()
    start = data.draw(st.integers(0, len(before)))
    end = data.draw(st.integers(start, min(len(before), start + 900)))
    after = before[:start] + data.draw(st.binary(max_size=20)) + before[end:]
    path.write_bytes(after)
    found = verdict(folder)
    if after == before:
        assert found.ok
        return
    # Bytes without an end after the last entry are what a power cut leaves, and nothing of the log is changed by them.
    torn = path == files(folder)[-1] and after.startswith(before) and b"\n" not in after[len(before) : -1]
    assert (found.ok, found.torn) == (torn and not after.endswith(b"\n"),) * 2
    if not found.ok:
        offset = sum(
            line.count(b"\n") for line in [f.read_bytes() for f in files(twelve)][: files(folder).index(path)]
        )
        assert found.first_bad is not None
        assert found.first_bad >= offset + before[:start].count(b"\n")
        assert found.entries == found.first_bad - 1


@pytest.mark.parametrize("number", range(1, 13))
def test_an_entry_that_was_rewritten_with_a_new_hash(copy: Path, number: int) -> None:
    change(copy, number, lambda entry: entry.update(user="eve"), rehash=True)
    found = verdict(copy)
    # The next entry holds the old hash; behind the last one stands the record in identity.db.
    assert (found.ok, found.first_bad) == (False, min(number + 1, 12))


def test_an_entry_whose_words_were_changed(copy: Path) -> None:
    change(copy, 5, lambda entry: entry.update(reason="none"), rehash=False)
    found = verdict(copy)
    assert (found.first_bad, found.entries) == (5, 4)
    assert "its hash does not fit" in str(found.problem)


def test_the_whole_chain_written_anew(copy: Path) -> None:
    held, previous = [], ORIGIN
    for path, line in lines(copy):
        entry = json.loads(line)
        del entry["hash"]
        made = make(**{**entry, "user": "eve", "previous": previous})
        previous = made.hash
        held.append((path, line_of(made)))
    store(held)
    found = verdict(copy)
    assert (found.ok, found.first_bad) == (False, 12)
    note(audit := opened(copy), "later")
    audit.close()
    assert not verdict(copy).ok
    assert "audit_tampered" in actions(copy)


@pytest.mark.parametrize("number", range(1, 13))
def test_an_entry_that_was_taken_out(copy: Path, number: int) -> None:
    held = lines(copy)
    del held[number - 1]
    store([*held, *[(path, b"") for path in files(copy)]])
    found = verdict(copy)
    assert (found.ok, found.first_bad) == (False, number)


@pytest.mark.parametrize("left", range(12))
def test_an_end_that_was_cut_off_stays_found(copy: Path, left: int) -> None:
    store([*lines(copy)[:left], *[(path, b"") for path in files(copy)]])
    assert (verdict(copy).ok, verdict(copy).first_bad) == (False, left + 1)
    note(audit := opened(copy), "later")  # what is written afterwards does not hide it
    audit.close()
    assert (verdict(copy).ok, verdict(copy).first_bad) == (False, left + 1)
    assert actions(copy)[-2:] == ["audit_tampered", "later"]


def test_files_that_were_taken_away(copy: Path) -> None:
    whole = files(copy)
    for path, first_bad in zip(whole, (1, 5, 9), strict=True):
        kept = path.read_bytes()
        path.unlink()
        assert verdict(copy).first_bad == first_bad
        path.write_bytes(kept)
    assert verdict(copy).ok
    shutil.rmtree(copy / "audit")
    assert not verdict(copy).ok


def test_entries_of_another_log_put_behind(copy: Path) -> None:
    last = parse(lines(copy)[-1][1])
    for number, good in ((1, True), (2, False)):
        # One may be ours: the power went before the record of it. Two cannot be.
        made = make(
            sequence=12 + number, time=last.time, user="eve", role="", address="", action="x", target="", reason="",
            outcome="done", detail={}, previous=last.hash,
        )  # fmt: skip
        with files(copy)[-1].open("ab") as file:
            file.write(line_of(made))
        last = made
        assert verdict(copy).ok is good


def test_without_its_record_the_log_is_not_called_good(copy: Path) -> None:
    (copy / "identity.db").unlink()
    for left in copy.glob("identity.db-*"):
        left.unlink()
    assert not verdict(copy).ok
    note(audit := opened(copy), "later")
    audit.close()
    assert actions(copy)[-2:] == ["audit_head_missing", "later"]


def test_a_power_cut_at_every_byte_of_an_append(twelve: Path, tmp_path: Path) -> None:
    """The line is there up to some byte, and the record of it is not: mended, noted, and nothing else is lost."""
    audit = opened(shutil.copytree(twelve, tmp_path / "more"), file_bytes=1 << 20)
    note(audit, "thirteenth")
    audit.close()
    line = lines(tmp_path / "more")[-1][1]
    for size in (0, 1, 2, len(line) // 2, len(line) - 2, len(line) - 1, len(line)):
        data = shutil.copytree(twelve, tmp_path / f"cut{size}")
        with files(data)[-1].open("ab") as file:
            file.write(line[:size])
        found = verdict(data)
        assert (found.ok, found.torn) == (True, 0 < size < len(line))
        note(audit := opened(data), "after")
        audit.close()
        assert verdict(data).ok
        between = [] if size == 0 else ["thirteenth"] if size == len(line) else ["audit_mended"]
        assert actions(data)[11:] == ["action_11", *between, "after"]


def test_a_power_cut_while_a_new_file_begins(twelve: Path, tmp_path: Path) -> None:
    for torn in (b"", b'{"sequ'):
        data = shutil.copytree(twelve, tmp_path / f"new{len(torn)}")
        (data / "audit" / "audit-000000000013.jsonl").write_bytes(torn)
        assert verdict(data).ok
        note(audit := opened(data), "after")
        audit.close()
        assert verdict(data).ok
        assert actions(data)[-1] == "after"


def test_the_oldest_files_are_given_up_and_the_chain_goes_on(tmp_path: Path) -> None:
    audit = opened(tmp_path, file_bytes=1200, most_files=3)
    note(audit, *(f"action_{number}" for number in range(40)))
    assert len(files(tmp_path)) == 3
    found = audit.check()
    assert found.ok
    assert 0 < found.entries < 40
    audit.close()
    files(tmp_path)[0].unlink()
    assert not verdict(tmp_path).ok


def test_two_processes_write_one_chain(tmp_path: Path) -> None:
    """The command line beside the server: each with its own handles."""
    one, other = opened(tmp_path), opened(tmp_path)

    async def work() -> None:
        await asyncio.gather(
            *(
                audit.note(user="ana", role="", address="", action=f"{name}_{number}")
                for number in range(15)
                for name, audit in (("one", one), ("other", other))
            )
        )

    asyncio.run(work())
    assert one.check() == Verdict(ok=True, entries=30, first_bad=None, problem=None)
    one.close()
    other.close()


def test_pages_and_filters(twelve: Path) -> None:
    audit = opened(twelve)
    page, following, sound = audit.read_page(limit=5)
    assert ([entry.sequence for entry in page], following, sound) == ([12, 11, 10, 9, 8], 8, True)
    page, following, _ = audit.read_page(before=following, limit=7)
    assert ([entry.sequence for entry in page], following) == ([7, 6, 5, 4, 3, 2, 1], None)
    assert [entry.sequence for entry in audit.read_page(action="action_3")[0]] == [4]
    assert audit.read_page(user="eve")[0] == []
    audit.close()


def test_a_file_changed_between_two_pages_is_read_again(copy: Path) -> None:
    audit = opened(copy)
    assert audit.read_page()[2]
    change(copy, 2, lambda entry: entry.update(user="eve"), rehash=True)
    assert not audit.read_page()[2]
    audit.close()


def test_odd_details_are_kept_as_far_as_json_goes(tmp_path: Path) -> None:
    audit = opened(tmp_path)
    odd = {"nan": float("nan"), "half": "\ud800", "set": {1}, "big": 1 << 99, "path": tmp_path}
    note(audit, "odd", detail=odd, reason="x" * 10_000)
    note(audit, "long", detail={"text": ["y" * 500] * 100})
    (long, kept), _, sound = audit.read_page()
    assert sound
    assert (kept.detail["nan"], kept.detail["half"], kept.detail["set"]) == (None, "?", [1])
    assert len(kept.reason) == 512
    assert set(long.detail) == {"too_long", "sha256"}
    audit.close()


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file where the directory belongs")
    audit = opened(tmp_path)
    with pytest.raises(AuditError, match="cannot be written"):
        note(audit, "lost")
    audit.close()
