"""IEC 60870-5-104: the ASDUs, the link layer and a small controlling station.

`asdu` and `link` do no I/O. Read `asdu` first, then `link`.
"""

from __future__ import annotations

from bessai.iec104.asdu import (
    MAX_SIZE,
    SIZES,
    Asdu,
    Header,
    InfoObject,
    Sizes,
    decode,
    encode,
    mirrored,
    pack,
)
from bessai.iec104.errors import AsduError, LinkError, Reason
from bessai.iec104.link import (
    Acknowledged,
    Failed,
    Link,
    LinkEvent,
    LinkSettings,
    Received,
    Started,
    Stopped,
)
from bessai.iec104.time_tag import TimeMark, decode_time, encode_time
from bessai.iec104.types import Cause, CounterBit, Double, QualityBit, Step, TypeId

__all__ = [
    "MAX_SIZE",
    "SIZES",
    "Acknowledged",
    "Asdu",
    "AsduError",
    "Cause",
    "CounterBit",
    "Double",
    "Failed",
    "Header",
    "InfoObject",
    "Link",
    "LinkError",
    "LinkEvent",
    "LinkSettings",
    "QualityBit",
    "Reason",
    "Received",
    "Sizes",
    "Started",
    "Step",
    "Stopped",
    "TimeMark",
    "TypeId",
    "decode",
    "decode_time",
    "encode",
    "encode_time",
    "mirrored",
    "pack",
]
