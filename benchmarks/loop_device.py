"""A fresh ext4 on a file, and what reaches its device. Needs root and loop devices."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SECTOR = 512
_BYTES = 512 << 20


def missing() -> str:
    """Why there can be none here; empty when there can."""
    if os.geteuid():
        return "device writes need root, to mount a file system of their own"
    for tool in ("mkfs.ext4", "losetup", "mount"):
        if shutil.which(tool) is None:
            return f"device writes need {tool}"
    return "" if Path("/dev/loop-control").exists() else "device writes need loop devices"


class LoopDevice:
    """A mounted file system. Use `mounted`."""

    def __init__(self, device: str, path: Path) -> None:
        self.path = path
        self._stat = Path("/sys/block") / Path(device).name / "stat"

    def written(self) -> int:
        """Bytes written to the device so far."""
        return int(self._stat.read_text(encoding="ascii").split()[6]) * _SECTOR

    def sync(self) -> None:
        """Bring everything that waits in memory to the device."""
        subprocess.run(["sync", "-f", str(self.path)], check=True)


@contextmanager
def mounted(directory: Path, name: str, options: str = "defaults") -> Iterator[LoopDevice]:
    """A new file system of its own on `directory/name`, as `mkfs.ext4` makes one, with blocks of 4 KiB."""
    image, path = directory / f"{name}.img", directory / name
    with image.open("wb") as file:
        file.truncate(_BYTES)
    eager = "lazy_itable_init=0,lazy_journal_init=0"  # or the kernel writes tables while we measure
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-E", eager, str(image)], check=True)
    found = subprocess.run(
        ["losetup", "-f", "--show", str(image)], check=True, capture_output=True, text=True
    )
    device = found.stdout.strip()
    path.mkdir()
    try:
        subprocess.run(["mount", "-o", options, device, str(path)], check=True)
        try:
            yield LoopDevice(device, path)
        finally:
            subprocess.run(["umount", str(path)], check=True)
    finally:
        subprocess.run(["losetup", "-d", device], check=True)
