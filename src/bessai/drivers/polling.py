"""Reading one poll class: blocks, repeats, splits, and what the device turned out not to have."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Mapping
from itertools import groupby

import numpy as np

from bessai.drivers.columns import Columns
from bessai.drivers.modbus import (
    DeviceException,
    ModbusClient,
    ModbusError,
    NoReply,
    NotSent,
    Request,
    Urgency,
    read,
)
from bessai.drivers.telling import words_of
from bessai.registry import Block, CompiledProfile, ReadPlan, build_block
from bessai.registry.schema import Point

_Replies = dict[Block, bytes | ModbusError]

_SHUN_FIRST = 5.0
_SHUN_MAX = 600.0


class Poller:
    """Reads one plan again and again, learning what the device refuses.

    Args:
        profile: the device.
        plan: what to read.
        units: unit id of each station, None standing for the device's own.
        columns: where values go.
    """

    def __init__(
        self, profile: CompiledProfile, plan: ReadPlan, units: Mapping[str | None, int], columns: Columns
    ) -> None:
        self.plan = plan
        self.absent: dict[str, Block] = {}
        """Points that the device refused one by one; asked again from time to time."""
        self.splits = 0
        self._silent = self._was_silent = False
        """This reading, and the one before, found nobody: then one question shows whether that is still so."""
        self._profile = profile
        self._units = units
        self._columns = columns
        self._blocks = list(plan.blocks)  # replaced, never changed: a poll may be under way
        self._parts: list[tuple[int, list[Request]]] = []
        self._whole: struct.Struct | None = None
        """Takes all replies of the plan apart at once."""
        self._raw = bytearray(8 * len(plan.columns))
        self._numbers = np.frombuffer(self._raw, np.float64)
        self._doubles = struct.Struct(f"={len(plan.columns)}d")
        self._shunned: dict[Block, tuple[float, float]] = {}
        self._came: tuple[list[Block], list[bytes], float] = ([], [], -math.inf)
        """The newest whole reading, as it came, and when it was asked for."""
        self._came_partly: dict[Block, tuple[bytes, float]] = {}
        """The same of blocks that were read while others were not."""
        self._prepare(self._blocks)

    def _prepare(self, blocks: list[Block]) -> None:
        self._blocks = blocks
        self._parts = self._requests(blocks)
        formats = [block.plain_format for block in blocks]
        complete = sum(len(block.names) for block in blocks) == len(self.plan.columns)
        simple = complete and all(formats) and not any(block.texts for block in blocks)
        self._whole = struct.Struct(">" + "".join(map(str, formats))) if simple else None

    def _requests(self, blocks: list[Block]) -> list[tuple[int, list[Request]]]:
        """The requests for blocks, in their order, together as far as they go to the same unit."""
        return [
            (self._units[station], [_request(block) for block in part])
            for station, part in groupby(blocks, lambda block: block.station)
        ]

    async def poll(self, client: ModbusClient, urgency: Urgency) -> ModbusError | None:
        """Read everything once. Returns the error that kept something from being read, or None."""
        self._was_silent, self._silent = self._silent, False
        blocks, parts = self._blocks, self._parts
        start = asyncio.get_running_loop().time()
        if self._shunned and urgency is Urgency.SLOW:
            blocks = [b for b in blocks if self._shunned.get(b, (0.0, 0.0))[0] <= start]
            parts = self._requests(blocks)
        if not blocks:
            return None
        connected = client.connected
        replies: list[bytes | ModbusError] = []
        for unit, requests in parts:
            replies += await client.transact(unit, requests, urgency)
        if self._stored(blocks, replies, start):
            self._shunned.clear()
            return None
        found = dict(zip(blocks, replies, strict=True))
        if urgency is Urgency.SLOW and connected:
            self._shun(found)
        return await self._recover(client, urgency, found, start)

    def _stored(self, blocks: list[Block], replies: list[bytes | ModbusError], start: float) -> bool:
        """Keep what was read, when all of the plan was."""
        data = [reply for reply in replies if isinstance(reply, bytes)]
        if len(data) < len(replies):
            return False
        self._came = (blocks, data, start)
        if self._whole is not None and blocks is self._blocks:
            self._doubles.pack_into(self._raw, 0, *self._whole.unpack(b"".join(data)))
            self._columns.store(self.plan, self._numbers, start)
            return True
        raw: list[float] = []
        for block, reply in zip(blocks, data, strict=True):
            raw += block.unpack(reply)
            self._columns.texts.update(block.unpack_texts(reply))
        if len(raw) < len(self.plan.columns):
            return False
        self._columns.store(self.plan, np.array(raw, np.float64), start)
        return True

    def registers(self, point: Point) -> tuple[tuple[str, ...], float] | None:
        """A point's registers as they last came, and when they were asked for (loop time); None: never."""
        blocks, replies, start = self._came
        readings = [(start, block, data) for block, data in zip(blocks, replies, strict=True)]
        readings += [(start, block, data) for block, (data, start) in self._came_partly.items()]
        for start, block, data in sorted(readings, key=lambda reading: -reading[0]):
            if (words := words_of(point, block, data)) is not None:
                return words, start
        return None

    def _shun(self, replies: _Replies) -> None:
        """A block that ends in silence or a lost connection is left alone for a while, longer each time.

        Some devices close the connection at the question for a part that is away; it must not cost the rest.
        """
        now = asyncio.get_running_loop().time()
        for block, reply in replies.items():
            if isinstance(reply, bytes):
                self._shunned.pop(block, None)
            elif not isinstance(reply, DeviceException | NotSent):
                _, pause = self._shunned.get(block, (0.0, _SHUN_FIRST / 2))
                pause = min(2 * pause, _SHUN_MAX)
                self._shunned[block] = (now + pause, pause)
                return

    @property
    def shunned_until(self) -> float:
        """When the first block that is left alone will be asked again; infinite when there is none."""
        return min((until for until, _ in self._shunned.values()), default=math.inf)

    async def poll_absent(self, client: ModbusClient) -> None:
        """Ask once more for the points that the device refused before; forget the splits once all are back."""
        for name, block in list(self.absent.items()):
            start = asyncio.get_running_loop().time()
            reply = await self._once(client, Urgency.SLOW, block)
            if isinstance(reply, bytes):
                del self.absent[name]
                blocks = sorted([*self._blocks, block], key=lambda b: (b.columns.start, b.address))
                self._prepare(blocks if self.absent else list(self.plan.blocks))
                self._keep({block: reply}, start)
            elif not isinstance(reply, DeviceException):
                return

    async def _recover(
        self,
        client: ModbusClient,
        urgency: Urgency,
        replies: dict[Block, bytes | ModbusError],
        start: float,
    ) -> ModbusError | None:
        """Repeat, split and give up, block by block; keep everything that was read."""
        connection = self._profile.connection
        pending = [block for block, reply in replies.items() if not isinstance(reply, bytes)]
        tries = dict.fromkeys(pending, 0)
        patience = 0 if urgency is Urgency.SLOW or self._was_silent else connection.retries
        worst: ModbusError | None = None
        while pending:
            block = pending.pop(0)
            reply = replies[block]
            if isinstance(reply, bytes):
                continue
            if isinstance(reply, DeviceException) and reply.unreadable:
                halves = self._split(block)
                for half in halves:
                    replies[half] = await self._once(client, urgency, half)
                    tries[half] = 0
                pending[:0] = halves
                del replies[block]
                continue
            limit = connection.retries if isinstance(reply, DeviceException) else patience
            if tries[block] >= limit or not client.connected:
                worst = reply
                if isinstance(reply, NoReply):
                    break
                continue
            if tries[block]:
                await asyncio.sleep(min(0.1 * 2 ** tries[block], 1.0))
            tries[block] += 1
            replies[block] = await self._once(client, urgency, block)
            pending.insert(0, block)
        self._keep({b: reply for b, reply in replies.items() if isinstance(reply, bytes)}, start)
        self._silent = isinstance(worst, NoReply) and not any(isinstance(r, bytes) for r in replies.values())
        return worst

    async def _once(self, client: ModbusClient, urgency: Urgency, block: Block) -> bytes | ModbusError:
        return (await client.transact(self._units[block.station], [_request(block)], urgency))[0]

    def _split(self, block: Block) -> list[Block]:
        """Halve a refused block; a single point is absent. Returns what to try instead."""
        points = self._profile.points
        names = sorted((*block.names, *(text[0] for text in block.texts)), key=lambda n: points[n].address)
        blocks = list(self._blocks)
        if block not in blocks:  # the plan was restored meanwhile
            return []
        place = blocks.index(block)
        self.splits += 1
        if len(names) == 1:
            self.absent[names[0]] = block
            blocks.pop(place)
            if names[0] in self._profile.layout.index:
                now = asyncio.get_running_loop().time()
                self._columns.absent(self._profile.layout.index[names[0]], now)
            halves: list[Block] = []
        else:
            middle = len(names) // 2
            first = build_block([(n, points[n]) for n in names[:middle]], block.columns.start)
            second = build_block([(n, points[n]) for n in names[middle:]], first.columns.stop)
            halves = [first, second]
            blocks[place : place + 1] = halves
        self._prepare(blocks)
        return halves

    def _keep(self, replies: dict[Block, bytes], start: float) -> None:
        before = self._came_partly
        kept = {
            block: before[block] for block in self._blocks if block in before
        }  # others are split for good
        self._came_partly = {**kept, **{block: (data, start) for block, data in replies.items()}}
        raw = np.full(len(self.plan.columns), np.nan)
        where = np.zeros(len(raw), bool)
        for block, data in replies.items():
            raw[block.columns] = block.unpack(data)
            where[block.columns] = True
            self._columns.texts.update(block.unpack_texts(data))
        self._columns.store(self.plan, raw, start, where)


def _request(block: Block) -> Request:
    return read(block.table, block.address, block.count)
