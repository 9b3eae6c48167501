"""The digital twin: a simulated battery plant behind a real Modbus TCP server, made from a device profile.

    from bessai.registry import load_profile
    from bessai.twin import Plant, PlantConfig, TwinServer

    profile = load_profile("registry/huawei_sun2000.json")
    async with TwinServer(profile, Plant(PlantConfig(), seed=7), port=0, speed=60) as twin:
        host, port = twin.address          # any Modbus client may read it now
        twin.device.force("soc", 5.0)      # … and is told this
        twin.faults.busy = 3               # … after three times "busy"

Layers, each usable alone:

* `Plant` is physics in simulated time: `battery` and `pcs`, stepped by `plant`, at a `connection_point` with
  `grid`, load and `meter` that several plants may share. Deterministic for a seed; its energy balance closes.
* `TwinDevice` gives the plant the registers of a profile (`image`, `registers`, `startup`, `quantities`),
  understands what they command (`control`) and falls back by itself when the master is silent (`deadman`).
* `TwinServer` and `TwinSerial` put one device or several on a wire (`bus`, `connection`, `framing`), in the
  time of a `clock`. They need pymodbus; the rest does not.
* `MemoryNetwork` is a wire without sockets, on the simulated time of `sim_loop`, for a gateway in the same process.
* `TwinSite` is a whole plant on many buses (`site`, `roles`), also made from a site file (`site_file`).

`faults` says what may go wrong, `fault_table` how it is written, `fault_panel` and `control_socket` switch it
in a running simulator.

Signs are the generator convention, power is in kW: + discharges and exports.
"""

from importlib import import_module
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
    from bessai.twin.serial import TwinSerial
    from bessai.twin.server import TwinServer
    from bessai.twin.site import TwinBus, TwinSite, TwinUnit

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
    "TwinBus",
    "TwinDevice",
    "TwinSerial",
    "TwinServer",
    "TwinSite",
    "TwinUnit",
    "Written",
]


_SERVING = {
    "TwinBus": "site",
    "TwinSerial": "serial",
    "TwinServer": "server",
    "TwinSite": "site",
    "TwinUnit": "site",
}


def __getattr__(name: str) -> Any:
    if name in _SERVING:  # pymodbus is imported only by those who serve
        return getattr(import_module(f"bessai.twin.{_SERVING[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
