"""Finding a SunSpec device's models over Modbus: gently, one read at a time, and bounded."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bessai.drivers.modbus import NoReply, Request, Urgency, read
from bessai.registry import Profile
from bessai.registry.sunspec import Chain, discover_chain, load_model, sunspec_profile

REGISTERS_MAX = 20_000
"""Registers of known models that are read at most; longer models keep the points that follow unread."""


_SILENT_MAX = 3
"""Requests in a row without an answer: one for each base, as some devices ignore what they do not have."""


class _Client(Protocol):
    @property
    def connected(self) -> bool: ...

    async def transact(
        self, unit: int, requests: Sequence[Request], urgency: Urgency = ..., *, serial: bool = ...
    ) -> Sequence[bytes | Exception]: ...


class NotSunSpecError(Exception):
    """The device does not answer as a SunSpec device."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Discovery:
    """What a SunSpec device says of itself."""

    chain: Chain
    profile: Profile
    registers: int
    """Registers read."""


async def discover(client: _Client, unit: int, *, max_registers: int = 125) -> Discovery:
    """Read the chain and each known model once, and make the profile.

    Args:
        client: a connected Modbus client.
        unit: the unit id.
        max_registers: registers that one request may read.

    Raises:
        NotSunSpecError: no marker, no known model, silence, or the connection was lost.
    """
    reader = _Reader(client, unit)
    steps = discover_chain()
    words: list[int] | None = None
    chain: Chain | None = None
    address, count = next(steps)
    while True:
        words = await reader.read(address, count)
        try:
            address, count = steps.send(words)
        except StopIteration as end:
            chain = end.value
            break
    if chain is None or not chain.models:
        raise NotSunSpecError(f"unit {unit} has no SunSpec marker (or no model) at 40000, 0 or 50000")
    memory: dict[int, int] = {}
    for at in chain.models:
        if load_model(at.id) is None:
            continue
        for first in range(at.address, at.end, max_registers):
            size = min(max_registers, at.end - first)
            if len(memory) + size > REGISTERS_MAX:
                break
            words = await reader.read(first, size)
            memory.update(enumerate(words or (), first))
    try:
        profile = sunspec_profile(chain, memory, max_registers=max_registers)
    except ValueError as error:
        raise NotSunSpecError(f"unit {unit}: {error}") from None
    return Discovery(chain=chain, profile=profile, registers=len(memory))


class _Reader:
    """Reads words; gives up on a device that is lost or stays silent."""

    def __init__(self, client: _Client, unit: int) -> None:
        self._client = client
        self._unit = unit
        self._silent = 0

    async def read(self, address: int, count: int) -> list[int] | None:
        """The words, None when the device refuses or does not answer.

        Raises:
            NotSunSpecError: the connection is lost, or nothing came for some requests in a row.
        """
        (reply,) = await self._client.transact(self._unit, [read("holding", address, count)])
        if isinstance(reply, bytes):
            self._silent = 0
            return list(struct.unpack(f">{count}H", reply))
        self._silent = self._silent + 1 if isinstance(reply, NoReply) else 0
        if not self._client.connected or self._silent >= _SILENT_MAX:
            raise NotSunSpecError(f"unit {self._unit}: {reply}")
        return None
