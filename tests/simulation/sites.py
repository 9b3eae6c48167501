"""The gateway's site of some seats, without a site file."""

from __future__ import annotations

from collections.abc import Sequence

from bessai.registry import CompiledProfile
from bessai.site import Device, Site, single_device_site
from bessai.site.site import compose_layout
from simulation.seat import Seat


def site_of(seats: Sequence[Seat]) -> Site:
    """The site of these devices, without a site file."""
    first = seats[0]
    if len(seats) == 1:
        return single_device_site(first.profile, first.endpoint, profile=first.place.profile)
    devices, start = [], 0
    for seat in seats:
        layout = seat.profile.layout
        devices.append(_device(seat, seat.profile, slice(start, start + len(layout))))
        start += len(layout)
    layout = compose_layout({}, [(device.name, device.compiled.layout) for device in devices])
    return Site(name="simulated", file=None, devices=tuple(devices), layout=layout)


def _device(seat: Seat, compiled: CompiledProfile, columns: slice) -> Device:
    return Device(
        name=seat.name,
        compiled=compiled,
        profile=seat.place.profile,
        role="inverter",
        endpoint=seat.endpoint,
        unit=compiled.connection.unit,
        stations=dict(compiled.connection.stations),
        control=True,
        power_min=seat.place.power_min,
        columns=columns,
    )
