"""What was found, for programs and for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bessai import __version__
from bessai.doctor import words
from bessai.doctor.look import Look
from bessai.doctor.result import Checked, Verdict, worst

_CODES = {Verdict.OK: 0, Verdict.SKIPPED: 0, Verdict.UNKNOWN: 1, Verdict.WARN: 1, Verdict.BAD: 2}
_WIDTH = 7


def exit_code(found: Sequence[Checked]) -> int:
    """0 all is well, 1 something will not last or could not be found out, 2 something does not work."""
    return max((_CODES[one.verdict] for one in found), default=0)


def plain(look: Look, found: Sequence[Checked], language: str = "en") -> dict[str, Any]:
    """For programs: every finding with its verdict, words and facts."""
    return {
        "schema": "bessai.doctor/1",
        "verdict": str(worst(one.verdict for one in found)),
        "version": __version__,
        "site": None if look.settings is None else look.settings.site_id,
        "time": datetime.fromtimestamp(look.now(), UTC).isoformat(timespec="seconds"),
        "checks": [
            {
                "name": one.name,
                "group": one.group,
                "verdict": str(one.verdict),
                "seconds": one.seconds,
                "findings": [
                    {
                        "verdict": str(finding.verdict),
                        "code": finding.text,
                        "found": words.found(one.name, finding, language),
                        "mend": words.mend(one.name, finding, language),
                        "facts": _finite(finding.facts),
                    }
                    for finding in one.findings
                ],
            }
            for one in found
        ],
    }


def lines(found: Sequence[Checked], language: str = "en") -> Iterator[tuple[Verdict | None, str]]:
    """For people: a line each, with the verdict that gives it its colour; None for headings, and for mends."""
    group = ""
    for one in found:
        if one.group != group:
            group = one.group
            yield None, words.heading(group, language)
        name = words.title(one.name, language)
        for finding in one.findings:
            mark = words.heading(str(finding.verdict), language).ljust(_WIDTH)
            yield finding.verdict, f"  {mark} {name}: {words.found(one.name, finding, language)}"
            mend = words.mend(one.name, finding, language)
            if mend is not None:
                yield None, f"  {'':{_WIDTH}} → {mend}"
    counted = [finding.verdict for one in found for finding in one.findings]
    told = ", ".join(
        f"{counted.count(verdict)} {words.heading(str(verdict), language)}"
        for verdict in Verdict
        if verdict in counted
    )
    yield None, told


def _finite(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in facts.items()
    }
