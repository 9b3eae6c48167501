"""The lock against guessing: a count per user name and per address, kept across restarts."""

from __future__ import annotations

import hashlib
import ipaddress
import math

import apsw

from bessai.interfaces.api.problems import Problem

FREE = {"user": 5, "address": 20}
"""The failure with this number locks."""
FIRST, LONGEST = 30_000, 900_000
"""The lock in ms; it doubles with each further failure."""
FORGET = {"user": 24 * 3600_000, "address": 3600_000}
"""ms without a failure after which a count begins anew."""
ROWS = 4096
"""Names and addresses that are remembered; the oldest go first."""


class LockedOut(Problem):
    """423: this name or address must wait, for so many seconds."""

    def __init__(self, seconds: int) -> None:
        super().__init__(
            423, "locked_out", f"too many wrong passwords: try again in {seconds} s",
            headers={"Retry-After": str(seconds)},
        )  # fmt: skip
        self.seconds = seconds


def begin(connection: apsw.Connection, name: str, address: str, now: int) -> bool:
    """Count an attempt as failed before its password is looked at, so that a hundred at once are counted.

    True: should the password be wrong, this attempt has begun a lock.

    Raises:
        LockedOut: the name or the address is locked; the attempt is not counted.
    """
    keys = _keys(name, address)
    for kind, key in keys:
        row = _row(connection, kind, key, now)
        if row[1] > now:
            raise LockedOut(math.ceil((row[1] - now) / 1000))
    locks = False
    for kind, key in keys:
        count = _row(connection, kind, key, now)[0] + 1
        over = count - FREE[kind]
        until = now + min(FIRST << min(over, 10), LONGEST) if over >= 0 else 0
        locks = locks or until > 0
        connection.execute(
            "INSERT INTO failure VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "count = excluded.count, last = excluded.last, locked_until = excluded.locked_until",
            (kind, key, count, now, until),
        )
    connection.execute(
        "DELETE FROM failure WHERE rowid IN (SELECT rowid FROM failure ORDER BY last DESC LIMIT -1 OFFSET ?)",
        (ROWS,),
    )
    return locks


def succeeded(connection: apsw.Connection, name: str, address: str) -> None:
    """The password was right: the name begins anew, the address gets this attempt back."""
    unlock(connection, name)
    _give_back(connection, "address", _digest(_network(address)))


def not_tried(connection: apsw.Connection, name: str, address: str) -> None:
    """The password was not looked at after all: the attempt does not count."""
    for kind, key in _keys(name, address):
        _give_back(connection, kind, key)


def _give_back(connection: apsw.Connection, kind: str, key: str) -> None:
    connection.execute(
        "UPDATE failure SET count = max(count - 1, 0), locked_until = CASE WHEN count <= ? THEN 0 "
        "ELSE locked_until END WHERE kind = ? AND key = ?",
        (FREE[kind], kind, key),
    )


def unlock(connection: apsw.Connection, name: str) -> None:
    """Forget the failures of a name."""
    connection.execute("DELETE FROM failure WHERE kind = 'user' AND key = ?", (_digest(name),))


def locked_until(connection: apsw.Connection, name: str, now: int) -> int | None:
    """When a name may try again, ms; None when it may."""
    until = _row(connection, "user", _digest(name), now)[1]
    return until if until > now else None


def _row(connection: apsw.Connection, kind: str, key: str, now: int) -> tuple[int, int]:
    row = connection.execute(
        "SELECT count, locked_until, last FROM failure WHERE kind = ? AND key = ?", (kind, key)
    ).fetchone()
    if row is None or now - row[2] > FORGET[kind]:
        return 0, 0
    # A clock that was set back must not lock for longer than a lock lasts.
    return row[0], min(row[1], now + LONGEST)


def _keys(name: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("user", _digest(name)), ("address", _digest(_network(address)))


def _network(address: str) -> str:
    """An IPv6 customer has 2⁶⁴ addresses: they count as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed.packed[:8] + bytes(8), 64)))
    return str(parsed)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
