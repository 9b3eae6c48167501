"""IEC 60870-5-104: the ASDUs, the link layer and a small controlling station.

`codec` and `link` do no I/O. Read `asdu` first, then `codec`, `link` and `client`.
"""

from __future__ import annotations

from bessai.iec104.asdu import MAX_SIZE, SIZES, Asdu, Header, InfoObject, Sizes
from bessai.iec104.client import Client, Refused
from bessai.iec104.codec import decode, encode, mirrored, pack, read_header
from bessai.iec104.connection import Connection
from bessai.iec104.errors import AsduError, LinkError, Reason
from bessai.iec104.link import Link
from bessai.iec104.link_events import (
    Acknowledged,
    Failed,
    LinkEvent,
    LinkSettings,
    Received,
    Started,
    Stopped,
)
from bessai.iec104.time_tag import TimeMark, decode_time, encode_time
from bessai.iec104.types import COUNTERS, STATION, Cause, CounterBit, Double, QualityBit, Step, TypeId

__all__ = [
    "COUNTERS",
    "MAX_SIZE",
    "SIZES",
    "STATION",
    "Acknowledged",
    "Asdu",
    "AsduError",
    "Cause",
    "Client",
    "Connection",
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
    "Refused",
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
    "read_header",
]
