"""The parts of a release as CycloneDX 1.6: `python -m release.sbom --output FILE`.

Every locked package of `requirements.txt` with its licence and the SHA-256 of each file that may be installed for it,
who needs it, and what is compiled into the page. The same lock gives the same bytes; SOURCE_DATE_EPOCH gives the time.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import json
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any

import bessai
from release.licences import ledger
from release.lock import ROOT, RUNTIME, PagePackage, Pin, normalised, page_packages, pins

NAME = "open-bess-edge"
_HOME = "https://github.com/open-bess-edge/open-bess-edge"


def needed_by(path: Path) -> dict[str, set[str]]:
    """Who asks for each package, from the lock's own comments; our name for what pyproject.toml asks for."""
    found: dict[str, set[str]] = {}
    current = ""
    for line in path.read_text("utf-8").splitlines():
        if start := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", line):
            current = normalised(start[1])
            found.setdefault(current, set())
        elif (comment := re.match(r"\s+#\s+(?:via\s*)?([A-Za-z0-9._-]+)?", line)) and comment[1]:
            found[current].add(normalised(comment[1]))
    return found


def _licence(expression: str) -> list[dict[str, Any]]:
    return [{"expression": expression}] if " " in expression else [{"license": {"id": expression}}]


def _python(pin: Pin, licences: dict[str, str]) -> dict[str, Any]:
    purl = f"pkg:pypi/{pin.name}@{pin.version}"
    part: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "scope": "required",
        "licenses": _licence(licences[pin.name]),
        "purl": purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": purl,
                "comment": "any one of these files, whatever mirror it comes from",
                "hashes": [{"alg": "SHA-256", "content": value} for value in sorted(pin.hashes)],
            }
        ],
    }
    if pin.marker:
        part["properties"] = [{"name": "bessai:marker", "value": pin.marker}]
    return part


def _page(part: PagePackage) -> dict[str, Any]:
    purl = f"pkg:npm/{part.name}@{part.version}"
    digest = base64.b64decode(part.integrity.removeprefix("sha512-")).hex()
    return {
        "type": "library",
        "bom-ref": purl,
        "name": part.name,
        "version": part.version,
        "scope": "required",
        "licenses": _licence(part.licence),
        "purl": purl,
        "properties": [{"name": "bessai:room", "value": "compiled into the page"}],
        "externalReferences": [
            {"type": "distribution", "url": purl, "hashes": [{"alg": "SHA-512", "content": digest}]}
        ],
    }


def document() -> dict[str, Any]:
    """The list of parts."""
    licences, locked, page = ledger(), pins(ROOT / RUNTIME), page_packages()
    root = f"pkg:pypi/{NAME}@{bessai.__version__}"
    parts = [_python(pin, licences) for pin in locked] + [_page(part) for part in page]
    parents = needed_by(ROOT / RUNTIME)
    edges: dict[str, set[str]] = {part["bom-ref"]: set() for part in parts}
    edges[root] = {part["bom-ref"] for part in parts if part["purl"].startswith("pkg:npm/")}
    for pin in locked:
        child = f"pkg:pypi/{pin.name}@{pin.version}"
        for parent in parents[pin.name]:
            above = (
                [root] if parent == NAME else [ref for ref in edges if ref.startswith(f"pkg:pypi/{parent}@")]
            )
            for ref in above:
                edges[ref].add(child)
    metadata: dict[str, Any] = {
        "component": {
            "type": "application",
            "bom-ref": root,
            "name": NAME,
            "version": bessai.__version__,
            "licenses": _licence("Apache-2.0"),
            "purl": root,
            "externalReferences": [{"type": "vcs", "url": _HOME}],
        }
    }
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        moment = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
        metadata["timestamp"] = moment.isoformat().replace("+00:00", "Z")
    body: dict[str, Any] = {
        "metadata": metadata,
        "components": parts,
        "dependencies": [{"ref": ref, "dependsOn": sorted(below)} for ref, below in sorted(edges.items())],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        **body,
    }


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m release.sbom", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    output: Path = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    made = document()
    output.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    print(f"{output}: {len(made['components'])} parts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
