"""`bessai notify`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bessai.interfaces.notify.schema import notify_json_schema
from bessai.interfaces.notify.store import State, save_state, state_path
from support.gateway import typed
from support.notify_plant import PLACE, Scene, at, config
from support.webhook import Webhook

FILE = """
recipients:
  ana: {channels: [{url: "json://127.0.0.1:PORT/hunter2secret"}]}
  eva: {language: es, channels: [{url: "nope://hunter2secret"}], quiet: [{start: "00:00", end: "00:00"}]}
rules:
  - {severity: alarm, tell: [ana], escalate: [{after_minutes: 15, tell: [eva]}]}
  - {severity: warning, codes: [soc_high], tell: [eva]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "notify.yaml"
    path.write_text(FILE.replace("PORT", "9"))
    path.chmod(0o600)
    return path


def run(*words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = typed("notify", *words, **environment)
    assert done.returncode == code, done.stdout + done.stderr
    assert "hunter2secret" not in done.stdout + done.stderr
    return done


def test_test_sends_for_real_and_prints_what_each_channel_answers(file: Path) -> None:
    with Webhook() as hook:
        file.write_text(FILE.replace("PORT", str(hook.port)))
        done = run("test", "--file", str(file), code=1, SITE_ID="norte")
    assert [post["title"] for post in hook.posts] == ["norte: test of the notifications"]
    assert done.stdout.splitlines() == [
        "ana/json: taken",
        "eva/nope: failed: Apprise does not understand this nope:// address; compare it with docs/notifications.md",
    ]
    assert "it has ana, eva" in run("test", "bob", "--file", str(file), code=2).stderr


def test_check_says_what_is_wrong_and_who_may_read_the_secrets(file: Path) -> None:
    file.chmod(0o644)
    told = json.loads(run("check", "--file", str(file), "--json", code=2).stdout)
    assert [problem.split(": ")[1] for problem in told["problems"]] == ["eva/nope"]
    assert "every user of this machine can read it here" in told["warnings"][0]
    file.write_text(FILE.replace("rules", "rulez"))
    done = run("check", code=2, NOTIFY_FILE=str(file))
    assert "did you mean `rules`?" in done.stderr
    assert "set NOTIFY_FILE" in run("check", code=2).stderr


def test_config_check_looks_at_the_file_too(file: Path) -> None:
    file.write_text(FILE.replace("tell: [eva]}\n", "tell: [eve]}\n"))
    environment = {
        "SITE_ID": "norte",
        "INVERTER_IP": "127.0.0.1",
        "NOTIFY_FILE": str(file),
        "DATA_DIR": str(file.parent),
    }
    done = typed("config", "check", **environment)
    assert done.returncode == 2
    assert "NOTIFY_FILE:" in done.stderr
    assert "did you mean `eva`?" in done.stderr


def test_preview_shows_who_is_told_and_in_which_words(file: Path) -> None:
    done = run("preview", "soc_high", "--file", str(file), "--value", "96", SITE_ID="norte")
    assert "--- eva by eva/nope, after the quiet hours" in done.stdout
    assert "ADVERTENCIA norte: soc_high = 96" in done.stdout
    told = json.loads(run("preview", "fire_alarm", "--file", str(file), "--json").stdout)
    assert [one["recipient"] for one in told["people"]] == ["ana"]
    assert told["escalation"] == {"minutes": 15.0, "tell": ["eva"]}
    assert "no rule tells anybody" in run("preview", "soc_low", "--file", str(file)).stdout
    assert "no such code" in run("preview", "soc_hihg", "--file", str(file), code=2).stderr


def test_show_tells_what_waits_what_fails_and_what_comes_next(file: Path, tmp_path: Path) -> None:
    environment: dict[str, Any] = {"NOTIFY_FILE": str(file), "DATA_DIR": str(tmp_path), "SITE_ID": PLACE.site}
    assert "a gateway with NOTIFY_FILE makes it" in run("show", code=2, **environment).stderr
    scene = Scene(config(tmp_path, file.read_text()), at("2026-11-30 12:00"), State())
    scene.broken = True
    scene.take("evidence_lost", point="soc")
    scene.take("soc_high", "warning")
    scene.go(10)
    save_state(state_path(tmp_path), scene.desk.state)
    lines = run("show", code=1, **environment).stdout.splitlines()
    assert lines[0] == "ana/json: 1 waiting, sent 0"
    assert lines[1].startswith("  fails since 2026-11-30T12:00:05Z: refused; next try 2026-11-30T12:00:")
    assert lines[2] == "eva/nope: 1 waiting, 1 held back until the quiet hours end, sent 0"
    assert lines[-1] == "  evidence_lost soc, since 2026-11-30T12:00:00Z: eva at 2026-11-30T12:15:00Z"


def test_the_schema_is_printed(file: Path) -> None:
    assert json.loads(typed("schema", "notify").stdout) == notify_json_schema()
