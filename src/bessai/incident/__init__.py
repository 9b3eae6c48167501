"""Incidents that may have to be reported: the clock that runs from the moment of knowledge, and drafts of the reports.

    store = IncidentStore(Path("data"))
    incident = store.open(title="unknown login", known_ns=…, known_by="ana", opened_by="ana", wall_ns=…)
    for deadline in deadlines(incident):
        print(deadline.report, deadline.seconds_left(now_ns), deadline.late(now_ns))
    evidence = gather(JournalReader(Path("data")), first_ns, last_ns)
    text = draft(incident, evidence, "es", wall_ns=…)           # Markdown, for a person to complete and send

Terms are those of the Chilean Ley 21.663 as secondary sources quote them: 3 hours, 72 hours, 15 calendar days. They
are provisional: nobody here has read the law itself. All of them are counted from the moment of knowledge, which is
the strictest reading. Whether an incident has to be reported, and what the report says, a person decides: nothing
here sends anything.

Incidents are kept in `DATA_DIR/incidents/`, one file each. The gateway need not run.
"""

from bessai.incident.deadlines import REPORTS, TERMS, Deadline, deadlines
from bessai.incident.draft import draft, moment_text, time_left_text
from bessai.incident.evidence import Evidence, gather
from bessai.incident.incident import Incident, Sent
from bessai.incident.store import IncidentError, IncidentStore

__all__ = [
    "REPORTS",
    "TERMS",
    "Deadline",
    "Evidence",
    "Incident",
    "IncidentError",
    "IncidentStore",
    "Sent",
    "deadlines",
    "draft",
    "gather",
    "moment_text",
    "time_left_text",
]
