"""What `bessai update` does, step by step."""

from __future__ import annotations

import getpass
import os
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from bessai.cli.common import NOT_RUNNING, WRONG_INPUT, GatewayError, ask_gateway, fail
from bessai.update import UpdateError
from bessai.update.build import build
from bessai.update.examine import Surroundings, examined, raised, surroundings_of
from bessai.update.health import Watch, baseline, fallbacks, flowing, place_of
from bessai.update.package import staged
from bessai.update.service import service
from bessai.update.slots import Slots
from bessai.update.switching import Outcome, Switch

_POWER = 4
"""Exit code while power flows."""


class Job:
    """One update, step by step. Raises UpdateError, or exits."""

    def __init__(self, slots: Slots, data_dir: Path, *, one_way: bool, reason: str) -> None:

        self.slots, self.data_dir, self.one_way = slots, data_dir, one_way
        self.facts: dict[str, Any] = {
            "user": os.environ.get("SUDO_USER") or getpass.getuser(),
            "reason": reason,
        }
        self.status: dict[str, Any] = self._status() or {}
        self._refuse_foreign()
        self.where = (
            surroundings_of(self.status["pid"], data_dir)
            if self.status
            else Surroundings(data_dir=data_dir, directory=Path.cwd())
        )

    def _refuse_foreign(self) -> None:
        """What runs now must be what `current` names: the other slot is about to be replaced."""
        place, current = place_of(self.status["pid"]) if self.status else None, self.slots.current()
        if place is not None and place != self.slots.path(current).resolve():
            raise UpdateError(
                f"the gateway runs from {place}, not from {self.slots.path(current)}: restart it, then update"
            )

    def prepare(self, source: Path | None, sha256: str | None, key: Path | None, *, aside: bool) -> str:
        """Build the slot, or take it as it is, and examine it. Returns its name."""
        slots = self.slots
        slots.clean()
        target = ".try" if aside else slots.idle()
        try:
            if source is not None:
                with tempfile.TemporaryDirectory(dir=slots.prefix, prefix=".staged-") as workshop:
                    package = staged(source, Path(workshop), sha256=sha256, key=key)
                    typer.echo(f"{source}: version {package.version}, checked by {package.checked}")
                    typer.echo(f"building {slots.path(target)}")
                    build(slots, target, package)
            elif not slots.told(target):
                raise UpdateError(f"{slots.path(target)} holds no complete version to go back to")
            new = examined(slots.python(target), self.where)
            if wrong := (*new.problems, *new.unreadable):
                raise UpdateError(
                    f"version {new.version} cannot run here, nothing was changed: " + "; ".join(wrong)
                )
            if not aside:
                slots.complete(target, {"formats": dict(new.formats)})
            ours = slots.told(slots.current())
            if "formats" not in ours:  # installed, not updated to
                old = examined(slots.python(slots.current()), self.where)
                ours = {"version": old.version, "formats": dict(old.formats)}
                slots.complete(slots.current(), ours)
        finally:
            if aside:
                slots.empty(target)
        present = str(ours.get("version"))
        if (lost := raised(ours["formats"], new.formats)) and not self.one_way:
            raise UpdateError(
                f"version {present} cannot read what {new.version} writes ({', '.join(lost)}), so there would be "
                "no way back: make a backup (`bessai journal backup`), then say --one-way"
            )
        self.one_way = bool(lost)
        self.facts |= {"from": present, "to": new.version}
        typer.echo(f"version {new.version} can run with this configuration and data; {present} runs now")
        return target

    def await_idle(self, patience: float, *, now: bool) -> None:
        """Come back when no power flows; exits when it goes on flowing."""
        if not self.status:
            fail(
                f"no gateway runs on {self.data_dir}, so nobody could tell whether the new version is as well: "
                "start it first, or use --unwatched",
                code=NOT_RUNNING,
            )
        self.status = self._status() or self.status
        deadline = time.monotonic() + patience
        while not now and (power := flowing(self.status)) is not None:
            if time.monotonic() >= deadline:
                fail(f"power flows ({power}): end the requests, say --wait 30m, or --now", code=_POWER)
            time.sleep(1)
            self.status = self._status() or self.status

    def confirm(self, *, yes: bool) -> None:
        """Say what a restart does, and ask."""
        typer.echo(
            "the restart ends all requests for power; while the gateway is away each device is on its own:"
        )
        for line in fallbacks(self.status) or ["no device is commanded"]:
            typer.echo(f"  {line}")
        try:
            agreed = yes or typer.confirm("restart the gateway now?")
        except typer.Abort:  # nobody is there to be asked
            agreed = False
        if not agreed:
            fail("not confirmed: nothing was switched (--yes does not ask)", code=WRONG_INPUT)

    def switch(
        self, target: str, unit: str, command: str | None, steady: float, within: float, answer: float
    ) -> int:
        """Switch, restart, watch, go back if need be; the exit code."""
        stop: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: stop.append(number))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal may go; the update goes on
        before, slots = baseline(self.status), self.slots

        def look(slot: str, taken_back: bool) -> str | None:
            watch = Watch(
                self._status,
                before,
                slots.path(slot),
                steady=steady,
                within=within,
                answer=within if taken_back else answer,  # there is nowhere else to go then
                interrupted=lambda: bool(stop) and not taken_back,
            )
            try:
                return watch.run()
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                return f"its status cannot be understood: {error!r}"

        switch = Switch(
            slots=slots,
            service=service(unit, command),
            before=before,
            watch=look,
            unreadable=lambda slot: examined(slots.python(slot), self.where).unreadable,
            announce=lambda result, why: tell(self.data_dir, self.facts, result, why),
            say=_say,
            one_way=self.one_way,
        )
        try:
            return switch.run(target, self.facts)
        except OSError as error:
            _say(f"how it ended cannot be noted ({error}): look with `bessai update status`")
            return Outcome.NEITHER

    def _status(self) -> dict[str, Any] | None:
        with suppress(GatewayError):
            answer = ask_gateway(self.data_dir, {"op": "status"}, timeout=2)
            return answer.get("status") if answer else None
        return None


def _say(line: str) -> None:
    with suppress(OSError):  # the terminal is gone
        typer.echo(line)


def tell(data_dir: Path, facts: dict[str, Any], result: str, why: str) -> bool:
    words = {name: str(facts.get(name) or "unknown") for name in ("from", "to", "user")}
    text = "".join(c if c.isprintable() else " " for c in why)[:120]
    try:
        answer = ask_gateway(data_dir, {"op": "update", "result": result, **words, "reason": text})
    except GatewayError:
        return False
    return bool(answer and answer.get("ok"))
