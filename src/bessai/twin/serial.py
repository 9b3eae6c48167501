"""The twin on a serial line: a pty pair whose other end any Modbus RTU master opens like a device file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import Mapping
from pathlib import Path

from bessai.registry import Profile
from bessai.twin.bus import Bus
from bessai.twin.clock import TwinClock
from bessai.twin.connection import Connection
from bessai.twin.device import TwinDevice
from bessai.twin.framing import Framing
from bessai.twin.plant import Plant


class TwinSerial(Bus):
    """Devices on an RS-485 line. Unknown unit ids are silent, unit 0 is a broadcast.

        line = TwinSerial(devices={1: meter, 2: rack}, link=Path("/tmp/plant"))
        await line.start()
        line.path                       # "/dev/pts/7": what a master opens, with any baud rate

    Args:
        profile: the device; None with `devices`.
        plant: the plant behind it; a default one made from `seed` when None.
        devices: several devices by unit id, instead of one.
        link: where to put a symbolic link to the line, for a path that stays the same.
        seed: of the default plant.
        speed: simulated seconds for each second.
        unit: unit id of the one device; the profile's when None.
        dense: answer 0 for addresses that the profile does not name, instead of exception 2.
        clock: the time of several buses; `speed` is then the clock's.
    """

    def __init__(
        self,
        profile: Profile | None = None,
        plant: Plant | None = None,
        *,
        devices: Mapping[int, TwinDevice] | None = None,
        link: Path | None = None,
        seed: int = 0,
        speed: float = 1.0,
        unit: int | None = None,
        dense: bool = False,
        clock: TwinClock | None = None,
    ) -> None:
        if devices is None:
            if profile is None:
                raise ValueError("give a profile or devices")
            device = TwinDevice(profile, plant or Plant(seed=seed), dense=dense, unit=unit)
            devices = {device.unit: device}
        super().__init__(
            devices, Framing("rtu"), connected=False, missing="silence", clock=clock, speed=speed
        )
        self.path = ""
        """The line's device file while it runs."""
        self.link = link
        self._line: _Line | None = None

    @property
    def endpoint(self) -> str:
        """The address as clients write it."""
        return f"rtu://{self.link.absolute() if self.link is not None else self.path}"

    async def start(self) -> None:
        """Open the line, and let simulated time run.

        Raises:
            OSError: there is no pty, or the link cannot be made (`FileExistsError`: something else is there).
        """
        if self._line is None:
            self._line = _Line(Connection(self))
            self.path = self._line.path
            try:
                self._make_link()
            except OSError:
                self._line.connection.close()
                self._line = None
                raise
        if self._owns_clock:
            self.clock.start()

    async def stop(self) -> None:
        """Close everything and stop simulated time."""
        if self._line is not None:
            self._line.connection.close()
            self._line = None
            if self.link is not None and self.link.is_symlink() and str(self.link.readlink()) == self.path:
                self.link.unlink()
        if self._owns_clock:
            await self.clock.stop()

    async def __aenter__(self) -> TwinSerial:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def close_connections(self) -> None:
        """A line has no connections to close."""

    def _make_link(self) -> None:
        if self.link is not None:
            if self.link.is_symlink():  # left over by a twin that was killed
                self.link.unlink()
            self.link.symlink_to(self.path)


class _Line:
    """Our end of the pty pair."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._loop = asyncio.get_running_loop()
        self._master, self._slave = os.openpty()  # the other end stays open: masters come and go
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._loop.add_reader(self._master, self._readable)
        connection.attach(self)

    def write(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # nobody reads: bytes on a line are lost then
            os.write(self._master, data)

    def close(self) -> None:
        if self._master >= 0:
            self._loop.remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)
            self._master = -1

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.connection.data_received(os.read(self._master, 4096))
