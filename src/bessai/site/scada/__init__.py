"""The SCADA point list of a site: what the grid operator sees, and what it may command.

    scada = load_site("config/site.yaml").scada      # None: the file has no section `scada:`
    point = scada.points[0]
    point.type_id, point.timed_type_id               # 13, 36: M_ME_NC_1 and M_ME_TF_1
    point.shown(-1500.0)                             # after sign and scale

`schema` is how the section is written, `making` expands and checks it, `names` is what a list may name besides the
points of the site, `presets` are lists that ship. The same list serves IEC 60870-5-104 and DNP3. Values follow the
generator convention until `sign` turns them.
"""

from bessai.site.scada.digest import digest
from bessai.site.scada.making import make_scada
from bessai.site.scada.points import CommandPoint, Dnp3, Iec104, LinkLoss, MonitorPoint, Scada, Tls
from bessai.site.scada.types import COMMAND_TYPE_IDS, TYPE_IDS, TYPE_NAMES

__all__ = [
    "COMMAND_TYPE_IDS",
    "TYPE_IDS",
    "TYPE_NAMES",
    "CommandPoint",
    "Dnp3",
    "Iec104",
    "LinkLoss",
    "MonitorPoint",
    "Scada",
    "Tls",
    "digest",
    "make_scada",
]
