"""Read Device Identification, and the requests beside reads and plain writes."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.server import ModbusTcpServer

from bessai.drivers.modbus import (
    BadReply,
    DeviceException,
    ModbusClient,
    ModbusError,
    identification,
    identify,
    mask_write,
    parse_identification,
    read_write,
    write,
)
from bessai.model import Endpoint
from support.modbus_device import ScriptedDevice, frame
from support.pymodbus_device import IDENTITY, identity, port_of, sim_device, stop


def _reply(
    level: int, objects: dict[int, bytes], following: int | None = None, conformity: int = 0x82
) -> bytes:
    head = bytes((43, 14, level, conformity, 0 if following is None else 0xFF, following or 0, len(objects)))
    return head + b"".join(bytes((number, len(data))) + data for number, data in objects.items())


def test_a_reply_is_parsed() -> None:
    request = identification(1)
    assert request.pdu == bytes.fromhex("2b 0e 01 00")
    data = request.parse(_reply(1, {0: b"ACME", 1: b""}, following=2))
    assert isinstance(data, bytes)
    found = parse_identification(data)
    assert (found.conformity, found.individual, found.next_object) == (2, True, 2)
    assert found.objects == {0: b"ACME", 1: b""}


@pytest.mark.parametrize("cut", range(1, 13))
def test_a_reply_whose_lengths_do_not_add_up_is_bad(cut: int) -> None:
    whole = _reply(1, {0: b"ACME"})
    assert isinstance(identification(1).parse(whole[:-cut]), BadReply)
    assert isinstance(identification(1).parse(whole + b"x"), BadReply)
    with pytest.raises(BadReply):
        parse_identification(whole[2:-cut])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_reply_or_an_error(data: bytes) -> None:
    reply = identification().parse(b"\x2b\x0e\x02" + data)
    assert isinstance(reply, bytes | BadReply)
    if isinstance(reply, bytes):
        parse_identification(reply)


def _identify(answers: dict[tuple[int, int], bytes]) -> dict[str, str] | ModbusError:
    """What `identify` makes of a device that answers (level, object) so."""

    async def body() -> dict[str, str] | ModbusError:
        async with ScriptedDevice() as device:

            async def answer(transaction: int, unit: int, pdu: bytes) -> bytes:
                return frame(transaction, unit, answers[pdu[2], pdu[3]])

            device.hook = answer
            client = ModbusClient(Endpoint(host="127.0.0.1", port=device.port))
            await client.connect()
            found = await identify(client, 1)
            client.close()
            return found

    return asyncio.run(body())


def test_identities_in_parts_are_joined() -> None:
    assert _identify({
        (2, 0): _reply(2, {0: b"ACME", 1: b"BX\0\0"}, following=2),
        (2, 2): _reply(2, {2: b"1.0", 0x80: b"caf\xc3\xa9 \xff"}),
    }) == {"vendor": "ACME", "product": "BX", "revision": "1.0", "0x80": "café \ufffd"}  # fmt: skip


def test_a_device_that_knows_only_the_basic_level_is_asked_for_that() -> None:
    assert _identify({(2, 0): b"\xab\x03", (1, 0): _reply(1, {0: b"ACME"})}) == {"vendor": "ACME"}


def test_what_goes_wrong_is_the_result() -> None:
    refused = _identify({(2, 0): b"\xab\x01"})
    assert isinstance(refused, DeviceException)
    assert refused.code == 1
    circle = _identify({(2, 0): _reply(2, {0: b"A"}, following=1), (2, 1): _reply(2, {1: b"B"}, following=1)})
    assert isinstance(circle, BadReply)
    assert "circles" in str(circle)
    assert isinstance(_identify({(2, 0): b"\x2b\x0e\x02\x01"}), BadReply)


def test_pymodbus_tells_who_it_is() -> None:
    async def body() -> None:
        server = ModbusTcpServer(sim_device(), identity=identity(), address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        client = ModbusClient(Endpoint(host="127.0.0.1", port=port_of(server)))
        await client.connect()
        assert await identify(client, 1) == IDENTITY
        client.close()
        await stop(server)

    asyncio.run(body())


def test_requests_as_the_specification_writes_them() -> None:
    # examples of the application protocol specification V1.1b3, 6.11, 6.16 and 6.17
    coils = write("coil", 19, bytes((1, 0, 1, 1, 0, 0, 1, 1, 1, 0)))
    assert coils.pdu == bytes.fromhex("0f 0013 000a 02 cd01")
    assert coils.parse(bytes.fromhex("0f 0013 000a")) == b""
    mask = mask_write(4, 0x00F2, 0x0025)
    assert mask.pdu == bytes.fromhex("16 0004 00f2 0025")
    assert mask.parse(mask.pdu) == b""
    both = read_write(3, 6, 14, bytes.fromhex("00ff 00ff 00ff"))
    assert both.pdu == bytes.fromhex("17 0003 0006 000e 0003 06 00ff 00ff 00ff")
    data = bytes.fromhex("00fe 0acd 0001 0003 000d 00ff")
    assert both.parse(b"\x17\x0c" + data) == data
    assert write("coil", 5, b"\1", single=False).pdu == bytes.fromhex("0f 0005 0001 01 01")


@pytest.mark.parametrize("size", [0, 1, 3, 248])
def test_registers_that_no_request_can_write(size: int) -> None:
    with pytest.raises(ValueError, match="registers"):
        write("holding", 0, bytes(size))
    with pytest.raises(ValueError, match="function 23"):
        read_write(0, 1, 0, bytes(size))


def test_coils_and_counts_that_do_not_fit() -> None:
    for count in (0, 1969):
        with pytest.raises(ValueError, match=f"{count} coils"):
            write("coil", 0, bytes(count))
    with pytest.raises(ValueError, match="126"):
        read_write(0, 126, 0, b"\0\1")
