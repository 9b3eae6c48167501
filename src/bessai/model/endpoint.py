"""Where a device, or a bus with several, is reached."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

Transport = Literal["tcp", "tls", "rtu", "rtu+tcp"]

DEFAULT_PORTS: dict[Transport, int] = {"tcp": 502, "tls": 802, "rtu+tcp": 502}

_BAUDRATES = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
_SERIAL: dict[str, tuple[int | str, ...]] = {
    "baudrate": _BAUDRATES,
    "parity": ("N", "E", "O"),
    "stopbits": (1, 2),
    "bytesize": (7, 8),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An address and how it is spoken to.

    As text: `192.168.8.1:502`, `tcp://host:port`, `tls://host:802?ca=ca.pem&cert=gw.pem&key=gw.key`,
    `rtu+tcp://host:port` (serial frames through a converter), `rtu:///dev/ttyUSB0?baudrate=9600&parity=N`.
    """

    transport: Transport = "tcp"
    host: str = ""
    """IPv4, IPv6 or host name; empty for a serial line."""
    port: int = 502
    path: str = ""
    """The serial line's device file."""
    baudrate: int = 9600
    parity: str = "N"
    """N, E or O."""
    stopbits: int = 1
    bytesize: int = 8
    ca: Path | None = None
    """Certificates that may sign the device's; required for TLS."""
    cert: Path | None = None
    """The gateway's own certificate; Modbus/TCP Security is mutual."""
    key: Path | None = None
    server_name: str | None = None
    """Name in the device's certificate, when it is not the host."""

    @property
    def serial(self) -> bool:
        """True for a serial line, where several units share the wire."""
        return self.transport == "rtu"

    def __str__(self) -> str:
        if self.serial:
            return f"{self.path} ({self.baudrate} baud, {self.bytesize}{self.parity}{self.stopbits})"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.transport == "tcp" else f"{self.transport}://{host}:{self.port}"


def parse_endpoint(text: str, *, default_port: int | None = None, folder: Path | None = None) -> Endpoint:
    """The endpoint that a text names.

    Args:
        text: see `Endpoint`.
        default_port: port of a `tcp` endpoint that names none; 502 unless given.
        folder: where relative certificate files are looked for.

    Raises:
        ValueError: says what is wrong and what to write instead.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "tcp", text
    rest, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if scheme == "rtu":
        return _serial(text, rest, options)
    if scheme not in DEFAULT_PORTS:
        raise ValueError(f"{text!r}: {scheme!r} is no transport; use tcp, tls, rtu+tcp or rtu")
    transport: Transport = "tls" if scheme == "tls" else "rtu+tcp" if scheme == "rtu+tcp" else "tcp"
    fallback = default_port if transport == "tcp" and default_port is not None else DEFAULT_PORTS[transport]
    host, port = split_address(rest, fallback, whole=text)
    endpoint = Endpoint(transport=transport, host=host, port=port)
    return (
        _secured(text, endpoint, options, folder) if transport == "tls" else _plain(text, endpoint, options)
    )


def split_address(address: str, default_port: int, *, whole: str | None = None) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, `[v6]:port` or a bare IPv6 address.

    Raises:
        ValueError: says what is wrong with it.
    """
    shown = repr(whole or address)
    if address.startswith("["):
        host, closed, rest = address[1:].partition("]")
        if not closed:
            raise ValueError(f"{shown}: the bracket is not closed")
        port = rest.removeprefix(":")
    elif address.count(":") > 1:
        host, port = address, ""
    else:
        host, _, port = address.partition(":")
    if not host or "/" in host or not re.fullmatch(r"[^\s@]+", host):
        raise ValueError(f"{shown}: give HOST:PORT, for example 192.168.8.1:502")
    if not port:
        return host, default_port
    if not port.isdecimal() or len(port) > 5 or not 1 <= int(port) <= 65535:
        raise ValueError(f"{shown}: port {port!r} is not a number from 1 to 65535")
    return host, int(port)


def _serial(text: str, path: str, options: dict[str, str]) -> Endpoint:
    if not path.startswith("/"):
        raise ValueError(
            f"{text!r}: name the serial line's file, for example rtu:///dev/ttyUSB0?baudrate=9600"
        )
    values: dict[str, int | str] = {}
    for name, value in options.items():
        allowed = _SERIAL.get(name)
        if allowed is None:
            raise ValueError(f"{text!r}: unknown option {name!r}; use {', '.join(_SERIAL)}")
        given: int | str = int(value) if value.isdecimal() and len(value) < 9 else value.upper()
        if given not in allowed:
            raise ValueError(f"{text!r}: {name}={value} must be one of {', '.join(map(str, allowed))}")
        values[name] = given
    return replace(Endpoint(transport="rtu", path=path), **values)  # type: ignore[arg-type]


def _plain(text: str, endpoint: Endpoint, options: dict[str, str]) -> Endpoint:
    if options:
        raise ValueError(f"{text!r}: {endpoint.transport} takes no options; remove {', '.join(options)}")
    return endpoint


def _secured(text: str, endpoint: Endpoint, options: dict[str, str], folder: Path | None) -> Endpoint:
    ca, cert, key = (_file(text, name, options.pop(name, ""), folder) for name in ("ca", "cert", "key"))
    server_name = options.pop("server_name", None)
    if options:
        raise ValueError(f"{text!r}: unknown option {', '.join(options)}; use ca, cert, key, server_name")
    return replace(endpoint, ca=ca, cert=cert, key=key, server_name=server_name)


def _file(text: str, name: str, value: str, folder: Path | None) -> Path:
    if not value:
        raise ValueError(f"{text!r}: {name} is missing; TLS is mutual: give ?ca=FILE&cert=FILE&key=FILE")
    file = Path(value) if folder is None else folder / value
    try:
        found = file.is_file()
    except OSError:  # no file can have that name
        found = False
    if not found:
        raise ValueError(f"{text!r}: {name}: there is no file {file}")
    return file
