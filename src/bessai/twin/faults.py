"""Ways in which the twin misbehaves, per device and per bus. `fault_table` gives each a name and a text form."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from random import Random

ALWAYS = math.inf
"""How often, for faults that end only when cleared."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong. Change any field at any time; `clear` ends everything.

    Fields that say *how often* hold a number of requests, which counts down (3: the next three), a share of
    them (0.1: one of ten, at random but the same for the same seed), or `ALWAYS`.
    """

    silent: bool = False
    """Connections are accepted, requests are never answered and do nothing."""
    refuse: bool = False
    """New connections are closed at once, requests on old ones close theirs."""
    drop: int = 0
    """Every connection is closed after so many answers; 0 never."""
    reboot: float = 0.0
    """The device is gone for so many seconds and then has its start values; 0 again as soon as it began."""
    delay: float | tuple[float, float] = 0.0
    """Seconds before each answer, or the shortest and the longest."""
    slow: tuple[int, float] | None = None
    """Answers come in pieces of so many bytes, so many seconds apart."""
    late: float = 0.0
    """How often an answer comes only after `late_by`; meanwhile others are answered."""
    late_by: float = 5.0
    """Seconds by which they are late."""
    garbage: float = 0.0
    """How often the answer is bytes that are no Modbus frame."""
    noise: float = 0.0
    """How often one to eight random bytes come before the answer."""
    truncated: float = 0.0
    """How often the second half of the answer is missing."""
    duplicate: float = 0.0
    """How often the answer comes twice."""
    bad_crc: float = 0.0
    """How often the checksum is wrong (serial frames only)."""
    wrong_transaction: float = 0.0
    """How often the answer carries the next transaction id (Modbus TCP frames only)."""
    wrong_unit: float = 0.0
    """How often the answer carries the next unit id."""
    wrong_function: float = 0.0
    """How often the answer carries the next function code."""
    short_replies: float = 0.0
    """How often a read is answered with one register less than asked for."""
    busy: float = 0.0
    """How often the answer is exception 6."""
    failures: float = 0.0
    """How often the answer is exception 4."""
    exceptions: dict[int, float] = field(default_factory=dict)
    """How often the answer is the exception of this code."""
    refused_functions: set[int] = field(default_factory=set)
    """Function codes answered with exception 1."""
    freeze: bool = False
    """Measured points and counters stand still; settings and the plant do not."""
    spike: float = 0.0
    """How often a read of one of `spike_points` shows an absurd value there."""
    spike_points: set[str] = field(default_factory=set)
    """Points that spike."""
    random: Random = field(default_factory=lambda: Random(0), compare=False, repr=False)  # noqa: S311
    """Decides shares, delays and noise."""

    def clear(self, *names: str) -> None:
        """End every fault, or those of these fields."""
        fresh = Faults()
        for name in names or (item.name for item in fields(self) if item.compare):
            setattr(self, name, getattr(fresh, name))

    def take(self, name: str) -> bool:
        """Whether this request is hit by a field that says how often; uses up one of a number."""
        often, hit = self._hit(getattr(self, name))
        setattr(self, name, often)
        return hit

    def take_exception(self) -> int | None:
        """The code of the exception that this request is answered with, if any."""
        for code, name in ((6, "busy"), (4, "failures")):
            if self.take(name):
                return code
        for code, often in list(self.exceptions.items()):
            left, hit = self._hit(often)
            if left:
                self.exceptions[code] = left
            else:
                del self.exceptions[code]
            if hit:
                return code
        return None

    def wait(self) -> float:
        """Seconds before this answer."""
        return self.random.uniform(*self.delay) if isinstance(self.delay, tuple) else self.delay

    def _hit(self, often: float) -> tuple[float, bool]:
        if often <= 0:
            return often, False
        if often < 1:
            return often, self.random.random() < often
        return often - 1, True


@dataclass(frozen=True, slots=True)
class Layers:
    """The faults of a bus and of one device on it, asked as one. The bus's come first."""

    each: tuple[Faults, ...]

    @classmethod
    def of(cls, faults: Iterable[Faults]) -> Layers:
        """Without repetition: a server of one device has one `Faults` for both."""
        return cls(tuple({id(item): item for item in faults}.values()))

    def any(self, name: str) -> bool:
        """Whether a switch is on."""
        return any(getattr(item, name) for item in self.each)

    def take(self, name: str) -> bool:
        """See `Faults.take`; the first that has it counts."""
        return any(item.take(name) for item in self.each)

    def exception(self) -> int | None:
        """See `Faults.take_exception`."""
        codes = (item.take_exception() for item in self.each)
        return next((code for code in codes if code is not None), None)

    def wait(self) -> float:
        """Seconds before this answer, of all."""
        return sum(item.wait() for item in self.each)
