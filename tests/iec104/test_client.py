"""The controlling station over real sockets: against another implementation, and against stations that misbehave."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from bessai.iec104 import (
    Asdu,
    Cause,
    Client,
    Connection,
    CounterBit,
    Failed,
    InfoObject,
    LinkEvent,
    LinkSettings,
    QualityBit,
    Received,
    Refused,
    TypeId,
    decode,
    encode,
    pack,
)
from support.foreign import serving

WHEN = 1_780_315_445_678_000_000
MONDAY = 1 << 5
"""Its bits in the day of the month of a time tag."""
PATIENCE = 60.0


class Recorder(Client):
    """Keeps the bytes, too."""

    raw: list[bytes]

    def _on_event(self, event: LinkEvent) -> None:
        if isinstance(event, Received):
            self.__dict__.setdefault("raw", []).append(event.asdu)
        super()._on_event(event)


@pytest.fixture(scope="module")
def foreign_port() -> Iterator[int]:
    command = [sys.executable, "-m", "support.iec104_c104"]
    with serving(command, missing="needs c104") as port:
        yield port


def test_another_station_is_understood(foreign_port: int) -> None:
    asyncio.run(talk(foreign_port))


async def talk(port: int) -> None:
    async with await Recorder.connect(
        "127.0.0.1", port, address=47, originator=9, patience=PATIENCE
    ) as client:
        assert isinstance(client, Recorder)
        await client.start()
        seen = {item.address: item for asdu in await client.interrogate() for item in asdu.objects}
        assert seen == {
            11: InfoObject(address=11, value=True, quality=QualityBit.BLOCKED),
            12: InfoObject(address=12, value=True, quality=QualityBit.INVALID, time=WHEN),
            13: InfoObject(address=13, value=2, quality=QualityBit.SUBSTITUTED, time=WHEN),
            14: InfoObject(address=14, value=-3, qualifier=1, time=WHEN),
            15: InfoObject(address=15, value=-0.5, time=WHEN),
            16: InfoObject(address=16, value=-77, quality=QualityBit.OVERFLOW, time=WHEN),
            17: InfoObject(address=17, value=1.5, quality=QualityBit.NOT_TOPICAL, time=WHEN),
            **{100 + n: InfoObject(address=100 + n, value=n / 2) for n in range(100)},
        }
        (counters,) = await client.counters()
        assert counters.objects == (
            InfoObject(address=18, value=-12, qualifier=7, quality=CounterBit.CARRY, time=WHEN),
        )
        assert (await client.read(17)).objects[0].value == 1.5
        assert (await client.synchronize(WHEN)).objects[0].time == WHEN
        assert (await client.test(0x1234)).objects[0].value == 0x1234
        answer = await client.command(TypeId.C_SE_NC_1, 20, 999.5, qualifier=3)
        assert (answer.originator, answer.objects[0]) == (
            9,
            InfoObject(address=20, value=999.5, qualifier=3),
        )
        with pytest.raises(Refused) as refused:
            await client.command(TypeId.C_SE_NC_1, 20, 1000.0)
        assert refused.value.answer.negative
        with pytest.raises(Refused):  # not selected before
            await client.command(TypeId.C_SC_TA_1, 21, True)
        await client.command(TypeId.C_SC_TA_1, 21, True, select=True)
        told = await client.take(lambda asdu: asdu.cause == Cause.SPONTANEOUS)
        assert told.objects == (InfoObject(address=100, value=-1.25),)
        with pytest.raises(Refused):
            await client.read(9999)
        await client.stop()
        assert client.failure is None
        assert client.undecoded == []
        # and all that it sent is what we would have sent, but for the day of the week, which it leaves out
        assert len(client.raw) > 20
        for data in client.raw:
            ours = encode(decode(data))
            different = [(one, other) for one, other in zip(data, ours, strict=True) if one != other]
            assert all(one == MONDAY ^ other for one, other in different)
            assert len(different) <= 1


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def station(
    answer: Callable[[Connection, Asdu], None], settings: LinkSettings | None = None
) -> AsyncIterator[tuple[int, list[LinkEvent]]]:
    """A controlled station that answers with a function: its port, and the events of its link."""
    events: list[LinkEvent] = []

    def connection() -> Connection:
        def on_event(event: LinkEvent) -> None:
            events.append(event)
            if isinstance(event, Received):
                answer(made, decode(event.asdu))

        made = Connection(settings or LinkSettings(), on_event)
        return made

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], events


def test_a_long_answer_waits_for_its_acknowledgements() -> None:
    asyncio.run(long_answer())


async def long_answer() -> None:
    items = [InfoObject(address=3 * n, value=float(n), time=WHEN) for n in range(2000)]
    waiting: list[bytes] = []

    def answer(connection: Connection, asdu: Asdu) -> None:
        assert connection.send(encode(asdu.reply(Cause.ACTIVATION_CON)))
        waiting.extend(data for data, _ in pack(TypeId.M_ME_TF_1, Cause.INTERROGATED, 1, items))
        waiting.append(encode(asdu.reply(Cause.ACTIVATION_TERM)))

        async def feed() -> None:
            while waiting:
                while waiting and connection.link.window:
                    assert connection.send(waiting.pop(0))
                await asyncio.sleep(0)

        tasks.append(asyncio.ensure_future(feed()))

    tasks: list[asyncio.Future[None]] = []
    async with (
        station(answer) as (port, events),
        await Client.connect("127.0.0.1", port, patience=PATIENCE) as client,
    ):
        await client.start()
        answers = await client.interrogate()
        assert [item for asdu in answers for item in asdu.objects] == items
        assert client.acknowledged == 1
        assert len(tasks) == 1
        await client.close()
        await eventually(lambda: isinstance(events[-1], Failed))


def test_what_a_station_sends_unasked_is_kept_in_order() -> None:
    async def unasked() -> None:
        def answer(connection: Connection, asdu: Asdu) -> None:
            for n in range(5):
                for data, _ in pack(
                    TypeId.M_SP_NA_1, Cause.SPONTANEOUS, 1, [InfoObject(address=n, value=True)]
                ):
                    connection.send(data)
            connection.send(b"\x28\x01\x03\0\1\0")
            connection.send(encode(asdu.reply(Cause.ACTIVATION_CON)))

        async with (
            station(answer) as (port, _),
            await Client.connect("127.0.0.1", port, patience=PATIENCE) as client,
        ):
            await client.start()
            await client.test()
            assert [item.address for item in await client.collect(5)] == [0, 1, 2, 3, 4]
            assert [str(error) for error in client.undecoded] == ["Type 40 is not supported."]

    asyncio.run(unasked())


def test_a_station_that_confirms_nothing_is_given_up() -> None:
    async def silent() -> None:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(100):
                pass
            writer.close()

        async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            settings = LinkSettings(t1=0.1, t2=0.05)
            async with await Client.connect(
                "127.0.0.1", port, settings=settings, patience=PATIENCE
            ) as client:
                with pytest.raises(ConnectionError, match=r"No STARTDT con in 0\.1 s"):
                    await client.start()
                await client.connection.closed.wait()
                with pytest.raises(ConnectionError, match="No STARTDT con"):
                    client.send(Asdu(type=TypeId.C_RD_NA_1, cause=5, address=1, objects=(InfoObject(),)))

    asyncio.run(silent())


def test_a_quiet_link_is_tested_by_both_ends() -> None:
    async def quiet() -> None:
        fast = LinkSettings(t1=50, t3=0.02)
        async with (
            station(lambda *_: None, fast) as (port, events),
            await Client.connect("127.0.0.1", port, settings=fast, patience=PATIENCE) as client,
        ):
            await client.start()
            sent: list[bytes] = []
            write = client.connection.link.outgoing

            def outgoing() -> bytes:
                sent.append(write())
                return sent[-1]

            client.connection.link.outgoing = outgoing  # type: ignore[method-assign]
            await eventually(lambda: {b"\x43", b"\x83"} <= {data[2:3] for data in sent})
            assert client.failure is None
            assert not [event for event in events if isinstance(event, Failed)]

    asyncio.run(quiet())


def test_a_peer_that_asks_and_does_not_read_is_not_answered_without_end() -> None:
    async def deaf() -> None:
        made: list[Connection] = []

        def connection() -> Connection:
            made.append(Connection(LinkSettings(), lambda _: None))
            return made[0]

        loop = asyncio.get_running_loop()
        listener = socket.create_server(("127.0.0.1", 0))
        sender = socket.socket()
        for end in (listener, sender):  # so that it takes little to fill them
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sender.setblocking(False)
        async with await loop.create_server(connection, sock=listener):
            await loop.sock_connect(sender, listener.getsockname())
            reader, writer = await asyncio.open_connection(sock=sender)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            question = bytes.fromhex("680443000000") * 1000
            asked = 0
            async with asyncio.timeout(PATIENCE):
                while writer.transport.get_write_buffer_size() < 200_000:  # until nobody takes any more
                    writer.write(question)
                    asked += len(question)
                    await asyncio.sleep(0)
            transport = made[0]._transport
            assert transport is not None
            await eventually(lambda: not transport.is_reading())
            assert transport.get_write_buffer_size() < 500_000
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            async with asyncio.timeout(PATIENCE):  # and when it reads again, it gets every answer
                got = await reader.readexactly(asked)
            assert got == bytes.fromhex("680483000000") * (asked // 6)
            writer.close()

    asyncio.run(deaf())


def test_garbage_ends_the_connection() -> None:
    async def garbage() -> None:
        async with station(lambda *_: None) as (port, events):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                async with asyncio.timeout(PATIENCE):
                    assert await reader.read() == b""
            writer.close()
            assert [type(event) for event in events] == [Failed]

    asyncio.run(garbage())


def test_times_of_commands_are_now_unless_they_are_given() -> None:
    async def times() -> None:
        came: list[Asdu] = []

        def answer(connection: Connection, asdu: Asdu) -> None:
            came.append(asdu)
            connection.send(encode(asdu.reply(Cause.ACTIVATION_CON)))

        async with (
            station(answer) as (port, _),
            await Client.connect("127.0.0.1", port, patience=PATIENCE) as client,
        ):
            await client.start()
            before = time.time_ns() // 10**6 * 10**6
            await client.command(TypeId.C_SE_TC_1, 1, 5.0)
            await client.command(TypeId.C_SE_TC_1, 1, 5.0, ns=WHEN)
            await client.command(TypeId.C_SE_NC_1, 1, 5.0)
            await client.cancel(TypeId.C_SE_NC_1, 1, 5.0)
            await client.reset()
            after = time.time_ns()
        first, second, third, cancelled, reset = came
        assert first.objects[0].time is not None
        assert before <= first.objects[0].time <= after
        assert second.objects[0].time == WHEN
        assert third.objects[0].time is None
        assert cancelled.cause == Cause.DEACTIVATION
        assert (reset.type, reset.objects[0].value) == (TypeId.C_RP_NA_1, 1)

    asyncio.run(times())
