"""Users, for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from bessai.interfaces.api.answers import Body, Flag, Secret, errors, shown
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.identity import LANGUAGES, User
from bessai.interfaces.api.identity.secret import iso
from bessai.interfaces.api.identity.users import NAME
from bessai.interfaces.api.problems import field_problem
from bessai.interfaces.api.recording import recorded
from bessai.interfaces.api.roles import Principal, Role, needs

router = APIRouter(tags=["users"])

Parts = Annotated[Context, Depends(of)]
Administrator = Annotated[Principal, Depends(needs(Role.ADMINISTRATOR))]


Name = Annotated[
    str, Field(max_length=64, json_schema_extra={"pattern": NAME}, description="a-z, 0-9, dot, dash, underscore.")
]  # fmt: skip
RoleName = Annotated[str, Field(json_schema_extra={"enum": [role.label for role in Role]})]
Language = Annotated[str, Field(json_schema_extra={"enum": list(LANGUAGES)})]
_USER: dict[str, Any] = {
    "name": "ana", "role": "operator", "language": "es", "created": "2026-11-29T06:00:00.000Z",
    "last_seen": "2026-11-29T06:41:00.000Z", "locked_until": None, "disabled": False, "sessions": 1,
}  # fmt: skip


class UserBody(BaseModel):
    """One user."""

    model_config = shown(_USER)

    name: str
    role: str = Field(description="viewer, operator, engineer or administrator.")
    language: str = Field(description="en or es.")
    created: str = Field(description="ISO 8601.")
    last_seen: str | None = Field(description="To the minute.")
    locked_until: str | None = Field(description="After wrong passwords.")
    disabled: bool
    sessions: int = Field(description="That have not been ended.")


class UserList(BaseModel):
    """All users."""

    model_config = shown({"users": [_USER]})

    users: list[UserBody]


class NewUser(Body):
    """A user to be made."""

    model_config = shown(
        {"name": "ana", "role": "operator", "password": "correct battery staple", "language": "es"}
    )

    name: Name
    role: RoleName
    password: Secret
    language: Language = "en"


class UserChange(Body):
    """What is to be changed."""

    model_config = shown({"role": "engineer"}, {"unlock": True})

    role: RoleName | None = None
    password: Secret | None = None
    disabled: Flag | None = None
    language: Language | None = None
    unlock: Flag = False


@router.get("/users")
async def listed(context: Parts, _caller: Administrator) -> UserList:
    """All users."""
    return UserList(users=[_body(user) for user in await context.identity.users()])


@router.post("/users", status_code=201, responses=errors(409))
async def add(body: NewUser, request: Request, context: Parts, caller: Administrator) -> UserBody:
    """A new user."""
    role = role_of(body.role)
    async with recorded(context, request, caller, "user_added", body.name, {"role": role.label}):
        user = await context.identity.add_user(body.name, role, body.password, body.language)
    return _body(user)


@router.patch("/users/{name}", responses=errors(404, 409))
async def change(
    name: str, body: UserChange, request: Request, context: Parts, caller: Administrator
) -> UserBody:
    """Change a user; a new password and being disabled end the user's sessions."""
    role = None if body.role is None else role_of(body.role)
    told: dict[str, Any] = body.model_dump(exclude={"password"}, exclude_defaults=True)
    if body.password is not None:
        told["password"] = "changed"  # noqa: S105  the word, not the password
    async with recorded(context, request, caller, "user_changed", name, told):
        user = await context.identity.change_user(
            name, role=role, password=body.password, disabled=body.disabled, language=body.language,
            unlock=body.unlock,
        )  # fmt: skip
    return _body(user)


@router.delete("/users/{name}", status_code=204, responses=errors(404, 409))
async def remove(name: str, request: Request, context: Parts, caller: Administrator) -> None:
    """Remove a user with all sessions and tokens."""
    async with recorded(context, request, caller, "user_removed", name):
        await context.identity.remove_user(name)


def role_of(label: str) -> Role:
    """The role of a label. Raises Problem 422."""
    try:
        return Role.named(label)
    except ValueError:
        raise field_problem(
            "role", label[:32], f"use one of {', '.join(role.label for role in Role)}"
        ) from None


def _body(user: User) -> UserBody:
    return UserBody(
        name=user.name, role=user.role.label, language=user.language, created=iso(user.created),
        last_seen=None if user.last_seen is None else iso(user.last_seen),
        locked_until=None if user.locked_until is None else iso(user.locked_until),
        disabled=user.disabled, sessions=user.sessions,
    )  # fmt: skip
