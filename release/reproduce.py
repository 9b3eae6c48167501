"""Two builds of the same sources, compared byte by byte: `python -m release.reproduce [--output DIR]`.

They differ in place, in the times and rights of the sources, in umask, time zone, language and in the seed of hashes.
Files in them carry the time of the commit, or SOURCE_DATE_EPOCH.
`--page DIR` takes a page that is built already, and spares Node; without it both builds build it themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from release.lock import ROOT

PAGE = Path("src/bessai/interfaces/api/page")
_OTHERWISE = {"TZ": "America/Santiago", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
_NO_NODE = "def build(target: object) -> None:\n    pass\n"


class BuildError(Exception):
    """A build failed; the message has all that it said."""


def sources(target: Path) -> None:
    """A copy of the tracked files, as they are in the working tree."""
    said = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, said.split("\0")):
        if not (ROOT / name).is_file():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)


def moment() -> str:
    """The time that the built files carry, in seconds of the Unix epoch."""
    command = ["git", "log", "-1", "--format=%ct"]
    return (
        os.environ.get("SOURCE_DATE_EPOCH") or subprocess.check_output(command, cwd=ROOT, text=True).strip()
    )


def build(root: Path, output: Path, *, otherwise: bool) -> None:
    """Wheel and source archive of a copy, into a directory."""
    if otherwise:
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink() and "node_modules" not in path.parts:
                os.utime(path, (2_000_000_000, 2_000_000_000))
                path.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(output)],
        cwd=root,
        check=False,
        env={**os.environ, "SOURCE_DATE_EPOCH": moment(), **(_OTHERWISE if otherwise else {})},
        umask=0o077 if otherwise else 0o022,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BuildError(f"the build in {root} failed:\n{done.stdout}{done.stderr}")


def two(folder: Path, page: Path | None = None) -> tuple[Path, Path]:
    """Both builds; returns where each put its files.

    Args:
        folder: an empty directory.
        page: a built page that both take.

    Raises:
        BuildError: a build failed.
    """
    outputs = []
    for place, otherwise in (("one", False), ("another/and-deeper", True)):
        root, output = folder / place / "sources", folder / place / "built"
        sources(root)
        if page is not None:
            shutil.copytree(page, root / PAGE, dirs_exist_ok=True)
            (root / "ui" / "npm.py").write_text(_NO_NODE, "utf-8")
        elif (modules := ROOT / "ui" / "node_modules").is_dir():
            (root / "ui" / "node_modules").symlink_to(modules)
        build(root, output, otherwise=otherwise)
        outputs.append(output)
    return outputs[0], outputs[1]


def _members(path: Path) -> dict[str, tuple[object, ...]]:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return {
                item.filename: (item.CRC, item.date_time, item.external_attr) for item in archive.infolist()
            }
    with tarfile.open(path) as archive_:
        found: dict[str, tuple[object, ...]] = {}
        for entry in archive_.getmembers():
            content = archive_.extractfile(entry)
            digest = hashlib.sha256(content.read()).hexdigest() if content else ""
            found[entry.name] = (digest, entry.mtime, entry.mode, entry.uid, entry.uname)
        return found


def differences(one: Path, other: Path) -> list[str]:
    """One sentence for each file that is not the same in both directories, with the members that differ."""
    names = {path.name for path in (*one.iterdir(), *other.iterdir())}
    bad = []
    for name in sorted(names):
        if not ((one / name).exists() and (other / name).exists()):
            bad.append(f"{name}: only one of the builds made it")
        elif (one / name).read_bytes() != (other / name).read_bytes():
            left, right = _members(one / name), _members(other / name)
            parts = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
            bad.append(f"{name}: differs in {', '.join(parts[:10]) or 'the order of its members'}")
    return bad


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m release.reproduce", description=__doc__)
    parser.add_argument("--page", type=Path, help="a page that is built already")
    parser.add_argument("--output", type=Path, help="where the built files go when both builds agree")
    arguments = parser.parse_args()
    if arguments.page and arguments.output:
        parser.error("--output wants whole builds: a source archive of --page has no builder of the page")
    with tempfile.TemporaryDirectory() as folder:
        one, other = two(Path(folder), arguments.page)
        bad = differences(one, other)
        for line in bad:
            print(line, file=sys.stderr)
        for path in sorted(one.iterdir()):
            print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
        if not bad and arguments.output:
            shutil.copytree(one, arguments.output, dirs_exist_ok=True)
    print("the two builds differ" if bad else "the two builds are the same")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
