"""All tests, many at once; what fails there runs once more alone.

    python tests/run.py [ARGUMENTS OF PYTEST]

Hundreds of tests wait for real processes, and with several at once on a small machine one comes late now and then. What
fails alone as well is broken: the run fails. What passes alone is named at the end: a race of the test or of the code,
to be looked for. More than a few failures are never the machine's, and are not repeated.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FAILED = 1
"""Exit code of pytest when tests failed, and nothing else was wrong."""
MOST = 3
"""Failures that are repeated."""
_CACHE = Path(".pytest_cache/v/cache/lastfailed")


def main(arguments: list[str], pytest: tuple[str, ...] = (sys.executable, "-m", "pytest")) -> int:
    """Run them. Returns the exit code of pytest."""
    _CACHE.unlink(missing_ok=True)  # what an earlier run left may be gone from the tests
    code = subprocess.run([*pytest, *arguments], check=False).returncode
    if code != FAILED or not _CACHE.exists():
        return code
    failed = sorted(json.loads(_CACHE.read_text()))
    if len(failed) > MOST:
        return code
    print(f"\n== {len(failed)} failed among the others; once more, alone:", *failed, sep="\n   ", flush=True)
    code = subprocess.run([*pytest, *failed], check=False).returncode
    if code == 0:
        print(
            "== unstable: passed alone, failed among the others; please look for the race:",
            *failed,
            sep="\n   ",
        )
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
