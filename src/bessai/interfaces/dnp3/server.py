"""The outstation: listens, lets the master in, and keeps its points up to date.

A DNP3 association over TCP has one master. The newest connection from an address that may connect is the one that
counts from its first request on; an older one is closed, because a master that connects anew has given it up.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict
from typing import Any, Final

from dnp3.outstation import PeerId

from bessai.interfaces.dnp3.controls import Controls
from bessai.interfaces.dnp3.events import Events
from bessai.interfaces.dnp3.image import Image
from bessai.interfaces.dnp3.outstation import Application, Dialogue
from bessai.interfaces.dnp3.reading import Reader
from bessai.interfaces.dnp3.session import Session
from bessai.interfaces.scada.access import AddressList
from bessai.interfaces.scada.commands import Ask, Commander
from bessai.interfaces.scada.feed import Columns, Frame
from bessai.interfaces.scada.station import Changes, Station
from bessai.model import Clock
from bessai.site.scada import CommandPoint, Scada

_log = logging.getLogger(__name__)

_SECOND: Final = 1.0
_COMMAND: Final = 5.0
"""Seconds that the control plane has for a command."""
_STRANGERS: Final = 64
"""Addresses that were turned away and are remembered, so that each is logged once."""


class Outstation:
    """One outstation for one master.

    Args:
        scada: the point list, with its section `dnp3`.
        ask: the control plane.
        clock: of everything.

    Raises:
        ValueError: the section is missing.
    """

    def __init__(self, scada: Scada, ask: Ask, clock: Clock) -> None:
        if scada.dnp3 is None:
            raise ValueError("scada.dnp3 is missing: nobody can connect")
        settings = scada.dnp3
        self.settings: Final = settings
        self.station = Station(scada.points, settings.stale, clock.monotonic())
        self.commander = Commander(ask, "dnp3", settings.link_loss)
        self.events: Final = Events(settings.buffer)
        self.feed_problem: str | None = "the gateway's feed has not begun"
        """Why no cycles arrive; None while they do."""
        self.refused = 0
        """Connections that were turned away."""
        self._clock = clock
        self._image = Image(self.station, scada.commands, self.events)
        self._reader = Reader(self._image, self.events, lambda: self.commander.told)
        self._loop: asyncio.AbstractEventLoop | None = None
        controls = Controls(scada.commands, self._execute, allowed=settings.commands)
        self._application = Application(
            settings, controls, self.events, lambda: self.feed_problem is not None
        )
        self._allowed = AddressList(settings.masters)
        self._strangers: OrderedDict[str, None] = OrderedDict()
        self._session: Session | None = None
        self._silent: Session | None = None
        """The newest connection that has not asked for anything yet."""
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._known = False
        self._first = True

    @property
    def ports(self) -> list[int]:
        """The port that is listened on."""
        return [self._server.sockets[0].getsockname()[1]] if self._server and self._server.sockets else []

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        self._loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._connected, self.settings.listen, self.settings.port)
        self._ticking = self._loop.create_task(self._tick())

    async def stop(self) -> None:
        """Close everything. The standing set-points are left to their lease."""
        if self._server is not None:
            self._server.close()
        for task in (self._ticking, *self._connections):
            if task is not None:
                task.cancel()
        for session in (self._session, self._silent):
            if session is not None:
                session.close()
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
        # the first values are news only to a master that has read that there were none
        quiet, self._first = self._first and not self._known, False
        self._note(self.station.frame(frame, self._clock.monotonic(), quiet=quiet), quiet=quiet)

    def lost(self, reason: str) -> None:
        """See `Listener`."""
        if self.feed_problem is None:
            _log.warning("dnp3: no cycles arrive: %s", reason)
        self.feed_problem = reason
        self.station.lost()
        self._refresh()

    def _note(self, changes: Changes, *, quiet: bool = False) -> None:
        self._image.note(changes)
        self._image.note_counters(quiet=quiet)

    def _refresh(self) -> None:
        self._tell_own()
        self._note(self.station.tick(self._clock.monotonic(), self._clock.wall_ns()))

    def _tell_own(self) -> None:
        sources = self.station.sources
        sources.forget("command.")
        sources.learn(
            {
                "scada.events_lost": float(self.events.overflowed),
                "scada.in_command": float(self._session is not None and self.settings.commands),
                "scada.fallback": float(self.commander.fallback),
                **self.commander.told,
            }
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_SECOND)
            await self.commander.look(self._clock.monotonic(), linked=self._session is not None)
            self._refresh()

    # the master --------------------------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = str((writer.get_extra_info("peername") or ("",))[0])
        if address not in self._allowed:
            self._turn_away(address)
            writer.transport.abort()
            return
        _keep_alive(writer)
        connection = self._application.new_connection_id()
        peer = PeerId(source=self.settings.master, connection=connection)
        dialogue = Dialogue(self._application, self._reader, self.events, peer)
        session = Session(address, self.settings, dialogue, reader, writer, self._begin)
        if self._silent is not None:
            self._silent.close()
        self._silent = session
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        _log.info("dnp3: %s has connected", address)
        try:
            reason = await session.run()
            _log.info("dnp3: %s has gone: %s", address, reason)
        finally:
            self._application.release_connection(connection)
            session.close()
            if self._session is session:
                self._session = None
            if self._silent is session:
                self._silent = None

    def _begin(self, session: Session) -> None:
        """A connection has made its first request: from now on it is the master's."""
        if self._session is not None:
            _log.info("dnp3: %s asks, the connection of %s is closed", session.address, self._session.address)
            self._session.close()
        self._session, self._silent, self._known = session, None, True

    def _turn_away(self, address: str) -> None:
        self.refused += 1
        if address in self._strangers:
            return
        _log.warning("dnp3: %s may not connect: it is not among scada.dnp3.masters", address)
        self._strangers[address] = None
        while len(self._strangers) > _STRANGERS:
            self._strangers.popitem(last=False)

    def _execute(self, point: CommandPoint, value: float) -> None:
        """Carry a command out, from the thread that answers the master."""
        if self._loop is None:
            raise TimeoutError
        who = self._session.address if self._session is not None else "unknown master"
        asyncio.run_coroutine_threadsafe(self.commander.execute(point, value, who), self._loop).result(
            _COMMAND
        )

    def status(self) -> dict[str, Any]:
        """For people: the master, the queue, the last command."""
        session, last = self._session, self.commander.last
        masters: list[dict[str, Any]] = []
        if session is not None:
            counts = {"requests": session.requests, "sent": session.sent, "malformed": session.malformed}
            masters.append({"address": session.address, **counts})
        return {
            "masters": masters,
            "refused_connections": self.refused,
            "events": {
                "held": len(self.events),
                "lost": self.events.lost,
                "overflowed": self.events.overflowed,
            },
            "commands": {
                "accepted": self.commander.counts.accepted,
                "refused": self.commander.counts.refused,
                "last": None if last is None else {"text": last.text, "refused": last.refused},
                "standing": self.commander.standing,
                "fallback": self.commander.fallback,
            },
            "data_age": self.station.sources.oldest(self._clock.monotonic()),
            "feed": {
                "problem": self.feed_problem,
                "period": self.station.period,
                "missed": self.station.missed,
                "silence": self.station.silence(self._clock.monotonic()),
            },
        }


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the system find out within half a minute that a master is gone."""
    found = writer.get_extra_info("socket")
    if found is None:
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
