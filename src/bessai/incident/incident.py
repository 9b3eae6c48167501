"""An incident as a person opened it, and what has been done about it since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1
"""Of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A report that a person sent."""

    report: str
    """`early`, `update` or `final`."""
    wall_ns: int
    """UTC nanoseconds at which it went out."""
    by: str
    """Who sent it."""
    reference: str
    """How the authority knows it, for example the ticket number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident."""

    id: str
    """Year of opening and a number, for example `2026-001`."""
    title: str
    """What happened, in one line."""
    known_ns: int
    """UTC nanoseconds of the moment of knowledge: all terms are counted from it."""
    known_by: str
    """Who came to know of it."""
    opened_ns: int
    """UTC nanoseconds at which it was entered here."""
    opened_by: str
    """Who entered it."""
    essential: bool = False
    """True for an operator of vital importance (OIV) whose essential service is affected: the update is due earlier."""
    sent: tuple[Sent, ...] = ()
    """The reports that went out, in order."""
    closed_ns: int | None = None
    """UTC nanoseconds at which it was closed, None while it is open."""
    closed_by: str = ""
    """Who closed it."""
    closing: str = ""
    """Why it was closed."""

    def to_plain(self) -> dict[str, Any]:
        """As the file has it."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_plain(cls, data: Any) -> Incident:
        """The incident of a file.

        Raises:
            ValueError: it is not one, or of a newer version.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise ValueError(f"it is no incident of format {FORMAT}")
        try:
            found = {name: value for name, value in data.items() if name not in {"format", "sent"}}
            sent = tuple(Sent(**item) for item in data["sent"])
            incident = cls(**found, sent=sent)
        except (TypeError, KeyError) as error:
            raise ValueError(f"it is no incident ({error})") from error
        closed = [] if incident.closed_ns is None else [incident.closed_ns]
        moments = [incident.known_ns, incident.opened_ns, *closed, *(item.wall_ns for item in sent)]
        words = [incident.id, incident.title, incident.known_by, incident.opened_by, incident.closed_by]
        words += [
            incident.closing,
            *(word for item in sent for word in (item.report, item.by, item.reference)),
        ]
        if {type(moment) for moment in moments} != {int} or {type(word) for word in words} != {str}:
            raise ValueError("a moment in it is no number, or a text no text")
        return incident
