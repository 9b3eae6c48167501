"""Users in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass

import apsw

from bessai.interfaces.api.identity import lockout
from bessai.interfaces.api.problems import Problem, field_problem
from bessai.interfaces.api.roles import Role

LANGUAGES = ("en", "es")
MOST = 500
"""Users."""
NAME = "^[a-z0-9][a-z0-9._-]{0,31}$"
"""Of users and tokens; capitals are made small before."""
_NAME = re.compile(NAME.strip("^$"))


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One user as lists show it."""

    name: str
    role: Role
    language: str
    created: int
    """ms since 1970, as all times here."""
    last_seen: int | None
    locked_until: int | None
    disabled: bool
    sessions: int


def check_name(name: str, field: str = "name") -> str:
    """The name in lower case.

    Raises:
        Problem: 422 when it is none.
    """
    lower = name.strip().lower()
    if not _NAME.fullmatch(lower):
        raise field_problem(
            field, name[:64], "use 1 to 32 of a-z, 0-9, dot, dash and underscore, a letter or digit first"
        )
    return lower


def check_language(language: str) -> None:
    """Raise Problem 422 for a language that the page lacks."""
    if language not in LANGUAGES:
        raise field_problem("language", language[:16], f"use one of {', '.join(LANGUAGES)}")


def listed(connection: apsw.Connection, now: int) -> list[User]:
    """All, by name."""
    names = [str(row[0]) for row in connection.execute("SELECT name FROM user ORDER BY name").fetchall()]
    return [get(connection, name, now) for name in names]


def get(connection: apsw.Connection, name: str, now: int) -> User:
    """One user.

    Raises:
        Problem: 404.
    """
    row = connection.execute(
        "SELECT name, role, language, created, last_seen, disabled, "
        "(SELECT count(*) FROM session WHERE session.user = user.name) FROM user WHERE name = ?",
        (name,),
    ).fetchone()
    if row is None:
        raise Problem(404, "unknown_user", f"there is no user {name[:64]}")
    return User(
        name=row[0], role=Role(row[1]), language=row[2], created=row[3], last_seen=row[4],
        disabled=bool(row[5]), sessions=row[6], locked_until=lockout.locked_until(connection, row[0], now),
    )  # fmt: skip


def password_of(connection: apsw.Connection, name: str) -> str | None:
    """The kept password of a user who may sign in."""
    row = connection.execute("SELECT password FROM user WHERE name = ? AND NOT disabled", (name,)).fetchone()
    return None if row is None else str(row[0])


def any_user(connection: apsw.Connection) -> bool:
    """False until somebody has set the page up."""
    return connection.execute("SELECT 1 FROM user LIMIT 1").fetchone() is not None


def add(connection: apsw.Connection, name: str, role: Role, password: str, language: str, now: int) -> User:
    """A new user.

    Args:
        connection: in a transaction.
        name: checked.
        role: of the user.
        password: its argon2 hash.
        language: checked.
        now: ms.

    Raises:
        Problem: 409 when the name is taken, or there are too many.
    """
    if connection.execute("SELECT count(*) FROM user").get >= MOST:
        raise Problem(409, "too_many_users", f"there are {MOST} users already: remove one")
    try:
        connection.execute(
            "INSERT INTO user VALUES (?, ?, ?, ?, ?, NULL, 0)", (name, int(role), password, language, now)
        )
    except apsw.ConstraintError:
        raise Problem(409, "user_exists", f"there is a user {name} already") from None
    lockout.unlock(connection, name)
    return get(connection, name, now)


def change(
    connection: apsw.Connection, name: str, now: int, *, role: Role | None = None, password: str | None = None,
    disabled: bool | None = None, language: str | None = None, unlock: bool = False, keep: str = "",
) -> User:  # fmt: skip
    """Change what is given. A new password and a disabled user end the sessions, but the one with the id `keep`.

    Raises:
        Problem: 404, or 409 `last_administrator`.
    """
    before = get(connection, name, now)
    if (role is not None and role < Role.ADMINISTRATOR) or disabled:
        _keep_one(connection, before)
    if role is not None:
        connection.execute("UPDATE user SET role = ? WHERE name = ?", (int(role), name))
    if language is not None:
        connection.execute("UPDATE user SET language = ? WHERE name = ?", (language, name))
    if disabled is not None:
        connection.execute("UPDATE user SET disabled = ? WHERE name = ?", (int(disabled), name))
    if password is not None:
        connection.execute("UPDATE user SET password = ? WHERE name = ?", (password, name))
    if password is not None or disabled:
        connection.execute("DELETE FROM session WHERE user = ? AND id <> ?", (name, keep))
    if unlock or password is not None:
        lockout.unlock(connection, name)
    return get(connection, name, now)


def remove(connection: apsw.Connection, name: str, now: int) -> None:
    """Remove a user with sessions and tokens. Raises as `change`."""
    _keep_one(connection, get(connection, name, now))
    connection.execute("DELETE FROM user WHERE name = ?", (name,))


def _keep_one(connection: apsw.Connection, user: User) -> None:
    if user.role < Role.ADMINISTRATOR or user.disabled:
        return
    others = connection.execute(
        "SELECT count(*) FROM user WHERE role = ? AND NOT disabled AND name <> ?",
        (int(Role.ADMINISTRATOR), user.name),
    ).get
    if not others:
        raise Problem(
            409, "last_administrator", f"{user.name} is the last administrator: make another one first"
        )
