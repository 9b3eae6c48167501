"""The digital twin: a simulated battery plant behind a real Modbus TCP server, made from a device profile.

    from bessai.registry import load_profile
    from bessai.twin import Plant, PlantConfig, TwinServer

    profile = load_profile("registry/huawei_sun2000.json")
    async with TwinServer(profile, Plant(PlantConfig(), seed=7), port=0, speed=60) as twin:
        host, port = twin.address          # any Modbus client may read it now
        twin.device.force("soc", 5.0)      # … and is told this
        twin.faults.busy = 3               # … after three times "busy"

Three layers, each usable alone:

* `Plant` is physics in simulated time: `battery`, `pcs`, `grid` and `meter`, stepped by `plant`. It is
  deterministic for a seed, and its energy balance closes.
* `TwinDevice` gives the plant the registers of a profile (`registers`, `startup`, `quantities`), understands
  what the registers command (`control`) and falls back by itself when the master is silent (`deadman`).
* `TwinServer` puts the device on the wire (`server`, `connection`), with `faults`. It needs
  pymodbus; the rest does not.

Signs are the generator convention, power is in kW: + discharges and exports.
"""

from typing import TYPE_CHECKING, Any

from bessai.twin.battery import BatteryConfig
from bessai.twin.device import TwinDevice, Written
from bessai.twin.faults import Faults
from bessai.twin.grid import GridConfig, GridEvent
from bessai.twin.image import Exc, RefusedError
from bessai.twin.meter import LoadConfig
from bessai.twin.pcs import PcsConfig
from bessai.twin.plant import Plant, PlantConfig, PlantState

if TYPE_CHECKING:
    from bessai.twin.server import TwinServer

__all__ = [
    "BatteryConfig",
    "Exc",
    "Faults",
    "GridConfig",
    "GridEvent",
    "LoadConfig",
    "PcsConfig",
    "Plant",
    "PlantConfig",
    "PlantState",
    "RefusedError",
    "TwinDevice",
    "TwinServer",
    "Written",
]


def __getattr__(name: str) -> Any:
    if name == "TwinServer":  # pymodbus is imported only by those who serve
        from bessai.twin.server import TwinServer  # noqa: PLC0415

        return TwinServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
