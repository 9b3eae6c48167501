"""People and their secrets, on the real file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest

from bessai.interfaces.api.identity import ABSOLUTE, IDLE, Hasher, Identity
from bessai.interfaces.api.identity.database import IdentityError
from bessai.interfaces.api.identity.lockout import LockedOut
from bessai.interfaces.api.identity.passwords import WAITING, check_password
from bessai.interfaces.api.identity.people import Refused
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.roles import Role
from support.api_scene import CHEAP, PASSWORD, Clock

T = TypeVar("T")
MINUTE = 60.0


class People:
    """An identity file whose clock the test moves, used from blocking code."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock, self.runner = path, Clock(), asyncio.Runner()
        self.identity = self._open()

    def _open(self) -> Identity:
        return Identity(self.path, Hasher(CHEAP), self.clock)

    def restart(self) -> None:
        self.identity.close()
        self.identity = self._open()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def sign_in(self, name: str = "ana", password: str = PASSWORD, address: str = "10.0.0.7") -> str:
        return self.run(self.identity.sign_in(name, password, address))

    def outcome(self, name: str = "ana", password: str = "wrong", address: str = "10.0.0.7") -> str | int:
        """What an attempt comes to: in, refused, or the seconds of the lock."""
        try:
            self.sign_in(name, password, address)
        except Refused:
            return "refused"
        except LockedOut as locked:
            return locked.seconds
        return "in"

    def known(self, secret: str) -> bool:
        return self.run(self.identity.find(session=secret)) is not None

    def close(self) -> None:
        self.identity.close()
        self.runner.close()


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    made = People(tmp_path / "identity.db")
    made.run(made.identity.add_user("ana", Role.ADMINISTRATOR, PASSWORD))
    made.run(made.identity.add_user("olga", Role.OPERATOR, PASSWORD, "es"))
    yield made
    made.close()


def test_a_session_with_its_user(people: People) -> None:
    caller = people.run(people.identity.find(session=people.sign_in(" Olga ")))
    assert caller is not None
    assert (caller.principal.name, caller.principal.role, caller.language) == ("olga", Role.OPERATOR, "es")
    assert not people.known("something else")


def test_the_file_holds_no_secret_and_is_the_owners_alone(people: People) -> None:
    session = people.sign_in()
    _, token = people.run(people.identity.make_token("ana", "scada", Role.VIEWER, ["read"], 3))
    caller = people.run(people.identity.find(session=session))
    assert caller is not None
    people.identity.close()
    held = b"".join(path.read_bytes() for path in people.path.parent.iterdir())
    for secret in (session, token, token.removeprefix("bessai_"), caller.csrf, PASSWORD):
        assert secret.encode() not in held
    assert hashlib.sha256(token.encode()).digest() in held
    assert b"$argon2id$" in held
    assert people.path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "identity.db").touch(0o644)
    Identity(tmp_path / "identity.db", Hasher(CHEAP)).close()
    assert (tmp_path / "identity.db").stat().st_mode & 0o777 == 0o600


def test_sessions_outlive_a_restart_and_end_by_silence_and_by_age(people: People) -> None:
    idle = min(IDLE.values()) / 1000
    secret = people.sign_in()
    people.restart()
    assert people.known(secret)
    for _ in range(int(ABSOLUTE / 1000 / (idle - MINUTE))):
        people.clock.now += idle - MINUTE
        assert people.known(secret)
    people.clock.now += idle - MINUTE
    assert not people.known(secret)  # 12 h are over though it was always used
    secret = people.sign_in()
    people.clock.now += idle
    assert not people.known(secret)


def test_an_open_stream_ends_with_its_session(people: People) -> None:
    caller = people.run(people.identity.find(session=people.sign_in()))
    assert caller is not None
    assert people.run(people.identity.alive(caller.principal))
    people.run(people.identity.add_user("eve", Role.ADMINISTRATOR, PASSWORD))
    people.run(people.identity.change_user("ana", role=Role.VIEWER))
    assert not people.run(people.identity.alive(caller.principal))


def test_a_name_is_locked_for_longer_and_longer(people: People) -> None:
    assert [people.outcome() for _ in range(6)] == ["refused"] * 5 + [30]
    assert people.outcome(password=PASSWORD) == 30  # the right one waits too
    assert people.outcome("olga", PASSWORD) == "in"  # others do not
    seen = []
    for _ in range(6):
        locked = people.outcome()
        assert isinstance(locked, int)
        seen.append(locked)
        people.restart()  # dying does not help
        people.clock.now += locked
        assert people.outcome() == "refused"
    assert seen == [30, 60, 120, 240, 480, 900]
    people.clock.now += 900
    assert people.outcome(password=PASSWORD) == "in"
    assert people.outcome() == "refused"  # it begins anew


def test_an_address_is_locked_over_all_names(people: People) -> None:
    tried = [people.outcome(f"name{number}", address=f"2001:db8::{number:x}") for number in range(21)]
    assert tried == ["refused"] * 20 + [30]
    assert people.outcome("olga", PASSWORD, "2001:db8::ffff") == 30  # the same customer
    assert people.outcome("olga", PASSWORD, "2001:db8:0:1::1") == "in"


def test_an_own_account_does_not_reset_the_address(people: People) -> None:
    tried = []
    for number in range(25):
        tried.append(people.outcome(f"name{number}"))
        tried.append(people.outcome("olga", PASSWORD))
    assert 30 in tried


def test_a_hundred_attempts_at_once_are_counted_one_by_one(people: People) -> None:
    before = people.identity.hasher.checks

    async def crowd() -> list[Any]:
        attempts = [people.identity.sign_in("ana", "wrong", f"10.0.{n}.1") for n in range(100)]
        return await asyncio.gather(*attempts, return_exceptions=True)

    found = people.run(crowd())
    assert sum(isinstance(one, Refused) for one in found) == 5
    assert sum(isinstance(one, LockedOut) for one in found) == 95
    assert people.identity.hasher.checks - before == 5


def test_more_than_a_crowd_is_turned_away(people: People) -> None:
    async def crowd() -> list[Any]:
        attempts = [people.identity.sign_in(f"n{n}", "wrong", f"10.0.{n}.1") for n in range(100)]
        return await asyncio.gather(*attempts, return_exceptions=True)

    found = people.run(crowd())
    turned = [one for one in found if isinstance(one, Problem) and one.status == 429]
    assert len(found) - len(turned) >= WAITING
    assert all(isinstance(one, Refused) for one in found if one not in turned)
    free = found.index(turned[0])
    assert [people.outcome(f"n{free}") for _ in range(6)] == ["refused"] * 5 + [30]  # it was not counted


@pytest.mark.parametrize("name", ["nobody", "kept_out"])
def test_a_name_that_may_not_sign_in_goes_the_same_way(people: People, name: str) -> None:
    """No answer, no lock and no saved work tells a stranger which names exist."""
    people.run(people.identity.add_user("kept_out", Role.VIEWER, PASSWORD))
    people.run(people.identity.change_user("kept_out", disabled=True))
    for who in ("ana", name):
        before = people.identity.hasher.checks
        password = "wrong" if who == "ana" else PASSWORD
        assert [people.outcome(who, password) for _ in range(6)] == ["refused"] * 5 + [30], who
        assert people.identity.hasher.checks - before == 5, who


def test_the_password_of_nobody_lets_nobody_in(people: People) -> None:
    assert people.outcome("nobody", "a password that nobody has") == "refused"


def test_unlocking(people: People) -> None:
    assert [people.outcome() for _ in range(6)][-1] == 30
    assert people.run(people.identity.user("ana")).locked_until is not None
    assert people.run(people.identity.change_user("ana", unlock=True)).locked_until is None
    assert people.outcome(password=PASSWORD) == "in"


@pytest.mark.parametrize("change", [{"role": Role.ENGINEER}, {"disabled": True}, None])
def test_the_last_administrator_stays(people: People, change: dict[str, Any] | None) -> None:
    def attempt() -> None:
        identity = people.identity
        people.run(identity.remove_user("ana") if change is None else identity.change_user("ana", **change))

    people.run(people.identity.add_user("eve", Role.ADMINISTRATOR, PASSWORD))
    people.run(people.identity.change_user("eve", disabled=True))  # one who is kept out does not count
    with pytest.raises(Problem, match="last administrator"):
        attempt()
    people.run(people.identity.change_user("eve", disabled=False))
    attempt()


def test_what_ends_sessions_and_tokens(people: People) -> None:
    first, second = people.sign_in("olga"), people.sign_in("olga")
    caller = people.run(people.identity.find(session=first))
    _, token = people.run(people.identity.make_token("olga", "own", Role.ADMINISTRATOR, ["read"], 1))
    assert caller is not None
    people.run(people.identity.change_password(caller.principal, PASSWORD, PASSWORD + "!", "x"))
    assert (people.known(first), people.known(second)) == (True, False)
    held = people.run(people.identity.find(token=token))
    assert held is not None
    assert held.principal.role is Role.OPERATOR  # no more than its user
    people.run(people.identity.change_user("olga", disabled=True))
    assert not people.known(first)
    assert people.run(people.identity.find(token=token)) is None
    people.run(people.identity.change_user("olga", disabled=False))
    assert not people.known(first)
    assert people.run(people.identity.find(token=token)) is not None
    people.run(people.identity.remove_user("olga"))
    assert people.run(people.identity.find(token=token)) is None


def test_a_token_ends(people: People) -> None:
    made, secret = people.run(people.identity.make_token("ana", "scada", Role.VIEWER, ["read"], 2))
    assert (made.last_used, made.expires - made.created) == (None, 2 * 86_400_000)
    people.clock.now += 2 * 86_400 - 1
    assert people.run(people.identity.find(token=secret)) is not None
    people.clock.now += 1
    assert people.run(people.identity.find(token=secret)) is None
    assert people.run(people.identity.tokens())[0].last_used is not None


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_too_short"),
        ("x" * 1025, "password_too_long"),
        ("administrador", "password_common"),
        ("Password1234", "password_common"),
        ("aaaaaaaaaaaaaa", "password_common"),
        ("maria-gonzalez", "password_is_name"),
        ("Maria-Gonzalez2026!", "password_is_name"),
        ("202611292026", "password_is_name"),
    ],
)
def test_passwords_that_are_tried_first(password: str, code: str) -> None:
    with pytest.raises(Problem) as caught:
        check_password("maria-gonzalez", password)
    assert caught.value.code == code
    assert password not in str(caught.value.errors)


def test_passwords_are_the_same_however_they_are_composed(people: People) -> None:
    people.run(people.identity.add_user("nina", Role.VIEWER, "contrase\u00f1a segura"))
    assert people.outcome("nina", "contrasen\u0303a segura") == "in"


def test_old_costs_are_renewed(people: People) -> None:
    people.identity.hasher = Hasher((2, 16))
    assert people.outcome(password=PASSWORD) == "in"
    kept = people.run(people.identity._read(lambda db: db.execute("SELECT password FROM user").get))
    assert "m=16,t=2" in str(kept)
    assert people.outcome(password=PASSWORD) == "in"


def test_the_first_administrator(tmp_path: Path) -> None:
    people = People(tmp_path / "identity.db")
    assert people.identity.setup_needed
    first = people.identity.setup_link("http://x/")
    assert first is not None
    assert first == people.identity.setup_link("http://x")
    assert first.startswith("http://x/#/setup?token=")
    people.restart()
    second = people.identity.setup_link("http://x")
    assert second is not None
    assert second != first

    def attempt(link: str, name: str) -> None:
        token = link.partition("token=")[2]
        people.run(people.identity.set_up(token, name, PASSWORD, "en", "x"))

    with pytest.raises(Problem, match="wrong or over"):  # of the start before
        attempt(first, "eve")
    people.clock.now += 24 * 3600
    with pytest.raises(Problem, match="wrong or over"):
        attempt(second, "eve")
    third = people.identity.setup_link("http://x")
    assert third is not None
    attempt(third, "ana")
    assert people.identity.setup_link("http://x") is None
    with pytest.raises(Problem, match="is set up"):
        attempt(third, "eve")
    assert [user.name for user in people.run(people.identity.users())] == ["ana"]
    people.close()


def test_two_at_once_make_one_administrator(tmp_path: Path) -> None:
    people = People(tmp_path / "identity.db")
    token = str(people.identity.setup_link("x")).partition("token=")[2]

    async def both() -> list[Any]:
        tries = [people.identity.set_up(token, name, PASSWORD, "en", "x") for name in ("ana", "eve")]
        return await asyncio.gather(*tries, return_exceptions=True)

    assert sorted(type(one).__name__ for one in people.run(both())) == ["Problem", "str"]
    people.close()


def test_a_damaged_or_foreign_file_is_never_begun_anew(tmp_path: Path) -> None:
    """Else who damages it becomes the administrator."""
    path = tmp_path / "identity.db"
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(IdentityError, match="restore it"):
        Identity(path, Hasher(CHEAP))
    path.unlink()
    with apsw.Connection(str(path)) as other:
        other.execute("PRAGMA application_id = 7")
    with pytest.raises(IdentityError, match="another program"):
        Identity(path, Hasher(CHEAP))
    with apsw.Connection(str(path)) as other:
        other.execute("PRAGMA application_id = 0x42455350; PRAGMA user_version = 99")
    with pytest.raises(IdentityError, match="newer"):
        Identity(path, Hasher(CHEAP))
