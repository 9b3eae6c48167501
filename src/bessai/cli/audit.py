"""`bessai audit`: what people did, and whether somebody has tampered with the record of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bessai.cli.common import DATA_DIR, NOT_HEALTHY, fail, print_json
from bessai.cli.machine import check_owner
from bessai.cli.tables import AsJson

if TYPE_CHECKING:
    from bessai.interfaces.api.audit import Audit

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
def verify(as_json: AsJson = False, data_dir: Path = DATA_DIR) -> None:
    """Check every line of the log.

    Exit codes: 0 good, 1 broken: the first bad entry is named, 2 it cannot be read.
    """
    from bessai.interfaces.api.audit import AuditError

    audit = _open(data_dir)
    try:
        found = audit.check()
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


def _open(data_dir: Path) -> Audit:
    from bessai.interfaces.api.audit import Audit

    check_owner(data_dir)
    return Audit(data_dir / "audit")
