"""`bessai user`: the people of the page, for who has the machine."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessai.cli.common import DATA_DIR, fail
from bessai.cli.machine import with_people
from bessai.cli.tables import AsJson, give

if TYPE_CHECKING:
    from bessai.interfaces.api.roles import Role

app = typer.Typer(
    no_args_is_help=True,
    help="Users of the page and the API. Works beside a running gateway, on its DATA_DIR, and is recorded in the "
    "audit log.\n\nExit codes: 0 done, 2 refused or wrong input.",
)


class RoleName(StrEnum):
    """What a user may do; each may do what those before may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    ADMINISTRATOR = "administrator"


class Language(StrEnum):
    """Of the page."""

    EN = "en"
    ES = "es"


Name = Annotated[str, typer.Argument(metavar="NAME", help="As it is typed when signing in.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
]


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="user")


@app.command("list")
def list_(data_dir: Path = DATA_DIR, as_json: AsJson = False) -> None:
    """List the users."""
    from bessai.interfaces.api.identity.secret import iso

    found = with_people(data_dir, lambda identity, _audit: identity.users())
    rows: list[dict[str, Any]] = [
        {
            "name": user.name, "role": user.role.label, "language": user.language, "created": iso(user.created),
            "last_seen": None if user.last_seen is None else iso(user.last_seen),
            "locked_until": None if user.locked_until is None else iso(user.locked_until),
            "disabled": user.disabled, "sessions": user.sessions,
        }
        for user in found
    ]  # fmt: skip
    give(rows, title="users", as_json=as_json, as_csv=False, out=None)


@app.command()
def add(
    name: Name,
    role: Annotated[RoleName, typer.Option("--role", help="What the user may do.")],
    language: Annotated[Language, typer.Option("--language", help="Of the page.")] = Language.EN,
    password_stdin: FromInput = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Add a user. The first one must be an administrator, and sets the page up."""
    password = _password(password_stdin)

    async def work(identity: Any, _audit: Any) -> None:
        if identity.setup_needed and role is not RoleName.ADMINISTRATOR:
            fail("--role: the first user must be an administrator")
        await identity.add_user(name, _role(role), password, language.value)

    with_people(data_dir, work, action="user_added", target=name, detail={"role": role.value})
    typer.echo(f"{name}: {role.value}")


@app.command("password")
def password_(name: Name, password_stdin: FromInput = False, data_dir: Path = DATA_DIR) -> None:
    """Give a user another password; sessions end and a lock is lifted."""
    password = _password(password_stdin)
    with_people(
        data_dir, lambda identity, _audit: identity.change_user(_lower(name), password=password),
        action="user_changed", target=name, detail={"password": "changed"},
    )  # fmt: skip
    typer.echo(f"{name}: the password is changed")


@app.command("role")
def role_(name: Name, role: RoleName, data_dir: Path = DATA_DIR) -> None:
    """Give a user another role. The last administrator stays one."""
    with_people(
        data_dir, lambda identity, _audit: identity.change_user(_lower(name), role=_role(role)),
        action="user_changed", target=name, detail={"role": role.value},
    )  # fmt: skip
    typer.echo(f"{name}: {role.value}")


@app.command()
def disable(
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Let the user in again.")] = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Keep a user out: sessions end, tokens no longer work. The last administrator stays."""
    with_people(
        data_dir, lambda identity, _audit: identity.change_user(_lower(name), disabled=not undo),
        action="user_changed", target=name, detail={"disabled": not undo},
    )  # fmt: skip
    typer.echo(f"{name}: {'enabled' if undo else 'disabled'}")


@app.command()
def remove(name: Name, data_dir: Path = DATA_DIR) -> None:
    """Remove a user with sessions and tokens. The last administrator stays."""
    with_people(
        data_dir,
        lambda identity, _audit: identity.remove_user(_lower(name)),
        action="user_removed",
        target=name,
    )
    typer.echo(f"{name}: removed")


@app.command()
def unlock(name: Name, data_dir: Path = DATA_DIR) -> None:
    """Lift the lock that wrong passwords have put on a user."""
    with_people(
        data_dir, lambda identity, _audit: identity.change_user(_lower(name), unlock=True),
        action="user_changed", target=name, detail={"unlock": True},
    )  # fmt: skip
    typer.echo(f"{name}: unlocked")


@app.command("setup-link")
def setup_link(
    url: Annotated[
        str | None,
        typer.Option("--url", help="Where the page is.", show_default="http://127.0.0.1:HTTP_PORT"),
    ] = None,
    data_dir: Path = DATA_DIR,
) -> None:
    """Print the link by which the first administrator is made: once, within 24 h."""
    from bessai.core.environment import SettingsError, given_value

    if url is None:
        try:
            scheme = "https" if given_value("HTTP_TLS") == "on" else "http"
            url = f"{scheme}://127.0.0.1:{given_value('HTTP_PORT') or 8080}"
        except SettingsError as error:
            fail(*error.problems)
    base = url

    async def work(identity: Any, _audit: Any) -> str:
        link = identity.setup_link(base, "cli")
        if link is None:
            fail("this gateway is set up: `bessai user password NAME` gives somebody another password")
        return str(link)

    typer.echo(with_people(data_dir, work, action="setup_link"))


def _password(from_input: bool) -> str:
    if from_input:
        return sys.stdin.readline().rstrip("\r\n")
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed


def _lower(name: str) -> str:
    return name.strip().lower()


def _role(role: RoleName) -> Role:
    from bessai.interfaces.api.roles import Role

    return Role.named(role.value)
