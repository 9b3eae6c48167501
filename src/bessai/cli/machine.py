"""What the commands share that work on the page's files: who has the machine has them, and is recorded."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from bessai.cli.common import fail

if TYPE_CHECKING:
    from bessai.interfaces.api.audit import Audit
    from bessai.interfaces.api.identity import Identity

T = TypeVar("T")


def check_owner(data_dir: Path) -> None:
    """Exit unless the files made here could be used by the gateway too."""
    if not data_dir.is_dir():
        fail(f"there is no directory {data_dir}: set DATA_DIR or --data-dir")
    owner = data_dir.stat().st_uid
    if os.geteuid() != owner and os.geteuid() == 0:
        fail(f"{data_dir} belongs to the gateway's user: run this as it, `sudo -u '#{owner}' bessai …`")


def with_people(
    data_dir: Path, work: Callable[[Identity, Audit], Awaitable[T]], *, action: str = "", target: str = "",
    detail: dict[str, Any] | None = None,
) -> T:  # fmt: skip
    """Do something with the users of a data directory; recorded before and after when it has an `action`.

    Exits with 2 when it is refused or the files cannot be used.
    """
    from bessai.interfaces.api.audit import Audit
    from bessai.interfaces.api.identity import Identity
    from bessai.interfaces.api.identity.database import NAME, IdentityError
    from bessai.interfaces.api.problems import Problem

    check_owner(data_dir)
    what: dict[str, Any] = {
        "user": getpass.getuser(), "role": "machine", "address": "local", "action": action, "target": target,
    }  # fmt: skip

    async def run(identity: Identity, audit: Audit) -> T:
        if not action:
            return await work(identity, audit)
        await audit.note(**what, outcome="asked", detail=detail)
        try:
            done = await work(identity, audit)
        except (Problem, typer.Exit) as refusal:
            code = refusal.code if isinstance(refusal, Problem) else "refused"
            await audit.note(**what, outcome="refused", detail={"code": code})
            raise
        await audit.note(**what)
        return done

    try:
        identity = Identity(data_dir / NAME)
    except IdentityError as error:
        fail(error)
    audit = Audit(data_dir / "audit")
    try:
        return asyncio.run(run(identity, audit))
    except Problem as problem:
        fail(problem.detail)
    finally:
        audit.close()
        identity.close()
