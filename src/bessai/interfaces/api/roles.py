"""Who may do what. Roles include those below them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from fastapi import Request

from bessai.interfaces.api.problems import Problem


class Role(IntEnum):
    """A higher role may do all that a lower one may."""

    VIEWER = 1
    """Sees everything but people and the audit log."""
    OPERATOR = 2
    """Requests power, acknowledges and shelves alarms, begins and ends maintenance."""
    ENGINEER = 3
    """Resets trips, tests dead-men, changes grid parameters."""
    ADMINISTRATOR = 4
    """Keeps users, tokens and the audit log."""

    @property
    def label(self) -> str:
        """As it is written and shown: `operator`."""
        return self.name.lower()

    @classmethod
    def named(cls, label: str) -> Role:
        """The role of a label.

        Raises:
            ValueError: there is no such role.
        """
        try:
            return cls[label.upper()]
        except KeyError:
            raise ValueError(f"role={label!r}: use one of {', '.join(role.label for role in cls)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls."""

    name: str
    """The user; for a token `token:<its name>`. It goes into requests, records and the audit log."""
    role: Role
    kind: Literal["session", "token"]
    session: str = ""
    """Identity of the session or of the token, never its secret."""
    user: str = ""
    """The user by whom a token was made, or the user."""


def needs(role: Role) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency: the caller, who has at least this role.

    The middleware of `identity` has put the caller into `request.state.principal`, or None. A changing method with a
    session has shown its CSRF token there already.

    Raises:
        Problem: 401 without a caller, 403 without the role.
    """

    async def check(request: Request) -> Principal:
        caller: Principal | None = getattr(request.state, "principal", None)
        if caller is None:
            raise Problem(401, "not_signed_in", "sign in, or send an API token")
        if caller.role < role:
            raise Problem(
                403,
                "role_too_low",
                f"this needs the role {role.label}; {caller.name} is {caller.role.label}",
            )
        return caller

    check.role = role  # type: ignore[attr-defined]  # the crawl of all routes reads it
    return check
