"""A small file system that can be filled to the last byte."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk_of(megabytes: int, directory: Path) -> Iterator[Path]:
    """A tmpfs of that size below `directory`; skips the test where none can be mounted."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("needs mount and umount")
    disk = directory / "disk"
    disk.mkdir()
    command = [mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run([umount, "-l", str(disk)], check=False)


def occupy(path: Path) -> None:
    """Fill what is left of the disk, down to the last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 65536, 4096, 512, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def remount(disk: Path, how: str) -> None:
    """Make it read-only (`ro`, while nothing is being written) or writable again (`rw`)."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)
