"""`bessai doctor`: looks at the machine, the settings and the running gateway, and says what to mend.

    look = look_around(data_dir, ask)              # settings, site, status of a running gateway
    found = examine(look, chosen(["clock"]))       # all checks at once, each within its deadline
    plain(look, found)                             # for programs; `lines` for people

A check is a function of a `Look` that yields findings: a verdict, and the name of a text with what fills its blanks
(`result`). The words stand in `texts.json`, English and Spanish (`words`). Checks look, and change nothing: they read,
connect, and write one file without a name in DATA_DIR to see how long the disk takes. A device is read only when no
gateway runs and nothing on this machine talks to it. `running` gives each check a thread and a deadline.

`bundle` makes the support bundle, `masking` is what leaves secrets and names out of it.
"""

from bessai.doctor.around import look_around
from bessai.doctor.catalogue import CHECKS, GROUPS, chosen
from bessai.doctor.look import Look
from bessai.doctor.report import exit_code, lines, plain
from bessai.doctor.result import Check, Checked, Finding, Verdict
from bessai.doctor.running import examine

__all__ = [
    "CHECKS",
    "GROUPS",
    "Check",
    "Checked",
    "Finding",
    "Look",
    "Verdict",
    "chosen",
    "examine",
    "exit_code",
    "lines",
    "look_around",
    "plain",
]
