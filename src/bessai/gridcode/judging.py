"""Rows from step responses, and the plots behind them: the same rules for every function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bessai.gridcode.bench import Series
from bessai.gridcode.clauses import clauses
from bessai.gridcode.lab import Response
from bessai.gridcode.measure import StepResponse
from bessai.gridcode.rows import Evidence, Plain, Row, Text, Trace, Verdict, judged, not_tested, number

_COARSE: Text = {
    "en": "the samples are too far apart to judge this limit",
    "es": "las muestras están demasiado separadas para juzgar este límite",
}


def time_row(
    name: str,
    clause: str,
    what: str,
    found: Response,
    evidence: Evidence | None = None,
    extra: Mapping[str, Plain] | None = None,
    note: Text | None = None,
) -> Row:
    """Judge one time of a step: `reaction`, `rise` or `settling`, from the step on.

    Args:
        name: of the row.
        clause: its id; its limit is `below` seconds.
        what: which time.
        found: the step.
        evidence: the samples.
        extra: what else was measured.
        note: what has to be known beside it.
    """
    rule = clauses()[clause]
    limit = float(rule.limit["below"])
    fit = found.fit_for(limit)
    if fit is None:
        return not_tested(name, rule, _COARSE)
    judge, other, who = fit
    value: float | None = getattr(judge, what)
    measured: dict[str, Plain] = {
        "value": number(value),
        "unit": "s",
        "samples": who,
        "interval": number(judge.interval),
        "other_samples": number(getattr(other, what)),
        **(extra or {}),
    }
    if what == "settling":
        measured["from_detection"] = number(judge.settling_from_detection)
    if value is None:
        measured["why"] = judge.why or "it did not happen"
    limits: dict[str, Plain] = {"below": limit, "unit": "s"}
    if what == "settling":
        limits["band_percent"] = rule.limit["band"]
    return Row(
        name=name, clause=rule, limit=limits, measured=measured, evidence=evidence, note=note or {},
        verdict=judged(value is not None and value < limit),
    )  # fmt: skip


def range_row(name: str, clause: str, refused: Mapping[float, str | None], accepted: Mapping[float, str | None],
              limit: Mapping[str, Plain]) -> Row:  # fmt: skip
    """Judge what change control says to values outside and inside a range: value to its refusal."""
    wrong = [f"{value:g} accepted" for value, why in refused.items() if why is None]
    wrong += [f"{value:g} refused" for value, why in accepted.items() if why is not None]
    return Row(
        name=name,
        clause=clauses()[clause],
        limit={**limit},
        measured={
            "found": "; ".join(wrong) or "refused outside, accepted at both ends",
            "refused": ", ".join(f"{value:g}" for value, why in refused.items() if why is not None),
            "accepted": ", ".join(f"{value:g}" for value, why in accepted.items() if why is None),
        },
        verdict=judged(not wrong),
    )


def traces(
    title: Text,
    step_at: float,
    band: tuple[float, float] | None,
    *lines: tuple[Text, str, Series, bool],
) -> Evidence:
    """Samples as a plot: (label, unit, series, stepped) of each line, in seconds since the step."""
    return Evidence(
        title=title,
        band=band,
        traces=[
            Trace(
                label=label,
                unit=unit,
                times=_rounded(times - step_at, 4),
                values=_rounded(values, 4),
                stepped=stepped,
            )
            for label, unit, (times, values), stepped in lines
        ],
    )


def band_of(found: StepResponse, share: float) -> tuple[float, float]:
    """The settling band as values."""
    width = abs(found.change) * share
    return found.final - width, found.final + width


def failed(rows: Sequence[Row]) -> bool:
    """True when a row fails."""
    return any(row.verdict is Verdict.FAIL for row in rows)


def _rounded(values: NDArray[np.float64], digits: int) -> list[float]:
    return [float(value) for value in np.round(values, digits)]
