"""Grid-code functions that run in the control cycle: frequency, voltage and the grid operator's active power.

`GridFunctions` sees one process image a cycle and answers with leases: a frequency response as an offset in kW, kvar
of the chosen voltage mode, and the operator's set-point, maximum and ramp. The guard alone decides. `PARAMETERS`
lists every adjustable value with its limits and the clause that they come from; `load_grid` reads GRID_FILE. See
docs/grid-functions.md.
"""

from bessai.grid.config import GridConfig, GridPoints
from bessai.grid.functions import GridFunctions
from bessai.grid.loading import GridError, load_grid
from bessai.grid.parameters import NONE, PARAMETERS, Parameter, Value
from bessai.grid.schema import grid_json_schema
from bessai.grid.signals import TestSignal

__all__ = [
    "NONE",
    "PARAMETERS",
    "GridConfig",
    "GridError",
    "GridFunctions",
    "GridPoints",
    "Parameter",
    "TestSignal",
    "Value",
    "grid_json_schema",
    "load_grid",
]
