"""The twin on the wire: pymodbus's server, framer and PDUs in front of a `TwinDevice`.

pymodbus is deliberately other code than the gateway's client.
"""

from __future__ import annotations

import asyncio
import contextlib

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from bessai.registry import Profile
from bessai.twin.connection import Connection
from bessai.twin.device import TwinDevice
from bessai.twin.faults import Faults
from bessai.twin.plant import Plant

_TICK = 0.1  # wall seconds between two steps of the background clock


class TwinServer:
    """A simulated plant on Modbus TCP, with the manners that its profile tells of.

        server = TwinServer(load_profile("registry/huawei_sun2000.json"), port=0, speed=60)
        await server.start()
        host, port = server.address
        server.device.force("soc", 5.0)
        server.faults.silent = True
        await server.stop()

    Simulated time is the event loop's time multiplied by `speed`; it also runs while the server is unplugged.
    Also an async context manager.

    Args:
        profile: the device.
        plant: the plant behind it; a default one made from `seed` when None.
        host: address to listen on.
        port: port to listen on, 0 for any free one.
        seed: of the default plant.
        speed: simulated seconds for each second.
        unit: unit id; the profile's when None. Other units are answered with exception 11.
        dense: answer 0 for addresses that the profile does not name, instead of exception 2.
        honour_settle: leave requests unanswered that come sooner after connecting than the profile says.
    """

    def __init__(
        self,
        profile: Profile,
        plant: Plant | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        seed: int = 0,
        speed: float = 1.0,
        unit: int | None = None,
        dense: bool = False,
        honour_settle: bool = False,
    ) -> None:
        if not 0 < speed <= 10_000:
            raise ValueError(f"speed must be above 0 and at most 10000, not {speed:g}")
        self.device = TwinDevice(profile, plant or Plant(seed=seed), dense=dense)
        self.faults = Faults()
        self.profile = profile
        self.host = host
        self.port = port
        self.speed = speed
        self.unit = profile.connection.unit if unit is None else unit
        self.settle = profile.connection.settle if honour_settle else 0.0
        self.connections: set[Connection] = set()
        self.accepted = 0
        """Connections ever accepted."""
        self.requests = 0
        """Requests ever received."""
        self._listener: _Listener | None = None
        self._clock: asyncio.Task[None] | None = None
        self._moved_at = 0.0

    @property
    def plant(self) -> Plant:
        """The plant behind the device."""
        return self.device.plant

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are served."""
        return self.host, self.port

    async def start(self) -> None:
        """Listen, and let simulated time run.

        Raises:
            OSError: the address cannot be listened on, for example because the port is in use.
        """
        await self.plug_in()
        self._moved_at = asyncio.get_running_loop().time()
        self._clock = asyncio.create_task(self._run_clock(), name="twin clock")

    async def stop(self) -> None:
        """Close everything and stop simulated time."""
        await self.unplug()
        if self._clock is not None:
            self._clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._clock
            self._clock = None

    async def unplug(self) -> None:
        """Pull the network cable: connections end, new ones are refused. The plant runs on."""
        if self._listener is not None:
            listener, self._listener = self._listener, None
            self.close_connections()
            await listener.shutdown()  # type: ignore[no-untyped-call]

    async def plug_in(self) -> None:
        """Undo `unplug`, on the same port.

        Raises:
            OSError: the address cannot be listened on.
        """
        if self._listener is None:
            listener = _Listener(self)
            await listener.listen()
            self._listener = listener
            self.port = listener.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    def close_connections(self) -> None:
        """End every open connection; new ones are accepted."""
        for connection in list(self.connections):
            connection.close()
            self.connections.discard(connection)

    def catch_up(self) -> None:
        """Move simulated time on to the present. Every request does it."""
        now = asyncio.get_running_loop().time()
        elapsed, self._moved_at = now - self._moved_at, now
        self.device.advance(max(0.0, elapsed) * self.speed)

    async def __aenter__(self) -> TwinServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _run_clock(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self.catch_up()


class _Listener(ModbusTcpServer):
    """pymodbus's server with our connections, telling of a failure to listen instead of logging it."""

    def __init__(self, owner: TwinServer) -> None:
        # pymodbus wants a data store of its own; no connection of ours asks it
        unused = SimDevice(0, simdata=[SimData(0, datatype=DataType.REGISTERS)])
        super().__init__(unused, address=(owner.host, owner.port))
        self.owner = owner

    def callback_new_connection(self) -> Connection:
        return Connection(self, self.owner)

    async def listen(self) -> bool:
        self.is_closing = False
        self.is_listener = True
        self.transport = await self.call_create()
        return True
