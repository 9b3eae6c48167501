"""What the station answers to one master: interrogations, commands, clock, test and reset."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from dataclasses import replace
from typing import Final, Protocol

from bessai.iec104 import (
    Asdu,
    AsduError,
    Cause,
    InfoObject,
    Reason,
    TimeMark,
    TypeId,
    decode,
    encode,
    mirrored,
)
from bessai.interfaces.scada.commands import Refused
from bessai.interfaces.scada.orders import Orders
from bessai.interfaces.scada.seldom import Seldom
from bessai.interfaces.scada.shared import ClockSync, Shared

_log = logging.getLogger(__name__)

_ACT, _DEACT = int(Cause.ACTIVATION), int(Cause.DEACTIVATION)
_CON, _DEACT_CON, _TERM = int(Cause.ACTIVATION_CON), int(Cause.DEACTIVATION_CON), int(Cause.ACTIVATION_TERM)
_TO_STATION: Final = {TypeId.C_IC_NA_1, TypeId.C_CI_NA_1, TypeId.C_CS_NA_1, TypeId.C_RP_NA_1}
"""May be sent to all stations at once."""
_GROUPS: Final = range(21, 37)
_FREEZE: Final = 1


class Outlet(Protocol):
    """Where answers go: the session of the master."""

    @property
    def master(self) -> str:
        """Its address."""
        ...

    def reply(self, asdu: bytes) -> None:
        """Send one ASDU, before anything that is waiting."""
        ...

    def stream(self, asdus: Iterator[bytes], key: int) -> bool:
        """Send many, as the link allows; False when one of this key is still under way."""
        ...


class Dialogue:
    """The conversation with one master.

    Args:
        shared: of the station.
        outlet: takes the answers.
        linked: addresses of masters with data transfer.
    """

    def __init__(self, shared: Shared, outlet: Outlet, linked: Container[str]) -> None:
        self._shared = shared
        self._outlet = outlet
        self._linked = linked
        self._nonsense = Seldom(_log)
        self._orders = Orders(shared, outlet.master)
        self.wrong = 0
        """ASDUs of the master that were malformed, unknown or refused."""
        self._frozen: dict[int, InfoObject] = {}
        self._freezes = 0

    async def handle(self, data: bytes) -> None:
        """Answer one ASDU of the master."""
        shared, sizes = self._shared, self._shared.encoder.sizes
        try:
            asdu = decode(data, sizes)
        except AsduError as error:
            self.wrong += 1
            if error.reason is Reason.TYPE and error.header is not None:
                self._outlet.reply(mirrored(data, Cause.UNKNOWN_TYPE, sizes))
                return
            shared.malformed += 1
            self._nonsense.warning("IEC 104: %s sent an ASDU that is none: %s", self._outlet.master, error)
            return
        unknown = self._unknown(asdu)
        if unknown is not None:
            self.wrong += 1
            self._outlet.reply(mirrored(data, unknown, sizes))
            return
        if asdu.address != shared.settings.common_address:
            asdu = replace(asdu, address=shared.settings.common_address)
        match asdu.type:
            case TypeId.C_IC_NA_1:
                self._interrogate(asdu)
            case TypeId.C_CI_NA_1:
                self._interrogate_counters(asdu)
            case TypeId.C_RD_NA_1:
                self._read(asdu)
            case TypeId.C_CS_NA_1:
                self._clock(asdu)
            case TypeId.C_TS_TA_1:
                self._reply(asdu)
            case TypeId.C_RP_NA_1:
                self._nonsense.warning(
                    "IEC 104: %s asked for a reset of the process: refused", self._outlet.master
                )
                self._reply(asdu, negative=True)
            case _:
                await self._command(asdu)

    def _unknown(self, asdu: Asdu) -> Cause | None:
        """The cause 44 … 47 that answers what the station does not know."""
        shared, kind = self._shared, asdu.type
        if kind < TypeId.C_SC_NA_1 or kind == TypeId.M_EI_NA_1:
            return Cause.UNKNOWN_TYPE
        causes = {TypeId.C_RD_NA_1: {int(Cause.REQUEST)}}
        is_command = kind <= TypeId.C_BO_TA_1
        if asdu.cause not in causes.get(kind, {_ACT, _DEACT} if is_command else {_ACT}):
            return Cause.UNKNOWN_CAUSE
        everybody = (1 << 8 * shared.encoder.sizes.address) - 1
        if asdu.address != shared.settings.common_address and not (
            asdu.address == everybody and kind in _TO_STATION
        ):
            return Cause.UNKNOWN_ADDRESS
        ioa = asdu.objects[0].address
        if is_command:
            point = shared.commands.get(ioa)
            known = point is not None and kind in (point.type_id, point.timed_type_id)
        elif kind == TypeId.C_RD_NA_1:
            known = shared.encoder.where(ioa) is not None
        else:
            known = ioa == 0
        return None if known else Cause.UNKNOWN_OBJECT

    def _interrogate(self, asdu: Asdu) -> None:
        qualifier = int(asdu.objects[0].value or 0)
        if qualifier != 20 and qualifier not in _GROUPS:
            self._reply(asdu, negative=True)
            return
        group = None if qualifier == 20 else qualifier - 20
        states = self._shared.encoder.states(20 + (group or 0), asdu.originator, group)
        self._stream(asdu, states, qualifier)

    def _interrogate_counters(self, asdu: Asdu) -> None:
        encoder = self._shared.encoder
        qualifier = int(asdu.objects[0].value or 0)
        request, freeze = qualifier & 0x3F, qualifier >> 6
        if not 1 <= request <= 5 or freeze > _FREEZE:  # what the meters count is not ours to reset
            self._reply(asdu, negative=True)
            return
        points = encoder.counter_points(None if request == 5 else request)
        if freeze == _FREEZE:
            self._freezes += 1
            now = self._shared.clock.wall_ns()
            readings = encoder.count(points, self._freezes & 0x1F, now)
            self._frozen.update(zip(points, readings, strict=True))
            self._reply(asdu)
            self._reply(asdu, cause=_TERM)
            return
        running = encoder.count([point for point in points if point not in self._frozen])
        frozen = [self._frozen[point] for point in points if point in self._frozen]
        cause = int(Cause.COUNTERS) + (request if request < 5 else 0)
        made = [
            *(encoder.counters(frozen, cause, asdu.originator) if frozen else ()),
            *(encoder.counters(running, cause, asdu.originator) if running else ()),
        ]
        self._stream(asdu, iter(made), 0x100 + request)

    def _read(self, asdu: Asdu) -> None:
        point = self._shared.encoder.where(asdu.objects[0].address)
        if point is not None:
            for data in self._shared.encoder.read(point, int(Cause.REQUEST), asdu.originator):
                self._outlet.reply(data)

    def _clock(self, asdu: Asdu) -> None:
        told, marks = asdu.objects[0].time, asdu.objects[0].time_marks
        now = self._shared.clock.wall_ns()
        if told is None or marks & TimeMark.INVALID:
            self._reply(asdu, negative=True)
            return
        sync = ClockSync(master=self._outlet.master, offset=(told - now) / 1e9)
        _log.info(
            "IEC 104: %s told the time, %.3f s ahead of the gateway's; it is not applied",
            sync.master,
            sync.offset,
        )
        self._shared.clock_sync = sync
        self._reply(replace(asdu, objects=(InfoObject(time=now),)))

    async def _command(self, asdu: Asdu) -> None:
        point = self._shared.commands[asdu.objects[0].address]
        con = _CON if asdu.cause == _ACT else _DEACT_CON
        try:
            if asdu.test:
                raise Refused("it is marked as a test")
            if (objection := self._shared.authority.objection(self._outlet.master, self._linked)) is not None:
                raise Refused(objection)
            if asdu.cause == _DEACT:
                await self._orders.end(point)
            elif asdu.objects[0].select:
                self._orders.select(asdu, point)
            else:
                await self._orders.execute(asdu, point)
        except Refused as error:
            self.wrong += 1
            text = f"{asdu.type.name} to object {point.ioa} (master {self._outlet.master})"
            self._shared.commander.note(text, error)
            self._reply(asdu, cause=con, negative=True)
            return
        self._shared.authority.take(self._outlet.master)
        self._reply(asdu, cause=con)
        if asdu.cause == _ACT and not asdu.objects[0].select:
            self._reply(asdu, cause=_TERM)

    def _stream(self, asdu: Asdu, asdus: Iterator[bytes], key: int) -> None:
        sizes = self._shared.encoder.sizes
        begin, end = encode(asdu.reply(_CON), sizes), encode(asdu.reply(_TERM), sizes)

        def whole() -> Iterator[bytes]:
            yield begin
            yield from asdus
            yield end

        if not self._outlet.stream(whole(), key):
            self._reply(asdu, negative=True)

    def _reply(self, asdu: Asdu, *, cause: int = _CON, negative: bool = False) -> None:
        self._outlet.reply(encode(asdu.reply(cause, negative=negative), self._shared.encoder.sizes))
