"""A short fingerprint of a point list, by which both sides see that they talk of the same one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from bessai.site.scada.points import Scada


def digest(scada: Scada) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of all that an operator's system must agree with.

    Addresses, types, signs, scales, limits, texts and the sizes of addresses are in it; ports, timers and who may
    connect are not.
    """
    link, dnp3 = scada.iec104, scada.dnp3
    data = {
        "iec104": link and (link.common_address, link.cause_size, link.address_size, link.object_size),
        "dnp3": dnp3 and (dnp3.outstation, dnp3.master),
        "points": [asdict(point) for point in scada.points],
        "commands": [asdict(command) for command in scada.commands],
    }
    text = json.dumps(data, sort_keys=True, default=_plain, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    return sorted(value)  # sets of numbers
