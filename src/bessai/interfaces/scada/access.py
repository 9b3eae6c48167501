"""Who may connect and who may command, by address."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_Address = IPv4Address | IPv6Address


class AddressList:
    """Addresses and networks, in order. Empty: nobody."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._networks = [ip_network(entry, strict=False) for entry in entries]

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and self.rank(address) is not None

    def rank(self, address: str) -> int | None:
        """Position of the first entry that covers an address; None when none does, or it is no address."""
        try:
            found: _Address = ip_address(address)
        except ValueError:
            return None
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        for i, network in enumerate(self._networks):
            if found in network:
                return i
        return None
