"""The steps of `bessai update` that ask the running gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer

from bessai.cli.update_job import Job
from bessai.core.socket_file import socket_path
from bessai.update.slots import Slots
from support.answering_socket import AnsweringSocket


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    (tmp_path / "opt" / "a").mkdir(parents=True)
    (tmp_path / "opt" / "current").symlink_to("a")
    return Slots(tmp_path / "opt")


@contextmanager
def gateway(data_dir: Path, pid: Callable[[], int], power: Callable[[], float]) -> Iterator[None]:
    def answer(_: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "status": {"pid": pid(), "units": {"": {"setpoint": power()}}}}

    with AnsweringSocket(socket_path(data_dir), answer):
        yield


def test_power_that_began_while_the_slot_was_built_is_seen(
    slots: Slots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessai.cli.update_job.place_of", lambda _: None)
    monkeypatch.setattr("bessai.cli.update_job.surroundings_of", lambda *_: None)
    now = {"power": 0.0, "pid": 11}
    with gateway(tmp_path / "data", lambda: int(now["pid"]), lambda: now["power"]):
        job = Job(slots, tmp_path / "data", one_way=False, reason="test")
        job.await_idle(0.0, now=False)
        now |= {"power": 40.0, "pid": 12}
        with pytest.raises(typer.Exit) as refused:
            job.await_idle(0.0, now=False)
        assert refused.value.exit_code == 4
        job.await_idle(0.0, now=True)
    assert job.status["pid"] == 12, "what the new version is compared with is what runs now"


def test_an_end_that_cannot_be_noted_is_no_refusal(
    slots: Slots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "opt" / "b").mkdir()
    monkeypatch.setattr("bessai.cli.update_job.place_of", lambda _: None)
    monkeypatch.setattr("bessai.cli.update_job.surroundings_of", lambda *_: None)
    monkeypatch.setattr("bessai.cli.update_job.Watch.run", lambda _: None)
    monkeypatch.setattr("bessai.cli.update_job.baseline", lambda _: None)
    monkeypatch.setattr("bessai.cli.update_job.signal.signal", lambda *_: None)
    monkeypatch.setattr(Slots, "end", full)
    with gateway(tmp_path / "data", lambda: 1, lambda: 0.0):
        job = Job(slots, tmp_path / "data", one_way=False, reason="test")
        assert job.switch("b", "", "true", 1.0, 1.0, 1.0) == 5
    assert "bessai update status" in capsys.readouterr().out
