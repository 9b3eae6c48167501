"""What a version is asked before it runs, where, as whom; and what it finds on the disk."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bessai.core.sealed_file import sealed
from bessai.update import UpdateError, formats
from bessai.update.examine import Surroundings, examined, raised, surroundings_of


def program(slot: Path, text: str) -> Path:
    """A slot whose program is a shell script; its interpreter's path."""
    (slot / "bin").mkdir(parents=True)
    (slot / "bin" / "bessai").write_text(f"#!/bin/sh\n{text}\n")
    (slot / "bin" / "bessai").chmod(0o755)
    slot.chmod(0o755)
    return slot / "bin" / "python"


def answer(**more: Any) -> str:
    return json.dumps({"version": "2", "formats": {}, "problems": [], "unreadable": [], **more})


def test_it_is_asked_where_the_gateway_runs(tmp_path: Path) -> None:
    form = answer(problems=["%s"] * 5)
    python = program(
        tmp_path / "b", f"""printf '{form}' "$*" "$PWD" "$DATA_DIR" "$SITE_ID" "$NOTIFY_SOCKET" """
    )
    (tmp_path / "etc").mkdir()
    environment = {**os.environ, "SITE_ID": "here", "NOTIFY_SOCKET": "/run/notify", "BESSAI_SOCKET": "x"}
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        cwd=tmp_path / "etc", env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as gateway:  # fmt: skip
        assert gateway.stdout is not None
        gateway.stdout.readline()
        where = surroundings_of(gateway.pid, tmp_path / "data")
        gateway.kill()
    assert (where.user, where.directory) == (None, tmp_path / "etc")
    assert "BESSAI_SOCKET" not in where.environment
    found = examined(python, where)
    data = str(tmp_path / "data")
    assert found.problems == (
        f"update inspect --json --data-dir {data}",
        str(where.directory),
        data,
        "here",
        "",
    )


def test_it_is_asked_as_the_gateways_user() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    with subprocess.Popen(["sleep", "60"], user=65534, group=65534, extra_groups=[20]) as gateway:
        where = surroundings_of(gateway.pid, Path("/nowhere"))
        gateway.kill()
    assert (where.user, where.group, where.groups) == (65534, 65534, (20,))


def test_it_acts_as_that_user() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    with tempfile.TemporaryDirectory() as directory:  # pytest's own are root's alone
        Path(directory).chmod(0o755)
        _acts(Path(directory))


def _acts(tmp_path: Path) -> None:
    python = program(tmp_path / "b", f"""echo '{answer(version="ID")}' | sed "s/ID/$(id -u):$(id -G)/" """)
    where = Surroundings(
        data_dir=tmp_path, directory=Path("/"), environment={"PATH": os.environ["PATH"]},
        user=65534, group=65534, groups=(20,),
    )  # fmt: skip
    assert examined(python, where).version == "65534:65534 20"


@pytest.mark.parametrize(
    "text", ["echo nonsense", "echo wrong >&2; exit 1", f"echo '{json.dumps({'version': 1})}'"]
)
def test_a_version_that_cannot_judge(text: str, tmp_path: Path) -> None:
    python = program(tmp_path / "b", text)
    with pytest.raises(UpdateError, match="cannot judge the configuration"):
        examined(python, Surroundings(data_dir=tmp_path, directory=tmp_path))
    with pytest.raises(UpdateError, match="cannot be asked"):
        examined(tmp_path / "none" / "python", Surroundings(data_dir=tmp_path, directory=tmp_path))


def test_formats_that_rise() -> None:
    assert raised({"a": 1, "b": 2}, {"a": 1, "b": 1}) == []
    assert raised({"a": 1, "b": 2}, {"a": 2, "c": 1}) == ["a", "c"]
    mine = formats.written()
    assert raised(mine, mine) == []


def _database(path: Path, version: int, *, keep: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE one (x)")
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    if not keep:
        connection.close()
    return connection


@pytest.mark.parametrize("open_", [True, False], ids=["gateway runs", "gateway stopped"])
def test_newer_files_are_found_and_nothing_is_touched(open_: bool, tmp_path: Path) -> None:
    assert list(formats.problems(tmp_path)) == []
    connection = _database(tmp_path / "history.db", 99, keep=open_)
    _database(tmp_path / "identity.db", 1).close()
    (tmp_path / "state.json").write_bytes(sealed(1, {"format": 98}))
    (tmp_path / "state.json.1").write_bytes(b"damaged")
    before = sorted(path.name for path in tmp_path.iterdir())
    found = list(formats.problems(tmp_path))
    assert len(found) == 2, found
    assert "the record of trips has format 98" in found[0]
    assert "history.db has format 99" in found[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == before, (
        "no file of root's beside the gateway's"
    )
    connection.close()
