"""Signing in and out, and setting the page up."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

import bessai
from bessai.interfaces.api.answers import Body, Secret, errors, shown
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.guarding import cookie_name
from bessai.interfaces.api.identity import ABSOLUTE, LANGUAGES, MINIMUM, Caller
from bessai.interfaces.api.identity.lockout import LockedOut
from bessai.interfaces.api.identity.people import Refused
from bessai.interfaces.api.identity.secret import iso
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.recording import address_of, recorded
from bessai.interfaces.api.roles import Principal, Role, needs

router = APIRouter(tags=["session"])

Parts = Annotated[Context, Depends(of)]
Viewer = Annotated[Principal, Depends(needs(Role.VIEWER))]


class Who(BaseModel):
    """Who is signed in."""

    name: str = Field(description="The user, or `token:` and the token's name.", examples=["ana"])
    role: str = Field(description="viewer, operator, engineer or administrator.")
    language: str = Field(description="en or es.")
    kind: str = Field(description="session or token.")
    expires: str = Field(description="When one signs in again in any case, ISO 8601.")


class SessionBody(BaseModel):
    """What the page asks first."""

    model_config = shown(
        {
            "setup_needed": False, "csrf": "kZ0…", "site": "demo", "version": "0.1.0", "languages": ["en", "es"],
            "user": {"name": "ana", "role": "operator", "language": "es", "kind": "session",
                     "expires": "2026-11-29T18:00:00.000Z"},
            "password_min": 12,
        }
    )  # fmt: skip

    setup_needed: bool = Field(description="Nobody has set the gateway up.")
    user: Who | None = Field(description="null: nobody is signed in.")
    csrf: str | None = Field(description="To be sent as X-CSRF-Token with each change.")
    site: str = Field(description="Name of the site.")
    version: str = Field(description="Of the gateway.")
    languages: list[str] = Field(description="Of the page.")
    password_min: int = Field(description="Characters.")


class SignIn(Body):
    """Name and password."""

    model_config = shown({"user": "ana", "password": "correct battery staple"})

    user: str = Field(max_length=64, examples=["ana"])
    password: Secret


class SetUp(Body):
    """The first administrator."""

    model_config = shown(
        {"token": "Jq3…", "user": "ana", "password": "correct battery staple", "language": "es"}
    )

    token: str = Field(max_length=128, description="Of the link in the gateway's log.")
    user: str = Field(max_length=64, examples=["ana"])
    password: Secret
    language: str = Field(default="en", json_schema_extra={"enum": list(LANGUAGES)})


class Passwords(Body):
    """One's own password, before and after."""

    model_config = shown({"old": "correct battery staple", "new": "another battery staple"})

    old: Secret
    new: Secret


class _Budget:
    """Failed sign-ins that are recorded one by one: a flood of them must not push the rest out of the log."""

    def __init__(self, most: int = 60, seconds: float = 3600.0) -> None:
        self._most, self._seconds = most, seconds
        self._begun, self._used, self.left_out = 0.0, 0, 0

    def take(self) -> bool:
        now = time.monotonic()
        if not self._begun or now - self._begun > self._seconds:
            self._begun, self._used = now, 0
        self._used += 1
        if self._used > self._most:
            self.left_out += 1
        return self._used <= self._most


@router.get("/session")
async def session(request: Request, context: Parts) -> SessionBody:
    """Who is signed in, and what the page must know before."""
    return _body(context, request.state.caller)


@router.post("/session", responses=errors(423))
async def sign_in(body: SignIn, request: Request, response: Response, context: Parts) -> SessionBody:
    """Sign in: 401 when name or password are wrong, 423 while the name or the address is locked."""
    address = address_of(request)
    _check_set_up(context)
    try:
        secret = await context.identity.sign_in(body.user, body.password, address)
    except LockedOut:
        await _failed(request, context, "", "locked_out")
        raise
    except Refused as refused:
        # A name that nobody has may be a password in the wrong field: it is not recorded.
        name = body.user.strip().lower() if refused.known else ""
        await _failed(
            request, context, name, "locks" if refused.locks else "wrong_credentials", refused.locks
        )
        raise _wrong() from None
    return await _signed_in(request, response, context, secret, "sign_in")


@router.post("/setup", status_code=201, responses=errors(409))
async def set_up(body: SetUp, request: Request, response: Response, context: Parts) -> SessionBody:
    """Make the first administrator with the link's token, once, and sign in."""
    secret = await context.identity.set_up(
        body.token, body.user, body.password, body.language, address_of(request)
    )
    return await _signed_in(request, response, context, secret, "set_up")


@router.delete("/session", status_code=204)
async def sign_out(request: Request, response: Response, context: Parts, caller: Viewer) -> None:
    """Sign out."""
    _session_only(caller)
    await context.identity.sign_out(caller.session)
    response.delete_cookie(
        cookie_name(request.url.scheme), path="/", secure=request.url.scheme == "https", httponly=True,
        samesite="strict",
    )  # fmt: skip
    await context.audit.note(
        user=caller.name, role=caller.role.label, address=address_of(request), action="sign_out"
    )


@router.post("/session/password", status_code=204, responses=errors(423))
async def password(body: Passwords, request: Request, context: Parts, caller: Viewer) -> None:
    """Change one's own password; the other sessions of the user end."""
    _session_only(caller)
    async with recorded(context, request, caller, "password_changed", caller.name):
        try:
            await context.identity.change_password(caller, body.old, body.new, address_of(request))
        except Refused:
            raise Problem(403, "wrong_password", "old: this is not your password") from None


async def _signed_in(
    request: Request, response: Response, context: Context, secret: str, action: str
) -> SessionBody:
    caller = await context.identity.find(session=secret)
    if caller is None:
        raise _wrong()  # disabled in this moment
    who = caller.principal
    try:
        await context.audit.note(user=who.name, role=who.role.label, address=address_of(request), action=action,
            detail=_left_out(request),
        )  # fmt: skip
    except Problem:
        await context.identity.sign_out(who.session)
        raise
    response.set_cookie(
        cookie_name(request.url.scheme), secret, max_age=ABSOLUTE // 1000, path="/", httponly=True,
        samesite="strict", secure=request.url.scheme == "https",
    )  # fmt: skip
    return _body(context, caller)


async def _failed(request: Request, context: Context, name: str, why: str, always: bool = False) -> None:
    budget = _budget(request)
    if budget.take() or always:
        await context.audit.note(user=name, role="", address=address_of(request), action="sign_in", outcome="refused",
            detail={"code": why, **_left_out(request)},
        )  # fmt: skip


def _budget(request: Request) -> _Budget:
    state = request.app.state
    if not hasattr(state, "failed_sign_ins"):
        state.failed_sign_ins = _Budget()
    budget: _Budget = state.failed_sign_ins
    return budget


def _left_out(request: Request) -> dict[str, Any]:
    budget = _budget(request)
    count, budget.left_out = budget.left_out, 0
    return {"failed_not_recorded": count} if count else {}


def _body(context: Context, caller: Caller | None) -> SessionBody:
    who = None
    if caller is not None:
        who = Who(
            name=caller.principal.name, role=caller.principal.role.label, language=caller.language,
            kind=caller.principal.kind, expires=iso(caller.expires),
        )  # fmt: skip
    return SessionBody(
        setup_needed=context.identity.setup_needed, user=who, csrf=(caller.csrf or None) if caller else None,
        site=context.settings.site, version=bessai.__version__,
        languages=list(LANGUAGES), password_min=MINIMUM,
    )  # fmt: skip


def _check_set_up(context: Context) -> None:
    if context.identity.setup_needed:
        raise Problem(403, "not_set_up", "nobody has set this gateway up: open the link of its log")


def _session_only(caller: Principal) -> None:
    if caller.kind != "session":
        raise Problem(403, "session_only", "a token has no session and no password")


def _wrong() -> Problem:
    return Problem(401, "wrong_credentials", "the name or the password is wrong")
