"""The switch from one slot to the other, watched, and taken back when the new version is not as well as the old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from bessai.update import UpdateError
from bessai.update.health import Baseline
from bessai.update.service import Service
from bessai.update.slots import Slots


class Outcome(IntEnum):
    """What came of it; the number is the exit code."""

    UPDATED = 0
    ROLLED_BACK = 1
    """The old version runs, as well as before."""
    NEITHER = 5
    """Neither is as well as before: a person is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """From the current slot to the other one."""

    slots: Slots
    service: Service
    before: Baseline
    watch: Callable[[str, bool], str | None]
    """Watches the gateway that runs from a slot: (slot, taken back) → why it is not as well as before; None: it is."""
    unreadable: Callable[[str], tuple[str, ...]]
    """What a slot's version cannot read on the disk now."""
    announce: Callable[[str, str], bool]
    """Tells the gateway the result and the reason, for its journal. False when it did not take it."""
    say: Callable[[str], None] = lambda _: None
    """Told each step."""
    one_way: bool = False
    """The new version writes formats that the old one cannot read."""

    def run(self, target: str, facts: dict[str, Any]) -> Outcome:
        """Do it. `target` is complete and was examined; the lock is held."""
        slots, back = self.slots, self.slots.current()
        try:
            if not self.one_way:
                slots.begin(back, facts)
                self.say(f"noted that {slots.path(back)} is the way back")
            slots.switch(target)
        except OSError as error:
            raise UpdateError(
                f"cannot switch to {slots.path(target)}, nothing was restarted: {error}"
            ) from None
        self.say(f"switched to {slots.path(target)}")
        try:
            self.service.restart()
            self.say("the gateway is restarting; watching it")
            why = self.watch(target, False)
        except UpdateError as error:
            why = str(error)
        if why is None:
            slots.end()
            self.say("as well as before: the update stays")
            self.announce("updated", str(facts.get("reason") or "update"))
            return Outcome.UPDATED
        self.say(f"not as well as before: {why}")
        return self._back(back, why)

    def _back(self, back: str, why: str) -> Outcome:
        slots = self.slots
        if lost := self._unreadable(back):
            slots.end()
            self.say(
                f"the version in {slots.path(back)} cannot go back to work: {'; '.join(lost)}. The new version stays; "
                "mend it, or restore the data from a backup"
            )
            return Outcome.NEITHER
        try:
            slots.switch(back)
        except OSError as error:
            self.say(f"cannot switch back to {slots.path(back)}: {error}; the next start tries it again")
            return Outcome.NEITHER
        if slots.pending() is not None:
            slots.end(taken_back=True)
        self.say(f"went back to {slots.path(back)}")
        try:
            self.service.restart()
        except UpdateError as error:  # what is dead cannot be ended; whoever starts it may do so by itself
            self.say(str(error))
        still = self.watch(back, True)
        if self.announce("rolled_back", why):
            slots.forget_settled()
        if still is None:
            self.say("the old version runs, as well as before")
            return Outcome.ROLLED_BACK
        self.say(f"the old version is not as well as before either: {still}")
        return Outcome.NEITHER

    def _unreadable(self, slot: str) -> tuple[str, ...]:
        """A version that cannot be asked is worth a try: the other one is known not to work."""
        try:
            return self.unreadable(slot)
        except UpdateError as error:
            self.say(str(error))
            return ()
