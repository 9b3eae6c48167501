"""`bessai update`: another version, watched, and taken back when it is not as well as this one."""

from __future__ import annotations

import getpass
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessai.cli.common import DATA_DIR, GatewayError, ask_gateway, duration, fail, print_json

if TYPE_CHECKING:
    from bessai.update.slots import Slots

_REFUSED, _NOT_RUNNING, _POWER = 2, 3, 4
_KEY = Path("/etc/bessai/update.pub")

app = typer.Typer(invoke_without_command=True)
Prefix = Annotated[
    Path | None, typer.Option(help="Where the slots are.", show_default="this program's, else /opt/bessai")
]


def register(parent: typer.Typer) -> None:
    """Add the command and its sub-commands."""
    parent.add_typer(app, name="update")


@app.callback()
def update(
    context: typer.Context,
    source: Annotated[
        Path | None, typer.Option("--from", help="Wheel, or offline bundle (a directory or its tar file).")
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the version in the other slot.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and build aside; change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Also while power flows.")] = False,
    wait: Annotated[
        str | None, typer.Option(metavar="TIME", help="Wait so long for power to end, for example 30m.")
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="What the file's SHA-256 must be.")] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            help="Public key (PEM, Ed25519): only what it signed is taken.",
            show_default=f"{_KEY}, when it is there",
        ),
    ] = None,
    watch: Annotated[str, typer.Option(metavar="TIME", help="How long all must be well.")] = "30s",
    within: Annotated[str, typer.Option(metavar="TIME", help="After how long it is given up.")] = "3m",
    answer: Annotated[
        str, typer.Option(metavar="TIME", help="After how long without any answer it is given up.")
    ] = "45s",
    one_way: Annotated[
        bool,
        typer.Option("--one-way", help="Accept that the version before cannot read what this one writes."),
    ] = False,
    unwatched: Annotated[
        bool, typer.Option("--unwatched", help="Only switch: no restart, no watching, no way back by itself.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "update",
    prefix: Prefix = None,
    unit: Annotated[str, typer.Option(help="The service's unit.")] = "bessai-gateway.service",
    restart_command: Annotated[
        str | None, typer.Option(help="Shell line that restarts the gateway, where no systemd runs.")
    ] = None,
    data_dir: Path = DATA_DIR,
) -> None:
    """Install another version beside this one, let it check the real configuration, switch, watch, go back if need be.

    A restart hands control to the devices for some seconds, so it asks first, and refuses while power flows. The
    version before stays in its slot: `bessai update --rollback` goes back at any time.

    Exit codes: 0 done; 1 the old version runs again; 2 refused, nothing was changed; 3 no gateway runs; 4 power flows;
    5 neither version is as well as before.
    """
    if context.invoked_subcommand is not None:
        return
    from bessai.update import UpdateError
    from bessai.update.slots import Slots, own_prefix

    if (source is None) == (not rollback):
        fail("say --from WHEEL|BUNDLE, or --rollback; `bessai update status` shows what is there")
    if key is None and _KEY.exists():
        key = _KEY
    times = (duration("--watch", watch), duration("--within", within), duration("--answer", answer))
    patience = 0.0 if wait is None else duration("--wait", wait)
    try:
        slots = Slots(prefix or own_prefix())
        with slots.locked():
            if (back := slots.settle()) is not None:
                typer.echo(
                    f"an earlier update was not watched to its end: {slots.path(back)} is current again; restart"
                )
            job = _Job(slots, data_dir, one_way=one_way, reason=reason)
            if not (dry_run or unwatched):
                job.await_idle(patience, now=now)  # before the work of building, and again after it
            target = job.prepare(source, sha256, key, aside=dry_run)
            if dry_run:
                typer.echo("nothing was changed: a dry run")
                return
            if unwatched:
                slots.switch(target)
                typer.echo(f"switched to {slots.path(target)}; restart the gateway yourself")
                return
            job.await_idle(patience, now=now)
            job.confirm(yes=yes)
            code = job.switch(target, unit, restart_command, *times)
    except UpdateError as error:
        fail(error, code=_REFUSED)
    raise typer.Exit(code)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False, prefix: Prefix = None
) -> None:
    """Show the slots, which one runs, and whether an update is unfinished. Exit codes: 0; 1 one is unfinished."""
    from bessai.update import UpdateError
    from bessai.update.slots import NAMES, Slots, own_prefix

    try:
        slots = Slots(prefix or own_prefix())
        current = slots.current()
    except UpdateError as error:
        fail(error)
    pending, settled = slots.pending(), slots.settled()
    if as_json:
        told = {name: slots.told(name) or None for name in NAMES}
        print_json(
            {
                "prefix": str(slots.prefix),
                "current": current,
                "slots": told,
                "pending": pending,
                "settled": settled,
            }
        )
    else:
        for name in NAMES:
            facts = slots.told(name)
            what = f"{facts.get('version')}, built {facts.get('built')}" if facts else "empty"
            typer.echo(f"{'*' if name == current else ' '} {slots.path(name)}  {what}")
        if pending is not None:
            typer.echo(
                f"an update to {pending.get('to', 'another version')} is not confirmed: unless an updater is at work, "
                f"the next restart goes back to {slots.path(pending['back'])}"
            )
        if settled is not None:
            typer.echo(f"the update to {settled.get('to', 'another version')} was taken back")
    raise typer.Exit(1 if pending is not None else 0)


@app.command(hidden=True)
def inspect(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False, data_dir: Path = DATA_DIR
) -> None:
    """Say what this version thinks of the configuration and the data here. Asked by the version that runs."""
    from bessai.update.judging import judge

    found = judge(data_dir)
    if as_json:
        print_json(found)
    else:
        for problem in (*found["problems"], *found["unreadable"]):
            typer.echo(problem)
    raise typer.Exit(_REFUSED if found["problems"] or found["unreadable"] else 0)


@app.command("tell-settled", hidden=True)
def tell_settled(prefix: Prefix = None, data_dir: Path = DATA_DIR) -> None:
    """Tell the gateway that an unfinished update was taken back. Run by the unit after a start."""
    from bessai.update import UpdateError
    from bessai.update.slots import Slots, own_prefix

    try:
        slots = Slots(prefix or own_prefix())
        with slots.locked():
            facts = slots.settled()
            if facts is not None and _tell(
                data_dir, facts, "rolled_back", "nobody watched the update to its end"
            ):
                slots.forget_settled()
    except UpdateError as error:  # an updater is at work and tells it itself
        typer.echo(str(error), err=True)


class _Job:
    """One update, step by step. Raises UpdateError, or exits."""

    def __init__(self, slots: Slots, data_dir: Path, *, one_way: bool, reason: str) -> None:
        from bessai.update.examine import Surroundings, surroundings_of

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
        from bessai.update import UpdateError
        from bessai.update.health import place_of

        place, current = place_of(self.status["pid"]) if self.status else None, self.slots.current()
        if place is not None and place != self.slots.path(current).resolve():
            raise UpdateError(
                f"the gateway runs from {place}, not from {self.slots.path(current)}: restart it, then update"
            )

    def prepare(self, source: Path | None, sha256: str | None, key: Path | None, *, aside: bool) -> str:
        """Build the slot, or take it as it is, and examine it. Returns its name."""
        import tempfile

        from bessai.update import UpdateError
        from bessai.update.build import build
        from bessai.update.examine import examined, raised
        from bessai.update.package import staged

        slots = self.slots
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
        import time

        from bessai.update.health import flowing

        if not self.status:
            fail(
                f"no gateway runs on {self.data_dir}, so nobody could tell whether the new version is as well: "
                "start it first, or use --unwatched",
                code=_NOT_RUNNING,
            )
        deadline = time.monotonic() + patience
        while not now and (power := flowing(self.status)) is not None:
            if time.monotonic() >= deadline:
                fail(f"power flows ({power}): end the requests, say --wait 30m, or --now", code=_POWER)
            time.sleep(1)
            self.status = self._status() or self.status

    def confirm(self, *, yes: bool) -> None:
        """Say what a restart does, and ask."""
        from bessai.update.health import fallbacks

        typer.echo(
            "the restart ends all requests for power; while the gateway is away each device is on its own:"
        )
        for line in fallbacks(self.status) or ["no device is commanded"]:
            typer.echo(f"  {line}")
        if not yes and not typer.confirm("restart the gateway now?"):
            fail("not confirmed: nothing was switched", code=_REFUSED)

    def switch(
        self, target: str, unit: str, command: str | None, steady: float, within: float, answer: float
    ) -> int:
        """Switch, restart, watch, go back if need be; the exit code."""
        from bessai.update.examine import examined
        from bessai.update.health import Watch, baseline
        from bessai.update.service import service
        from bessai.update.switching import Switch

        stop: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: stop.append(number))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal may go; the update goes on
        before, slots = baseline(self.status), self.slots

        def look(slot: str, taken_back: bool) -> str | None:
            return Watch(
                self._status,
                before,
                slots.path(slot),
                steady=steady,
                within=within,
                answer=within if taken_back else answer,  # there is nowhere else to go then
                interrupted=lambda: bool(stop) and not taken_back,
            ).run()

        return Switch(
            slots=slots,
            service=service(unit, command),
            before=before,
            watch=look,
            unreadable=lambda slot: examined(slots.python(slot), self.where).unreadable,
            tell=lambda result, why: _tell(self.data_dir, self.facts, result, why),
            say=_say,
            one_way=self.one_way,
        ).run(target, self.facts)

    def _status(self) -> dict[str, Any] | None:
        with suppress(GatewayError):
            answer = ask_gateway(self.data_dir, {"op": "status"}, timeout=2)
            return answer.get("status") if answer else None
        return None


def _say(line: str) -> None:
    with suppress(OSError):  # the terminal is gone
        typer.echo(line)


def _tell(data_dir: Path, facts: dict[str, Any], result: str, why: str) -> bool:
    words = {name: str(facts.get(name) or "unknown") for name in ("from", "to", "user")}
    text = "".join(c if c.isprintable() else " " for c in why)[:120]
    try:
        answer = ask_gateway(data_dir, {"op": "update", "result": result, **words, "reason": text})
    except GatewayError:
        return False
    return bool(answer and answer.get("ok"))
