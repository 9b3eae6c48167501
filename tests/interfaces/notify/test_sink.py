"""From the journal to a real server: cursor and state, outages, a wrong file, kill -9."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bessai.interfaces.build import build_sinks
from bessai.interfaces.notify.asking import ask_alarms
from bessai.interfaces.notify.sink import NotifySink
from bessai.interfaces.notify.store import load_state, state_path
from bessai.interfaces.settings import ServiceSettings
from bessai.journal import Cursors, Journal
from support.answering_socket import AnsweringSocket
from support.entries import LAYOUT, MemoryJournal, cycle_entry, event_entry
from support.notify_plant import PLACE, PostCourier, event
from support.records import wait_until
from support.webhook import Webhook

TESTS = Path(__file__).parents[2]
FILE = """
gather_seconds: 0
recipients:
  ana: {{channels: [{{url: "json://127.0.0.1:{port}/hunter2secret"}}]}}
rules: [{{tell: [ana]}}]
"""


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as found:
        yield found


class House:
    """A sink on a journal in memory, stepped by hand."""

    def __init__(self, folder: Path, hook: Webhook) -> None:
        self.folder, self.file = folder, folder / "notify.yaml"
        self.file.write_text(FILE.format(port=hook.port))
        self.journal = MemoryJournal([cycle_entry(1)])
        self.listed: list[dict[str, Any]] | None = None
        self.courier = PostCourier()
        self.stop = threading.Event()
        self.sink = self.start()

    def start(self) -> NotifySink:
        return NotifySink(
            self.file, directory=self.folder, place=PLACE, open_reader=lambda: self.journal,
            open_cursors=lambda: self.journal, courier=self.courier, alarms=lambda: self.listed, environment={},
        )  # fmt: skip

    def step(self) -> None:
        self.sink.step(self.journal, self.journal, self.stop)

    def until(self, check: Any) -> None:
        def reached() -> bool:
            self.step()
            return bool(check())

        wait_until(reached)


@pytest.fixture
def house(tmp_path: Path, hook: Webhook) -> House:
    return House(tmp_path, hook)


def test_events_reach_the_server_with_value_and_unit_and_the_past_does_not(
    house: House, hook: Webhook
) -> None:
    house.journal.append(event_entry(2))
    house.step()
    happened = event("soc_high", time.time(), "warning", point="soc", value=96.5)
    house.journal.append(cycle_entry(3, events=(happened,)))
    house.until(lambda: house.sink.delivered)
    (post,) = hook.posts
    assert post["title"] == "WARNING norte: soc_high soc = 96.5 %"
    assert (house.sink.cursor, house.journal.get("notify"), house.sink.backlog) == (3, 3, 0)
    assert house.sink.status().details["sent"] == 1


def test_what_stands_at_the_first_start_is_told(house: House, hook: Webhook) -> None:
    house.listed = [
        {"code": "fire_alarm", "point": None, "severity": "alarm", "message": "smoke", "value": None, "active": True,
         "state": "unacknowledged", "began_wall_ns": time.time_ns(), "first_out": True}
    ]  # fmt: skip
    house.until(lambda: house.sink.delivered)
    assert hook.posts[0]["title"] == "ALARM norte: fire_alarm"


def test_a_long_backlog_is_read_to_its_end(house: House) -> None:
    house.step()
    house.journal.append(*(cycle_entry(n) for n in range(2, 1200)), event_entry(1200))
    house.step()
    assert (house.sink.cursor, house.courier.started) == (1200, ["ana/json#1"])


def test_a_new_process_goes_on_where_the_old_one_ended(house: House, hook: Webhook) -> None:
    house.step()
    house.journal.append(event_entry(2))
    house.until(lambda: house.sink.delivered)
    house.journal.append(
        *(replace(event_entry(n), events=(event(f"unknown_{n}", time.time()),)) for n in (3, 4))
    )
    house.sink = house.start()
    house.until(lambda: house.sink.delivered)
    assert [post["title"] for post in hook.posts] == ["ALARM norte: evidence_lost", "norte: 2 alarms"]


def test_a_channel_that_fails_is_said_and_made_up_for(
    house: House, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    house.step()
    hook.status = 500
    house.journal.append(event_entry(2))
    house.until(lambda: house.sink.failures)
    status = house.sink.status()
    assert (status.state, status.last_error) == ("retrying", "ana/json: error=500")
    assert status.details["channels"][0]["why"] == "error=500"
    assert status.details["waiting"] == 1
    hook.status = 200
    house.until(lambda: house.sink.delivered)
    assert house.sink.status().last_error is None
    state = state_path(house.folder).read_text()
    assert "hunter2secret" not in caplog.text + json.dumps(status.as_dict()) + state


def test_a_wrong_file_is_said_and_what_happens_meanwhile_waits(house: House, hook: Webhook) -> None:
    good = house.file.read_text()
    house.file.write_text(good.replace("tell", "hunter2secret"))
    house.step()
    assert str(house.sink.last_error).endswith("nobody is notified until it is mended")
    house.journal.append(event_entry(2))
    house.file.write_text(good)
    house.until(lambda: house.sink.delivered)
    house.file.write_text(good.replace("ana", "x" * 100))
    house.journal.append(replace(event_entry(3), events=(event("gas_alarm", time.time()),)))
    house.until(lambda: house.sink.delivered == 2)
    assert "what was read before goes on" in str(house.sink.last_error)
    house.file.write_text(good.replace("rules", "language: es\nrules"))
    house.until(lambda: house.sink.last_error is None)
    house.journal.append(replace(event_entry(4), events=(event("fire_alarm", time.time()),)))
    house.until(lambda: house.sink.delivered == 3)
    assert hook.posts[-1]["title"].startswith("ALARMA norte")


def test_another_address_in_its_file_counts_at_once(house: House, hook: Webhook) -> None:
    (house.folder / "ana.url").write_text("json://127.0.0.1:9/")
    house.file.write_text(house.file.read_text().replace("url: ", "url_file: ana.url} #"))
    house.file.write_text(house.file.read_text().replace("ana.url}", "ana.url}]}"))
    house.step()
    (house.folder / "ana.url").write_text(f"json://127.0.0.1:{hook.port}/")
    house.step()
    house.journal.append(event_entry(2))
    house.until(lambda: house.sink.delivered)


def test_an_address_that_comes_later_than_the_file_counts_at_once(house: House, hook: Webhook) -> None:
    good = house.file.read_text()
    house.file.write_text(re.sub(r"url: [^}]*", "url_file: ana.url", good))
    house.step()
    assert "ana.url" in str(house.sink.last_error)
    (house.folder / "ana.url").write_text(f"json://127.0.0.1:{hook.port}/")
    house.step()
    assert house.sink.last_error is None
    house.file.write_text(good.replace("rules", "  bob: {channels: [{url_file: bob.url}]}\nrules"))
    house.step()
    assert "bob.url" in str(house.sink.last_error)
    (house.folder / "bob.url").write_text(f"json://127.0.0.1:{hook.port}/")
    house.step()
    assert house.sink.last_error is None


def test_nothing_leaves_that_cannot_be_noted(house: House, hook: Webhook) -> None:
    house.step()
    state_path(house.folder).unlink()
    state_path(house.folder).with_suffix(".tmp").mkdir()
    house.journal.append(event_entry(2))
    house.step()
    assert "cannot be written" in str(house.sink.last_error)
    house.step()
    assert (house.courier.started, hook.posts) == ([], [])
    state_path(house.folder).with_suffix(".tmp").rmdir()
    house.until(lambda: house.sink.delivered)
    assert house.sink.last_error is None


def test_a_damaged_state_is_kept_aside(house: House) -> None:
    state_path(house.folder).parent.mkdir()
    state_path(house.folder).write_text('{"format": 1')
    house.step()
    assert state_path(house.folder).with_suffix(".damaged").read_text() == '{"format": 1'
    assert load_state(state_path(house.folder)) is not None


def test_a_gap_in_the_journal_makes_it_ask_for_the_list(house: House) -> None:
    house.step()
    house.journal.append(cycle_entry(9))
    house.listed = []
    house.step()
    assert house.sink.missed == 7


def test_the_heartbeat_is_given_while_records_come(house: House, hook: Webhook) -> None:
    beat = f'heartbeat: {{url: "http://127.0.0.1:{hook.port}/hunter2secret", every_minutes: 1}}\n'
    house.file.write_text(beat + house.file.read_text())
    house.step()
    assert not hook.asked, "the newest record is old"
    state = state_path(house.folder)
    state.with_suffix(".tmp").mkdir()
    house.file.write_text(house.file.read_text() + "\n")
    house.journal.append(cycle_entry(2, wall_ns=time.time_ns()))
    for _ in range(3):
        house.step()
        time.sleep(0.05)
    assert "cannot be written" in str(house.sink.last_error)
    assert not hook.asked, "nobody can be told of anything"
    state.with_suffix(".tmp").rmdir()
    house.until(lambda: hook.asked)
    hook.status = 503
    house.file.write_text(house.file.read_text() + "\n")
    house.until(lambda: house.sink.last_error)
    assert house.sink.last_error == "heartbeat: the page answers 503"


@pytest.mark.parametrize(
    ("told", "link"),
    [
        ({}, None),
        ({"HTTP_PORT": "0"}, None),
        ({"HTTP_TLS": "off"}, "http"),
        ({"HTTP_HOST": "0.0.0.0"}, "https"),
    ],
)
def test_the_settings_make_it(tmp_path: Path, told: dict[str, str], link: str | None) -> None:
    environment = {
        "SITE_ID": "norte",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "HISTORY_MAX_MB": "0",
        "HTTP_NAME": "gw.norte",
    }
    if told == {}:
        del environment["HTTP_NAME"]
    settings = ServiceSettings.from_environment(
        environment | told | {"NOTIFY_FILE": str(tmp_path / "n.yaml")}
    )
    assert settings.page == (None if link is None else f"{link}://gw.norte:8080/#/alarms")
    assert [sink.name for sink in build_sinks(settings)][-1] == "notify"


def test_the_list_is_asked_for_at_the_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "s"
    assert ask_alarms(path) is None
    many = [{"code": "x" * 100}] * 2000
    answering = AnsweringSocket(
        path, lambda message: {"ok": True, "alarms": many} if message["op"] == "alarms" else {}
    )
    assert ask_alarms(path, timeout=10) == many
    answering.close()


def test_killed_between_sending_and_noting_it_sends_again_and_says_so(tmp_path: Path, hook: Webhook) -> None:
    (tmp_path / "notify.yaml").write_text(FILE.format(port=hook.port))
    data = tmp_path / "data"
    command = [sys.executable, "-m", "support.notify_process", str(tmp_path / "notify.yaml"), str(data)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(TESTS)])}
    journal = Journal.open(data, layout=LAYOUT, device={"profile": "test_device"}, window=0.1)
    hook.let_go.clear()  # the server has it, and its answer does not come
    with subprocess.Popen(command, env=environment) as first:
        wait_until(lambda: state_path(data).exists())
        journal.append_event(event("evidence_lost", time.time(), point="soc"))
        hook.wait_for(1)
        first.kill()
    hook.let_go.set()
    with subprocess.Popen(command, env=environment) as second:
        posts = hook.wait_for(2)
        wait_until(
            lambda: (state := load_state(state_path(data))) is not None and state.queues["ana/json"].sent == 1
        )
        second.kill()
    assert journal.close(30)
    assert posts[0]["title"] == posts[1]["title"] == "ALARM norte: evidence_lost soc"
    assert ["reached you before" in post["message"] for post in posts] == [False, True]
    cursors = Cursors(data)
    assert cursors.get("notify") >= 1
    cursors.close()
