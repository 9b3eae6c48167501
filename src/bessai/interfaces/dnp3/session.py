"""One connection of a master: link and transport layers over TCP, with bounds on everything that it sends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from dnp3.core.enums import LinkFunctionCode
from dnp3.datalink.builder import build_ack, build_link_status, build_unconfirmed_user_data
from dnp3.datalink.frame import DataLinkFrame
from dnp3.datalink.parser import FrameParser
from dnp3.transport.reassembler import Reassembler, ReassemblyError
from dnp3.transport.segment import TransportSegment
from dnp3.transport.segmenter import Segmenter

from bessai.interfaces.dnp3.outstation import Dialogue
from bessai.interfaces.dnp3.reading import FRAGMENT
from bessai.site.scada import Dnp3

_log = logging.getLogger(__name__)

_WRITE: Final = 10.0
"""Seconds for a master to take what it asked for."""
_CHUNK: Final = 4096
_LINK_ANSWERS: Final = {
    LinkFunctionCode.PRI_RESET_LINK_STATE: build_ack,
    LinkFunctionCode.PRI_TEST_LINK_STATE: build_ack,
    LinkFunctionCode.PRI_REQUEST_LINK_STATUS: build_link_status,
    LinkFunctionCode.PRI_CONFIRMED_USER_DATA: build_ack,
}
_USER_DATA: Final = (
    LinkFunctionCode.PRI_CONFIRMED_USER_DATA,
    LinkFunctionCode.PRI_UNCONFIRMED_USER_DATA,
)


class Session:
    """Reads frames and answers them until the connection ends.

    Args:
        address: of the master.
        settings: link addresses and times.
        dialogue: answers fragments.
        reader: the connection.
        writer: the same.
        begin: is called before its first fragment is answered.
    """

    def __init__(
        self,
        address: str,
        settings: Dnp3,
        dialogue: Dialogue,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        begin: Callable[[Session], None],
    ) -> None:
        self.address: Final = address
        self.requests = 0
        """Fragments of the master so far."""
        self.sent = 0
        """Fragments that it was sent."""
        self.malformed = 0
        """Segments and fragments that could not be understood."""
        self._settings = settings
        self._dialogue = dialogue
        self._reader = reader
        self._writer = writer
        self._begin = begin
        self._parser = FrameParser()
        self._reassembler = Reassembler(max_fragment_size=FRAGMENT)
        self._segmenter = Segmenter()

    async def run(self) -> str:
        """Returns why the connection ended."""
        try:
            while True:
                async with asyncio.timeout(self._settings.silence):
                    data = await self._reader.read(_CHUNK)
                if not data:
                    return "it closed the connection"
                for frame in self._parser.feed(data):
                    await self._frame(frame)
        except TimeoutError:
            return "it fell silent"
        except OSError as error:
            return error.strerror or type(error).__name__
        except Exception as error:  # noqa: BLE001  one connection must not end the others
            _log.exception("dnp3: what %s sent could not be answered", self.address)
            return f"it is closed after {type(error).__name__}"

    def close(self) -> None:
        """End the connection at once."""
        with contextlib.suppress(RuntimeError):
            self._writer.transport.abort()

    async def _frame(self, frame: DataLinkFrame) -> None:
        header, settings = frame.header, self._settings
        if header.destination != settings.outstation or header.source != settings.master:
            return
        if not header.control.prm:
            return
        try:
            function = LinkFunctionCode(header.control.function_code)
        except ValueError:
            self.malformed += 1
            return
        if (answer := _LINK_ANSWERS.get(function)) is not None:
            await self._write(answer(settings.master, settings.outstation, False).to_bytes())
        if function in _USER_DATA and frame.user_data:
            await self._segment(frame.user_data)

    async def _segment(self, data: bytes) -> None:
        try:
            whole = self._reassembler.add(TransportSegment.from_bytes(data))
        except (ReassemblyError, ValueError):
            self.malformed += 1
            self._reassembler.reset()
            return
        if whole is None:
            return
        if not self.requests:
            self._begin(self)
        self.requests += 1
        for fragment in await self._dialogue.answer(whole.data):
            for segment in self._segmenter.segment(fragment):
                frame = build_unconfirmed_user_data(
                    destination=self._settings.master,
                    source=self._settings.outstation,
                    dir_from_master=False,
                    user_data=segment.to_bytes(),
                )
                await self._write(frame.to_bytes())
            self.sent += 1

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        async with asyncio.timeout(_WRITE):
            await self._writer.drain()
