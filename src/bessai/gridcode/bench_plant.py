"""The simulated plant of the self-test: a storage converter, its battery, and a meter at the point of connection.

The converter is a SunSpec device with the DER models, so that power and vars are commanded through the registers that
the gateway uses with real ones; the meter is a profile of the registry. Both are the twin's, at register level. Sizes
are round numbers and no manufacturer's; the times below are what the rows depend on, and they are reported with them.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from bessai.grid import GridConfig
from bessai.registry import Profile
from bessai.registry.sunspec import Chain, GroupDef, ModelAt, load_model, sunspec_profile
from bessai.site import Site, load_site
from bessai.twin import BatteryConfig, LoadConfig, PcsConfig, PlantConfig, TwinDevice
from bessai.twin import GridConfig as TwinGrid
from bessai.twin.connection_point import ConnectionPoint
from bessai.twin.roles import Traits, plants_behind

STEP = 0.02
"""Seconds of a step of the plant, and between two samples of the witness."""
PCS, METER = "10.0.0.10", "10.0.0.20"
_MODELS = (1, 701, 702, 704, 713)
_BASE = 40000
_SITE = {
    "site": "gridcode-bench",
    "devices": {
        "pcs": {"profile": "sunspec.json", "role": "pcs", "endpoint": f"{PCS}:502", "control": True},
        "meter": {"profile": "janitza_umg", "role": "meter", "endpoint": f"{METER}:502"},
    },
    "points": {
        "soc": {"formula": "pcs.soc", "unit": "%"},
        "grid_voltage": {"formula": "(meter.line_voltage_ab + meter.line_voltage_bc + meter.line_voltage_ca) / 3",
                         "unit": "V"},
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is simulated. A real plant differs; so will its times."""

    rated_power: float = 1000.0
    """kW."""
    rated_apparent_power: float = 1100.0
    """kVA of the converter."""
    energy: float = 4000.0
    """kWh."""
    nominal_voltage: float = 400.0
    """V, line to line at the point of connection."""
    short_circuit_ratio: float = 5.0
    """Short-circuit power of the grid over the rated power; AT-IBR Art. 4-8 asks for 3 of grid-following plants."""
    power_lag: float = 0.15
    """Time constant in seconds with which the converter's active power follows its set-point."""
    reactive_lag: float = 0.05
    """The same of its reactive power."""
    cycle: float = 0.1
    """Seconds of the gateway's control cycle."""
    meter_period: float = 0.1
    """Seconds between readings of the meter."""
    latency: float = 0.002
    """Seconds from a request on the network to its answer."""
    frequency_noise: float = 0.0003
    """Hz, standard deviation of the grid's own frequency around nominal."""
    voltage_noise: float = 0.0001
    """Standard deviation of the grid's own voltage, as a share of nominal."""


class BenchPlant:
    """Plant, registers and site.

    Args:
        sizes: of the plant.
        seed: of everything that chance decides.
    """

    def __init__(self, sizes: Sizes, seed: int) -> None:
        self.sizes = sizes
        phase = sizes.nominal_voltage / 3**0.5
        self.connection = ConnectionPoint(
            TwinGrid(
                nominal_voltage=phase,
                frequency_deviation=sizes.frequency_noise,
                voltage_deviation=sizes.voltage_noise * phase,
                short_circuit_power=sizes.short_circuit_ratio * sizes.rated_power,
            ),
            LoadConfig(base=0.0, morning=0.0, evening=0.0, deviation=0.0),
            seed=seed,
            step=STEP,
        )
        self.site = _site(sizes)
        config = PlantConfig(
            battery=BatteryConfig(
                charge_power_max=1.1 * sizes.rated_power, discharge_power_max=1.1 * sizes.rated_power
            ),
            pcs=PcsConfig(
                apparent_power_max=sizes.rated_apparent_power,
                response_time=sizes.power_lag,
                reactive_response_time=sizes.reactive_lag,
                loss_constant=0.002 * sizes.rated_power,
                loss_square=0.006 / sizes.rated_power,
                heating=20.0 / sizes.rated_power,
            ),
            step=STEP,
        )
        profiles = {device.name: device.profile for device in self.site.devices if device.profile is not None}
        plants = plants_behind(
            profiles, config, self.connection, seed, {"pcs": Traits(capacity=sizes.energy)}
        )
        self.devices = {
            device.name: TwinDevice(
                profiles[device.name], plants[device.name], dense=True, compiled=device.compiled
            )
            for device in self.site.devices
        }
        self.places = {
            (device.endpoint.host, device.endpoint.port): {device.unit: self.devices[device.name]}
            for device in self.site.devices
        }

    @property
    def grid_config(self) -> GridConfig:
        """The grid file that fits this plant."""
        sizes = self.sizes
        return GridConfig(
            rated_power=sizes.rated_power,
            rated_apparent_power=sizes.rated_apparent_power,
            nominal_voltage=sizes.nominal_voltage,
            short_circuit_power=sizes.short_circuit_ratio * sizes.rated_power,
        )


def _site(sizes: Sizes) -> Site:
    """The site file, written and read again as an operator's is."""
    document = {**_SITE, "devices": {**_SITE["devices"]}}  # type: ignore[dict-item]
    document["devices"]["meter"] = {**document["devices"]["meter"], "period": sizes.meter_period}  # type: ignore[index]
    with tempfile.TemporaryDirectory(prefix="bessai-gridcode-") as folder:
        path = Path(folder)
        (path / "sunspec.json").write_text(
            pcs_profile().model_dump_json(by_alias=True, exclude_defaults=True), encoding="utf-8"
        )
        (path / "site.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        site = load_site(path / "site.yaml")
    return replace(site, file=None)


def pcs_profile() -> Profile:
    """A storage converter as SunSpec describes it: identity, measurements, ratings, controls and storage."""
    address, found = _BASE + 2, []
    for number in _MODELS:
        model = load_model(number)
        if model is None:
            raise ValueError(f"the definition of SunSpec model {number} is missing")
        found.append(ModelAt(id=number, address=address, length=_length(model.group) - 2))
        address = found[-1].end
    return sunspec_profile(Chain(base=_BASE, models=tuple(found)))


def _length(group: GroupDef) -> int:
    """Registers of a group with each repeating group once."""
    return sum(point.size for point in group.points) + sum(_length(inner) for inner in group.groups)
