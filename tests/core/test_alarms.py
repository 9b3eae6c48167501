"""The alarm book as truth tables: conditions in, events and list entries out."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.core.alarm_entry import AlarmEntry, AlarmState
from bessai.core.alarm_list import SETTLE, SHELVE_MAX
from bessai.core.alarm_memory import AlarmMemory
from bessai.core.alarm_messages import handle_alarm
from bessai.core.alarms import CHATTER, STEADY, AlarmBook
from bessai.model import Condition, Event, Severity
from bessai.model.catalogue import CatalogueEntry

INFO, WARNING, ALARM = Severity.INFO, Severity.WARNING, Severity.ALARM
DAY = 86_400 * 10**9


def _rule(code: str, on: float, off: float) -> CatalogueEntry:
    return CatalogueEntry(
        code=code, severity=WARNING, condition=True, on=on, off=off, latches=False, coming=False, texts={}
    )


RULES = {"slow": _rule("slow", 3.0, 5.0)}
"""`slow` is announced after 3 s and ended after 5 s; every other code at once."""


class Desk:
    """A book, one update a second. A condition is written as `code`, `code@point`, with `!` before an alarm, `.` before
    information."""

    def __init__(self) -> None:
        self.book = AlarmBook(RULES)
        self.now = 100.0
        self.wall = DAY

    def cycle(self, *conditions: str, seconds: float = 1.0) -> list[str]:
        """One update; what was announced: `+code` begins or worsens, `-code` ends, `*` is first-out."""
        self.now += seconds
        self.wall += round(seconds * 1e9)
        return [_short(e) for e in self.book.update(map(_condition, conditions), self.now, self.wall)]

    def cycles(self, count: int, *conditions: str) -> list[list[str]]:
        return [self.cycle(*conditions) for _ in range(count)]

    def stay(self, seconds: float, *conditions: str) -> list[str]:
        return [said for _ in range(round(seconds)) for said in self.cycle(*conditions)]

    def do(self, what: str, code: str, point: str | None = None, **given: Any) -> Event:
        given = {"user": "ana", "reason": "seen", "now": self.now, "wall_ns": self.wall} | given
        event: Event = getattr(self.book, what)(code, point, **given)
        return event

    def state(self, code: str, point: str | None = None) -> AlarmState:
        found = [e.state for e in self.book.entries if (e.code, e.point) == (code, point)]
        return found[0] if found else AlarmState.NORMAL

    def entry(self, code: str) -> AlarmEntry:
        (entry,) = [entry for entry in self.book.entries if entry.code == code]
        return entry

    def restart(self, *, away: float, now: float = 7.0) -> None:
        """What is on disk, in a new process with another monotonic clock."""
        plain = json.loads(json.dumps(self.book.memory.to_plain()))
        self.book = AlarmBook(RULES)
        self.book.memory = AlarmMemory.from_plain(plain)
        self.now, self.wall = now, self.wall + round(away * 1e9)
        self.book.resume(self.now, self.wall)


def _condition(text: str) -> Condition:
    severity = ALARM if text.startswith("!") else INFO if text.startswith(".") else WARNING
    code, _, point = text.lstrip("!.").partition("@")
    return Condition(code=code, severity=severity, message=f"{code} is so", point=point or None)


def _short(event: Event) -> str:
    what = f"{event.code}({event.about})" if event.about else event.code
    point = f"@{event.point}" if event.point else ""
    return f"{'+' if event.active else '-'}{what}{point}{'*' if event.first_out else ''}"


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        pytest.param(["a", "a", ""], [["+a"], [], ["-a"]], id="begins once, ends once"),
        pytest.param(["!a", ""], [["+a*"], ["-a"]], id="an alarm at once"),
        pytest.param(["a", "!a"], [["+a"], ["+a*"]], id="worse is said again"),
        pytest.param(["!a", "a", "!a"], [["+a*"], [], []], id="better for a moment is not"),
        pytest.param(["a@x", "a@y"], [["+a@x"], ["+a@y", "-a@x"]], id="each point for itself"),
        pytest.param(["a a !a", "a !a a"], [["+a*"], []], id="told twice: the more severe counts"),
        pytest.param(["slow"] * 4, [[], [], [], ["+slow"]], id="a warning waits for its time"),
        pytest.param(["slow", "slow", "", "slow", "slow"], [[]] * 5, id="a shorter one is never said"),
        pytest.param(["!slow"], [["+slow*"]], id="an alarm waits for nothing"),
        pytest.param(["slow", "!slow"], [[], ["+slow*"]], id="nor one that was waiting"),
        pytest.param(["!slow", *[""] * 6], [["+slow*"], *[[]] * 5, ["-slow"]], id="an end waits"),
        pytest.param(["!slow", "", "", "!slow", "!slow"], [["+slow*"], *[[]] * 4], id="back before its end"),
        pytest.param([".a", ""], [["+a"], ["-a"]], id="information begins and ends as well"),
    ],
)
def test_what_is_announced(desk: Desk, steps: list[str], said: list[list[str]]) -> None:
    assert [desk.cycle(*step.split()) for step in steps] == said


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ("!a", "unacknowledged"),
        ("!a ack", "acknowledged"),
        ("!a -", "returned"),
        ("!a - ack", "normal"),
        ("!a ack -", "normal"),
        ("!a - !a", "unacknowledged"),
        ("!a ack - !a", "unacknowledged"),
        ("!a - a", "unacknowledged"),
        ("a", "unacknowledged"),
        ("a ack", "acknowledged"),
        ("a -", "normal"),
        ("a ack !a", "unacknowledged"),
        ("a ack !a -", "returned"),
        ("!a ack a", "acknowledged"),
        (".a", "normal"),
        ("a shelve", "shelved"),
        ("a shelve -", "shelved"),
        ("a shelve - a", "shelved"),
        ("a shelve unshelve", "unacknowledged"),
        ("a ack shelve unshelve", "unacknowledged"),
        ("a shelve - unshelve", "normal"),
        ("a shelve !a", "unacknowledged"),
        ("a shelve !a ack", "acknowledged"),
        ("a shelve !a -", "returned"),
    ],
)
def test_states(desk: Desk, steps: str, state: str) -> None:
    for step in steps.split():
        match step:
            case "ack":
                desk.do("acknowledge", "a")
            case "shelve":
                desk.do("shelve", "a", seconds=600.0)
            case "unshelve":
                desk.do("unshelve", "a")
            case "-":
                desk.cycle()
            case _:
                desk.cycle(step)
    assert desk.state("a").value == state


def test_what_is_true_is_neither_delayed_nor_shelved(desk: Desk) -> None:
    desk.cycle("slow", "a", "!b", ".c")
    desk.do("shelve", "a", seconds=60.0)
    assert [(c.code, c.severity) for c in desk.book.active] == [
        ("b", ALARM), ("slow", WARNING), ("a", WARNING), ("c", INFO),
    ]  # fmt: skip
    desk.cycle("a", "!a")
    assert [(c.code, c.severity) for c in desk.book.active] == [("a", ALARM)]


def test_first_out(desk: Desk) -> None:
    assert desk.cycle("w") == ["+w"]
    assert desk.cycle("w", "!a") == ["+a*"]
    assert desk.cycle("w", "!a", "!b") == ["+b"]
    assert desk.cycle("w", "!b") == ["-a"]
    assert [(e.code, e.first_out) for e in desk.book.entries] == [("b", False), ("a", True), ("w", False)]
    assert desk.cycle("w", "!c") == ["+c", "-b"], "b was active until now"
    desk.cycle("w")
    assert desk.cycle("!w", "!d") == ["+w*", "+d*"], "a new group; the same cycle cannot tell them apart"
    assert [e.code for e in desk.book.entries if e.first_out] == ["w", "d"]


def test_chatter_is_announced_once_and_counted(desk: Desk) -> None:
    said = [desk.cycle(*(["!a"] if i % 2 == 0 else [])) for i in range(100)]
    assert said[:5] == [["+a*"], ["-a"], ["+a*"], ["-a"], ["+a*", "+chattering(a)"]]
    assert not any(said[5:])
    entry = desk.entry("a")
    assert (entry.active, entry.chattering, entry.count) == (True, True, 50)
    assert desk.stay(STEADY - 1) == []
    assert desk.stay(1) == ["-a", "-chattering(a)"]
    assert desk.entry("a").state is AlarmState.RETURNED


def test_chatter_ends_while_the_alarm_stays(desk: Desk) -> None:
    for _ in range(CHATTER):
        desk.cycle("a")
        desk.cycle()
    assert desk.entry("a").chattering
    assert desk.stay(STEADY, "a") == []
    assert desk.cycle("a") == ["-chattering(a)"]
    assert desk.cycle() == ["-a"]


def test_begins_far_apart_are_no_chatter(desk: Desk) -> None:
    said = [s for _ in range(5) for s in (*desk.cycle("a"), *desk.stay(STEADY / (CHATTER - 1)))]
    assert said == ["+a", "-a"] * 5


def test_a_chattering_warning_that_becomes_an_alarm_is_announced(desk: Desk) -> None:
    for _ in range(CHATTER):
        desk.cycle()
        desk.cycle("a")
    assert desk.cycle("!a") == ["+a*"]
    assert [desk.cycle("a"), desk.cycle("!a"), desk.cycle(), desk.cycle("!a")] == [[]] * 4


def test_a_lower_severity_counts_after_a_while(desk: Desk) -> None:
    desk.cycle("!a")
    assert desk.stay(STEADY + 1, "a") == []
    assert desk.cycle("!a") == ["+a*"]


def test_what_a_person_does_is_an_event(desk: Desk) -> None:
    desk.cycle("!a@soc", "b")
    event = desk.do("acknowledge", "a", reason=" on my way ")
    assert event == Event(
        code="alarm_acknowledged", severity=INFO, message="a of soc: acknowledged by ana: on my way",
        wall_ns=desk.wall, point="soc", about="a", user="ana",
    )  # fmt: skip
    entry = desk.entry("a")
    assert (entry.acknowledged_by, entry.acknowledged_why) == ("ana", "on my way")
    assert entry.acknowledged_wall_ns == desk.wall
    event = desk.do("shelve", "b", seconds=60.0)
    assert (event.code, event.about, event.user) == ("alarm_shelved", "b", "ana")
    assert desk.entry("b").shelved_until_wall_ns == desk.wall + 60 * 10**9
    event = desk.do("unshelve", "b", user="eva")
    assert (event.code, event.about, event.user) == ("alarm_unshelved", "b", "eva")
    assert desk.entry("b").shelved_by is None


def test_shelving_hides_from_the_top_and_mutes_nothing(desk: Desk) -> None:
    desk.cycle("a", "b", ".c")
    desk.do("shelve", "a", seconds=60.0)
    assert [(e.code, e.state.value) for e in desk.book.entries] == [("b", "unacknowledged"), ("a", "shelved")]
    assert [desk.cycle("b"), desk.cycle("a", "b")] == [["-a", "-c"], ["+a"]], "the record goes on"


def test_shelving_ends_by_itself(desk: Desk) -> None:
    desk.cycle("a")
    desk.do("shelve", "a", seconds=10.0)
    assert desk.stay(9, "a") == []
    assert desk.cycle("a") == ["+alarm_unshelved(a)"]
    assert desk.state("a") is AlarmState.UNACKNOWLEDGED


def test_a_shelved_warning_that_becomes_an_alarm_is_back_at_once(desk: Desk) -> None:
    desk.cycle("a")
    desk.do("shelve", "a", seconds=600.0)
    assert desk.cycle("!a") == ["+alarm_unshelved(a)", "+a*"]
    assert desk.book.entries[0].state is AlarmState.UNACKNOWLEDGED


@pytest.mark.parametrize(
    ("what", "code", "point", "given", "error"),
    [
        ("acknowledge", "no", None, {}, "code=no: not in the alarm list, which has a, b, two"),
        ("acknowledge", "info", None, {}, "code=info: not in the alarm list"),
        ("acknowledge", "a", "y", {}, "point=y: a is in the alarm list with x"),
        (
            "acknowledge",
            "two",
            None,
            {},
            "two is in the alarm list more than once: give the point, one of x, y",
        ),
        ("acknowledge", "a", None, {"user": " "}, "user is empty: say who"),
        ("acknowledge", "a", None, {"reason": ""}, "reason is empty"),
        ("acknowledge", "a", None, {"user": None}, "user is empty"),
        ("acknowledge", "a", None, {"reason": "x" * 129}, "reason: give one line of at most 128"),
        ("acknowledge", "a", None, {"reason": "x\ny"}, "reason: give one line"),
        ("acknowledge", "b", None, {}, "b was acknowledged already, by ana"),
        ("shelve", "a", None, {"seconds": 60.0}, "a of x is an alarm, and only a warning can be shelved"),
        ("shelve", "b", None, {"seconds": 0.0}, "for=0: shelve for more than 0 and at most 43200 s"),
        ("shelve", "b", None, {"seconds": SHELVE_MAX + 1}, "for=43201"),
        ("shelve", "b", None, {"seconds": float("nan")}, "for=nan"),
        ("unshelve", "b", None, {}, "b is not shelved"),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(
    desk: Desk, what: str, code: str, point: str | None, given: dict[str, Any], error: str
) -> None:
    desk.cycle("!a@x", "two@x", "two@y", "b", ".info")
    desk.do("acknowledge", "b")
    before = desk.book.memory.to_plain()
    with pytest.raises(ValueError, match=r"\w") as caught:
        desk.do(what, code, point, **given)
    assert error in str(caught.value)
    assert desk.book.memory.to_plain() == before


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"op": "alarm_ack", "code": "a", "point": "x"}, "alarm_acknowledged"),
        ({"op": "alarm_shelve", "code": "b", "point": None, "for": 60}, "alarm_shelved"),
        ({"op": "alarm_unshelve", "code": "put"}, "alarm_unshelved"),
    ],
)
def test_messages(desk: Desk, message: dict[str, Any], said: str) -> None:
    desk.cycle("!a@x", "b", "put")
    desk.do("shelve", "put", seconds=60.0)
    event = handle_alarm(desk.book, message | {"user": "ana", "reason": "x"}, now=desk.now, wall_ns=desk.wall)
    assert (event.code, event.about, event.user) == (said, message["code"], "ana")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"op": "alarm_mute"}, "op='alarm_mute' is unknown: use alarm_ack, alarm_shelve, alarm_unshelve"),
        ({"op": ["x"]}, "op=['x'] is unknown"),
        ({"code": None}, "code=None: give a text"),
        ({"code": "x" * 129}, "give a text of at most 128 characters"),
        (
            {"user": 3, "reason": " "},
            "user=3: give a text of at most 128 characters, not empty; reason=' ': give",
        ),
        ({"point": 5}, "point=5: give a text of at most 128 characters, or null"),
        ({"for": 60}, "for: alarm_ack has no such field"),
        ({"op": "alarm_shelve"}, "for=None: give seconds"),
        ({"op": "alarm_shelve", "for": True}, "for=True: give seconds"),
        ({"op": "alarm_shelve", "for": 10**400}, "for="),
        ({"colour": "red"}, "colour: alarm_ack has no such field"),
    ],
)
def test_wrong_messages_get_all_their_problems_at_once(
    desk: Desk, change: dict[str, Any], error: str
) -> None:
    desk.cycle("a")
    message = {"op": "alarm_ack", "code": "a", "user": "ana", "reason": "x"} | change
    before = desk.book.memory.to_plain()
    with pytest.raises(ValueError, match=r"\w") as caught:
        handle_alarm(desk.book, message, now=desk.now, wall_ns=desk.wall)
    assert error in str(caught.value)
    assert desk.book.memory.to_plain() == before


def test_an_alarm_that_is_over_cannot_be_shelved_away(desk: Desk) -> None:
    desk.cycle("!a")
    desk.cycle()
    with pytest.raises(ValueError, match="only a warning can be shelved"):
        desk.do("shelve", "a", seconds=60.0)


def test_the_list_is_in_the_order_of_need(desk: Desk) -> None:
    standing = ["w", "!first", "!seen", "!new", "put"]
    for step in (["!over"], ["w", "!first"], standing, [*standing, "known"]):
        desk.cycle(*step)
    desk.do("acknowledge", "seen")
    desk.do("acknowledge", "known")
    desk.do("shelve", "put", seconds=60.0)
    assert [e.code for e in desk.book.entries] == ["first", "new", "seen", "over", "w", "known", "put"]


def test_the_list_is_plain_data(desk: Desk) -> None:
    desk.book.update(
        [replace(_condition("!a@soc"), value=float("nan")), replace(_condition("b"), value=1.5)], 1.0, 5
    )
    plain = desk.book.as_plain()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain[0] == {
        "code": "a", "point": "soc", "severity": "alarm", "message": "a is so", "value": None,
        "state": "unacknowledged", "active": True, "began_wall_ns": 5, "ended_wall_ns": None, "first_out": True,
        "count": 1, "chattering": False, "acknowledged_by": None, "acknowledged_why": None,
        "acknowledged_wall_ns": None, "shelved_by": None, "shelved_why": None, "shelved_until_wall_ns": None,
    }  # fmt: skip
    assert plain[1]["value"] == 1.5


def test_a_restart_keeps_what_people_did(desk: Desk) -> None:
    desk.cycle("!seen", "!over", "put", "!gone")
    desk.do("acknowledge", "seen")
    desk.do("acknowledge", "gone")
    desk.do("shelve", "put", seconds=600.0)
    desk.cycle("!seen", "put", "!gone")
    desk.restart(away=100.0)
    assert desk.stay(SETTLE / 2) == [], "its values are still coming"
    assert desk.stay(SETTLE, "!seen", "put") == ["-gone"]
    states = {e.code: e.state.value for e in desk.book.entries}
    assert states == {"seen": "acknowledged", "over": "returned", "put": "shelved"}
    assert desk.entry("seen").acknowledged_by == "ana"
    assert desk.stay(600.0 - 100.0 - 1.5 * SETTLE - 2, "!seen", "put") == []
    assert "+alarm_unshelved(put)" in desk.stay(4, "!seen", "put")


@pytest.mark.parametrize(
    ("away", "left"),
    [(0.0, 600.0), (599.0, 1.0), (601.0, 0.0), (-365 * 86_400.0, SHELVE_MAX)],
    ids=["at once", "nearly over", "over", "the clock went back"],
)
def test_shelving_never_grows_by_a_wrong_clock(desk: Desk, away: float, left: float) -> None:
    desk.cycle("a")
    desk.do("shelve", "a", seconds=600.0)
    desk.restart(away=away)
    desk.now = 7.0 + left - 1.5
    before = desk.cycle("a") if left > 1 else []
    assert before == []
    desk.now = 7.0 + left
    assert desk.cycle("a", seconds=0.5) == ["+alarm_unshelved(a)"]


def test_a_restart_while_it_chatters(desk: Desk) -> None:
    for _ in range(CHATTER):
        desk.cycle()
        desk.cycle("a")
    desk.restart(away=1.0)
    assert desk.stay(STEADY - 1) == []
    assert desk.stay(2) == ["-a", "-chattering(a)"]


def test_marks_are_forgotten(desk: Desk) -> None:
    desk.cycle("a", ".b", "!c", "slow")
    desk.cycle()
    desk.do("acknowledge", "c")
    desk.stay(STEADY)
    assert desk.book.memory.marks == []


def test_the_revision_grows_only_with_what_is_worth_keeping(desk: Desk) -> None:
    def revision() -> int:
        return desk.book.memory.revision

    desk.cycle("!a")
    first = revision()
    desk.stay(10, "!a", "slow")
    assert revision() == first + 1
    desk.do("acknowledge", "a")
    assert revision() == first + 2


@pytest.mark.parametrize(
    ("plain", "error"),
    [
        ([], "alarms=[]: give an object"),
        ({"marks": {}}, "alarms.marks: give a list of objects"),
        ({"marks": [3]}, "alarms.marks: give a list of objects"),
        ({"tick": "x"}, "alarms.tick='x': give a whole number"),
        ({"colour": 1}, "alarms.colour: unknown; remove it"),
        ({"marks": [{"code": "a"}]}, "alarms.marks[0].point is missing"),
        ({"marks": [{"code": 1, "point": None}]}, "alarms.marks[0].code=1: give a text"),
        (
            {"marks": [{"code": "a", "point": None, "severity": 7}]},
            "severity=7: give a whole number from 0 to 2",
        ),
        ({"marks": [{"code": "a", "point": None, "severity": [1]}]}, "severity=[1]: give a whole number"),
        (
            {"marks": [{"code": "a", "point": None, "begins": [1, "x"]}]},
            "begins=[1, 'x']: give a list of numbers",
        ),
        ({"marks": [{"code": "a", "point": None}] * 2}, "('a', None) is there twice; keep one"),
    ],
)
def test_a_wrong_memory_gets_clear_errors(plain: Any, error: str) -> None:
    with pytest.raises(ValueError, match="alarms") as caught:
        AlarmMemory.from_plain(plain)
    assert error in str(caught.value)


KINDS = st.sampled_from(["a", "!a", ".a", "slow", "!slow", "b@x", "!b@x", "b@y"])
SEQUENCES = st.lists(st.tuples(st.sampled_from([0.1, 1.0, 4.0, 30.0]), st.sets(KINDS)), max_size=60)


@given(SEQUENCES)
def test_begins_and_ends_alternate(sequence: list[tuple[float, set[str]]]) -> None:
    desk = Desk()
    severity: dict[tuple[str, str | None, str | None], Severity | None] = defaultdict(lambda: None)
    told: dict[tuple[str, str | None, str | None], float] = {}
    for seconds, conditions in sequence:
        desk.now, desk.wall = desk.now + seconds, desk.wall + round(seconds * 1e9)
        for event in desk.book.update(map(_condition, sorted(conditions)), desk.now, desk.wall):
            key = (event.code, event.point, event.about)
            before = severity[key]
            if event.active:
                again = desk.now - told.get(key, 0.0) >= STEADY  # it was milder for a while
                assert before is None or event.severity > before or again
                told[key] = desk.now
            else:
                assert before is not None, f"{key} ended without a begin"
            severity[key] = event.severity if event.active else None
    standing = {(e.code, e.point) for e in desk.book.entries if e.active and e.severity >= WARNING}
    announced = {key[:2] for key, last in severity.items() if last is not None and key[0] != "chattering"}
    assert standing <= announced


@given(SEQUENCES)
def test_every_alarm_is_announced_at_once_or_is_active_already(
    sequence: list[tuple[float, set[str]]],
) -> None:
    desk = Desk()
    for seconds, conditions in sequence:
        desk.cycle(*sorted(conditions), seconds=seconds)
        alarms = {(e.code, e.point) for e in desk.book.entries if e.active and e.severity is ALARM}
        wanted = {(c.code, c.point) for c in map(_condition, conditions) if c.severity is ALARM}
        assert wanted <= alarms


@given(st.lists(st.booleans(), min_size=10, max_size=300))
def test_noise_at_a_threshold_gives_one_begin_an_excursion(noise: list[bool]) -> None:
    """A flickering condition: never more begins than excursions, and never a flood."""
    desk = Desk()
    said = [s for present in noise for s in desk.cycle(*(["a"] if present else []))]
    excursions = sum(now and not before for before, now in zip([False, *noise], noise, strict=False))
    assert said.count("+a") <= excursions
    minutes = len(noise) / STEADY + 1
    assert said.count("+a") <= CHATTER * minutes
    assert 0 <= said.count("+a") - said.count("-a") <= 1


@given(SEQUENCES, SEQUENCES)
def test_a_memory_that_went_through_json_goes_on_in_the_same_way(
    first: list[tuple[float, set[str]]], second: list[tuple[float, set[str]]]
) -> None:
    one, other = Desk(), Desk()
    for seconds, conditions in first:
        one.cycle(*sorted(conditions), seconds=seconds)
    other.now, other.wall = one.now, one.wall
    other.book.memory = AlarmMemory.from_plain(json.loads(json.dumps(one.book.memory.to_plain())))
    assert other.book.memory == one.book.memory
    assert other.book.entries == one.book.entries
    for seconds, conditions in second:
        step = sorted(conditions)
        assert one.cycle(*step, seconds=seconds) == other.cycle(*step, seconds=seconds)
    assert other.book.memory == one.book.memory
