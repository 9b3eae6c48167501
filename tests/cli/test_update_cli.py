"""`bessai update`, as far as it says something without restarting anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bessai.core.socket_file import socket_path
from bessai.update.slots import Slots
from support.answering_socket import AnsweringSocket
from support.gateway import typed


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    for name in "ab":
        (tmp_path / "opt" / name).mkdir(parents=True)
    (tmp_path / "opt" / "a" / "slot.json").write_text('{"version": "1.0", "built": "2026-11-29T12:00:00Z"}')
    (tmp_path / "opt" / "current").symlink_to("a")
    return Slots(tmp_path / "opt")


def test_one_of_two_things_is_said(slots: Slots) -> None:
    for words in ((), ("--from", "x.whl", "--rollback")):
        done = typed("update", *words, "--prefix", str(slots.prefix))
        assert (done.returncode, done.stdout) == (2, "")
        assert "say --from WHEEL|BUNDLE, or --rollback" in done.stderr


def test_what_is_there(slots: Slots) -> None:
    done = typed("update", "status", "--prefix", str(slots.prefix))
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("* ")
    assert first.endswith("/a  1.0, built 2026-11-29T12:00:00Z")
    assert second.endswith("/b  empty")
    slots.begin("a", {"to": "2.0"})
    done = typed("update", "status", "--prefix", str(slots.prefix), "--json")
    assert done.returncode == 1, "something is unfinished"
    found = json.loads(done.stdout)
    assert (found["current"], found["pending"], found["settled"]) == ("a", {"to": "2.0", "back": "a"}, None)
    assert "is not confirmed" in typed("update", "status", "--prefix", str(slots.prefix)).stdout


def test_without_slots_there_is_nothing_to_update(tmp_path: Path) -> None:
    done = typed("update", "--rollback", "--prefix", str(tmp_path), "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "install one with install.sh" in done.stderr


def test_without_a_gateway_nobody_can_compare(slots: Slots, tmp_path: Path) -> None:
    done = typed("update", "--rollback", "--prefix", str(slots.prefix), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 3
    assert "--unwatched" in done.stderr


def test_an_empty_slot_is_no_way_back(slots: Slots, tmp_path: Path) -> None:
    words = ("--rollback", "--unwatched", "--prefix", str(slots.prefix), "--data-dir", str(tmp_path / "data"))
    done = typed("update", *words)
    assert done.returncode == 2
    assert "holds no complete version" in done.stderr
    assert slots.current() == "a"


def _program(slots: Slots, version: str, **more: object) -> None:
    """A version in slot b that judges as it is told."""
    judgement = {"version": version, "formats": {"journal": 1}, "problems": [], "unreadable": [], **more}
    (slots.path("b") / "bin").mkdir()
    (slots.path("b") / "bin" / "bessai").write_text(f"#!/bin/sh\necho '{json.dumps(judgement)}'\n")
    (slots.path("b") / "bin" / "bessai").chmod(0o755)
    slots.complete("b", {"version": version})
    slots.complete("a", {"formats": {"journal": 1}})


def _back(slots: Slots, tmp_path: Path, *words: str) -> tuple[int, str, str]:
    options = (
        "--rollback",
        "--unwatched",
        "--prefix",
        str(slots.prefix),
        "--data-dir",
        str(tmp_path / "data"),
    )
    done = typed("update", *options, *words)
    return done.returncode, done.stderr, slots.current()


def test_a_version_that_does_not_take_the_configuration_is_refused(slots: Slots, tmp_path: Path) -> None:
    _program(slots, "0.9", problems=["RAMP_UP: unknown variable"], unreadable=["history.db has format 2"])
    code, said, current = _back(slots, tmp_path)
    assert (code, current) == (2, "a")
    assert (
        "version 0.9 cannot run here, nothing was changed: RAMP_UP: unknown variable; history.db has" in said
    )


def test_a_version_that_leaves_no_way_back_must_be_wanted(slots: Slots, tmp_path: Path) -> None:
    _program(slots, "2.0", formats={"journal": 2, "trips": 1})
    code, said, current = _back(slots, tmp_path)
    assert (code, current) == (2, "a")
    assert "version 1.0 cannot read what 2.0 writes (journal, trips)" in said
    assert _back(slots, tmp_path, "--one-way", "--dry-run")[::2] == (0, "a")
    assert _back(slots, tmp_path, "--one-way")[::2] == (0, "b")


def test_the_way_back_of_a_start_is_told_once(slots: Slots, tmp_path: Path) -> None:
    slots.begin("a", {"from": "1.0", "to": "2.0", "user": "ana"})
    slots.end(taken_back=True)
    words = ("tell-settled", "--prefix", str(slots.prefix), "--data-dir", str(tmp_path / "data"))
    assert typed("update", *words).returncode == 0
    assert slots.settled() is not None, "nobody was there to be told"
    heard: list[dict[str, object]] = []

    def answer(message: dict[str, object]) -> dict[str, object]:
        heard.append(message)
        return {"ok": True}

    with AnsweringSocket(socket_path(tmp_path / "data"), answer):
        assert typed("update", *words).returncode == 0
        assert typed("update", *words).returncode == 0
    assert [(m["op"], m["result"], m["from"], m["to"], m["user"]) for m in heard] == [
        ("update", "rolled_back", "1.0", "2.0", "ana")
    ]
    assert slots.settled() is None
