"""The local socket: requests in, status out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import stat
from pathlib import Path
from typing import Any

import pytest

from bessai.cli.common import ask_gateway
from bessai.core.local_socket import LocalSocket
from bessai.core.requests import RequestBook
from bessai.core.socket_file import socket_path
from bessai.model import Bounds


class Clock:
    def monotonic(self) -> float:
        return 100.0

    def wall_ns(self) -> int:
        return 0


@pytest.fixture
def served() -> LocalSocket:
    return LocalSocket(Path("unused"), RequestBook(), lambda: {"cycles": 3}, Clock())


def _ask(served: LocalSocket, **message: Any) -> dict[str, Any]:
    return served.answer(json.dumps(message).encode())


def test_status(served: LocalSocket) -> None:
    assert _ask(served, op="status") == {"ok": True, "status": {"cycles": 3}}


def test_a_status_that_is_no_json_is_not_taken_over(served: LocalSocket) -> None:
    """Python reads 1e999 as infinite; in the status it would end every answer."""
    assert not served.answer(b'{"op": "service_status", "status": {"lag": 1e999}}')["ok"]
    assert served.service_status == {}


@pytest.mark.parametrize("field", ["source", "reason", "id"])
@pytest.mark.parametrize("text", ["\ud800", "a\nb", "\x1b[2J"])
def test_texts_that_nobody_can_print_are_refused(served: LocalSocket, field: str, text: str) -> None:
    assert "printable" in _ask(served, op="request", power=1, **{field: text})["error"]


def test_a_request_becomes_a_lease(served: LocalSocket) -> None:
    assert _ask(served, op="request", source="me", power=-5, low=-6, reason="test", **{"for": 30})["ok"]
    (request,) = served._book.live(129.9)
    assert (request.power, request.bounds, request.expires) == (-5.0, Bounds(-6.0, math.inf), 130.0)
    assert served._book.live(130.1) == []


def test_a_request_can_be_cancelled(served: LocalSocket) -> None:
    _ask(served, op="request", power=1)
    assert _ask(served, op="cancel", source="operator") == {"ok": True, "cancelled": True}
    assert _ask(served, op="cancel", source="operator") == {"ok": True, "cancelled": False}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"nonsense", "Expecting value"),
        (b"[1]", "one JSON object"),
        (b"{}", "op None"),
        (b'{"op": "reboot"}', "op 'reboot'"),
        (b'{"op": "request", "power": "5"}', "power='5': give a number"),
        (b'{"op": "request", "power": true}', "give a number"),
        (b'{"op": "request", "power": NaN}', "give a number"),
        (b'{"op": "service_status", "status": {"x": NaN}}', "give a number"),
        (b'{"op": "request", "power": 1' + b"0" * 400 + b"}", "float"),
        (b"[" * 100_000, "recursion"),
        (b'{"op": "request", "power": 1, "source": "' + b"x" * 200 + b'"}', "at most 128 characters"),
        (b'{"op": "request", "power": 1, "for": 0}', "for=0"),
        (b'{"op": "request", "power": 1, "for": 1e9}', "at most 3600 s"),
        (b'{"op": "request", "power": 1, "priority": "king"}', "priority=king"),
        (b'{"op": "request", "power": 1, "low": 2, "high": 1}', "allow no power"),
        (b"\xff\xfe\x00", "utf-16"),
    ],
)
def test_bad_lines_get_one_clear_error(served: LocalSocket, line: bytes, error: str) -> None:
    answer = served.answer(line)
    assert not answer["ok"]
    assert error in answer["error"]
    assert served._book.live(0.0) == []


def test_sources_are_bounded(served: LocalSocket) -> None:
    answers = [_ask(served, op="request", power=1, source=str(i)) for i in range(70)]
    assert sum(answer["ok"] for answer in answers) == 64
    assert _ask(served, op="request", power=2, source="3")["ok"]


def test_over_the_real_socket(tmp_path: Path) -> None:
    async def run() -> None:
        path = socket_path(tmp_path)
        served = LocalSocket(path, RequestBook(), lambda: {"cycles": 3}, Clock())
        await served.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        answer = await asyncio.to_thread(ask_gateway, tmp_path, {"op": "status"})
        assert answer == {"ok": True, "status": {"cycles": 3}}
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * 4_000_000)  # a line without an end
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert (await asyncio.to_thread(ask_gateway, tmp_path, {"op": "status"})) is not None
        await served.stop()
        assert await asyncio.to_thread(ask_gateway, tmp_path, {"op": "status"}) is None

    asyncio.run(run())


def test_idle_connections_lock_nobody_out(tmp_path: Path) -> None:
    async def run() -> None:
        path = socket_path(tmp_path)
        served = LocalSocket(path, RequestBook(), lambda: {"cycles": 3}, Clock())
        await served.start()
        idle = [await asyncio.open_unix_connection(path) for _ in range(40)]
        assert await asyncio.to_thread(ask_gateway, tmp_path, {"op": "status"}) is not None
        idle[-1][1].write(b'{"op": "status"}\n')
        assert await idle[-1][0].readline() != b""  # those that came last are still there
        with contextlib.suppress(ConnectionResetError):
            assert await idle[0][0].read() == b""
        for _, writer in idle:
            writer.close()
        await served.stop()

    asyncio.run(run())


def test_a_long_directory_still_gets_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    assert len(str(socket_path(deep))) < 100
    assert socket_path(deep) != socket_path(deep / "other")
