"""Devices that share a wire: who answers to which unit id, and what goes wrong with all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pymodbus.constants import ExcCodes

from bessai.twin.clock import TwinClock
from bessai.twin.device import TwinDevice
from bessai.twin.faults import Faults, Layers
from bessai.twin.framing import TABLES, Frame, Framing, exception
from bessai.twin.image import Exc, RefusedError

if TYPE_CHECKING:
    from bessai.twin.connection import Connection

Missing = Literal["exception", "silence"]


class Seat:
    """One device at its place on the bus."""

    def __init__(self, device: TwinDevice) -> None:
        self.device = device
        self.gone_until = 0.0
        """Loop time until which it reboots."""


class Bus:
    """Devices by unit id behind one wire. `TwinServer` and `TwinSerial` put it on one.

    Args:
        devices: by unit id; a device's stations answer to their own ids on top.
        framing: of the wire.
        connected: whether masters connect, so that connections can be closed.
        missing: what other unit ids get: exception 11 or, as on a serial line, silence.
        clock: shared with other buses, and then started by whoever owns it; None for an own one.
        speed: of the own clock.
        settle: seconds after connecting in which requests stay unanswered.

    Raises:
        ValueError: two devices answer to one unit id.
    """

    def __init__(
        self,
        devices: Mapping[int, TwinDevice],
        framing: Framing,
        *,
        connected: bool,
        missing: Missing,
        clock: TwinClock | None = None,
        speed: float = 1.0,
        settle: float = 0.0,
    ) -> None:
        self.devices = dict(devices)
        self.framing = framing
        self.missing = missing
        self.settle = settle
        self.features = {"transaction" if framing.kind == "tcp" else "crc"}
        """What faults may need: `transaction`, `crc`, `connection`."""
        if connected:
            self.features.add("connection")
        self.faults = Faults()
        """What goes wrong with the whole bus; of one device alone, the same as the device's."""
        if len(self.devices) == 1:
            self.faults = next(iter(self.devices.values())).faults
        self.clock = clock or TwinClock(self.devices.values(), speed)
        self._owns_clock = clock is None
        self.connections: set[Connection] = set()
        self.accepted = 0
        """Connections ever accepted."""
        self.requests = 0
        """Requests ever received."""
        self._seats: dict[int, tuple[Seat, int]] = {}
        for unit, device in self.devices.items():
            if self.faults is not device.faults:
                device.fault_layers.append(self.faults)
            seat = Seat(device)
            for served, own in ((unit, device.unit), *((other, other) for other in device.units[1:])):
                if served in self._seats:
                    raise ValueError(f"unit {served} is taken twice on one bus; give each device its own")
                self._seats[served] = (seat, own)

    @property
    def units(self) -> list[int]:
        """Every unit id that is answered."""
        return list(self._seats)

    @property
    def single_connection(self) -> bool:
        """Whether a second connection closes the first."""
        return all(device.profile.connection.single_connection for device in self.devices.values())

    def notice(self, unit: int | None = None) -> None:
        """Begin the reboots that were asked for, of one unit's device or of all.

        When all devices are gone, nobody holds the connections.
        """
        if unit is not None and self.faults.reboot <= 0:
            seats = [self._seats[unit][0]] if unit in self._seats else []
        else:
            seats = list({id(seat): seat for seat, _ in self._seats.values()}.values())
        now = asyncio.get_running_loop().time()
        begun = False
        for seat in seats:
            seconds = max(faults.reboot for faults in seat.device.fault_layers)
            if seconds > 0:
                seat.gone_until, begun = now + seconds, True
                seat.device.faults.reboot = 0.0
                seat.device.restart()
        self.faults.reboot = 0.0
        if begun and self.dead:
            self.close_connections()

    @property
    def dead(self) -> bool:
        """Whether every device reboots now."""
        now = asyncio.get_running_loop().time()
        return all(seat.gone_until > now for seat, _ in self._seats.values())

    def gone(self, unit: int) -> bool:
        """Whether the device of a unit id reboots now."""
        seat, _ = self._seats.get(unit, (None, 0))
        return seat is not None and seat.gone_until > asyncio.get_running_loop().time()

    def layers(self, unit: int) -> Layers:
        """What goes wrong with requests to a unit id."""
        seat, _ = self._seats.get(unit, (None, 0))
        return Layers.of((self.faults,) if seat is None else (self.faults, seat.device.faults))

    def close_connections(self) -> None:
        """End every open connection; new ones are accepted."""
        for connection in list(self.connections):
            connection.close()

    def catch_up(self) -> None:
        """Move simulated time on to the present. Every request does it."""
        self.clock.catch_up()

    async def respond(self, frame: Frame, faults: Layers) -> bytes | None:
        """Function code and data of the answer; None when there is none."""
        function = frame.function
        self.catch_up()
        if frame.unit == 0 and self.framing.kind == "rtu" and 0 not in self._seats:
            if frame.request is not None and function in {
                5,
                6,
                15,
                16,
            }:  # broadcast: all obey, nobody answers
                for seat, own in self._seats.values():
                    await frame.request.datastore_update(_store(seat.device, own), own)
            return None
        if frame.unit not in self._seats:
            return None if self.missing == "silence" else exception(function, Exc.NO_SUCH_UNIT)
        seat, own = self._seats[frame.unit]
        if frame.request is None:
            return exception(function, frame.code)
        if (code := faults.exception()) is not None:
            return exception(function, code)
        refused = set[int]().union(*(each.refused_functions for each in faults.each))
        if function not in TABLES or function in refused:
            return exception(function, Exc.ILLEGAL_FUNCTION)
        response = await frame.request.datastore_update(_store(seat.device, own), own)
        if function in {3, 4} and not response.isError() and faults.take("short_replies"):
            response.registers = response.registers[:-1]
        return bytes([response.function_code]) + response.encode()


class _Store:
    """The device as pymodbus's PDUs ask for it."""

    def __init__(self, device: TwinDevice, unit: int) -> None:
        self._device = device
        self._unit = unit
        self._taken: list[int] | None = None

    async def async_getValues(  # noqa: N802
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | list[bool] | ExcCodes:
        if func_code in {5, 6}:  # the echo of a single write, also of registers that cannot be read
            return self._taken or ExcCodes.DEVICE_FAILURE
        try:
            return self._device.read(TABLES[func_code], address, count, unit=self._unit)
        except RefusedError as error:
            return ExcCodes(error.code)

    async def async_setValues(  # noqa: N802
        self, device_id: int, func_code: int, address: int, values: list[int] | list[bool]
    ) -> ExcCodes | None:
        self._taken = [int(value) for value in values]
        try:
            self._device.write(TABLES[func_code], address, self._taken, unit=self._unit)
        except RefusedError as error:
            return ExcCodes(error.code)
        return None


def _store(device: TwinDevice, unit: int) -> Any:
    # a data store by shape: pymodbus's annotation names its own class, its code only calls these two methods
    return _Store(device, unit)
