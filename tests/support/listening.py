"""What the processes of a gateway listen on, as the kernel tells it."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

_LISTEN = "0A"
_UDP_FREE = "07"


def family(pid: int) -> set[int]:
    """A process and all that came of it."""
    found, waiting = set(), [pid]
    while waiting:
        one = waiting.pop()
        found.add(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                waiting += [int(child) for child in task.read_text().split()]
    return found


def listening(pid: int) -> set[tuple[str, str, int]]:
    """Kind, address and port of every socket that takes what comes from outside, by a process and its family."""
    inodes = {inode for one in family(pid) for inode in _sockets(one)}
    found = set()
    for kind, state in (("tcp", _LISTEN), ("tcp6", _LISTEN), ("udp", _UDP_FREE), ("udp6", _UDP_FREE)):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] == state and cells[9] in inodes:
                address, _, port = cells[1].partition(":")
                found.add((kind, _address(address), int(port, 16)))
    return found


def unix_sockets(pid: int) -> set[Path]:
    """Files of the sockets that a process and its family listen on."""
    inodes = {inode for one in family(pid) for inode in _sockets(one)}
    found = set()
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        cells = line.split(maxsplit=7)
        if cells[6] in inodes and cells[3] == "00010000" and len(cells) > 7:  # it accepts connections
            found.add(Path(cells[7]))
    return found


def _sockets(pid: int) -> set[str]:
    found = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(handle.readlink())
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def _address(text: str) -> str:
    raw = bytes.fromhex(text)
    words = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, words)
