"""When which report is due.

The numbers come from secondary sources (facts file of the project, confidence B; the 24 hours C to B): provisional.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bessai.incident.incident import Incident

HOUR = 3600
REPORTS = ("early", "update", "final")
"""The three reports, in order."""
TERMS: Mapping[str, int] = {"early": 3 * HOUR, "update": 72 * HOUR, "final": 15 * 24 * HOUR}
"""Seconds from the moment of knowledge. Ley 21.663 Art. 9, provisional."""
ESSENTIAL_UPDATE = 24 * HOUR
"""Seconds for the update of an OIV whose essential service is affected. Provisional."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """One report and its term."""

    report: str
    """`early`, `update` or `final`."""
    due_ns: int
    """UTC nanoseconds by which it must be out."""
    sent_ns: int | None
    """UTC nanoseconds at which it went out, None while it has not."""
    stopped: bool
    """True when the incident was closed without it."""

    def seconds_left(self, wall_ns: int) -> float | None:
        """Negative when it is past; None when nothing runs any more."""
        if self.sent_ns is not None or self.stopped:
            return None
        return (self.due_ns - wall_ns) / 1e9

    def late(self, wall_ns: int) -> bool:
        """True while it is past and not sent."""
        left = self.seconds_left(wall_ns)
        return left is not None and left < 0

    @property
    def sent_late(self) -> bool:
        """True when it went out after its term."""
        return self.sent_ns is not None and self.sent_ns > self.due_ns


def deadlines(incident: Incident) -> list[Deadline]:
    """The three deadlines of an incident, in order."""
    sent = {item.report: item.wall_ns for item in reversed(incident.sent)}  # the first of each counts
    terms = {**TERMS, "update": ESSENTIAL_UPDATE} if incident.essential else TERMS
    return [
        Deadline(
            report=report,
            due_ns=incident.known_ns + terms[report] * 1_000_000_000,
            sent_ns=sent.get(report),
            stopped=incident.closed_ns is not None,
        )
        for report in REPORTS
    ]
