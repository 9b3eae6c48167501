"""The clock of an incident, what is kept of it, and what a draft says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bessai.incident import IncidentError, IncidentStore, deadlines, draft, gather, time_left_text
from bessai.incident.evidence import MOST_EVENTS
from bessai.incident.texts import LANGUAGES, texts
from bessai.journal import Journal, JournalReader
from bessai.model import Event, Severity
from support.records import LAYOUT, make_record

HOUR = 3600 * 10**9
KNOWN = 1_800_000_000 * 10**9  # 2027-01-15T08:00:00Z


@pytest.fixture
def store(tmp_path: Path) -> IncidentStore:
    return IncidentStore(tmp_path)


def entered(store: IncidentStore, **more: Any) -> Any:
    fields: dict[str, Any] = {
        "title": "unknown login", "known_ns": KNOWN, "known_by": "ana", "opened_by": "luis", "wall_ns": KNOWN + HOUR,
    }  # fmt: skip
    return store.open(**fields | more)


def test_the_terms_run_from_the_moment_of_knowledge(store: IncidentStore) -> None:
    incident = entered(store)
    assert [(one.report, (one.due_ns - KNOWN) / HOUR) for one in deadlines(incident)] == [
        ("early", 3.0), ("update", 72.0), ("final", 15 * 24.0),
    ]  # fmt: skip
    early = deadlines(incident)[0]
    assert early.seconds_left(KNOWN + HOUR) == 2 * 3600.0
    assert not early.late(KNOWN + 3 * HOUR)
    assert early.late(KNOWN + 3 * HOUR + 10**9)


def test_the_update_of_an_essential_service_is_due_after_a_day(store: IncidentStore) -> None:
    incident = entered(store, essential=True)
    assert [(one.due_ns - KNOWN) / HOUR for one in deadlines(incident)] == [3.0, 24.0, 15 * 24.0]


def test_a_report_that_was_sent_stops_its_clock(store: IncidentStore) -> None:
    number = entered(store).id
    now = KNOWN + 5 * HOUR
    incident = store.sent(number, "early", by="ana", reference="T-1", wall_ns=KNOWN + 2 * HOUR, now_ns=now)
    incident = store.sent(number, "update", by="ana", reference="T-1", wall_ns=now, now_ns=now)
    early, update, final = deadlines(incident)
    assert (early.seconds_left(now), early.late(now), early.sent_late) == (None, False, False)
    assert (update.sent_late, final.seconds_left(now)) == (False, (15 * 24 - 5) * 3600.0)
    late = entered(store, title="second").id
    incident = store.sent(late, "early", by="ana", reference="T-2", wall_ns=now, now_ns=now)
    assert deadlines(incident)[0].sent_late
    assert not deadlines(incident)[0].late(now)


def test_incidents_are_numbered_kept_and_listed(store: IncidentStore) -> None:
    first, second = entered(store), entered(store, title="other")
    assert (first.id, second.id) == ("2027-001", "2027-002")
    assert IncidentStore(store.path.parent).all() == ([first, second], [])
    assert oct((store.path / "2027-001.json").stat().st_mode & 0o777) == "0o600"


OPEN_MANY = (
    "import sys; from pathlib import Path; from bessai.incident import IncidentStore\n"
    "print(flush=True); sys.stdin.readline()\n"
    "for i in range(20): IncidentStore(Path(sys.argv[1])).open("
    "title='x', known_ns=1, known_by='a', opened_by='a', wall_ns=2)"
)


def test_two_processes_never_use_a_number_twice(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN_MANY, str(tmp_path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in processes:
        process.stdout.readline()  # it is ready
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0]
    found, problems = IncidentStore(tmp_path).all()
    assert ([one.id for one in found], problems) == ([f"1970-{n:03}" for n in range(1, 41)], [])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"known_ns": KNOWN + 2 * HOUR}, "lies in the future"),
        ({"title": " "}, "title is empty"),
        ({"title": "x" * 257}, "257 characters are too many"),
        ({"title": "a\nb"}, "only printable characters"),
        ({"opened_by": ""}, "user is empty"),
        ({"known_by": ""}, "known-by is empty"),
    ],
)
def test_wrong_incidents(store: IncidentStore, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(IncidentError, match=problem):
        entered(store, **change)
    assert store.all() == ([], [])


def test_wrong_reports(store: IncidentStore) -> None:
    number = entered(store).id

    def sent(report: str = "early", **more: Any) -> None:
        fields: dict[str, Any] = {
            "by": "ana",
            "reference": "T-1",
            "wall_ns": KNOWN + HOUR,
            "now_ns": KNOWN + HOUR,
        }
        store.sent(more.pop("number", number), report, **fields | more)

    for arguments, problem in (
        ({"report": "late"}, "report='late': use one of early, update, final"),
        ({"reference": ""}, "reference is empty"),
        ({"wall_ns": KNOWN + 2 * HOUR}, "lies in the future"),
        ({"wall_ns": KNOWN - HOUR}, "before the moment of knowledge"),
        ({"number": "2027-009"}, "there is no incident '2027-009'; there are 2027-001"),
        ({"number": "../../etc/passwd"}, "there is no incident"),
    ):
        with pytest.raises(IncidentError, match=problem):
            sent(**arguments)
    sent()
    with pytest.raises(IncidentError, match="noted as sent already"):
        sent()


def test_closing(store: IncidentStore) -> None:
    number = entered(store).id
    with pytest.raises(IncidentError, match="not sent yet: early, update, final"):
        store.close(number, by="ana", reason="done", wall_ns=KNOWN + HOUR)
    with pytest.raises(IncidentError, match="reason is empty"):
        store.close(number, by="ana", reason="", wall_ns=KNOWN + HOUR, unsent=True)
    incident = store.close(number, by="ana", reason="false alarm", wall_ns=KNOWN + HOUR, unsent=True)
    assert not any(one.late(KNOWN + 1000 * HOUR) for one in deadlines(incident))
    assert store.get(number) == incident
    with pytest.raises(IncidentError, match="closed already"):
        store.close(number, by="ana", reason="again", wall_ns=KNOWN + HOUR, unsent=True)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 2}', '{"format": 1}', '{"format": 1, "sent": [{}]}']
)
def test_a_damaged_file_is_told_and_hides_no_other(store: IncidentStore, text: str) -> None:
    entered(store), entered(store)
    (store.path / "2027-001.json").write_text(text)
    found, problems = store.all()
    assert [one.id for one in found] == ["2027-002"]
    assert "2027-001.json cannot be read" in problems[0]


@pytest.mark.parametrize(
    "change", [{"known_ns": "soon"}, {"opened_ns": True}, {"closed_ns": 1.5}, {"title": 7}]
)
def test_a_value_of_another_kind_is_damage(store: IncidentStore, change: dict[str, Any]) -> None:
    data = entered(store).to_plain()
    (store.path / "2027-001.json").write_text(json.dumps(data | change))
    assert "a moment in it is no number" in store.all()[1][0]


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    (tmp_path / "incidents").write_text("a file where the directory should be")
    store = IncidentStore(tmp_path)
    with pytest.raises(IncidentError, match="cannot be used"):
        entered(store)
    assert "cannot be read" in store.all()[1][0]


def test_a_directory_that_is_not_there_is_not_the_absence_of_incidents(tmp_path: Path) -> None:
    assert IncidentStore(tmp_path).all() == ([], [])
    assert "there is no such directory" in IncidentStore(tmp_path / "elsewhere").all()[1][0]


def event(code: str, message: str = "it happened", hours: float = 0.0, **more: Any) -> Event:
    fields: dict[str, Any] = {"severity": Severity.ALARM} | more
    return Event(code=code, message=message, wall_ns=KNOWN + int(hours * HOUR), **fields)


def journal_of(directory: Path, *events: Event, cycles: int = 0) -> JournalReader:
    journal = Journal.open(directory, layout=LAYOUT, device={"profile": "p"})
    for n in range(cycles):
        journal.append(make_record(n))
    for one in events:
        journal.append_event(one)
    assert journal.close(30.0)
    return JournalReader(directory)


ROW = "| 2027-01-15 08:00:00Z | alarm |"


def test_a_draft_tells_what_when_and_by_whom(store: IncidentStore, tmp_path: Path) -> None:
    incident = entered(store, essential=True)
    reader = journal_of(
        tmp_path,
        event("evidence_lost", "too early", hours=-9),
        event("evidence_lost", "soc is stale"),
        event("evidence_lost", "soc is back", hours=0.2, active=False),
        event("evidence_lost", "soc is stale again", hours=0.4),
        event("maintenance_off", "maintenance off by ana", hours=1, severity=Severity.WARNING, user="ana"),
    )
    evidence = gather(reader, KNOWN - HOUR, KNOWN + 2 * HOUR)
    assert (len(evidence.events), evidence.records, evidence.alarms["evidence_lost"].count) == (4, 4, 2)
    text = draft(incident, evidence, "en", wall_ns=KNOWN + 4 * HOUR, site="atacama_1")
    for part in (
        "# DRAFT, to be completed and sent by a person",
        "**Provisional**",
        "| What | unknown login |",
        "| Known since | 2027-01-15 08:00:00Z, by ana |",
        "| Site | atacama\\_1 |",
        "| early alert | 2027-01-15 11:00:00Z | **1 h 0 min late** |",
        "| update | 2027-01-16 08:00:00Z | 20 h 0 min left |",
        "| final report | 2027-01-30 08:00:00Z | 14 d 20 h left |",
        f"{ROW} `evidence_lost` | soc is stale |  |",
        "`evidence_lost` (ended) | soc is back |",
        "| `evidence_lost` | alarm | 2 | 2027-01-15 08:00:00Z | 2027-01-15 08:24:00Z |",
        "| warning | `maintenance_off` | maintenance off by ana | ana |",
        "- **Indicators of compromise:** ______",
    ):
        assert part in text
    assert "too early" not in text
    spanish = draft(incident, evidence, "es", wall_ns=KNOWN + 4 * HOUR)
    assert "# BORRADOR, a completar y enviar por una persona" in spanish
    assert "**1 h 0 min de atraso**" in spanish
    with pytest.raises(ValueError, match="language 'fr'"):
        draft(incident, evidence, "fr", wall_ns=KNOWN)


def test_a_draft_says_what_was_sent_and_closed(store: IncidentStore, tmp_path: Path) -> None:
    number = entered(store).id
    store.sent(number, "early", by="ana", reference="T|1", wall_ns=KNOWN + 4 * HOUR, now_ns=KNOWN + 4 * HOUR)
    incident = store.close(number, by="luis", reason="over", wall_ns=KNOWN + 5 * HOUR, unsent=True)
    text = draft(incident, gather(journal_of(tmp_path), KNOWN, KNOWN), "en", wall_ns=KNOWN + 6 * HOUR)
    assert "sent **late**, 2027-01-15 12:00:00Z by ana, reference T\\|1 |" in text
    assert "| update | 2027-01-18 08:00:00Z | closed without it |" in text
    assert "| Closed | 2027-01-15 13:00:00Z, by luis: over |" in text
    assert "The journal holds **nothing** of this time." in text


def test_what_somebody_typed_stays_text(store: IncidentStore, tmp_path: Path) -> None:
    evil = "a | b <script> [x](http://y) `c` *d*\n# e"
    reader = journal_of(tmp_path, event("gateway_started", evil))
    text = draft(entered(store), gather(reader, KNOWN, KNOWN), "en", wall_ns=KNOWN + HOUR)
    assert "a \\| b \\<script\\> \\[x\\](http://y) \\`c\\` \\*d\\* \\# e |" in text


def test_many_events_are_counted_and_the_less_severe_left_out(tmp_path: Path) -> None:
    many = [
        event("grid_command", str(n), severity=Severity.INFO, user="luis") for n in range(MOST_EVENTS + 9)
    ]
    evidence = gather(journal_of(tmp_path, *many, event("fire_alarm", hours=0.1)), KNOWN, KNOWN + HOUR)
    assert (len(evidence.events), evidence.omitted, len(evidence.acts)) == (MOST_EVENTS, 10, MOST_EVENTS)
    assert [one.code for one in evidence.events][-2:] == ["grid_command", "fire_alarm"]
    assert evidence.alarms["grid_command"].count == MOST_EVENTS + 9
    assert list(evidence.alarms) == ["fire_alarm", "grid_command"]


def test_a_journal_that_begins_later_is_told(tmp_path: Path) -> None:
    reader = journal_of(tmp_path, event("gateway_started"))
    assert gather(reader, KNOWN - HOUR, KNOWN).gaps == ("begins_later",)
    assert gather(reader, KNOWN, KNOWN).gaps == ()
    assert gather(JournalReader(tmp_path / "nothing"), KNOWN, KNOWN).gaps == ("empty",)


def test_both_languages_say_the_same_things() -> None:
    english, spanish = (texts(language) for language in LANGUAGES)
    assert english.say.keys() == spanish.say.keys()
    assert len(english.fields) == len(spanish.fields)
    assert {text for text in english.say.values() if len(text) > 12}.isdisjoint(spanish.say.values())


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "0 min"), (-3600, "1 h 0 min"), (5400, "1 h 30 min"), (200_000, "2 d 7 h")]
)
def test_times(seconds: float, text: str) -> None:
    assert time_left_text(seconds) == text
