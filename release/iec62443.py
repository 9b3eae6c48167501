"""The page of IEC 62443-4-2 from its data: `python -m release.iec62443 > docs/security/iec-62443-4-2.md`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from release.lock import ROOT

FOLDER = ROOT / "docs" / "security"
DATA = FOLDER / "iec-62443-4-2.json"
PAGE = FOLDER / "iec-62443-4-2.md"

VERDICTS = ("met", "partly", "not", "not applicable")
CHAPTERS = (
    "Identification and authentication control",
    "Use control",
    "System integrity",
    "Data confidentiality",
    "Restricted data flow",
    "Timely response to events",
    "Resource availability",
)

_HEAD = """\
# IEC 62443-4-2: what the gateway does for each requirement

Made from `docs/security/iec-62443-4-2.json` by `python -m release.iec62443`; edit the data, not this page.

**This is a self-assessment of an open-source project, not a certificate.** Nobody independent has looked at it, and
the text of the norm was not at hand: numbers and titles come from public sources, the rest are our own words. Whoever
needs conformity has to assess with the norm itself.

- **Aim.** SL 2 (capability): against somebody who means it, with simple means, few resources and general skills.
- **Kind of component.** Software application. What the norm asks of devices, hosts and networks (EDR, HDR, NDR) is the
  matter of whoever supplies the machine; it is listed so that nothing seems forgotten.
- **Scope.** The gateway as the documentation installs it: under its own user, with the unit of
  [`infrastructure/systemd`](../../infrastructure/systemd/), the page encrypted. Requirements that only SL 3 or 4 ask
  for are not listed.
- **Level.** The lowest SL that asks for it, as far as known.
- **Sure.** A: number and title were read in a public source: for chapters 2 and 3 a table of a manufacturer
  (SEW-EURODRIVE, manual 33095213), for CR 1.1 to 1.4 OPC 10000-2 v1.05, table A.2. B: as commonly summarized; not read
  again in a source that can be named here. Levels were read for CR 1.1 alone (research data of TU Wien); take all
  others as B.
- **Tests.** Each named test exists and is run by `make test`; a test of this page compares.

See also the [threat model](threat-model.md), [users, audit and TLS](../security.md), and the
[safety argument](../safety.md).
"""


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One requirement, and what stands against it."""

    id: str
    title: str
    level: int
    confidence: str
    verdict: str
    how: str
    where: list[str]
    """Files of ours that do it."""
    tests: list[str]
    """As pytest names them."""
    gap: str
    """What is missing; empty: nothing that we know."""

    @property
    def chapter(self) -> int:
        """The foundational requirement, 1 to 7."""
        return int(self.id.split(" ")[1].split(".", maxsplit=1)[0])


def requirements(path: Path = DATA) -> list[Requirement]:
    """All of them, in the order of the norm."""
    return [Requirement(**entry) for entry in json.loads(path.read_text("utf-8"))]


def _row(one: Requirement) -> str:
    words = " ".join(filter(None, [one.how, f"**Gap:** {one.gap}" if one.gap else ""]))
    where = ", ".join(f"[`{Path(name).name}`](../../{name})" for name in one.where) or "–"
    tests = ", ".join(
        f"[`{name.partition('::')[2] or Path(name).name}`](../../{name.partition('::')[0]})"
        for name in one.tests
    )
    cells = (one.id, one.title, one.level, one.confidence, one.verdict, words, where, tests or "–")
    return f"| {' | '.join(map(str, cells))} |"


def page() -> str:
    """`docs/security/iec-62443-4-2.md`."""
    all_ = requirements()
    counts = Counter(one.verdict for one in all_)
    asked = len(all_) - counts["not applicable"]
    lines = [_HEAD, "## Summary", ""]
    lines += [
        f"Of {len(all_)} lines {asked} apply: {counts['met']} met, {counts['partly']} partly, {counts['not']} not.",
        "What weighs most:",
        "",
        "1. Most devices speak Modbus without TLS. Protect the wire to the devices as the battery itself.",
        "2. Whoever has the gateway's account on the machine may do everything; names on the command line are claims.",
        "3. Numbers of lock-out, sessions and passwords are ours and cannot be set.",
        "4. Nothing looks for intrusions yet.",
        "",
    ]
    for number, chapter in enumerate(CHAPTERS, start=1):
        lines += [
            f"## FR {number}: {chapter}",
            "",
            "| no. | title | level | sure | verdict | how, and what is missing | where | tests |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *(_row(one) for one in all_ if one.chapter == number),
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
