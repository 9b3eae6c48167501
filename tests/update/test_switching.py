"""The switch from slot to slot, cut off at every step, with the shell script that settles it afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bessai.update import UpdateError
from bessai.update.health import Baseline
from bessai.update.slots import Slots
from bessai.update.switching import Outcome, Switch

SETTLE = Path(__file__).parents[2] / "infrastructure" / "install" / "settle.sh"
FACTS = {"from": "1", "to": "2", "user": "ana", "reason": "release 2"}


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    """Two slots whose program tells which one it is; `a` runs."""
    prefix = tmp_path / "opt with a space"
    for name in "ab":
        (prefix / name / "bin").mkdir(parents=True)
        program = prefix / name / "bin" / "bessai"
        program.write_text(f"#!/bin/sh\necho {name} $*\n")
        program.chmod(0o755)
        (prefix / name / "slot.json").write_text(f'{{"version": "{1 if name == "a" else 2}"}}')
    (prefix / "current").symlink_to("a")
    shutil.copy(SETTLE, prefix / "settle")
    return Slots(prefix)


def settle(slots: Slots, *words: str) -> subprocess.CompletedProcess[str]:
    """What the unit does before each start."""
    return subprocess.run([slots.prefix / "settle", *words], capture_output=True, text=True, check=False)


def starts(slots: Slots) -> str:
    """Which slot a start would run."""
    settle(slots)
    done = subprocess.run([slots.prefix / "current/bin/bessai"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass
class Story:
    """A switch in front of a gateway whose health is written down."""

    slots: Slots
    health: list[str | None]
    """Of each watch in turn."""
    unreadable: tuple[str, ...] = ()
    step: Callable[[str], None] = lambda _: None
    one_way: bool = False
    told: list[tuple[str, str]] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def restart(self) -> None:
        self.restarts.append(self.slots.current())
        self.step("restart")

    def run(self) -> Outcome:
        def watch(slot: str, taken_back: bool) -> str | None:
            self.step("watch")
            return self.health.pop(0)

        def announce(result: str, why: str) -> bool:
            self.told.append((result, why))
            return True

        def say(line: str) -> None:
            self.lines.append(line)
            self.step(line)

        switch = Switch(
            slots=self.slots, service=self, before=Baseline(), watch=watch, unreadable=lambda _: self.unreadable,
            announce=announce, say=say, one_way=self.one_way,
        )  # fmt: skip
        return switch.run(self.slots.idle(), dict(FACTS))


def test_a_good_version_stays(slots: Slots) -> None:
    story = Story(slots, [None])
    assert story.run() == Outcome.UPDATED
    assert (starts(slots), slots.pending(), slots.settled()) == ("b", None, None)
    assert (story.restarts, story.told) == (["b"], [("updated", "release 2")])


def test_a_bad_version_goes(slots: Slots) -> None:
    story = Story(slots, ["it does not answer", None])
    assert story.run() == Outcome.ROLLED_BACK
    assert (starts(slots), slots.pending(), slots.settled()) == ("a", None, None)
    assert (story.restarts, story.told) == (["b", "a"], [("rolled_back", "it does not answer")])


def test_a_way_back_without_a_restart_command_that_works(slots: Slots) -> None:
    """What has died cannot be ended again; the service manager starts it by itself."""
    story = Story(slots, [None])

    def step(what: str) -> None:
        if what == "restart":
            raise UpdateError("kill: no such process")

    story.step = step
    assert story.run() == Outcome.ROLLED_BACK
    assert starts(slots) == "a"


def test_neither_is_well(slots: Slots) -> None:
    story = Story(slots, ["ill", "ill too"])
    assert story.run() == Outcome.NEITHER
    assert starts(slots) == "a"


def test_no_way_back_to_a_version_that_cannot_read_the_disk(slots: Slots) -> None:
    story = Story(slots, ["ill"], unreadable=("history.db has format 2",))
    assert story.run() == Outcome.NEITHER
    assert (starts(slots), slots.pending()) == ("b", None)
    assert "history.db has format 2" in story.lines[-1]


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_before_the_switch_changes_nothing(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("begin", "switch"):
        with monkeypatch.context() as patch:
            patch.setattr(Slots, name, _full)
            story = Story(slots, [])
            with pytest.raises(UpdateError, match=r"nothing was restarted: .*No space left"):
                story.run()
        assert (story.restarts, starts(slots)) == ([], "a")


def test_a_full_disk_on_the_way_back_is_said_and_the_next_start_goes(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(slots, ["it does not answer"])
    with monkeypatch.context() as patch:
        story.step = lambda what: patch.setattr(Slots, "switch", _full) if what == "watch" else None
        assert story.run() is Outcome.NEITHER
    assert "the next start tries it again" in story.lines[-1]
    assert starts(slots) == "a"


def test_one_way_leaves_no_way_back_to_the_settling(slots: Slots) -> None:
    story = Story(slots, [None], one_way=True, step=lambda _: None)
    assert story.run() == Outcome.UPDATED
    seen: list[object] = []
    other = Story(slots, [None], one_way=True, step=lambda _: seen.append(slots.pending()))
    assert other.run() == Outcome.UPDATED
    assert seen
    assert not any(seen)


def _steps(slots: Slots, health: list[str | None]) -> int:
    count = 0

    def step(_: str) -> None:
        nonlocal count
        count += 1

    Story(slots, health, step=step).run()
    return count


@pytest.mark.parametrize("good", [True, False], ids=["good version", "bad version"])
def test_killed_at_every_step_something_whole_starts(good: bool, slots: Slots, tmp_path: Path) -> None:
    """SIGKILL in a process of its own: no cleaning up. Then what the unit's next start does."""
    health: list[str | None] = [None] if good else ["ill", None]
    spare = tmp_path / "spare"
    shutil.copytree(slots.prefix, spare, symlinks=True)
    total = _steps(slots, list(health))
    assert total >= 5
    for cut in range(1, total + 1):
        shutil.rmtree(slots.prefix)
        shutil.copytree(spare, slots.prefix, symlinks=True)
        _killed_at(slots, list(health), cut)
        ended = good and slots.pending() is None
        assert starts(slots) == ("b" if ended else "a"), f"cut at step {cut} of {total}"
        assert slots.pending() is None
        with slots.locked():  # nobody holds the lock for ever
            assert slots.settle() is None


def _killed_at(slots: Slots, health: list[str | None], cut: int) -> None:
    child = os.fork()
    if child == 0:
        left = cut

        def step(_: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        with slots.locked():
            Story(slots, health, step=step).run()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_settling_waits_for_an_updater_that_lives(slots: Slots) -> None:
    slots.begin("a", FACTS)
    slots.switch("b")
    with slots.locked():
        assert settle(slots).returncode == 0
        assert slots.current() == "b"
        with pytest.raises(UpdateError, match="another update"), Slots(slots.prefix).locked():
            pass
    assert starts(slots) == "a"


def test_settling_is_told_to_the_gateway_once_it_runs(slots: Slots) -> None:
    assert settle(slots, "told").stdout == ""
    slots.begin("a", FACTS)
    slots.switch("b")
    assert settle(slots).returncode == 0
    assert settle(slots, "told").stdout.strip() == f"a update tell-settled --prefix {slots.prefix}"
    assert (slots.settled() or {})["to"] == "2"


def test_both_settlings_do_the_same(slots: Slots) -> None:
    """The one in Python is for the next updater, before the unit starts anything."""
    slots.begin("a", FACTS)
    slots.switch("b")
    with slots.locked():
        assert slots.settle() == "a"
    assert (slots.current(), slots.pending(), (slots.settled() or {})["to"]) == ("a", None, "2")
    slots.begin("a", FACTS)
    with slots.locked():
        assert slots.settle() is None
    assert slots.pending() is None


@pytest.mark.parametrize("text", ["", "c\n", "../x\n", "a b\n"])
def test_settling_changes_nothing_that_it_does_not_understand(text: str, slots: Slots) -> None:
    slots.switch("b")
    (slots.prefix / "pending").write_text(text)
    assert settle(slots).returncode == 1
    assert slots.current() == "b"
    with slots.locked(), pytest.raises(UpdateError, match="names no slot"):
        slots.settle()


def test_settling_does_not_go_to_a_slot_that_is_gone(slots: Slots) -> None:
    slots.begin("a", FACTS)
    slots.switch("b")
    shutil.rmtree(slots.path("a"))
    assert settle(slots).returncode == 1
    assert slots.current() == "b"


def test_a_slot_that_is_used_is_never_emptied(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UpdateError, match="is current"):
        slots.empty("a")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "prefix", str(slots.path("b")))
        with pytest.raises(UpdateError, match="runs from the idle slot"):
            slots.empty("b")
    slots.empty("b")
    assert slots.told("b") == {}


def test_a_slot_that_cannot_be_emptied_is_not_built_upon(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessai.update.slots.shutil.rmtree", lambda *_, **__: None)  # as on an immutable file
    with pytest.raises(UpdateError, match="cannot be emptied"):
        slots.empty("b")


def test_no_slots_no_update(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match="install"):
        Slots(tmp_path)
