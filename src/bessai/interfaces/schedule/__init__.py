"""A file that says which power the plant should give when, turned into leased requests.

    start,end,power_kw,reason
    2026-11-24 18:00,2026-11-24 22:00,40,evening peak
    2026-11-25 02:00,2026-11-25 06:00,-30,night tariff

`load_schedule` reads CSV or JSON, reports every problem at once, and gives a `Schedule`, which knows what is in force
at any instant. `ScheduleRequester` asks the gateway for it, a lease of at most 30 s at a time: when it stops, the last
lease ends by itself and the plant is without a schedule. Times in a file are local to its time zone; everything
inside is seconds since 1970, UTC. See docs/schedule.md.
"""

from bessai.interfaces.schedule.loading import load_schedule
from bessai.interfaces.schedule.model import Daily, Entry, Part, Schedule, ScheduleError
from bessai.interfaces.schedule.requester import ScheduleRequester
from bessai.interfaces.schedule.schema import schedule_json_schema

__all__ = [
    "Daily", "Entry", "Part", "Schedule", "ScheduleError", "ScheduleRequester", "load_schedule", "schedule_json_schema",
]  # fmt: skip
