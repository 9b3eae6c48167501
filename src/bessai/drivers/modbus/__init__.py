"""Modbus over every transport: TCP, TLS, a serial line, and serial frames through a TCP converter.

    client = ModbusClient(parse_endpoint("rtu:///dev/ttyUSB0?baudrate=19200&parity=E"))
    client.register(7, Manners(timeout=1.0))
    await client.connect()
    (reply,) = await client.transact(7, [read("holding", 100, 2)])  # bytes, or the error that stands for them

Requests and replies are `pdu` and `identification`, frames `mbap` and `rtu`, all without I/O. `link` opens a
connection (`serial` and `tls` know theirs), `units` learns each unit's latency, `batches` keeps the order, and
`client` is the small state machine on `asyncio.Protocol` that joins them: a window of requests in flight, one
future per batch. Nothing in it allocates a task or a timer per request; see decision 0002 for the measurements
behind that.
"""

from bessai.drivers.modbus.batches import Reply, Urgency
from bessai.drivers.modbus.client import ModbusClient
from bessai.drivers.modbus.errors import (
    BadReply,
    ConnectionFailed,
    DeviceException,
    ModbusError,
    NoReply,
    NotSent,
    OtherService,
    exception_name,
)
from bessai.drivers.modbus.identification import (
    Identification,
    identification,
    identify,
    parse_identification,
)
from bessai.drivers.modbus.manners import Manners
from bessai.drivers.modbus.pdu import READ_CODES, Request, mask_write, read, read_write, write
from bessai.drivers.modbus.stats import ClientStats
from bessai.drivers.modbus.talk import Latency, Talk, latency_of

__all__ = [
    "READ_CODES",
    "BadReply",
    "ClientStats",
    "ConnectionFailed",
    "DeviceException",
    "Identification",
    "Latency",
    "Manners",
    "ModbusClient",
    "ModbusError",
    "NoReply",
    "NotSent",
    "OtherService",
    "Reply",
    "Request",
    "Talk",
    "Urgency",
    "exception_name",
    "identification",
    "identify",
    "latency_of",
    "mask_write",
    "parse_identification",
    "read",
    "read_write",
    "write",
]
