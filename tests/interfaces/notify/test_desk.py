"""Who is told what and when: nights, weekends, storms and outages, stepped through in no time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bessai.interfaces.notify.desk import Desk
from bessai.interfaces.notify.loading import NotifyConfig
from bessai.interfaces.notify.queue import MOST_LINES
from bessai.interfaces.notify.quiet import quiet_now
from bessai.interfaces.notify.schema import Quiet
from bessai.interfaces.notify.store import State, StateError, load_state, save_state
from support.notify_plant import PLACE, Scene, at, config

NOON = at("2026-11-30 12:00")  # a Monday
ONE = """
recipients:
  ana: {channels: [{url: "json://h/a"}]}
rules: [{tell: [ana]}]
"""
TWO = """
time_zone: America/Santiago
recipients:
  ana: {channels: [{url: "json://h/a"}], quiet: [{start: "22:00", end: "07:00"}]}
  boss: {language: es, channels: [{url: "json://h/b"}], ended: never}
rules:
  - severity: alarm
    tell: [ana]
    escalate: [{after_minutes: 15, tell: [boss], repeat_minutes: 30, repeats: 2}]
  - {severity: warning, codes: ["soc_*"], sites: ["nor*"], tell: [ana]}
"""


@pytest.fixture
def one(tmp_path: Path) -> Scene:
    return Scene(config(tmp_path, ONE), NOON)


@pytest.fixture
def two(tmp_path: Path) -> Scene:
    return Scene(config(tmp_path, TWO), NOON)


def test_an_alarm_is_told_once_and_its_end_too(one: Scene) -> None:
    one.take("cell_voltage_high", point="cell_voltage_max", value=3.6612, unit="V")
    assert one.go(4) == []  # what else comes may belong to it
    assert one.go(60) == ["ana/json: ALARM norte: cell_voltage_high cell_voltage_max = 3.6612 V"]
    assert "What to do: Do not charge." in one.body
    assert "Since: 2026-11-30 12:00:00 UTC" in one.body
    assert "https://gw.norte:8080/#/alarms" in one.body
    one.go(240)
    one.take("cell_voltage_high", over=True, point="cell_voltage_max")
    assert one.go(60) == ["ana/json: ENDED norte: cell_voltage_high cell_voltage_max = 3.6612 V"]
    assert "after 5 min" in one.body
    assert one.sent[-1][1].kind == "success"


def test_rules_choose_by_severity_code_point_and_site(tmp_path: Path) -> None:
    rules = {
        "severity: alarm": False, "severity: warning": True, "severity: info": True, 'codes: ["soc_*"]': True,
        "codes: [evidence_lost]": False, 'points: ["rack_1.*"]': True, "points: [soc]": False,
        "sites: [sur]": False, 'sites: ["nor*", sur]': True,
    }  # fmt: skip
    for rule, told in rules.items():
        scene = Scene(config(tmp_path, ONE.replace("{tell", f"{{{rule}, tell")), NOON)
        scene.take("soc_high", "warning", point="rack_1.soc")
        assert bool(scene.go(10)) == told, rule


def test_two_rules_that_fit_tell_somebody_once(tmp_path: Path) -> None:
    scene = Scene(config(tmp_path, ONE.replace("[{tell", "[{codes: [soc_high], tell: [ana]}, {tell")), NOON)
    scene.take("soc_high", "warning")
    assert len(scene.go(60)) == 1


def test_what_comes_together_is_one_message_with_the_likely_cause_first(one: Scene) -> None:
    one.take("write_failed", point="b")
    one.take("evidence_lost", point="soc", first_out=True)
    one.take("soc_high", "warning", value=96.0, unit="%")
    assert one.go(10) == ["ana/json: norte: 2 alarms, 1 warning"]
    lines = one.body.splitlines()
    assert [line.split()[4] for line in lines[:3]] == ["evidence_lost", "write_failed", "soc_high"]
    assert "What to do about evidence_lost:" in one.body


def test_a_storm_is_one_message_and_then_a_few(one: Scene) -> None:
    for number in range(1000):
        one.take("device_disconnected", "warning", point=f"rack_{number}")
    one.take("fire_alarm")
    assert one.go(60) == [f"ana/json: norte: 1 alarm, {MOST_LINES - 1} warnings (+701)"]
    assert one.body.splitlines()[0].startswith("ALARM")
    assert "… and 701 more" in one.body
    assert len(one.body) < 3500


def test_what_comes_and_goes_all_day_stays_within_the_hourly_limit_and_loses_nothing(one: Scene) -> None:
    for _ in range(360):
        one.take("device_disconnected", "warning", point="meter")
        one.go(20, step=5)
    titles = [message.title for _, message in one.sent]
    assert len(titles) <= 40  # 20 in each of two hours
    one.go(600)
    assert sum("Came" in m.body for _, m in one.sent) > 10
    told = sum(int(m.body.split("Came ")[1].split()[0]) if "Came" in m.body else 1 for _, m in one.sent)
    assert told == 360


def test_warnings_leave_a_place_for_an_alarm(one: Scene) -> None:
    for number in range(20):
        one.take("device_disconnected", "warning", point=f"rack_{number}")
        one.go(10)
    assert len(one.sent) == 2
    one.take("fire_alarm")
    assert one.go(10) == ["ana/json: norte: 1 alarm, 18 warnings"]


def test_what_nobody_can_acknowledge_is_not_escalated(two: Scene) -> None:
    two.take("chattering", "alarm", about="soc_high")
    assert len(two.go(24 * 3600, step=60)) == 1
    two.take("chattering", over=True, about="soc_high")
    assert two.go(60) == ["ana/json: ENDED norte: chattering soc_high"]


@pytest.mark.parametrize("code", ["alarm_acknowledged", "alarm_shelved"])
def test_acknowledged_and_shelved_are_silent(two: Scene, code: str) -> None:
    two.take("soc_high", "warning")
    assert len(two.go(10)) == 1
    two.take(code, "info", about="soc_high", user="ana")
    assert two.go(7200, step=60) == []
    two.take("soc_high", over=True)
    assert two.go(60) == []


def test_acknowledged_before_it_was_told_is_not_told(one: Scene) -> None:
    one.broken = True
    one.take("evidence_lost", point="soc")
    one.go(60)
    one.take("alarm_acknowledged", "info", about="evidence_lost", point="soc", user="ana")
    one.broken = False
    assert one.go(3600, step=10) == []
    assert one.desk.state.silenced == 1


def test_who_always_wants_the_end_gets_it_of_what_somebody_acknowledged_afterwards(tmp_path: Path) -> None:
    quiet = 'ended: always, quiet: [{start: "22:00", end: "07:00"}], channels'
    scene = Scene(config(tmp_path, ONE.replace("channels", quiet)), at("2026-11-30 23:00"))
    scene.take("evidence_lost", point="soc")
    assert len(scene.go(10)) == 1
    scene.take("evidence_lost", over=True, point="soc")
    scene.take("alarm_acknowledged", "info", about="evidence_lost", point="soc", user="ana")
    assert scene.go(9 * 3600, step=60) == ["ana/json: ENDED norte: evidence_lost soc"]


def test_worse_or_unshelved_is_told_again(one: Scene) -> None:
    one.take("soc_high", "warning")
    one.go(10)
    one.take("alarm_acknowledged", "info", about="soc_high", user="ana")
    one.take("soc_high", "alarm")
    assert one.go(10) == ["ana/json: ALARM norte: soc_high"]
    assert "It got worse" in one.body
    assert [alarm.code for alarm in one.desk.state.standing.open()] == ["soc_high"]
    one.take("alarm_shelved", "info", about="soc_high", user="ana")
    one.take("alarm_unshelved", "info", about="soc_high", user="ana")
    assert len(one.go(600)) == 1
    assert "It was shelved" in one.body


def test_nobody_acknowledges_and_the_next_one_is_told(two: Scene) -> None:
    two.take("evidence_lost", point="soc")
    assert len(two.go(14 * 60, step=10)) == 1
    assert two.go(120, step=10) == ["boss/json: ALARMA SIN RECONOCER norte: evidence_lost soc"]
    assert "Nadie la ha reconocido en 15 min" in two.body
    assert len(two.go(24 * 3600, step=60)) == 2, "repeated twice"


@pytest.mark.parametrize("ends", ["alarm_acknowledged", "over"])
def test_escalation_stops(two: Scene, ends: str) -> None:
    two.take("evidence_lost", point="soc")
    two.go(16 * 60, step=10)
    if ends == "over":
        two.take("evidence_lost", over=True, point="soc")
        assert [title.split(":")[0] for title in two.go(60)] == ["ana/json"]  # the other does not want ends
    else:
        two.take(ends, "info", about="evidence_lost", point="soc", user="ana")
    assert two.go(24 * 3600, step=60) == []


@pytest.mark.parametrize("how", ["worse", "back"])
def test_what_gets_worse_or_comes_back_leaves_people_their_time_again(two: Scene, how: str) -> None:
    two.take("soc_high", "warning" if how == "worse" else "alarm")
    two.go(10)
    two.take(
        "alarm_acknowledged" if how == "worse" else "alarm_shelved", "info", about="soc_high", user="ana"
    )
    assert two.go(8 * 3600, step=60) == []
    if how == "worse":
        two.take("soc_high", "alarm")
    else:
        two.take("alarm_unshelved", "info", about="soc_high", user="ana")
    assert two.go(14 * 60, step=10) == ["ana/json: ALARM norte: soc_high"]
    assert two.go(120, step=10) == ["boss/json: ALARMA SIN RECONOCER norte: soc_high"]
    assert "Nadie la ha reconocido en 15 min" in two.body


def test_what_a_rule_without_escalation_tells_is_not_escalated(two: Scene) -> None:
    two.take("soc_low", "warning")
    assert len(two.go(24 * 3600, step=60)) == 1


def test_at_night_only_alarms_go_out_and_the_morning_brings_the_rest(two: Scene) -> None:
    two.now = at("2026-11-30 23:00", "-03:00")
    two.take("soc_high", "warning", value=96.0)
    assert two.go(60) == []
    two.take("evidence_lost", point="soc")
    assert len(two.go(60)) == 1
    assert "soc_high" not in two.body
    two.take("soc_high", over=True)
    two.take("soc_low", "warning")
    two.take("alarm_acknowledged", "info", about="evidence_lost", point="soc", user="ana")
    assert two.go(7.9 * 3600, step=60) == []
    assert two.desk.held("ana/json", two.now) == 2
    assert two.go(600) == ["ana/json: norte: 2 warnings, 1 ended"]
    assert "soc_high = 96, ended after 2 min" in two.body


@pytest.mark.parametrize(
    ("moment", "start", "end", "days", "quiet"),
    [
        ("2026-11-30 21:59", "22:00", "07:00", None, False),
        ("2026-11-30 22:00", "22:00", "07:00", None, True),
        ("2026-12-01 06:59", "22:00", "07:00", None, True),
        ("2026-12-01 07:00", "22:00", "07:00", None, False),
        ("2026-11-30 13:30", "13:00", "14:00", None, True),
        ("2026-11-30 06:00", "22:00", "07:00", ["mon"], False),  # the night that began on Sunday
        ("2026-12-01 06:00", "22:00", "07:00", ["mon"], True),
        ("2026-12-05 15:00", "00:00", "00:00", ["sat", "sun"], True),
        ("2026-12-07 00:00", "00:00", "00:00", ["sat", "sun"], False),
        ("2027-04-04 03:30", "02:00", "04:00", None, True),  # the night after the clocks went back in Chile
    ],
)  # fmt: skip
def test_quiet_hours(moment: str, start: str, end: str, days: list[str] | None, quiet: bool) -> None:
    zone = ZoneInfo("America/Santiago")
    hours = Quiet.model_validate({"start": start, "end": end} | ({"days": days} if days else {}))
    now = datetime.fromisoformat(moment).replace(tzinfo=zone).timestamp()
    assert bool(quiet_now([hours], now, zone)) == quiet


def test_an_outage_of_hours_becomes_one_message_with_everything(one: Scene) -> None:
    one.broken = True
    one.take("evidence_lost", point="soc")
    one.go(3600, step=5)
    one.take("evidence_lost", over=True, point="soc")
    one.take("soc_low", "warning")
    one.go(3 * 3600, step=5)
    queue = one.desk.state.queues["ana/json"]
    assert queue.failures > 15
    assert queue.failures < 60, "the pauses grow"
    assert (queue.why, queue.doubtful) == ("refused", 0)
    one.broken = False
    assert one.go(600, step=5) == ["ana/json: norte: 1 alarm, 1 warning, 1 ended"]
    assert "ended after 60 min" in one.body
    assert "reached you before" not in one.body
    assert (queue.failures, queue.why, queue.waiting) == (0, None, {})


def test_what_may_have_arrived_is_sent_again_and_says_so(one: Scene) -> None:
    one.broken, one.sure = True, False
    one.take("evidence_lost", point="soc")
    one.go(8)
    one.broken = False
    assert len(one.go(60)) == 1
    assert one.desk.state.queues["ana/json"].doubtful == 1
    assert "reached you before" in one.body
    one.take("soc_low", "warning")
    one.go(400)
    assert "reached you before" not in one.body


def test_killed_while_sending_it_is_sent_again_and_says_so(tmp_path: Path) -> None:
    found = config(tmp_path, ONE)
    first = Scene(found, NOON)
    first.take("evidence_lost", point="soc")
    (letter,) = first.desk.due(NOON + 5)
    save_state(tmp_path / "state.json", first.desk.state)  # and nothing more is known of it
    state = load_state(tmp_path / "state.json")
    assert state == first.desk.state
    again = Scene(found, NOON + 60, state)
    assert again.desk.recovered == 1
    assert again.go(10) == [f"{letter.channel}: {letter.message.title}"]
    assert "reached you before" in again.body
    assert again.go(3600, step=10) == []


def test_a_late_outcome_of_a_message_that_was_given_up_counts_for_nothing(one: Scene) -> None:
    one.take("evidence_lost", point="soc")
    (old,) = one.desk.due(NOON + 5)
    one.desk.tick(NOON + 700)
    (new,) = one.desk.due(NOON + 700)
    one.desk.outcome(old.id, NOON + 701, why="late")
    assert one.desk.state.queues["ana/json"].sending is not None
    one.desk.outcome(new.id, NOON + 702, why=None)
    assert one.desk.state.queues["ana/json"].sending is None


def test_one_broken_channel_delays_no_other(tmp_path: Path) -> None:
    scene = Scene(config(tmp_path, ONE.replace("json://h/a", 'json://h/a"}, {url: "xml://h/b')), NOON)
    scene.take("evidence_lost")
    for letter in scene.desk.due(NOON + 5):
        scene.desk.outcome(letter.id, NOON + 5, why="refused" if "xml" in letter.channel else None)
    queues = scene.desk.state.queues
    assert (queues["ana/json"].sent, queues["ana/xml"].sent, len(queues["ana/xml"].waiting)) == (1, 0, 1)


def test_a_clock_that_is_set_back_silences_nobody(one: Scene) -> None:
    one.broken = True
    one.take("evidence_lost", point="soc")
    one.go(3600, step=5)
    one.now -= 10 * 86_400
    one.broken = False
    one.take("soc_low", "warning")
    assert len(one.go(900)) == 1


def test_the_pace_does_not_outlast_a_clock_that_is_set_back(one: Scene) -> None:
    for number in range(40):
        one.take("fire_alarm", point=f"rack_{number}")
        one.go(60)
    one.now -= 10 * 86_400
    one.take("gas_alarm")
    assert len(one.go(900)) >= 1


def test_maintenance_mutes_nothing_and_is_told(one: Scene) -> None:
    one.take("maintenance_on", "warning", message="maintenance, switched on by ana: fan 3")
    one.go(10)
    one.take("evidence_lost", point="soc")
    assert one.go(60) == ["ana/json: ALARM norte: evidence_lost soc"]
    assert "Maintenance is on: maintenance, switched on by ana: fan 3" in one.body


@pytest.mark.parametrize(
    ("stands", "title"), [(False, "norte: all is well"), (True, "norte: 1 alarm not acknowledged")]
)
def test_a_message_a_day(tmp_path: Path, stands: bool, title: str) -> None:
    daily = 'daily: {at: "08:00", days: [mon, tue], tell: [ana]}\ntime_zone: America/Santiago' + ONE
    scene = Scene(config(tmp_path, daily), at("2026-11-30 12:00", "-03:00"))
    if stands:
        scene.take("evidence_lost")
        scene.go(60)
    scene.sent.clear()
    assert scene.go(19 * 3600, step=60) == []
    assert scene.go(3 * 3600, step=60) == [f"ana/json: {title}"]
    assert f"{int(stands)} alarms and warnings began" in scene.body
    assert scene.go(5 * 86_400, step=600) == [], "Wednesday to Sunday"
    assert len(scene.go(86_400, step=600)) == 1


def test_everybody_gets_the_same_daily_message_and_it_survives_an_outage(tmp_path: Path) -> None:
    daily = 'daily: {at: "08:00", tell: [ana, boss]}\n' + TWO.replace("time_zone: America/Santiago", "")
    scene = Scene(config(tmp_path, daily), NOON)
    scene.take("soc_high", "warning")
    scene.go(60)
    scene.sent.clear()
    scene.broken = True
    scene.go(21 * 3600, step=60)
    scene.broken = False
    scene.go(3600, step=60)
    bodies = {channel: message.body for channel, message in scene.sent}
    assert "1 alarms and warnings began" in bodies["ana/json"]
    assert "comenzaron 1 alarmas" in bodies["boss/json"]


def test_the_first_daily_message_comes_on_the_day_of_the_start(tmp_path: Path) -> None:
    scene = Scene(config(tmp_path, 'daily: {at: "08:00", tell: [ana]}' + ONE), at("2026-11-30 07:59"))
    assert scene.go(600) == ["ana/json: norte: all is well"]


def test_the_gateways_own_list_mends_what_was_missed(one: Scene) -> None:
    listed = {"code": "fire_alarm", "point": None, "severity": "alarm", "message": "smoke", "value": None,
              "active": True, "state": "unacknowledged", "first_out": True,
              "began_wall_ns": round((NOON - 60) * 1e9)}  # fmt: skip
    one.take("evidence_lost", point="soc")
    one.go(10)
    assert one.desk.reconcile([listed], one.now)
    assert one.go(400) == ["ana/json: norte: 2 alarms, 1 ended"]
    assert not one.desk.reconcile([listed], one.now)
    one.now = NOON - 60
    one.take("fire_alarm")  # its own event, read late
    assert one.go(60) == []


def test_the_gateways_own_list_tells_that_it_got_worse(one: Scene) -> None:
    one.take("soc_high", "warning")
    one.go(10)
    listed = {"code": "soc_high", "point": None, "severity": "alarm", "message": "98 %", "value": 98.0,
              "active": True, "state": "unacknowledged", "first_out": False,
              "began_wall_ns": round(NOON * 1e9)}  # fmt: skip
    assert one.desk.reconcile([listed], one.now)
    assert one.go(400) == ["ana/json: ALARM norte: soc_high = 98"]
    assert not one.desk.reconcile([listed], one.now)


def test_what_a_newer_version_kept_is_read_by_the_one_before(one: Scene, tmp_path: Path) -> None:
    one.take("soc_high", "warning")
    one.go(10)
    one.take("evidence_lost", point="soc")
    one.go(1)
    plain = one.desk.state.to_plain() | {"more": 1}
    for part in (*plain["standing"]["alarms"].values(), *plain["queues"].values()):
        part["more"] = [1]
    plain["queues"]["ana/json"]["waiting"]["evidence_lost|soc||"]["more"] = None
    before = Scene(one.desk.config, one.now, State.from_plain(plain))
    assert before.go(400) == ["ana/json: ALARM norte: evidence_lost soc"]
    del plain["queues"]["ana/json"]["waiting"]["evidence_lost|soc||"]["message"]
    with pytest.raises(StateError, match="message"):
        State.from_plain(plain)


def test_another_file_takes_over_what_waits(tmp_path: Path) -> None:
    scene = Scene(config(tmp_path, ONE), NOON)
    scene.broken = True
    scene.take("evidence_lost", point="soc")
    scene.go(10)
    other = config(tmp_path, ONE.replace("json://", "xml://"))
    moved = Scene(other, NOON + 20, scene.desk.state)
    assert moved.go(60) == ["ana/xml: ALARM norte: evidence_lost soc"]


def test_what_is_escalated_when_the_gateway_comes_back_is_told_once(tmp_path: Path) -> None:
    found: NotifyConfig = config(tmp_path, TWO)
    scene = Scene(found, NOON)
    scene.take("evidence_lost", point="soc")
    scene.go(60)
    later = Scene(found, NOON + 10 * 3600, scene.desk.state)
    assert later.go(3600, step=10) == ["boss/json: ALARMA SIN RECONOCER norte: evidence_lost soc"]
    assert Desk(found, State(), PLACE).next_step(scene.desk.state.standing.open()[0]) is None
