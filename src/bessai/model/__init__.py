"""The vocabulary of the gateway: pure values, no I/O.

* **Sign** is the generator convention everywhere: positive power discharges or exports, negative charges
  or imports. A profile's negative gain is where a device's own sign ends.
* **Units** are kW, kvar, V, A, Hz, %, °C and kWh. A point has one unit, declared once.
* **Quality** and the time of measurement travel with every value. A value that is not `Quality.GOOD` is
  never evidence that the plant is safe.
* **Time** is UTC nanoseconds for people and clouds, monotonic seconds for every timer and age.

`Layout` names the columns of a plant, `ProcessImage` holds one frozen reading of them, `Request` asks for
power, `Operation` is what a person does to the gateway itself, `Decision` says what was chosen and why,
`Command` is what may be written, `CycleRecord` and `Event` are what the journal keeps.
"""

from bessai.model.clock import Clock, SystemClock
from bessai.model.command import Command, Write, WriteOutcome
from bessai.model.condition import Condition
from bessai.model.control import (
    Bounds,
    Considered,
    Decision,
    GuardState,
    Priority,
    Request,
    Role,
    Trip,
    UnitDecision,
)
from bessai.model.endpoint import Endpoint, parse_endpoint, split_address
from bessai.model.event import Event, Severity
from bessai.model.image import Layout, ProcessImage
from bessai.model.operation import ALL, Operation
from bessai.model.quality import Quality
from bessai.model.record import CycleRecord, CycleTiming
from bessai.model.vocabulary import SHARED_POINTS, SharedPoint

__all__ = [
    "ALL",
    "SHARED_POINTS",
    "Bounds",
    "Clock",
    "Command",
    "Condition",
    "Considered",
    "CycleRecord",
    "CycleTiming",
    "Decision",
    "Endpoint",
    "Event",
    "GuardState",
    "Layout",
    "Operation",
    "Priority",
    "ProcessImage",
    "Quality",
    "Request",
    "Role",
    "Severity",
    "SharedPoint",
    "SystemClock",
    "Trip",
    "UnitDecision",
    "Write",
    "WriteOutcome",
    "parse_endpoint",
    "split_address",
]
