"""Passwords: which are taken, and argon2id beside the event loop."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bessai.interfaces.api.problems import Problem, field_problem

T = TypeVar("T")

MINIMUM, MAXIMUM = 12, 1024
"""Characters. Length is what counts; there are no rules about kinds of characters."""
AT_ONCE = 2
"""Each takes 32 MiB and a core for about 0.1 s."""
WAITING = 16
"""More than these at once is no crowd of people."""
_DISTINCT = 5

_COMMON = frozenset({
    "password1234", "password12345", "passwordpassword", "password123456", "123456789012",
    "1234567890123", "123456123456", "qwertyuiop12", "qwertyuiop123", "qwerty123456",
    "qwertyqwerty", "1q2w3e4r5t6y", "1qaz2wsx3edc", "administrator", "administrador",
    "adminadminadmin", "admin1234567", "administrator1", "changeme1234", "changemechangeme",
    "letmeinletmein", "welcome12345", "contraseña12", "contraseña123", "contraseña1234",
    "contrasena123", "contrasena1234", "bessaibessai", "bessai123456", "iloveyou1234",
    "abcdefghijkl", "abcd12345678", "abc123abc123", "correcthorsebatterystaple",
})  # fmt: skip


def check_password(name: str, password: str, field: str = "password") -> None:
    """Raise Problem 422 when a new password is too easy to guess."""
    if len(password) < MINIMUM:
        raise field_problem(field, None, f"use at least {MINIMUM} characters", "password_too_short")
    if len(password) > MAXIMUM:
        raise field_problem(field, None, f"use at most {MAXIMUM} characters", "password_too_long")
    plain = _normal(password).casefold()
    if plain.strip("0123456789 !.-_@#$*") in {"", name} or plain.replace(name, "") == "":
        raise field_problem(field, None, "do not use the user name or digits alone", "password_is_name")
    if plain in _COMMON or len(set(plain)) < _DISTINCT:
        raise field_problem(field, None, "this one is among the first that are tried", "password_common")


class Hasher:
    """Argon2id in threads, at most `AT_ONCE`.

    Args:
        cost: rounds, memory in KiB; tests take less.
    """

    def __init__(self, cost: tuple[int, int] = (3, 32768)) -> None:
        self._argon = PasswordHasher(time_cost=cost[0], memory_cost=cost[1], parallelism=1)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._busy = 0
        self.checks = 0
        """Passwords that were compared, with real users or not."""
        self._nobody = self._argon.hash("a password that nobody has")

    async def hash(self, password: str) -> str:
        """What is kept of a password. Raises Problem 429 when too many are being worked on."""
        return await self._run(self._argon.hash, _normal(password))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Compare; None, for a user who does not exist, takes as long. Raises as `hash`."""
        return await self._run(self._verify, kept, password)

    def outdated(self, kept: str) -> bool:
        """It was made with other costs."""
        return self._argon.check_needs_rehash(kept)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, kept: str | None, password: str) -> bool:
        self.checks += 1
        try:
            self._argon.verify(kept or self._nobody, _normal(password[:MAXIMUM]))
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        if self._busy >= WAITING:
            raise Problem(
                429, "too_many_sign_ins", "too many passwords are being checked: try again in a few seconds",
                headers={"Retry-After": "5"},
            )  # fmt: skip
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._busy -= 1


def _normal(password: str) -> str:
    """The same characters, however a keyboard composes them."""
    return unicodedata.normalize("NFC", password)
