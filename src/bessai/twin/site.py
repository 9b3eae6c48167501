"""A whole simulated plant: many devices on many buses, one point of connection, one clock.

    site = TwinSite([
        TwinBus(Endpoint(host="127.0.0.1", port=5020), [TwinUnit(name="pcs", profile=pcs, unit=1)]),
        TwinBus(Endpoint(host="127.0.0.1", port=5021), [
            TwinUnit(name=f"rack_{n}", profile=rack, unit=n) for n in range(1, 13)
        ]),
    ])
    async with site:
        site.devices["rack_3"].faults.silent = True

What stands behind each device is decided in `roles`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from bessai.model import Endpoint
from bessai.registry import CompiledProfile, Profile, compile_profile
from bessai.twin.clock import TwinClock
from bessai.twin.connection_point import ConnectionPoint
from bessai.twin.device import TwinDevice
from bessai.twin.plant import PlantConfig
from bessai.twin.roles import Traits, plants_behind
from bessai.twin.serial import TwinSerial
from bessai.twin.server import TwinServer, server_tls

_STEPS = 1000.0
"""Steps of plants a second that the machine is asked for at most, as long as a step stays below `_STEP_MAX`."""
_STEP_MAX = 5.0  # simulated seconds; the converter's response is exact for any step, dead-men act at its end
_TICK = (0.1, 1.0)  # shortest and longest wall seconds between background steps


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinUnit:
    """One device."""

    name: str
    profile: Profile
    unit: int
    stations: Mapping[str, int] = field(default_factory=dict)
    """Unit ids of the profile's stations that differ from the profile's."""
    traits: Traits = field(default_factory=Traits)
    """Its batteries, their size and state of charge, and how little power it can run at."""


@dataclass(frozen=True, slots=True)
class TwinBus:
    """Devices that share an endpoint."""

    endpoint: Endpoint
    """Where to listen: a `tcp`, `rtu+tcp` or `tls` port (0 for any; `tls` with the device's own certificate and
    key, and the CA of the masters'), or `rtu` with the path of a link to the pty (empty for none)."""
    units: Sequence[TwinUnit]


class TwinSite:
    """Everything of the plant; also an async context manager.

    Args:
        buses: what to serve.
        config: of each plant with a converter; its `grid` and `load` are the site's.
        seed: the same seed gives the same plant.
        speed: simulated seconds for each second.

    Raises:
        ValueError: two devices have one name, or one unit id on one bus.
        OSError: a certificate cannot be read.
    """

    def __init__(
        self,
        buses: Iterable[TwinBus],
        *,
        config: PlantConfig | None = None,
        seed: int = 0,
        speed: float = 1.0,
        dense: bool = False,
    ) -> None:
        plan = list(buses)
        units = [unit for bus in plan for unit in bus.units]
        config = config or PlantConfig()
        step = min(max(len(units) * speed / _STEPS, config.step), max(_STEP_MAX, config.step))
        self.config = replace(config, step=step)
        self.connection = ConnectionPoint(
            config.grid, config.load, seed=seed, start_hour=config.start_hour, step=step
        )
        self._compiled: dict[int, CompiledProfile] = {}
        profiles = {unit.name: unit.profile for unit in units}
        traits = {unit.name: unit.traits for unit in units}
        plants = plants_behind(profiles, self.config, self.connection, seed, traits)
        self.devices: dict[str, TwinDevice] = {}
        for unit in units:
            if unit.name in self.devices:
                raise ValueError(f"two devices are called {unit.name!r}; give each its own name")
            self.devices[unit.name] = TwinDevice(
                unit.profile,
                plants[unit.name],
                dense=dense,
                unit=unit.unit,
                stations=unit.stations,
                compiled=self._compile(unit.profile),
            )
        tick = min(max(step / speed, _TICK[0]), _TICK[1])
        self.clock = TwinClock(self.devices.values(), speed, tick)
        self.buses = [self._bus(bus) for bus in plan]

    @property
    def members(self) -> dict[str, tuple[TwinServer | TwinSerial, TwinDevice]]:
        """Bus and device of each name."""
        names = {id(device): name for name, device in self.devices.items()}
        return {names[id(device)]: (bus, device) for bus in self.buses for device in bus.devices.values()}

    async def start(self) -> None:
        """Serve every bus, or none.

        Raises:
            OSError: an address cannot be listened on.
        """
        try:
            for bus in self.buses:
                await bus.start()
        except BaseException:
            await self.stop()
            raise
        self.clock.start()

    async def stop(self) -> None:
        """Stop serving, and time."""
        await asyncio.gather(*(bus.stop() for bus in self.buses))
        await self.clock.stop()

    async def __aenter__(self) -> TwinSite:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _compile(self, profile: Profile) -> CompiledProfile:
        if id(profile) not in self._compiled:
            self._compiled[id(profile)] = compile_profile(profile)
        return self._compiled[id(profile)]

    def _bus(self, bus: TwinBus) -> TwinServer | TwinSerial:
        at = bus.endpoint
        devices: dict[int, TwinDevice] = {}
        for unit in bus.units:
            if unit.unit in devices:
                raise ValueError(f"{at}: unit {unit.unit} is taken twice; give each device its own")
            devices[unit.unit] = self.devices[unit.name]
        if at.transport == "rtu":
            link = Path(at.path) if at.path else None
            return TwinSerial(devices=devices, link=link, clock=self.clock)
        tls = None
        if at.transport == "tls":
            if at.cert is None or at.key is None or at.ca is None:
                raise ValueError(f"{at}: TLS is mutual; give cert, key and ca")
            tls = server_tls(cert=at.cert, key=at.key, ca=at.ca)
        return TwinServer(
            host=at.host, port=at.port, devices=devices, transport=at.transport, tls=tls, clock=self.clock
        )


class SiteDevice(Protocol):
    """A device of a site file, as `bessai.site` loads it.

    `stations`, `batteries`, `capacity` and `power_min` count as well, where it has them.
    """

    @property
    def name(self) -> str:
        """Empty for the only device of a site."""

    @property
    def profile(self) -> Profile | None:
        """What it is; None cannot be simulated."""

    @property
    def endpoint(self) -> Endpoint:
        """Equal ones are one bus."""

    @property
    def unit(self) -> int:
        """Unit id on the bus."""

    @property
    def role(self) -> str:
        """What the site uses it for."""


def from_site(
    devices: Iterable[SiteDevice],
    *,
    config: PlantConfig | None = None,
    seed: int = 0,
    speed: float = 1.0,
    host_override: str = "127.0.0.1",
    port: int = 5020,
    dense: bool = False,
    soc: Mapping[str, float] | None = None,
) -> tuple[TwinSite, dict[Endpoint, TwinServer | TwinSerial]]:
    """The simulation of a site, and which bus of it stands for each endpoint of the real one.

    Network endpoints are served on `host_override` at consecutive ports from `port` on (0: any free ones), serial
    lines on ptys. TLS endpoints are served as plain Modbus TCP: the certificates are the real plant's. `soc` is the
    state of charge in % at the start, by device, where it is not the plant's.

    Raises:
        ValueError: see `TwinSite`; or a device has no profile, or `soc` names one that is not there.
    """
    shared: dict[Endpoint, list[TwinUnit]] = {}
    socs = dict(soc or {})
    for device in devices:
        if device.profile is None:
            raise ValueError(f"device {device.name!r} has no profile to simulate")
        stations: Mapping[str, int] = getattr(device, "stations", {})
        unit = TwinUnit(
            name=device.name or device.profile.id,
            profile=device.profile,
            unit=device.unit,
            stations=stations,
            traits=Traits(
                batteries=getattr(device, "batteries", ()),
                capacity=getattr(device, "capacity", None),
                soc=socs.pop(device.name, None),
                power_min=getattr(device, "power_min", 0.0),
            ),
        )
        shared.setdefault(device.endpoint, []).append(unit)
    if socs:
        raise ValueError(f"there is no device {next(iter(socs))!r} that could have a state of charge")
    buses: list[TwinBus] = []
    at = port
    for endpoint, units in shared.items():
        if endpoint.transport == "rtu":
            served = Endpoint(transport="rtu", baudrate=endpoint.baudrate)
        else:
            served = Endpoint(
                transport="rtu+tcp" if endpoint.transport == "rtu+tcp" else "tcp", host=host_override, port=at
            )
            at += 1 if port else 0
        buses.append(TwinBus(served, units))
    site = TwinSite(buses, config=config, seed=seed, speed=speed, dense=dense)
    return site, dict(zip(shared, site.buses, strict=True))
