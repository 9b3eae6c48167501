"""`Identity`: all that is asked about people, beside the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from bessai.interfaces.api.identity import lockout, sessions, setup, tokens, users
from bessai.interfaces.api.identity.database import open_database, transaction
from bessai.interfaces.api.identity.passwords import Hasher, check_password
from bessai.interfaces.api.identity.secret import csrf_of
from bessai.interfaces.api.identity.tokens import Caller, Token
from bessai.interfaces.api.identity.users import User
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.roles import Principal, Role

T = TypeVar("T")


class Refused(Exception):  # noqa: N818  an answer, not a fault
    """Name or password are wrong, or the name may not sign in: nobody outside learns which.

    Args:
        known: there is such a user.
        locks: the attempt has begun a lock.
    """

    def __init__(self, *, known: bool, locks: bool) -> None:
        super().__init__("wrong name or password")
        self.known = known
        self.locks = locks


class Identity:
    """People and their secrets.

    Args:
        path: of the file; it is made when it is missing.
        hasher: of passwords; tests take a cheaper one.
        clock: seconds since 1970.

    Raises:
        IdentityError: the file cannot be used.
    """

    def __init__(
        self, path: Path, hasher: Hasher | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.hasher = hasher or Hasher()
        self._clock = clock
        self._connection = open_database(path)
        self._one = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="identity")
        self._set_up = False
        self._setup_secret: str | None = None

    def close(self) -> None:
        """End the threads and close the file."""
        self._thread.shutdown()
        self.hasher.close()
        self._connection.close()

    def now(self) -> int:
        """The time in ms since 1970."""
        return int(self._clock() * 1000)

    @property
    def setup_needed(self) -> bool:
        """Nobody has set the page up. It never becomes true again: the last administrator stays."""
        if not self._set_up:
            with self._one:
                self._set_up = users.any_user(self._connection)
        return not self._set_up

    def setup_link(self, base_url: str, origin: setup.Origin = "server") -> str | None:
        """The link that makes the first administrator, None when there is one.

        Each start makes a new one, which ends that of the start before. It ends after 24 h, or when it has been used.
        """
        if not self.setup_needed:
            return None
        with self._one:
            if not self._setup_secret or not setup.fits(self._connection, self._setup_secret, self.now()):
                self._setup_secret = setup.make(self._connection, origin, self.now())
        return f"{base_url.rstrip('/')}/#/setup?token={self._setup_secret}"

    async def set_up(self, token: str, name: str, password: str, language: str, address: str) -> str:
        """Make the first administrator; the secret of a session.

        Raises:
            Problem: 409 when it was done before, 403 when the token is wrong or over, 422.
        """
        await self._read(lambda db: self._check_setup(db, token))
        name = users.check_name(name, "user")
        users.check_language(language)
        check_password(name, password)
        kept = await self.hasher.hash(password)

        def work(db: apsw.Connection) -> str:
            self._check_setup(db, token)
            users.add(db, name, Role.ADMINISTRATOR, kept, language, self.now())
            setup.clear(db)
            return sessions.begin(db, name, address, self.now())

        return await self._write(work)

    async def sign_in(self, name: str, password: str, address: str) -> str:
        """The secret of a new session.

        Raises:
            Refused: wrong name or password.
            Problem: 423 `LockedOut`, 429.
        """
        name = name.strip().lower()
        locks = await self._write(lambda db: lockout.begin(db, name, address, self.now()))
        kept = await self._read(lambda db: users.password_of(db, name))
        if not await self._fits(name, address, kept, password) or kept is None:
            raise Refused(known=await self._read(lambda db: _exists(db, name)), locks=locks)
        fresh = await self.hasher.hash(password) if self.hasher.outdated(kept) else None

        def work(db: apsw.Connection) -> str:
            if users.password_of(db, name) != kept:  # changed or disabled meanwhile
                raise Refused(known=True, locks=locks)
            if fresh is not None:
                db.execute("UPDATE user SET password = ? WHERE name = ?", (fresh, name))
            lockout.succeeded(db, name, address)
            return sessions.begin(db, name, address, self.now())

        return await self._write(work)

    async def find(self, *, session: str | None = None, token: str | None = None) -> Caller | None:
        """Who calls with the secret of a session or of a token; None when it opens nothing."""

        def work(db: apsw.Connection) -> Caller | None:
            now = self.now()
            if token is not None:
                return tokens.find(db, token, now)
            found = sessions.find(db, session or "", now)
            if found is None:
                return None
            if found.stale:
                sessions.touch(db, found, now)
            return _caller(found, session or "")

        return await self._read(work)

    async def alive(self, principal: Principal, *, touch: bool = False) -> bool:
        """Whether a caller found before may still look, for streams that last: same user, at least the same role.

        Args:
            principal: who it was.
            touch: the open stream counts as use of the session.
        """

        def work(db: apsw.Connection) -> bool:
            now = self.now()
            if principal.kind == "token":
                caller = tokens.with_id(db, principal.session, now)
                return caller is not None and caller.principal.role >= principal.role
            found = sessions.with_id(db, principal.session, now)
            if found is not None and touch and found.stale:
                sessions.touch(db, found, now)
            return found is not None and found.role >= principal.role

        return await self._read(work)

    async def sign_out(self, session_id: str) -> None:
        """End a session."""
        await self._write(lambda db: sessions.end(db, session_id))

    async def users(self) -> list[User]:
        """All."""
        return await self._read(lambda db: users.listed(db, self.now()))

    async def user(self, name: str) -> User:
        """One. Raises Problem 404."""
        return await self._read(lambda db: users.get(db, name, self.now()))

    async def add_user(self, name: str, role: Role, password: str, language: str = "en") -> User:
        """A new user. Raises Problem 422, 409 or 429."""
        name = users.check_name(name)
        users.check_language(language)
        check_password(name, password)
        kept = await self.hasher.hash(password)
        return await self._write(lambda db: users.add(db, name, role, kept, language, self.now()))

    async def change_user(
        self, name: str, *, role: Role | None = None, password: str | None = None, disabled: bool | None = None,
        language: str | None = None, unlock: bool = False,
    ) -> User:  # fmt: skip
        """Change what is given. Raises Problem 404, 409, 422 or 429."""
        if language is not None:
            users.check_language(language)
        kept = None
        if password is not None:
            check_password(name, password)
            kept = await self.hasher.hash(password)
        return await self._write(
            lambda db: users.change(
                db, name, self.now(),
                role=role, password=kept, disabled=disabled, language=language, unlock=unlock,
            )
        )  # fmt: skip

    async def change_password(self, principal: Principal, old: str, new: str, address: str) -> None:
        """One's own; the other sessions of the user end.

        Raises:
            Refused: the old one is wrong; it counts as a sign-in does.
            Problem: 422, 423, 429.
        """
        name = principal.user
        check_password(name, new, "new")
        locks = await self._write(lambda db: lockout.begin(db, name, address, self.now()))
        kept = await self._read(lambda db: users.password_of(db, name))
        if not await self._fits(name, address, kept, old):
            raise Refused(known=True, locks=locks)
        fresh = await self.hasher.hash(new)

        def work(db: apsw.Connection) -> None:
            if users.password_of(db, name) != kept:
                raise Refused(known=True, locks=locks)
            lockout.succeeded(db, name, address)
            users.change(db, name, self.now(), password=fresh, keep=principal.session)

        await self._write(work)

    async def remove_user(self, name: str) -> None:
        """With sessions and tokens. Raises Problem 404 or 409."""
        await self._write(lambda db: users.remove(db, name, self.now()))

    async def tokens(self) -> list[Token]:
        """All."""
        return await self._read(tokens.listed)

    async def make_token(
        self, user: str, name: str, role: Role, scopes: Collection[str], days: int
    ) -> tuple[Token, str]:
        """A new token and its secret. Raises Problem 409 or 422."""
        name = users.check_name(name)
        return await self._write(lambda db: tokens.make(db, user, name, role, scopes, days, self.now()))

    async def remove_token(self, token_id: str) -> Token:
        """Raises Problem 404."""
        return await self._write(lambda db: tokens.remove(db, token_id))

    async def _fits(self, name: str, address: str, kept: str | None, password: str) -> bool:
        try:
            return await self.hasher.verify(kept, password)
        except Problem:  # too many are being checked
            await self._write(lambda db: lockout.not_tried(db, name, address))
            raise

    def _check_setup(self, db: apsw.Connection, token: str) -> None:
        if users.any_user(db):
            raise Problem(409, "set_up_already", "this gateway is set up: sign in, or ask an administrator")
        if not setup.fits(db, token, self.now()):
            raise Problem(
                403,
                "setup_token",
                "the link is wrong or over: `bessai user setup-link` on the machine makes one",
            )

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        """In the thread of the file, each statement by itself."""

        def run() -> T:
            with self._one:
                return work(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        """In the thread of the file, as one transaction, durable before it returns. Raises Problem 503."""

        def run() -> T:
            with self._one, transaction(self._connection):
                return work(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)


def _caller(found: sessions.Session, secret: str) -> Caller:
    principal = Principal(name=found.user, role=found.role, kind="session", session=found.id, user=found.user)
    return Caller(
        principal=principal, scopes=None, language=found.language, expires=found.expires, csrf=csrf_of(secret)
    )


def _exists(db: apsw.Connection, name: str) -> bool:
    return db.execute("SELECT 1 FROM user WHERE name = ?", (name,)).fetchone() is not None
