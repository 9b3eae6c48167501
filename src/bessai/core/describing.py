"""What the gateway is configured as, told over the local socket to whoever shows it; nothing secret leaves here.

{"op": "configuration"}                        # settings with secrets masked, the site, the grid functions' plant
{"op": "devices", "from": 0, "count": 100}     # how the devices are, some at a time
{"op": "point", "name": "rack_2.soc"}          # where a point comes from, and its registers as they last came
{"op": "registers", "device": "rack_2", "from": 0, "count": 300}    # the same in short of a device's points
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from bessai.core.limits import Limits
from bessai.core.settings import Settings
from bessai.drivers import Pace, Registers
from bessai.drivers.modbus import READ_CODES
from bessai.grid import GridConfig
from bessai.model.masking import MASK, masked
from bessai.site import Device, Site

__all__ = ["MASK", "Description", "masked", "settings_as_plain"]

Handler = Callable[[dict[str, Any]], dict[str, Any]]

MOST_DEVICES = 200
"""Of one answer: more would hold the cycle up."""
MOST_POINTS = 300
"""The same."""


class Description:
    """Answers questions about the configuration. Everything but the devices' state is fixed at the start.

    Args:
        settings: checked settings.
        site: the devices.
        limits: of every battery.
        grid: what the grid functions know of the plant; None: there are none.
        device: gives the state of one device.
        registers: gives the registers of a point of a device as they last came; None: they never did.
    """

    def __init__(
        self,
        settings: Settings,
        site: Site,
        limits: Limits,
        grid: GridConfig | None,
        device: Callable[[str], dict[str, Any] | None],
        registers: Callable[[str, str], Registers | None],
    ) -> None:
        self._settings = settings
        self._site = site
        self._limits = limits
        self._grid = grid
        self._device = device
        self._registers = registers

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By `op`. A handler answers, or raises ValueError with the mend."""
        return {
            "configuration": self._configuration,
            "devices": self._devices,
            "point": self._point,
            "registers": self._device_registers,
        }

    def _configuration(self, _: dict[str, Any]) -> dict[str, Any]:
        site = self._site
        return {
            "settings": settings_as_plain(self._settings),
            "site": {
                "name": self._settings.site_id,
                "file": None if site.file is None else str(site.file),
                "devices": len(site.devices),
                "points": len(site.layout),
                "plant_points": list(site.plant),
                "commanded": [device.name for device in site.units],
                "scada": site.scada is not None,
            },
            "limits": {
                "chemistry": self._limits.chemistry,
                "soc_min": self._limits.soc_min,
                "soc_max": self._limits.soc_max,
            },
            "grid": None if self._grid is None else _grid_as_plain(self._grid),
        }

    def _devices(self, message: dict[str, Any]) -> dict[str, Any]:
        first, count = _whole(message, "from", 0), _whole(message, "count", MOST_DEVICES)
        if not 1 <= count <= MOST_DEVICES:
            raise ValueError(f"count={count}: give 1 to {MOST_DEVICES}")
        chosen = self._site.devices[first : first + count]
        return {
            "total": len(self._site.devices),
            "devices": [{**self._fixed(device), **(self._device(device.name) or {})} for device in chosen],
        }

    def _fixed(self, device: Device) -> dict[str, Any]:
        profile = device.profile
        once = device.compiled.plans.get("once")
        return {
            "manufacturer": device.compiled.manufacturer,
            "control": device.control,
            "period": self._pace(device).cycle,
            "capacity": device.capacity,
            "points": len(device.compiled.layout),
            "read_once": [
                self._site.layout.names[device.columns.start + int(column)]
                for column in (() if once is None else once.columns)
            ],
            "caveats": [] if profile is None else [caveat.text for caveat in profile.caveats],
        }

    def _point(self, message: dict[str, Any]) -> dict[str, Any]:
        name = message.get("name")
        if not isinstance(name, str) or name not in self._site.layout.index:
            raise ValueError(f"there is no point {name!r:.80}")
        column = self._site.layout.index[name]
        for device in self._site.devices:
            if device.columns.start <= column < device.columns.stop:
                return {"point": self._of_device(device, column)}
        behind = [device.name for device in self._site.behind(name)]
        return {"point": {"device": None, "computed_from": behind[:200]}}

    def _device_registers(self, message: dict[str, Any]) -> dict[str, Any]:
        first, count = _whole(message, "from", 0), _whole(message, "count", MOST_POINTS)
        if not 1 <= count <= MOST_POINTS:
            raise ValueError(f"count={count}: give 1 to {MOST_POINTS}")
        name = message.get("device")
        device = next((device for device in self._site.devices if device.name == name), None)
        if device is None:
            raise ValueError(f"there is no device {name!r:.80}")
        names = device.compiled.layout.names
        site_names = self._site.layout.names[device.columns]
        return {
            "total": len(names),
            "points": {
                site_names[i]: self._source(device, names[i])
                for i in range(first, min(first + count, len(names)))
            },
        }

    def _source(self, device: Device, name: str) -> dict[str, Any]:
        """Where a point is read, and what came."""
        point = device.compiled.points[name]
        came = self._registers(device.name, name)
        return {
            "address": point.address,
            "table": point.table,
            "function": READ_CODES[point.table],
            "type": point.type,
            "gain": point.gain,
            "raw": None if came is None else list(came.words),
            "raw_age": None if came is None else round(came.age, 3),
        }

    def _of_device(self, device: Device, column: int) -> dict[str, Any]:
        compiled = device.compiled
        name = compiled.layout.names[column - device.columns.start]
        point = compiled.points[name]
        profile = device.profile
        pace = self._pace(device)
        every = None if point.poll == "never" else max(pace.period(point.poll), pace.cycle)
        return {
            "device": device.name,
            "profile": compiled.id,
            **self._source(device, name),
            "registers": point.registers,
            "offset": point.offset,
            "scale": point.scale,
            "access": point.access,
            "poll": point.poll,
            "read_every": every if every is not None and math.isfinite(every) else None,
            "valid": None if point.valid is None else list(point.valid),
            "description": point.description or None,
            "sources": [
                profile.sources[source].title if profile is not None else source for source in point.sources
            ],
        }

    def _pace(self, device: Device) -> Pace:
        """As `core.plant` reads it."""
        cycle = self._settings.cycle_time
        return Pace(cycle=cycle if device.control else max(cycle, device.period or 1.0))


def settings_as_plain(settings: Settings) -> list[dict[str, Any]]:
    """Every setting: name, value, default, description, where it comes from. Secrets are masked, also in addresses."""
    plain = settings.model_dump(mode="json")
    told = []
    for field, value in plain.items():
        name, info = field.upper(), type(settings).model_fields[field]
        default = None if info.is_required() else info.default
        given = field in settings.model_fields_set
        source = "default" if not given else "environment" if os.environ.get(name) else "file"
        told.append(
            {
                "name": name,
                "value": masked(name, value),
                "default": masked(name, _plain(default)),
                "description": info.description or "",
                "source": source,
                "required": info.is_required(),
            }
        )
    return told


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _grid_as_plain(config: GridConfig) -> dict[str, Any]:
    return {
        "rated_power": config.rated_power,
        "rated_apparent_power": config.rated_apparent_power,
        "nominal_voltage": config.nominal_voltage,
        "nominal_frequency": config.nominal_frequency,
        "converters": config.converters,
        "short_circuit_power": config.short_circuit_power,
        "points": asdict(config.points),
        "capability": [list(corner) for corner in config.capability],
    }


def _whole(message: Mapping[str, Any], key: str, default: int) -> int:
    value = message.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{key}={value!r:.40}: give a whole number, 0 or more")
    return value
