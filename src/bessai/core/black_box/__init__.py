"""The black box: the guard's calls before and after an event, kept durably and replayable bit for bit.

`RecordedGuard` stands in front of the guard and notes every call with its result on a `BlackBox`, which keeps the
last seconds in memory, packed. An alarm, a trip or a person's `freeze` writes them to a file at once, and what
follows as it comes. `read_box` reads such a file, `bessai.core.replay` puts it before today's guard.
"""

from bessai.core.black_box.box import BlackBox
from bessai.core.black_box.frames import UnreadableBoxError
from bessai.core.black_box.guard import Guard, RecordedGuard
from bessai.core.black_box.reading import Box, Call, Outline, Snapshot, Trigger, outline, read_box

__all__ = [
    "BlackBox",
    "Box",
    "Call",
    "Guard",
    "Outline",
    "RecordedGuard",
    "Snapshot",
    "Trigger",
    "UnreadableBoxError",
    "outline",
    "read_box",
]
