"""The DNP3 outstation as a sink of the service."""

from __future__ import annotations

from pathlib import Path

from bessai.interfaces.dnp3.server import Outstation
from bessai.interfaces.scada.sink import StationSink
from bessai.model import Clock
from bessai.site.scada import Scada


class Dnp3Sink(StationSink):
    """Runs the outstation until it is told to stop.

    Args:
        scada: the point list.
        socket: where the control plane listens.
        clock: of everything.
    """

    def __init__(self, scada: Scada, socket: Path, clock: Clock | None = None) -> None:
        super().__init__("dnp3", scada, socket, Outstation, clock)
