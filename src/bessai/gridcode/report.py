"""The report of a run: header, rows and samples, as one JSON document; `page` and `paper` show the same."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bessai.gridcode.clauses import LANGUAGES, Language
from bessai.gridcode.rows import Evidence, Row, Text, Verdict
from bessai.gridcode.words import main_finding, row_limit

SCHEMA = "bessai.gridcode/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run."""

    site: str
    """What was tested: the simulated plant, or the site's name."""
    where: str
    """`twin` or `plant`."""
    version: str
    """Of the gateway's software."""
    seed: int | None
    """None on a plant: chance there has none."""
    date: str
    """ISO 8601, when the run was made."""
    facts: Mapping[str, str]
    """What was simulated, or by whom and under which limits the plant was tested: words and amounts."""
    sabotage: str
    """The deliberate fault, when there was one."""
    rows: Sequence[Row]

    @property
    def counts(self) -> Mapping[str, int]:
        """Rows by verdict."""
        found = Counter(row.verdict for row in self.rows)
        return {verdict.value: found[verdict] for verdict in Verdict}

    @property
    def verdict(self) -> Verdict:
        """Fail when a row fails; pass when one passes and none fails."""
        found = {row.verdict for row in self.rows}
        for verdict in (Verdict.FAIL, Verdict.PASS):
            if verdict in found:
                return verdict
        return Verdict.NOT_TESTED

    def figures(self) -> list[tuple[Evidence, list[str]]]:
        """Each plot once, with the rows that it stands for."""
        found: dict[str, tuple[Evidence, list[str]]] = {}
        for row in self.rows:
            if row.evidence is not None:
                found.setdefault(row.evidence.title["en"], (row.evidence, []))[1].append(row.name)
        return list(found.values())


def rows_json(rows: Sequence[Row], language: Language = "en") -> str:
    """What `--json` prints: the rows and nothing else."""
    return json.dumps(
        {"rows": [row.plain(language) for row in rows]}, allow_nan=False, ensure_ascii=False, indent=2
    )


def report_json(report: Report) -> str:
    """The whole document: header, rows with their notes in both languages, and the samples of the plots."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "site": report.site,
            "where": report.where,
            "version": report.version,
            "seed": report.seed,
            "date": report.date,
            "facts": dict(report.facts),
            "sabotage": report.sabotage or None,
            "verdict": report.verdict.value,
            "counts": dict(report.counts),
            "rows": [_row(row) for row in report.rows],
            "figures": [{**_plain(evidence), "rows": names} for evidence, names in report.figures()],
        },
        allow_nan=False,
        ensure_ascii=False,
    )


def _row(row: Row) -> dict[str, Any]:
    plain = row.plain()
    plain["measured"].pop("note", None)
    return {
        **plain,
        "requirement": {language: row.clause.text(language) for language in LANGUAGES},
        "closes_loop": row.clause.closes_loop,
        "provisional": row.provisional,
        "note": dict(row.note) or None,
        "said": {
            "limit": {language: row_limit(row, language) for language in LANGUAGES},
            "found": {language: main_finding(row, language) for language in LANGUAGES},
        },
    }


def _plain(evidence: Evidence) -> dict[str, Any]:
    title: Text = evidence.title
    return {
        "title": dict(title),
        "band": None if evidence.band is None else list(evidence.band),
        "traces": [
            {**asdict(trace), "values": [value if math.isfinite(value) else None for value in trace.values]}
            for trace in evidence.traces
        ],
    }
