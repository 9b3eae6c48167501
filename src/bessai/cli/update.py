"""`bessai update`: another version, watched, and taken back when it is not as well as this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bessai.cli.common import DATA_DIR, WRONG_INPUT, duration, fail, print_json

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
    from bessai.cli.update_job import Job
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
            job = Job(slots, data_dir, one_way=one_way, reason=reason)
            if not (dry_run or unwatched):
                job.await_idle(patience, now=now)  # before the work of building, and again after it
            target = job.prepare(source, sha256, key, aside=dry_run and source is not None)
            if dry_run:
                typer.echo("nothing was changed: a dry run")
                return
            if unwatched:
                slots.switch(target)
                typer.echo(f"switched to {slots.path(target)}; restart the gateway yourself")
                return
            job.confirm(yes=yes)
            job.await_idle(patience, now=now)
            code = job.switch(target, unit, restart_command, *times)
    except (UpdateError, OSError) as error:
        fail(error, code=WRONG_INPUT)
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
    raise typer.Exit(WRONG_INPUT if found["problems"] or found["unreadable"] else 0)


@app.command("tell-settled", hidden=True)
def tell_settled(prefix: Prefix = None, data_dir: Path = DATA_DIR) -> None:
    """Tell the gateway that an unfinished update was taken back. Run by the unit after a start."""
    from bessai.cli.update_job import tell
    from bessai.update import UpdateError
    from bessai.update.slots import Slots, own_prefix

    try:
        slots = Slots(prefix or own_prefix())
        with slots.locked():
            facts = slots.settled()
            if facts is not None and tell(
                data_dir, facts, "rolled_back", "nobody watched the update to its end"
            ):
                slots.forget_settled()
    except UpdateError as error:  # an updater is at work and tells it itself
        typer.echo(str(error), err=True)
