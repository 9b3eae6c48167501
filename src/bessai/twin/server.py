"""The twin on a network: one TCP port, with frames of Modbus TCP or of a serial line, plain or inside TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from bessai.registry import Profile
from bessai.twin.bus import Bus, Missing
from bessai.twin.clock import TwinClock
from bessai.twin.connection import Connection
from bessai.twin.device import TwinDevice
from bessai.twin.framing import Framing
from bessai.twin.plant import Plant


class TwinServer(Bus):
    """One device, or several unit ids, on a TCP port, with the manners that the profile tells of.

        server = TwinServer(load_profile("registry/huawei_sun2000.json"), port=0, speed=60)
        await server.start()
        host, port = server.address
        server.device.force("soc", 5.0)
        server.faults.silent = True
        await server.stop()

        server = TwinServer(devices={1: TwinDevice(pcs, plant), 21: TwinDevice(rack, plant)})
        server.devices[21].faults.busy = 0.1

    Simulated time is the event loop's time multiplied by `speed`; it also runs while the server is unplugged.
    Also an async context manager.

    Args:
        profile: the device; None with `devices`.
        plant: the plant behind it; a default one made from `seed` when None.
        host: address to listen on.
        port: port to listen on, 0 for any free one.
        devices: several devices by unit id, instead of one.
        transport: `tcp`; `rtu+tcp` for serial frames, as serial converters send them; `tls` for Modbus/TCP
            Security, which needs `tls`.
        tls: what `server_tls` made.
        missing: what other unit ids get; None: exception 11, with serial frames silence.
        seed: of the default plant.
        speed: simulated seconds for each second.
        unit: unit id of the one device; the profile's when None.
        dense: answer 0 for addresses that the profile does not name, instead of exception 2.
        honour_settle: leave requests unanswered that come sooner after connecting than the profile says.
        clock: the time of several buses; `speed` is then the clock's.
    """

    def __init__(
        self,
        profile: Profile | None = None,
        plant: Plant | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        devices: Mapping[int, TwinDevice] | None = None,
        transport: Literal["tcp", "rtu+tcp", "tls"] = "tcp",
        tls: ssl.SSLContext | None = None,
        missing: Missing | None = None,
        seed: int = 0,
        speed: float = 1.0,
        unit: int | None = None,
        dense: bool = False,
        honour_settle: bool = False,
        clock: TwinClock | None = None,
    ) -> None:
        if (transport == "tls") != (tls is not None):
            raise ValueError("transport `tls` goes with `tls`, and only with it")
        if devices is None:
            if profile is None:
                raise ValueError("give a profile or devices")
            device = TwinDevice(profile, plant or Plant(seed=seed), dense=dense, unit=unit)
            devices = {device.unit: device}
        serial = transport == "rtu+tcp"
        settles = [device.profile.connection.settle for device in devices.values()]
        super().__init__(
            devices,
            Framing("rtu" if serial else "tcp"),
            connected=True,
            missing=missing or ("silence" if serial else "exception"),
            clock=clock,
            speed=speed,
            settle=max(settles) if honour_settle else 0.0,
        )
        self.transport = transport
        self.host = host
        self.port = port
        self.unit, self.device = next(iter(self.devices.items()))
        self._tls = tls
        self._listener: asyncio.Server | None = None

    @property
    def profile(self) -> Profile:
        """The profile of the (first) device."""
        return self.device.profile

    @property
    def plant(self) -> Plant:
        """The plant behind the (first) device."""
        return self.device.plant

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are served."""
        return self.host, self.port

    @property
    def endpoint(self) -> str:
        """The address as clients write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.transport == "tcp" else f"{self.transport}://{host}:{self.port}"

    async def start(self) -> None:
        """Listen, and let simulated time run.

        Raises:
            OSError: the address cannot be listened on, for example because the port is in use.
        """
        await self.plug_in()
        if self._owns_clock:
            self.clock.start()

    async def stop(self) -> None:
        """Close everything and stop simulated time."""
        await self.unplug()
        if self._owns_clock:
            await self.clock.stop()

    async def unplug(self) -> None:
        """Pull the network cable: connections end, new ones are refused. The plant runs on."""
        if self._listener is not None:
            listener, self._listener = self._listener, None
            listener.close()
            self.close_connections()
            await asyncio.sleep(0)

    async def plug_in(self) -> None:
        """Undo `unplug`, on the same port.

        Raises:
            OSError: the address cannot be listened on.
        """
        if self._listener is None:
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: Connection(self), self.host, self.port, ssl=self._tls, reuse_address=True
            )
            self.port = self._listener.sockets[0].getsockname()[1]

    async def __aenter__(self) -> TwinServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def server_tls(*, cert: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """What Modbus/TCP Security asks of a device: TLS 1.2 or later, and certificates of both sides.

    Args:
        cert: the device's certificate.
        key: its private key.
        ca: certificates that may sign the master's.

    Raises:
        OSError: a file cannot be read (`ssl.SSLError` when it is no certificate or key).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(cert, key)
    context.load_verify_locations(ca)
    return context
