"""What can go wrong between a request and its reply."""

from __future__ import annotations

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge: still working",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not respond",
}


def exception_name(code: int) -> str:
    """What an exception code of the protocol means."""
    return _EXCEPTIONS.get(code, "unknown")


class ModbusError(Exception):
    """Base of all failures of one request."""


class DeviceException(ModbusError):  # noqa: N818 - the protocol's own word
    """The device answered with an exception code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"device answered exception {code} ({exception_name(code)})")

    @property
    def busy(self) -> bool:
        """True when the same request may succeed a moment later."""
        return self.code in {4, 5, 6, 10, 11}

    @property
    def unreadable(self) -> bool:
        """True when the device refuses the address, so that smaller reads may find the part that exists."""
        return self.code in {2, 3}


class NoReply(ModbusError):  # noqa: N818
    """No reply came in time."""


class BadReply(ModbusError):  # noqa: N818
    """A reply came that does not belong to the request, or is not Modbus at all."""


class OtherService(BadReply):
    """Something answers that speaks another protocol, so there is no Modbus device at this port."""


class NotSent(ModbusError):  # noqa: N818
    """The request was dropped before it was sent, because an earlier one of its batch failed."""


class ConnectionFailed(ModbusError):  # noqa: N818
    """There is no connection, or it was lost while waiting."""
