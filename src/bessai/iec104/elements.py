"""The information elements: how the value of one object, without its address and time, is written.

An element is a pair of functions. Values of the monitoring direction never fail to encode for their size: what the
type cannot hold goes out as the nearest value with the overflow mark (OV), what is not a number as zero with the
invalid mark (IV). A command that does not fit is an error, for nobody may command something else than was asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from struct import Struct

from bessai.iec104.errors import AsduError, Reason

Value = bool | int | float | None
"""Value of an object: bool (single), int (double, step, scaled, counter, bits, qualifiers), float, or none."""
