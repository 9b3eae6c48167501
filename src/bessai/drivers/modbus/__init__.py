"""Modbus: requests and replies (`pdu`), the TCP frame (`mbap`) and the client (`client`).

The client is a small state machine on `asyncio.Protocol`: a queue of batches, a window of requests in flight,
one future per batch. Nothing in it allocates a task or a timer per request; see decision 0002 for the
measurements behind that.
"""

from bessai.drivers.modbus.client import ClientStats, ModbusClient, Urgency
from bessai.drivers.modbus.errors import (
    BadReply,
    ConnectionFailed,
    DeviceException,
    ModbusError,
    NoReply,
    NotSent,
)
from bessai.drivers.modbus.manners import Manners
from bessai.drivers.modbus.pdu import Request, read, write

__all__ = [
    "BadReply",
    "ClientStats",
    "ConnectionFailed",
    "DeviceException",
    "Manners",
    "ModbusClient",
    "ModbusError",
    "NoReply",
    "NotSent",
    "Request",
    "Urgency",
    "read",
    "write",
]
