"""The licence of every dependency: `python -m release.licences` checks, `--write` makes ledger, page and NOTICE anew.

The ledger, `release/licences.json`, holds one SPDX expression a package, from the package's own metadata or from
reading its licence file. It is needed because no machine has them all: some packages exist for one processor only.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import distributions
from pathlib import Path

from release.lock import BUILD, DEVELOPMENT, ROOT, RUNTIME, normalised, page_packages, pins
from release.spdx import allowed, licence_of

LEDGER = Path(__file__).with_name("licences.json")
PAGE = ROOT / "docs" / "licences.md"
NOTICE = ROOT / "NOTICE"

PERMISSIVE = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC"),
        *("MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib"),
    }
)
WEAK = frozenset({"MPL-2.0"})
"""Copyleft of the file: unchanged files oblige to nothing beyond their own text, which is in each package."""
RUNS = PERMISSIVE | WEAK
DEVELOPS = RUNS | {"LGPL-2.1-or-later", "GPL-3.0-only"}
"""Programs beside ours, in tests and checks only; nothing of them is shipped or imported by the gateway."""

READ = {
    "apsw": ("Zlib", "its LICENSE: the text of zlib, or any licence that the OSI approved"),
    "colorama": ("BSD-3-Clause", "its LICENSE.txt"),
    "jinja2": ("BSD-3-Clause", "its LICENSE.txt"),
    "pyasn1-modules": ("BSD-2-Clause", "its LICENSE.txt"),
    "pyserial": ("BSD-3-Clause", "the SPDX line of serial/__init__.py"),
    "reportlab": ("BSD-3-Clause", "its license.txt; its fonts have licences of their own beside them"),
}
"""Where metadata leave doubt: what was read, and where."""


class LicenceError(Exception):
    """A package's licence is not known; the message says which package and what to do."""


def installed() -> dict[str, str | None]:
    """What the packages of this environment say of themselves, by name."""
    return {normalised(found.metadata["Name"]): licence_of(found) for found in distributions()}


def rooms() -> dict[str, str]:
    """Every locked package: `runtime`, or `development` when the gateway never imports it."""
    found = {pin.name: "development" for name in (DEVELOPMENT, BUILD) for pin in pins(ROOT / name)}
    return found | {pin.name: "runtime" for pin in pins(ROOT / RUNTIME)}


def ledger() -> dict[str, str]:
    """What is written down: the SPDX expression of each package."""
    return dict(json.loads(LEDGER.read_text("utf-8")))


def known(name: str, said: str | None) -> str | None:
    """The licence of an installed package: what it says, or what was read where that leaves doubt."""
    return said or (READ[name][0] if name in READ else None)


def made() -> dict[str, str]:
    """The ledger anew: from what is installed, and as it was for what is not installed here.

    Raises:
        LicenceError: nothing is known of a package.
    """
    here, before, lines = installed(), ledger() if LEDGER.exists() else {}, {}
    for name in sorted(rooms()):
        licence = known(name, here.get(name)) or before.get(name)
        if licence is None:
            raise LicenceError(
                f"{name}: its metadata leave doubt; read its licence file, then add it to READ in release/licences.py"
            )
        lines[name] = licence
    return lines


def findings() -> list[str]:
    """One sentence for each package that may not be used so, or of which the ledger is wrong."""
    here, book, locked, bad = installed(), ledger(), rooms(), []
    for name, room in sorted(locked.items()):
        licence = book.get(name)
        if licence is None:
            bad.append(
                f"{name}: not in the ledger; run `python -m release.licences --write` and read what changes"
            )
            continue
        if name in here and (now := known(name, here[name])) != licence:
            bad.append(f"{name}: says {now}, the ledger says {licence}; read it, then `--write`")
        if not allowed(licence, RUNS if room == "runtime" else DEVELOPS):
            bad.append(f"{name}: {licence} is not allowed for {room}")
    bad += [
        f"{name}: in the ledger, but not locked any more; run `--write`"
        for name in sorted(book.keys() - locked)
    ]
    bad += [
        f"{part.name}: {part.licence} is not allowed in the page"
        for part in page_packages()
        if not allowed(part.licence, RUNS)
    ]
    return bad


def page() -> str:
    """`docs/licences.md`."""
    book, locked = ledger(), rooms()
    runs = [name for name in sorted(locked) if locked[name] == "runtime"]
    develops = [name for name in sorted(locked) if locked[name] == "development"]

    def table(names: list[str]) -> list[str]:
        rows = [
            f"| {name} | {book[name]} | {READ[name][1] if name in READ else 'metadata'} |" for name in names
        ]
        return ["| package | licence (SPDX) | known from |", "| --- | --- | --- |", *rows]

    shipped = [f"| {part.name} | {part.version} | {part.licence} |" for part in page_packages()]
    other = [name for name in develops if not allowed(book[name], RUNS)]
    return "\n".join(
        [
            "# Licences of the dependencies",
            "",
            "Made by `python -m release.licences --write`; CI checks it. Our own code is [Apache-2.0](../LICENSE).",
            "",
            f"Allowed at run time: {', '.join(sorted(RUNS))}.",
            "Where a package offers several licences, one of them has to be among these. MPL-2.0 obliges to publish",
            "changes of its own files; nothing of it is changed here.",
            "",
            f"Only tests and checks use {', '.join(f'{name} ({book[name]})' for name in other)}:",
            "programs or test modules beside the gateway, never imported by it, in no wheel, bundle or image of ours.",
            "",
            "Wheels with compiled parts carry libraries of others (numpy its linear algebra, cryptography OpenSSL,",
            "pyarrow, grpcio and apsw theirs). The licence texts that their makers put in come with them;",
            "the table has what the package says of itself.",
            "",
            f"## To run: {len(runs)} packages",
            "",
            "With all optional parts (`parquet`, `kafka`, `nats`, `notify`, `scada`, `gridcode`).",
            "",
            *table(runs),
            "",
            f"## In the page: {len(shipped)} packages",
            "",
            "Compiled into the files that the gateway serves. Their texts are in [NOTICE](../NOTICE).",
            "",
            "| package | version | licence (SPDX) |",
            "| --- | --- | --- |",
            *shipped,
            "",
            f"## To build, test and check: {len(develops)} packages",
            "",
            *table(develops),
            "",
        ]
    )


def notice() -> str:
    """`NOTICE`: the texts that have to go where the page goes."""
    head = (
        "BESSAI Edge Gateway (Open BESS Edge)\nCopyright The Open BESS Edge developers\n\n"
        "Licensed under the Apache License, Version 2.0; see LICENSE.\n\n"
        "The page that the gateway serves contains code of the following packages.\n"
    )
    parts = [head]
    for part in page_packages():
        folder = ROOT / "ui" / "node_modules" / part.name
        text = next(path for path in sorted(folder.iterdir()) if path.name.lower().startswith("license"))
        parts.append(f"{'-' * 78}\n{part.name} ({part.licence})\n\n{text.read_text('utf-8').strip()}\n")
    return "\n".join(parts)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m release.licences", description=__doc__)
    parser.add_argument("--write", action="store_true", help="make ledger, page and NOTICE anew")
    if parser.parse_args().write:
        LEDGER.write_text(json.dumps(made(), indent=1) + "\n", "utf-8")
        PAGE.write_text(page(), "utf-8")
        NOTICE.write_text(notice(), "utf-8")
    bad = findings()
    if PAGE.read_text("utf-8") != page():
        bad.append("docs/licences.md is not what the ledger says; run `python -m release.licences --write`")
    here = installed()
    absent = sorted(name for name in rooms() if name not in here)
    if absent:
        print(f"not installed here, so taken from the ledger: {', '.join(absent)}")
    for line in bad:
        print(line, file=sys.stderr)
    print(f"{len(rooms())} packages, {len(bad)} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
