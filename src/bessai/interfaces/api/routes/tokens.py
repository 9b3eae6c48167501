"""API tokens, for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from bessai.interfaces.api.answers import Body, errors, shown
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.identity import Token
from bessai.interfaces.api.identity.secret import iso
from bessai.interfaces.api.identity.tokens import SCOPES
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.recording import recorded
from bessai.interfaces.api.roles import Principal, Role, needs
from bessai.interfaces.api.routes.users import Name, RoleName, role_of

router = APIRouter(tags=["tokens"])

Parts = Annotated[Context, Depends(of)]
Administrator = Annotated[Principal, Depends(needs(Role.ADMINISTRATOR))]


_TOKEN: dict[str, Any] = {
    "id": "t9Xw", "name": "scada-reader", "role": "viewer", "user": "ana", "created": "2026-11-29T06:00:00.000Z",
    "expires": "2027-02-27T06:00:00.000Z", "last_used": None, "scopes": ["read"],
}  # fmt: skip


class TokenBody(BaseModel):
    """One token, without its secret."""

    id: str
    name: str
    role: str = Field(description="The lower of this and the user's holds.")
    user: str = Field(description="Who made it.")
    created: str = Field(description="ISO 8601.")
    expires: str
    last_used: str | None = Field(description="To the minute.")
    scopes: list[str] = Field(
        description="read: GET. control: changes of operators and engineers. admin: users, tokens, audit log."
    )


class TokenList(BaseModel):
    """All tokens."""

    model_config = shown({"tokens": [_TOKEN]})

    tokens: list[TokenBody]


class MadeToken(TokenBody):
    """A new token."""

    model_config = shown({**_TOKEN, "secret": "bessai_…"})

    secret: str = Field(description="Shown this once: Authorization: Bearer bessai_…")


class NewToken(Body):
    """A token to be made."""

    model_config = shown({"name": "scada-reader", "role": "viewer", "scopes": ["read"], "days": 90})

    name: Name
    role: RoleName
    scopes: list[Annotated[str, Field(json_schema_extra={"enum": list(SCOPES)})]] = Field(
        max_length=8, json_schema_extra={"minItems": 1}
    )
    days: int = Field(ge=1, le=366, strict=True)


@router.get("/tokens")
async def listed(context: Parts, _caller: Administrator) -> TokenList:
    """All tokens."""
    return TokenList(tokens=[_body(token) for token in await context.identity.tokens()])


@router.post("/tokens", status_code=201, responses=errors(409))
async def make(body: NewToken, request: Request, context: Parts, caller: Administrator) -> MadeToken:
    """A new token; its secret is in this answer and nowhere else."""
    if caller.kind != "session":
        # Else a token could outlive its own end by its children.
        raise Problem(403, "session_only", "a token cannot make tokens: sign in")
    role = role_of(body.role)
    told = {"role": role.label, "scopes": body.scopes, "days": body.days}
    async with recorded(context, request, caller, "token_made", body.name, told):
        token, secret = await context.identity.make_token(
            caller.user, body.name, role, body.scopes, body.days
        )
    return MadeToken(**_body(token).model_dump(), secret=secret)


@router.delete("/tokens/{token_id}", status_code=204, responses=errors(404))
async def remove(token_id: str, request: Request, context: Parts, caller: Administrator) -> None:
    """End a token."""
    named = next((token for token in await context.identity.tokens() if token.id == token_id), None)
    about = {} if named is None else {"name": named.name, "role": named.role.label}
    async with recorded(context, request, caller, "token_removed", token_id, about):
        await context.identity.remove_token(token_id)


def _body(token: Token) -> TokenBody:
    return TokenBody(
        id=token.id, name=token.name, role=token.role.label, user=token.user, created=iso(token.created),
        expires=iso(token.expires), last_used=None if token.last_used is None else iso(token.last_used),
        scopes=list(token.scopes),
    )  # fmt: skip
