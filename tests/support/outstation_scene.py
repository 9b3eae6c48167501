"""A running outstation: real sockets to masters, a feed server in place of the control plane."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bessai.iec104 import SIZES, Asdu, Cause, InfoObject, LinkSettings, Sizes
from bessai.iec104.client import Client
from bessai.interfaces.scada.feed import ask, follow
from bessai.interfaces.scada.server import Outstation
from bessai.model import SystemClock
from bessai.site.scada import CommandPoint, Iec104, MonitorPoint, Scada
from support.feed_server import FeedServer

POWER, SOC, SWITCH, BREAKER, VOLTAGE, SHARE, ENERGY = 1001, 1002, 2001, 2002, 1003, 1004, 3001
STATE, ALARM, ALIVE, LOST = 1010, 2010, 2011, 2012
SET_POWER, SET_MAX, SET_MODE, SET_AGC = 6001, 6002, 6003, 6004

POINTS = (
    MonitorPoint(ioa=POWER, name="power", kind="float", scale=0.001, unit="MW", group=1, dead_band=0.05),
    MonitorPoint(ioa=SOC, name="soc", kind="float", unit="%", group=2, agc=True),
    MonitorPoint(ioa=VOLTAGE, name="voltage", kind="scaled", unit="V", group=1),
    MonitorPoint(ioa=SHARE, name="power", kind="normalized", sign=-1, full_scale=1000.0, unit="kW"),
    MonitorPoint(ioa=STATE, name="decision.state", kind="scaled"),
    MonitorPoint(ioa=SWITCH, name="alarm_bits", kind="single", bit=3),
    MonitorPoint(ioa=BREAKER, name="breaker", kind="double", on_when=frozenset({1}), off_when=frozenset({0})),
    MonitorPoint(ioa=ALARM, name="alarm:soc_low", kind="single"),
    MonitorPoint(ioa=ALIVE, name="gateway.alive", kind="single"),
    MonitorPoint(ioa=LOST, name="scada.events_lost", kind="single"),
    MonitorPoint(ioa=ENERGY, name="energy", kind="counter", unit="kWh", group=1),
)
COMMANDS = (
    CommandPoint(ioa=SET_POWER, target="active_power", kind="float", scale=0.001, unit="MW", low=-5, high=5),
    CommandPoint(ioa=SET_MAX, target="active_power_max", kind="float", sbo=False, unit="kW"),
    CommandPoint(ioa=SET_MODE, target="voltage.mode", kind="scaled", sbo=False,
                 choices={0: "off", 1: "voltage", 2: "voltage_droop"}),
    CommandPoint(ioa=SET_AGC, target="active.agc", kind="single", sbo=True),
)  # fmt: skip
VALUES = {
    "power": 1500.0, "soc": 50.0, "voltage": 400.0, "alarm_bits": 0.0, "breaker": 1.0, "energy": 1234.0,
}  # fmt: skip
LOCAL = Iec104(listen="127.0.0.1", port=0, masters=("127.0.0.0/8",), command=("127.0.0.1", "127.0.0.2"))
SCADA = Scada(iec104=LOCAL, points=POINTS, commands=COMMANDS)


class Scene:
    """An outstation and what it is connected to."""

    def __init__(self, outstation: Outstation, feed: FeedServer, stack: AsyncExitStack) -> None:
        self.outstation = outstation
        self.feed = feed
        self._stack = stack

    @property
    def port(self) -> int:
        return self.outstation.ports[0]

    async def master(
        self,
        source: str = "127.0.0.1",
        *,
        start: bool = True,
        sizes: Sizes = SIZES,
        originator: int = 0,
        **link: Any,
    ) -> Client:
        """A master; what the station says first (end of initialization) is left in its queue."""
        client = await Client.connect(
            "127.0.0.1",
            self.port,
            source=source,
            sizes=sizes,
            originator=originator,
            settings=LinkSettings(**link) if link else None,
        )
        self._stack.push_async_callback(client.close)
        if start:
            await client.start()
        return client

    async def until(self, check: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline:
                raise TimeoutError("it does not come true")
            await asyncio.sleep(0.005)

    async def cycle(self, **changes: float) -> int:
        """One cycle with some new values; returns its time once the station has it."""
        self.feed.points.update(changes)
        return await self.push()

    async def push(self, **more: Any) -> int:
        """One cycle; returns its time once the station has it."""
        await self.until(lambda: self.feed.watchers)
        before = self.outstation.station.cycles
        wall_ns = self.feed.push(**more)
        await self.until(lambda: self.outstation.station.cycles > before)
        return wall_ns


@asynccontextmanager
async def running(
    directory: Path, scada: Scada = SCADA, clock: Any = None, **settings: Any
) -> AsyncIterator[Scene]:
    """An outstation that has seen one cycle."""
    path = directory / "gateway.sock"
    values = {
        name: VALUES.get(name, 0.0) for point in scada.points for name in point.sources if "." not in name
    }
    values = {name: value for name, value in values.items() if not name.startswith("alarm:")}
    assert scada.iec104 is not None
    scada = replace(scada, iec104=replace(scada.iec104, **settings))
    async with AsyncExitStack() as stack:
        feed = stack.enter_context(FeedServer(path, values))
        outstation = Outstation(scada, lambda message: ask(path, message), clock or SystemClock())
        await outstation.start()
        stack.push_async_callback(outstation.stop)
        following = asyncio.create_task(follow(path, outstation.station.sources.watched, outstation))
        stack.callback(following.cancel)
        scene = Scene(outstation, feed, stack)
        await scene.push()
        yield scene


def objects(asdus: Iterable[Asdu]) -> dict[int, InfoObject]:
    """The newest object of each address."""
    return {item.address: item for asdu in asdus for item in asdu.objects}


def spontaneous(asdu: Asdu) -> bool:
    return asdu.cause == Cause.SPONTANEOUS
