"""`bessai token`: API tokens for programs, for who has the machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessai.cli.common import DATA_DIR, fail, print_json
from bessai.cli.machine import with_people
from bessai.cli.tables import AsJson, give
from bessai.cli.user import RoleName

if TYPE_CHECKING:
    from bessai.interfaces.api.identity import Token

app = typer.Typer(
    no_args_is_help=True,
    help="API tokens, for programs that call the API. Works beside a running gateway, on its DATA_DIR, and is recorded "
    "in the audit log.\n\nExit codes: 0 done, 2 refused or wrong input.",
)


class Scope(StrEnum):
    """What a token may be used for; its role caps it further."""

    READ = "read"
    CONTROL = "control"
    ADMIN = "admin"


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="token")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the program, for lists and records.")],
    user: Annotated[
        str, typer.Option("--user", help="Whose it is: it never has more rights, and ends with the user.")
    ],
    role: Annotated[RoleName, typer.Option("--role", help="What it may do.")] = RoleName.VIEWER,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            "--scope", show_default="read",
            help="read: GET. control: what operators and engineers change. admin: users, tokens, audit log. "
            "Repeat it for several.",
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="Until it ends.")] = 90,
    as_json: AsJson = False,
    data_dir: Path = DATA_DIR,
) -> None:  # fmt: skip
    """Make a token. Its secret is printed on standard output this once; the rest goes to standard error."""
    from bessai.interfaces.api.roles import Role

    wanted = Role.named(role.value)
    scopes = [one.value for one in dict.fromkeys(scope or [Scope.READ])]

    async def work(identity: Any, _audit: Any) -> tuple[Token, str]:
        owner = await identity.user(user.strip().lower())
        if owner.role < wanted:
            fail(f"--role {role.value}: {owner.name} is {owner.role.label}, and a token has no more rights")
        made: tuple[Token, str] = await identity.make_token(owner.name, name, wanted, scopes, days)
        return made

    token, secret = with_people(
        data_dir, work, action="token_made", target=name,
        detail={"role": role.value, "scopes": scopes, "days": days, "user": user},
    )  # fmt: skip
    row = _row(token)
    if as_json:
        print_json({**row, "secret": secret})
        return
    typer.echo(secret)
    typer.echo(
        f"{row['name']} ({row['id']}): {row['role']} of {row['user']}, {row['scopes']}, until {row['expires']}. "
        "The secret is not shown again.",
        err=True,
    )


@app.command("list")
def list_(data_dir: Path = DATA_DIR, as_json: AsJson = False) -> None:
    """List the tokens, without their secrets, those that are over too."""
    found = with_people(data_dir, lambda identity, _audit: identity.tokens())
    give([_row(token) for token in found], title="tokens", as_json=as_json, as_csv=False, out=None)


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its name or its id.")],
    data_dir: Path = DATA_DIR,
) -> None:
    """End a token at once."""

    async def work(identity: Any, _audit: Any) -> str:
        found = [one for one in await identity.tokens() if token in {one.id, one.name}]
        removed: Token = await identity.remove_token(found[0].id if found else token)
        return removed.name

    typer.echo(f"{with_people(data_dir, work, action='token_removed', target=token)}: revoked")


def _row(token: Token) -> dict[str, Any]:
    from bessai.interfaces.api.identity.secret import iso

    return {
        "id": token.id, "name": token.name, "role": token.role.label, "user": token.user,
        "scopes": " ".join(token.scopes), "created": iso(token.created), "expires": iso(token.expires),
        "last_used": None if token.last_used is None else iso(token.last_used),
    }  # fmt: skip
