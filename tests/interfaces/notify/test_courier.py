"""The sending process: real Apprise to real servers, and what is told of each outcome."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from bessai.interfaces.notify.courier import Job, Outcome, ProcessCourier
from support.processes import free_port
from support.records import wait_until
from support.smtp_server import SmtpServer
from support.webhook import Webhook

SECRET = "hunter2secret"


def finished(courier: ProcessCourier, jobs: list[Job]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}

    def all_there() -> bool:
        found.update({outcome.id: outcome for outcome in courier.finished()})
        return len(found) == len(jobs)

    courier.start(jobs)
    wait_until(all_there, 120)
    return found


def test_apprise_sends_mail_and_posts_and_says_what_failed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        SmtpServer(f"ana:{SECRET}") as mail,
        Webhook() as hook,
        Webhook() as broken,
        Webhook() as silent,
        Webhook() as long,
    ):
        broken.status, refused = 500, free_port()
        silent.let_go.clear()
        mailto = f"mailto://ana:{{}}@127.0.0.1:{mail.port}?from=gw@norte.cl&to=ana@norte.cl,eva@norte.cl"
        urls = {
            "mail": mailto.format(SECRET),
            "wrong": mailto.format("nonsense"),
            "post": f"json://127.0.0.1:{hook.port}/{SECRET}",
            "broken": f"json://127.0.0.1:{broken.port}/{SECRET}",
            "refused": f"json://127.0.0.1:{refused}/{SECRET}",
            "silent": f"json://127.0.0.1:{silent.port}/{SECRET}?rto=1",
            "unknown": f"nope://{SECRET}",
        }
        text = {"title": "ALARMA norte: señal", "body": "uno\ndos & <tres>", "kind": "failure"}
        jobs = [Job(id=name, url=url, **text) for name, url in urls.items()]
        jobs += [Job(id="looked", url=urls["broken"])]
        jobs += [Job(id="long", url=f"json://127.0.0.1:{long.port}/", title="a", body="word " * 8000)]
        found = finished(ProcessCourier(), jobs)
    assert found.pop("long").why is None
    assert len(long.posts) == 2, "in parts, not refused"
    assert {name for name, outcome in found.items() if outcome.why is None} == {"mail", "post", "looked"}
    (post,) = hook.posts
    assert (post["title"], post["message"], post["type"]) == (
        "ALARMA norte: señal",
        "uno\ndos & <tres>",
        "failure",
    )
    assert len(mail.mails) == 2
    assert mail.mails[0]["Subject"] == "ALARMA norte: señal"
    assert "uno" in str(mail.mails[0])
    assert {name for name, outcome in found.items() if not outcome.sure} == {"silent"}
    assert "error=500" in str(found["broken"].why)
    assert "Connection refused" in str(found["refused"].why)
    assert (
        found["unknown"].why
        == "Apprise does not understand this nope:// address; compare it with docs/notifications.md"
    )
    assert SECRET not in caplog.text + repr(jobs) + repr(found)


def test_a_process_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(slow))
    (outcome,) = finished(ProcessCourier(patience=0.2), [Job(id="a", url="json://h", body="x")]).values()
    assert (outcome.why, outcome.sure) == ("no answer within 0.2 s", False)
    slow.write_text("#!/bin/sh\nexit 3\n")
    (outcome,) = finished(ProcessCourier(), [Job(id="a", url="json://h", body="x")]).values()
    assert (outcome.why, outcome.sure) == ("the sending process ended with code 3", False)


def test_without_apprise_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apprise.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    (outcome,) = finished(ProcessCourier(), [Job(id="a", url="json://h", body="x")]).values()
    assert outcome.why == "notifications need the package apprise; install open-bess-edge[notify]"
