"""A capture file of TCP payloads, written by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path


def write_pcap(path: Path, payloads: Iterable[bytes], *, source: int = 40000, target: int = 2404) -> None:
    """One direction of one connection, one packet each."""
    address = b"\x7f\0\0\1"
    sequence = 1
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, payload in enumerate(payloads):
            tcp = struct.pack(">HHIIBBHHH", source, target, sequence, 1, 0x50, 0x18, 65535, 0, 0)
            size = 20 + len(tcp) + len(payload)
            ip = struct.pack(">BBHHHBBH", 0x45, 0, size, number, 0, 64, 6, 0) + address + address
            packet = bytes(12) + b"\x08\0" + ip + tcp + payload
            file.write(struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet)
            sequence += len(payload)
