"""What one request of a master is answered: reading and confirming here, everything else by the library."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Final

from dnp3.application import ParseError, ResponseFragment, build_null_response, parse_request
from dnp3.core.enums import FunctionCode
from dnp3.core.flags import IIN
from dnp3.outstation import Outstation as Library
from dnp3.outstation import OutstationConfig, PeerId

from bessai.interfaces.dnp3.controls import Controls
from bessai.interfaces.dnp3.events import CLASSES, Events
from bessai.interfaces.dnp3.reading import FRAGMENT, Fragment, Reader
from bessai.site.scada import Dnp3

_log = logging.getLogger(__name__)

_CONTROLS: Final = (
    FunctionCode.SELECT,
    FunctionCode.OPERATE,
    FunctionCode.DIRECT_OPERATE,
    FunctionCode.DIRECT_OPERATE_NO_ACK,
)
"""Answered in a thread of their own: they wait for the control plane."""
_WRONG: Final = 20
"""Objects refused on one connection, before each further request with one costs the master a pause."""
_PAUSE: Final = 0.5
"""Seconds: whatever a master sends, it fills no log."""
_EVENT_BITS: Final = dict(
    zip(CLASSES, (IIN.CLASS_1_EVENTS, IIN.CLASS_2_EVENTS, IIN.CLASS_3_EVENTS), strict=True)
)


class Application(Library):
    """The library's outstation, whose internal indications know of the events that are held here."""

    def __init__(
        self, settings: Dnp3, controls: Controls, events: Events, trouble: Callable[[], bool]
    ) -> None:
        super().__init__(
            config=OutstationConfig(
                address=settings.outstation,
                master_address=settings.master,
                max_fragment_size=FRAGMENT,
                select_timeout=settings.select_timeout,
                time_sync_required=False,  # the clock is the host's; a master's time is not applied
            ),
            handler=controls,
        )
        self.controls: Final = controls
        self._events = events
        self._trouble = trouble

    @property
    def iin(self) -> IIN:
        """Internal indications now."""
        return self.indications(frozenset())

    def indications(self, told: Collection[int]) -> IIN:
        """Internal indications of an answer in which these events are told."""
        bits = super().iin
        for number, bit in _EVENT_BITS.items():
            if self._events.waiting(number, told):
                bits |= bit
        if self._events.overflowed:
            bits |= IIN.EVENT_BUFFER_OVERFLOW
        if self._trouble():
            bits |= IIN.DEVICE_TROUBLE
        return bits


class Dialogue:
    """The requests of one connection, in order.

    Args:
        application: the library's outstation.
        reader: answers READ.
        events: to forget what was confirmed.
        peer: who asks.
    """

    def __init__(self, application: Application, reader: Reader, events: Events, peer: PeerId) -> None:
        self._application = application
        self._reader = reader
        self._events = events
        self._peer = peer
        self._series: deque[Fragment] = deque()
        self._awaited: Fragment | None = None
        self._refused = 0

    async def answer(self, data: bytes) -> Sequence[bytes]:
        """The fragments to send now; none when there is nothing to say.

        Args:
            data: one fragment of the master.
        """
        if len(data) >= 2 and data[1] == FunctionCode.CONFIRM:
            return self._confirmed(data[0])
        self._series.clear()
        self._awaited = None  # whatever was not confirmed is told again
        function = data[1] if len(data) >= 2 else None
        if function == FunctionCode.READ:
            return self._read(data)
        if function == FunctionCode.ENABLE_UNSOLICITED:
            iin = self._application.iin | IIN.NO_FUNC_CODE_SUPPORT
            return [build_null_response(iin=iin, seq=data[0] & 0x0F).to_bytes()]
        if function in _CONTROLS:
            made = await self._control(data)
        else:
            made = self._application.process_request(data, peer=self._peer)
        return [response.to_bytes() for response in made]

    async def _control(self, data: bytes) -> Sequence[ResponseFragment]:
        controls = self._application.controls
        controls.begin()
        made = await asyncio.to_thread(self._application.process_request, data, peer=self._peer)
        self._refused += controls.refused
        if controls.refused and self._refused > _WRONG:
            await asyncio.sleep(_PAUSE)
        return made

    def _read(self, data: bytes) -> Sequence[bytes]:
        application = self._application
        try:
            request = parse_request(data)
        except (ParseError, ValueError):
            request = None
        if request is None or request.truncation is not None:
            iin = application.iin | IIN.PARAMETER_ERROR
            return [build_null_response(iin=iin, seq=data[0] & 0x0F).to_bytes()]
        self._series = deque(
            self._reader.answer(request.objects, application.indications, request.header.control.seq)
        )
        return self._next()

    def _next(self) -> Sequence[bytes]:
        fragment = self._series.popleft()
        self._awaited = fragment if fragment.confirm else None
        return [fragment.data]

    def _confirmed(self, control: int) -> Sequence[bytes]:
        awaited = self._awaited
        if awaited is None or control & 0x0F != awaited.sequence or control & 0x10:
            return []
        self._awaited = None
        self._events.confirm(awaited.serials)
        return self._next() if self._series else []
