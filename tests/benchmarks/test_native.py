"""The compiled parts of the benchmarks: the C server for good and for sick ports, and the libmodbus client."""

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.native import NotAvailableError, Port, build, libmodbus_round, serving
from benchmarks.points import GAIN, client_plan, mixed_profile, rack_profile
from pymodbus.client import ModbusTcpClient

_READ = struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 100, 2)
_REPLY = struct.pack(">HHHBBBHH", 7, 0, 7, 1, 3, 4, 100, 101)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build("server", tmp_path_factory.mktemp("native"))
    except NotAvailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def ports(server: Path) -> Iterator[list[Port]]:
    shares = ["--dead", "1", "--refuse", "1", "--babble", "3", "--slow", "1"]
    with serving([server, "--ports", "8", *shares]) as found:
        yield found


def _of(ports: list[Port], kind: str) -> list[Port]:
    return [port for port in ports if port.kind == kind]


def _ask(port: Port, *, wait: float = 5.0) -> bytes:
    """The first bytes that come after one read request."""
    with socket.create_connection(("127.0.0.1", port.number), timeout=wait) as connection:
        connection.sendall(_READ)
        return connection.recv(512)


def test_says_what_each_port_is(ports: list[Port]) -> None:
    assert [port.kind for port in ports] == [
        "good",
        "good",
        "dead",
        "refuse",
        "babble",
        "babble",
        "babble",
        "slow",
    ]
    assert len({port.number for port in ports}) == 8


@pytest.mark.parametrize("unit", [0, 1, 247])
def test_a_good_port_answers_pymodbus(ports: list[Port], unit: int) -> None:
    client = ModbusTcpClient("127.0.0.1", port=_of(ports, "good")[0].number)
    assert client.connect()  # type: ignore[no-untyped-call]
    try:
        assert client.read_holding_registers(100, count=125, device_id=unit or 1).registers == [
            *range(100, 225)
        ]
        assert client.read_input_registers(65535, count=1, device_id=unit or 1).registers == [65535]
        assert not client.write_register(5, 9, device_id=unit or 1).isError()
        assert not client.write_registers(5, [1, 2, 3], device_id=unit or 1).isError()
        assert client.read_holding_registers(65535, count=2, device_id=unit or 1).exception_code == 2
        assert client.read_coils(0, count=1, device_id=unit or 1).exception_code == 1
    finally:
        client.close()  # type: ignore[no-untyped-call]


def test_pipelined_and_torn_requests_are_answered_in_order(ports: list[Port]) -> None:
    requests = b"".join(struct.pack(">HHHBBHH", n, 0, 6, 1, 3, n, 1) for n in range(50))
    with socket.create_connection(("127.0.0.1", _of(ports, "good")[1].number), timeout=5) as connection:
        connection.sendall(requests[:305])
        connection.sendall(requests[305:])
        with connection.makefile("rb") as stream:
            replies = stream.read(50 * 11)
    assert replies == b"".join(struct.pack(">HHHBBBH", n, 0, 5, 1, 3, 2, n) for n in range(50))


def test_a_dead_port_accepts_and_says_nothing(ports: list[Port]) -> None:
    with pytest.raises(TimeoutError):
        _ask(_of(ports, "dead")[0], wait=0.3)


def test_a_refusing_port_is_closed(ports: list[Port]) -> None:
    with pytest.raises(ConnectionRefusedError):
        _ask(_of(ports, "refuse")[0])


def test_babbling_ports_never_give_the_right_answer(ports: list[Port]) -> None:
    answers = [_ask(port) for port in _of(ports, "babble")]
    assert all(answer and not answer.startswith(_REPLY[:6]) for answer in answers)
    assert len({answer[:4] for answer in answers}) == 3, "three ways to babble"


def test_a_slow_port_answers_late_and_right(ports: list[Port]) -> None:
    begin = time.monotonic()
    assert _ask(_of(ports, "slow")[0], wait=60) == _REPLY
    assert time.monotonic() - begin > 1.5  # never early, however busy the machine


def test_bad_options_and_taken_ports_are_refused(server: Path, ports: list[Port]) -> None:
    for options in (["--nonsense"], ["--ports", "x"], ["--ports", "1", "--dead", "2"]):
        with pytest.raises(NotAvailableError), serving([server, *options]):
            pass
    with pytest.raises(NotAvailableError), serving([server, "--base", str(ports[0].number)]):
        pass


def test_libmodbus_decodes_what_we_decode(ports: list[Port], tmp_path: Path) -> None:
    try:
        client = build("client", tmp_path)
    except NotAvailableError as error:
        pytest.skip(str(error))
    profile = mixed_profile(tmp_path)
    expected = 0.0
    for point in profile.points.values():
        words = struct.pack(">HH", point.address, point.address + 1)
        kind = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "f32": ">f"}[point.type]
        expected += GAIN * struct.unpack_from(kind, words)[0]
    used, total = libmodbus_round(client, _of(ports, "good")[0].number, client_plan(profile), 3)
    assert used > 0
    assert total == pytest.approx(expected, rel=1e-4)


def test_profiles_are_read_as_told(tmp_path: Path) -> None:
    mixed, rack = mixed_profile(tmp_path, outstanding=8), rack_profile(tmp_path / "rack.json")
    assert mixed.connection.outstanding == 8
    assert (len(mixed.points), len(mixed.plans["fast"].blocks)) == (100, 3)
    assert (len(rack.points), len(rack.plans["fast"].blocks)) == (300, 3)
