"""Whose an address is."""

from __future__ import annotations

import contextlib
import ipaddress


def plain_address(address: str) -> str:
    """IPv4 in IPv6 is shown as IPv4."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def neighbourhood(address: str) -> str:
    """Whom a limit is for: an address, in IPv6 the network of 64 bits in which a machine takes as many as it likes."""
    plain = plain_address(address)
    if ":" not in plain or is_loopback(plain):
        return plain
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_network(f"{plain.partition('%')[0]}/64", strict=False))
    return plain


def is_loopback(address: str) -> bool:
    """An address of this machine alone."""
    try:
        return ipaddress.ip_address(plain_address(address)).is_loopback
    except ValueError:
        return address == "localhost"
