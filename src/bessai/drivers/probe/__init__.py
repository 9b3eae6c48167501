"""What is at an address? Unit ids, identification, SunSpec models, the profile that fits, and a draft where none does.

    client = gentle_client(parse_endpoint("192.168.8.1:502"), profiles, Bounds())
    await client.connect()
    probed = await probe(client, profiles, TCP_UNITS)
    probed.units[0].fits[0].profile.id               # "huawei_sun2000"

`gentle` is the client that only reads, within a bound; `fit` holds fingerprints against answers; `probing` asks for
everything; `draft` writes a profile's skeleton for a device that nobody knows.
"""

from bessai.drivers.probe.draft import Scan, Span, draft_document, parse_spans, scan, sunspec_document
from bessai.drivers.probe.fit import Fit
from bessai.drivers.probe.gentle import GentleClient
from bessai.drivers.probe.probing import (
    SERIAL_UNITS,
    TCP_UNITS,
    Bounds,
    Probed,
    UnitFound,
    gentle_client,
    probe,
)
from bessai.drivers.probe.reading import Reading
from bessai.drivers.probe.sunspec import SunSpecFound

__all__ = [
    "SERIAL_UNITS",
    "TCP_UNITS",
    "Bounds",
    "Fit",
    "GentleClient",
    "Probed",
    "Reading",
    "Scan",
    "Span",
    "SunSpecFound",
    "UnitFound",
    "draft_document",
    "gentle_client",
    "parse_spans",
    "probe",
    "scan",
    "sunspec_document",
]
