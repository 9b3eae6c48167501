"""`bessai audit`: what people did, and whether somebody has tampered with the record of it."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bessai.cli.common import DATA_DIR, NOT_HEALTHY, fail, print_json
from bessai.cli.machine import check_owner
from bessai.cli.tables import AsJson

if TYPE_CHECKING:
    from bessai.interfaces.api.audit import Audit, Verdict

app = typer.Typer(no_args_is_help=True, help="The log of what people did. The gateway need not run.")


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="audit")


@app.command()
def show(
    count: Annotated[
        int, typer.Option("-n", "--lines", min=1, max=100_000, help="Entries, the newest.")
    ] = 20,
    user: Annotated[str | None, typer.Option("--user", help="Of this user only.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Of this kind only.")] = None,
    as_json: AsJson = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Show entries, oldest first.

    Exit codes: 0 shown, 1 shown but the log was tampered with, 2 it cannot be read.
    """
    from bessai.interfaces.api.audit import AuditError

    audit = _open(data_dir)
    try:
        entries, _, sound = audit.read_page(limit=count, user=user, action=action)
    except AuditError as error:
        fail(error)
    finally:
        audit.close()
    if as_json:
        print_json({"verified": sound, "entries": [asdict(entry) for entry in reversed(entries)]})
    else:
        for entry in reversed(entries):
            words = (
                f"{entry.sequence}  {entry.time}  {entry.user or '-'} ({entry.role or '-'}, {entry.address or '-'})",
                f"{entry.action} {entry.target}".strip(), entry.outcome, entry.reason,
            )  # fmt: skip
            typer.echo("  ".join(word for word in words if word))
        if not entries:
            typer.echo("no entries")
    if not sound:
        typer.echo("error: the log was tampered with: see `bessai audit verify`", err=True)
        raise typer.Exit(NOT_HEALTHY)


@app.command()
def head(as_json: AsJson = False, data_dir: Path = DATA_DIR) -> None:
    """Print number and hash of the newest entry, `NUMBER:HASH`, to be kept on another machine for `verify --head`.

    The whole log is checked before: what is broken has no head. Exit codes: 0 printed, 1 broken, 2 it cannot be read,
    or there is no entry yet.
    """
    from bessai.interfaces.api.audit import AuditError

    audit = _open(data_dir)
    try:
        found = audit.check()
        entries, _, _ = audit.read_page(limit=1)
    except AuditError as error:
        fail(error)
    finally:
        audit.close()
    if not found.ok:
        fail(f"the log is broken at entry {found.first_bad}: {found.problem}", code=NOT_HEALTHY)
    if not entries:
        fail("there is no entry yet")
    newest = entries[0]
    if as_json:
        print_json({"sequence": newest.sequence, "hash": newest.hash, "time": newest.time})
    else:
        typer.echo(f"{newest.sequence}:{newest.hash}")


@app.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(
            "--head", metavar="NUMBER:HASH", help="What `bessai audit head` said before, kept elsewhere."
        ),
    ] = None,
    as_json: AsJson = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Check every line of the log; with --head also that it still holds the entry that it held then.

    Exit codes: 0 good, 1 broken: the first bad entry is named, 2 it cannot be read, or does not reach back to --head.
    """
    from bessai.interfaces.api.audit import AuditError

    kept = None if head is None else _head(head)
    audit = _open(data_dir)
    try:
        found = audit.check()
        if found.ok and kept is not None:
            found = _held(audit, found, *kept)
    except AuditError as error:
        fail(error)
    finally:
        audit.close()
    if as_json:
        print_json(asdict(found))
    elif found.ok:
        torn = "; the last line is torn, the next entry mends it" if found.torn else ""
        typer.echo(f"good: {found.entries} entries{torn}")
    else:
        typer.echo(f"BROKEN at entry {found.first_bad}: {found.problem}; {found.entries} before it are good")
    raise typer.Exit(0 if found.ok else NOT_HEALTHY)


def _head(text: str) -> tuple[int, str]:
    number, _, digest = text.strip().partition(":")
    if not re.fullmatch(r"[1-9]\d{0,17}", number, re.ASCII) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        fail(
            f"--head {text[:100]}: give what `bessai audit head` printed, a number, a colon and 64 hexadecimal digits"
        )
    return int(number), digest


def _held(audit: Audit, found: Verdict, number: int, digest: str) -> Verdict:
    """The verdict, with what was kept elsewhere of one entry."""
    entries, _, _ = audit.read_page(before=number + 1, limit=1)
    newest = entries[0].sequence if entries else 0
    if newest == number and entries[0].hash == digest:
        return found
    if not entries and found.entries:
        fail(f"--head {number}: the log no longer reaches back so far: take a newer head")
    if newest == number:
        first, problem = number, "it is another entry than the one that was there"
    else:
        first, problem = newest + 1, f"the end is gone: entry {number} was written"
    # whoever could do that could rewrite what comes before as well
    return replace(found, ok=False, entries=0, first_bad=first, problem=problem)


def _open(data_dir: Path) -> Audit:
    from bessai.interfaces.api.audit import Audit

    check_owner(data_dir)
    return Audit(data_dir / "audit")
