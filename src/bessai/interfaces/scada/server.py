"""The controlled station: listens, lets masters in, and brings every cycle to all of them.

    outstation = Outstation(scada, ask, clock)
    await outstation.start()
    await follow(path, outstation.station.sources.watched, outstation)     # `Listener`

One master's trouble is its own: each has a session with bounded queues and the link's timers.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from bessai.iec104 import Asdu, Cause, InfoObject, TypeId, encode
from bessai.interfaces.scada.authority import Authority
from bessai.interfaces.scada.buffer import EventBuffer
from bessai.interfaces.scada.commands import Ask, Commander
from bessai.interfaces.scada.encoder import Encoder
from bessai.interfaces.scada.feed import Columns, Frame
from bessai.interfaces.scada.masters import Masters
from bessai.interfaces.scada.session import Session
from bessai.interfaces.scada.shared import Shared
from bessai.interfaces.scada.station import Changes, Station
from bessai.model import Clock
from bessai.site.scada import Scada

_log = logging.getLogger(__name__)

_SECOND: Final = 1.0
"""Between two looks at what time does: renewals, stale values, cyclic reports."""
_CYCLIC: Final = 0x1000
"""Key of the first cyclic report among a session's streams."""


class Outstation:
    """One station for any number of masters.

    Args:
        scada: the point list, with its section `iec104`.
        ask: the control plane.
        clock: of everything.

    Raises:
        ValueError: the section is missing.
    """

    def __init__(self, scada: Scada, ask: Ask, clock: Clock) -> None:
        if scada.iec104 is None:
            raise ValueError("scada.iec104 is missing: nobody can connect")
        settings = scada.iec104
        self.settings: Final = settings
        self.station = Station(scada.points, settings.stale, clock.monotonic())
        self.buffer: Final = EventBuffer(settings.buffer)
        self.commander = Commander(ask, "iec104", settings.link_loss)
        self.authority: Final = Authority(settings.command)
        self.feed_problem: str | None = "the gateway's feed has not begun"
        """Why no cycles arrive; None while they do."""
        self._clock = clock
        self._encoder = Encoder(self.station, settings)
        self._shared = Shared(
            settings=settings, encoder=self._encoder, commands={point.ioa: point for point in scada.commands},
            commander=self.commander, authority=self.authority, clock=clock,
        )  # fmt: skip
        self._masters = Masters(self._shared, self.buffer, self._master_changed)
        self._ticking: asyncio.Task[None] | None = None
        self._first = True
        self._reported: dict[float, float] = {}
        """By period: monotonic seconds of the last cyclic report."""

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The connections of masters."""
        return tuple(self._masters.sessions)

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on: without encryption, then with."""
        return self._masters.ports

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or a certificate cannot be read.
        """
        await self._masters.listen()
        self._ticking = asyncio.get_running_loop().create_task(self._tick())

    async def stop(self) -> None:
        """Close everything. The standing set-points are left to their lease."""
        if self._ticking is not None:
            self._ticking.cancel()
        self._masters.close()
        await asyncio.sleep(0)

    # the feed ----------------------------------------------------------------------------------------------------

    def started(self, columns: Columns) -> None:
        """See `Listener`."""
        self.station.started(columns)
        self.feed_problem = None
        self.commander.renew_soon()

    def frame(self, frame: Frame) -> None:
        """See `Listener`."""
        self.commander.resume(frame.decision)
        self._tell_own()
        # the first values are news only to somebody who has seen that there were none
        quiet, self._first = self._first and not self.buffer.known, False
        self._publish(self.station.frame(frame, self._clock.monotonic(), quiet=quiet))

    def lost(self, reason: str) -> None:
        """See `Listener`."""
        if self.feed_problem is None:
            _log.warning("IEC 104: no cycles arrive: %s", reason)
        self.feed_problem = reason
        self.station.lost()
        self._refresh()

    # masters -----------------------------------------------------------------------------------------------------

    def _master_changed(self, session: Session, first: bool) -> None:
        if first:
            session.reply(self._initialized())
        if session.started and self.buffer.overflowed:
            self.station.report_again("scada.events_lost")  # that report may have been among what was lost

    def _initialized(self) -> bytes:
        return encode(
            Asdu(
                type=TypeId.M_EI_NA_1,
                cause=int(Cause.INITIALIZED),
                address=self.settings.common_address,
                objects=(InfoObject(value=0),),
            ),
            self._encoder.sizes,
        )

    # values ------------------------------------------------------------------------------------------------------

    def _publish(self, changes: Changes) -> None:
        if len(changes):
            self.buffer.append(self._encoder.events(changes))
        for session in self._masters.sessions:
            if session.started:
                session.pump()

    def _refresh(self) -> None:
        self._tell_own()
        self._publish(self.station.tick(self._clock.monotonic(), self._clock.wall_ns()))

    def _tell_own(self) -> None:
        self.buffer.settle(self._masters.linked)
        sources = self.station.sources
        sources.forget("command.")
        sources.learn(
            {
                "scada.events_lost": float(self.buffer.overflowed),
                "scada.in_command": float(any(self.authority.may(master) for master in self._masters.linked)),
                "scada.fallback": float(self.commander.fallback),
                **self.commander.told,
            }
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_SECOND)
            holder = self.authority.holder
            linked = any(
                self.authority.may(master) if holder is None else master == holder
                for master in self._masters.linked
            )
            await self.commander.look(self._clock.monotonic(), linked=linked)
            if holder is not None and not linked and not self.commander.waiting:
                self.authority.give_up()
            self._refresh()
            self._report_cyclic(self._clock.monotonic())

    def _report_cyclic(self, now: float) -> None:
        for n, period in enumerate(self._encoder.periods):
            if now - self._reported.get(period, 0.0) < period:
                continue
            self._reported[period] = now
            for session in self._masters.sessions:
                if session.started:  # one that is not through with the last report misses this one
                    session.stream(self._encoder.cyclic(period, self._clock.wall_ns()), _CYCLIC + n)

    def status(self) -> dict[str, Any]:
        """For people: masters, links, queues, the last command."""
        sync, last = self._shared.clock_sync, self.commander.last
        return {
            "masters": [session.status for session in self._masters.sessions],
            "in_command": self.authority.holder,
            "refused_connections": self._masters.refused,
            "malformed": self._shared.malformed,
            "events": {
                "held": len(self.buffer),
                "lost": self.buffer.lost,
                "overflowed": self.buffer.overflowed,
            },
            "commands": {
                "accepted": self.commander.counts.accepted,
                "refused": self.commander.counts.refused,
                "last": None if last is None else {"text": last.text, "refused": last.refused},
                "standing": self.commander.standing,
                "fallback": self.commander.fallback,
            },
            "clock_sync": None if sync is None else {"master": sync.master, "offset": sync.offset},
            "data_age": self.station.sources.oldest(self._clock.monotonic()),
            "feed": {
                "problem": self.feed_problem,
                "period": self.station.period,
                "missed": self.station.missed,
                "silence": self.station.silence(self._clock.monotonic()),
            },
        }
