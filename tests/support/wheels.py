"""Wheels of the gateway, made in a moment: they borrow the code of this tree and change a line of it."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "bessai"


def wheel(
    directory: Path, version: str, *, more: str = "", requires: str = "", name: str = "open-bess-edge"
) -> Path:
    """A wheel that says `version` and runs the code of this tree.

    Args:
        directory: where it goes.
        version: of the wheel, and what the gateway calls itself.
        more: Python that runs when any of its programs starts; `me` is the command line's words.
        requires: a requirement.
        name: of the distribution.
    """
    head = f"__path__ = [*__path__, {str(PACKAGE)!r}]\n__version__ = {version!r}\nimport sys\nme = sys.orig_argv\n"
    stem = f"{name.replace('-', '_')}-{version}"
    files = {
        "bessai/__init__.py": head + more,
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/entry_points.txt": "[console_scripts]\nbessai = bessai.cli:main\n",
    }
    record = f"{stem}.dist-info/RECORD"
    rows = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in files.items()]
    files[record] = "\n".join([*rows, f"{record},,", ""])
    path = directory / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path


def changed(original: Path, version: str, more: str = "") -> Path:
    """A copy of a real wheel, beside it, that calls itself another version and runs `more` when it starts."""
    _, old, *rest = original.stem.split("-")
    path = original.with_name("-".join(["open_bess_edge", version, *rest]) + ".whl")
    with zipfile.ZipFile(original) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "bessai/__init__.py":
                data = data.replace(f'"{old}"'.encode(), f'"{version}"'.encode())
                data += f"import sys\nme = sys.orig_argv\n{more}".encode()
            elif name.endswith("/METADATA"):
                data = data.replace(f"Version: {old}\n".encode(), f"Version: {version}\n".encode(), 1)
            elif name.endswith("/RECORD"):
                lines = data.decode().replace(f"-{old}.dist-info", f"-{version}.dist-info").splitlines()
                data = "\n".join(
                    "bessai/__init__.py,," if line.startswith("bessai/__init__.py,") else line
                    for line in lines
                ).encode()
            target.writestr(name.replace(f"-{old}.dist-info", f"-{version}.dist-info"), data)
    return path


def sums(directory: Path) -> Path:
    """SHA256SUMS of all files of a directory."""
    files = sorted(
        path for path in directory.rglob("*") if path.is_file() and not path.name.startswith("SHA256SUMS")
    )
    lines = (
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(directory)}" for path in files
    )
    (directory / "SHA256SUMS").write_text("".join(f"{line}\n" for line in lines))
    return directory / "SHA256SUMS"


def environment(path: Path, *wheels: Path) -> None:
    """A virtual environment that finds the packages of this one, with wheels installed into it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(path)], check=True)
    (packages,) = path.glob("lib/python3*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for one in wheels:
        command = [str(path / "bin" / "python"), "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
        subprocess.run([*command, "--ignore-installed", "--disable-pip-version-check", str(one)], check=True)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
