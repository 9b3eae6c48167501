"""A serial line as an asyncio transport, on nothing but POSIX."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import grp
import os
import stat
import termios
from pathlib import Path

from bessai.drivers.modbus.errors import ConnectionFailed
from bessai.model import Endpoint

_READ = 4096
_BYTE_SIZES = {7: termios.CS7, 8: termios.CS8}


def character_time(endpoint: Endpoint) -> float:
    """Seconds one byte takes on the wire, with start, parity and stop bits."""
    bits = 1 + endpoint.bytesize + (endpoint.parity != "N") + endpoint.stopbits
    return bits / endpoint.baudrate


def silent_interval(endpoint: Endpoint) -> float:
    """Seconds of silence between two frames: 3.5 characters, fixed at 1.75 ms above 19200 baud."""
    return 0.00175 if endpoint.baudrate > 19200 else 3.5 * character_time(endpoint)


class SerialTransport(asyncio.Transport):
    """An open serial line that belongs to this process alone.

    Args:
        endpoint: file, speed and framing.
        protocol: told of bytes and of the end, like that of a socket.

    Raises:
        ConnectionFailed: says why the line cannot be opened, and who may mend it.
    """

    def __init__(self, endpoint: Endpoint, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._unsent = b""
        self._fd = _open(endpoint)
        self._loop.add_reader(self._fd, self._readable)
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send as soon as the line takes it."""
        if self._fd < 0:
            return
        if self._unsent:
            self._unsent += bytes(data)
        else:
            self._unsent = bytes(data)
            self._writable()

    def is_closing(self) -> bool:
        """True once the line is given back."""
        return self._fd < 0

    def abort(self) -> None:
        """Give the line back at once; what is unsent is lost."""
        self._close(None)

    def close(self) -> None:
        """Same as `abort`: a request without its gateway is of no use."""
        self._close(None)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._close(error)
            return
        if data:
            self._protocol.data_received(data)
        else:
            self._close(OSError(errno.EIO, "the serial line is gone: unplugged?"))

    def _writable(self) -> None:
        try:
            sent = os.write(self._fd, self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._close(error)
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(self._fd, self._writable)
        else:
            self._loop.remove_writer(self._fd)

    def _close(self, error: OSError | None) -> None:
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(
                fd, termios.TCOFLUSH
            )  # else closing waits for bytes that an unplugged line never takes
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, termios.TIOCNXCL)
        os.close(fd)
        self._loop.call_soon(self._protocol.connection_lost, error)


def _open(endpoint: Endpoint) -> int:
    path = endpoint.path
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConnectionFailed(_why(path, error)) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _configure(fd, endpoint)
        fcntl.ioctl(fd, termios.TIOCEXCL)
    except BlockingIOError:
        os.close(fd)
        raise ConnectionFailed(_why(path, OSError(errno.EBUSY, ""))) from None
    except termios.error as error:
        os.close(fd)
        code, reason = error.args
        if code == errno.ENOTTY:
            raise ConnectionFailed(f"{path} is no serial line") from None
        raise ConnectionFailed(f"{endpoint}: the line does not take these settings: {reason}") from None
    except OSError as error:
        os.close(fd)
        raise ConnectionFailed(_why(path, error)) from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def _configure(fd: int, endpoint: Endpoint) -> None:
    """Raw bytes, no flow control, no echo. A pseudo terminal ignores size and parity; that is no error."""
    speed = getattr(termios, f"B{endpoint.baudrate}", None)
    if speed is None:
        raise ConnectionFailed(f"{endpoint}: this system knows no such speed; choose a standard one")
    control = termios.CREAD | termios.CLOCAL | _BYTE_SIZES[endpoint.bytesize]
    if endpoint.parity != "N":
        control |= termios.PARENB | (termios.PARODD if endpoint.parity == "O" else 0)
    if endpoint.stopbits == 2:
        control |= termios.CSTOPB
    characters = termios.tcgetattr(fd)[6]
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSANOW, [0, 0, control, 0, speed, speed, characters])
    if termios.tcgetattr(fd)[5] != speed:
        raise ConnectionFailed(f"{endpoint}: the adapter cannot do {endpoint.baudrate} baud; choose another")
    termios.tcflush(fd, termios.TCIOFLUSH)


def _why(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"there is no {path}: is the adapter plugged in?"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return (
            f"{path} may not be opened: add the gateway's user to the group {_group(path)} and start it again"
        )
    if error.errno == errno.EBUSY:
        return f"{path} is in use by another program; stop that one (`fuser {path}` names it)"
    if error.errno in {errno.ENXIO, errno.EIO, errno.ENODEV}:
        return f"{path} has no adapter behind it: is it plugged in?"
    return f"cannot open {path}: {os.strerror(error.errno or 0)}"


def _group(path: str) -> str:
    """The group that may use the line, `dialout` on Debian."""
    with contextlib.suppress(OSError, KeyError):
        found = Path(path).stat()
        if found.st_mode & stat.S_IRGRP and found.st_gid:
            return grp.getgrgid(found.st_gid).gr_name
    return "dialout"
