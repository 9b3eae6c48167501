"""Passwords and keys among the tracked files: `python -m release.secrets`; `--accept` after each was looked at.

detect-secrets looks; `.secrets.baseline` holds what was looked at and is none: by kind, file and a hash, never the
words themselves. Deleting a secret that is found does not make it good: it is in the history, so it has to be replaced.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detect_secrets.core import scan
from detect_secrets.settings import transient_settings

from release.lock import ROOT

BASELINE = ROOT / ".secrets.baseline"

HASHES_ONLY = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-build.txt",
    "ui/package-lock.json",
    BASELINE.name,
)
"""Files that machines write, full of digests."""
MADE_UP = ("tests/", "benchmarks/", "docs/", "ui/tests/")
"""Here passwords are invented on purpose: `password = "…"` says nothing. Keys are looked for all the same."""
GUESSES = frozenset({"Secret Keyword", "Basic Auth Credentials"})
"""The kinds that only look at the words around."""

LONG = re.compile(
    r"""(?=[A-Za-z0-9+/=_.\-]{16})(?=[^\s"']*[0-9][^\s"']*[0-9])|BEGIN [A-Z ]*PRIVATE KEY|PuTTY-User-Key""",
    re.ASCII,
)
"""A run of 16 characters or more with two digits in it, as every key has, or the head of a private key."""
ANY = re.compile(rf"{LONG.pattern}|(?i:pass|pwd|secret|token|key|credential|://[^/\s]*@)", re.ASCII)

SETTINGS: dict[str, Any] = {
    "plugins_used": [
        {"name": name}
        for name in (
            *("ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector"),
            *("DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector"),
            *("KeywordDetector", "MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector"),
            *(
                "PypiTokenDetector",
                "SendGridDetector",
                "SlackDetector",
                "SquareOAuthDetector",
                "StripeDetector",
            ),
            *("TelegramBotTokenDetector", "TwilioKeyDetector"),
        )
    ]
    + [{"name": "Base64HighEntropyString", "limit": 4.5}, {"name": "HexHighEntropyString", "limit": 3.0}],
    "filters_used": [
        {"path": f"detect_secrets.filters.{name}"}
        for name in (
            "allowlist.is_line_allowlisted",
            "heuristic.is_indirect_reference",
            "heuristic.is_likely_id_string",
            "heuristic.is_potential_uuid",
            "heuristic.is_sequential_string",
            "heuristic.is_templated_secret",
            "heuristic.is_prefixed_with_dollar_sign",
            "heuristic.is_not_alphanumeric_string",
        )
    ],
}

Finding = tuple[str, str, str]
"""File, kind and SHA-1 of the words."""


def tracked(root: Path = ROOT) -> list[str]:
    """The files that git knows, without those that hold digests only."""
    said = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    return [name for name in said.split("\0") if name and name not in HASHES_ONLY]


def found(names: Iterable[str], root: Path = ROOT) -> dict[Finding, int]:
    """What looks like a secret, with its line.

    Only lines that can hold one are given to detect-secrets, which needs a minute for all of them.
    """
    result: dict[Finding, int] = {}
    with transient_settings(SETTINGS), tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = root / name
            if not path.is_file() or b"\0" in (content := path.read_bytes()):
                continue
            wanted = LONG if name.startswith(MADE_UP) else ANY
            lines = content.decode("utf-8", "replace").splitlines()
            numbers = [number for number, line in enumerate(lines) if wanted.search(line)]
            if not numbers:
                continue
            excerpt = Path(folder) / f"excerpt{path.suffix}"
            excerpt.write_text("\n".join(lines[number] for number in numbers) + "\n", "utf-8")
            for secret in scan.scan_file(str(excerpt)):
                if secret.type in GUESSES and name.startswith(MADE_UP):
                    continue
                line = numbers[secret.line_number - 1] + 1
                result.setdefault((name, secret.type, secret.secret_hash), line)
    return result


def accepted() -> set[Finding]:
    """What somebody looked at and found to be no secret."""
    results = json.loads(BASELINE.read_text("utf-8"))["results"]
    return {
        (name, str(entry["type"]), str(entry["hashed_secret"]))
        for name, entries in results.items()
        for entry in entries
    }


def accept(findings: dict[Finding, int]) -> None:
    """Write the baseline anew, in the form of detect-secrets."""
    results: dict[str, list[dict[str, Any]]] = {}
    for (name, kind, digest), line in sorted(findings.items()):
        results.setdefault(name, []).append({"type": kind, "hashed_secret": digest, "line_number": line})
    BASELINE.write_text(
        json.dumps({"version": "1.5.0", **SETTINGS, "results": results}, indent=1) + "\n", "utf-8"
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m release.secrets", description=__doc__)
    parser.add_argument(
        "--accept", action="store_true", help="write the baseline anew: all that is found is none"
    )
    arguments = parser.parse_args()
    names = tracked()
    findings = found(names)
    if arguments.accept:
        accept(findings)
    new = {finding: line for finding, line in findings.items() if finding not in accepted()}
    for (name, kind, _), line in sorted(new.items()):
        print(
            f"{name}:{line}: {kind}. A real one: replace it where it is used, then remove it. None: --accept",
            file=sys.stderr,
        )
    print(f"{len(names)} files, {len(new)} new findings, {len(findings) - len(new)} known to be none")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
