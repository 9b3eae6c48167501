"""Commands: the only thing that a driver's write accepts, and only the guard may issue one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn


@dataclass(frozen=True, slots=True)
class Write:
    """One value for one point, in the point's own unit."""

    point: str
    value: float


class Command:
    """An ordered list of writes that the guard has approved.

    It cannot be constructed, copied or changed by anybody else: `SafetyGuard` obtains it from `_issue`, and
    an architecture test fails the build when any other module of the package names that function.
    """

    __slots__ = ("feed", "kind", "setpoint", "writes")

    kind: str
    """`charge`, `discharge`, `zero`, `stop` or `feed`."""
    setpoint: float | None
    """The power in kW that the writes amount to, None for `stop` and `feed`."""
    writes: tuple[Write, ...]
    feed: bool
    """True when this only keeps the dead-man alive."""

    def __init__(self) -> None:
        raise TypeError("only the SafetyGuard issues commands")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a command cannot be changed")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a command cannot be copied")

    def __repr__(self) -> str:
        return f"Command({self.kind}, setpoint={self.setpoint}, writes={self.writes})"


def _issue(kind: str, setpoint: float | None, writes: tuple[Write, ...], *, feed: bool = False) -> Command:
    command: Final = object.__new__(Command)
    for name, value in (("kind", kind), ("setpoint", setpoint), ("writes", writes), ("feed", feed)):
        object.__setattr__(command, name, value)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOutcome:
    """What became of a command on the device."""

    verified: bool
    """True when every write was acknowledged and every readable register returned what was written."""
    written: tuple[Write, ...]
    """The writes that the device acknowledged, in order."""
    error: str | None = None
    """What went wrong first."""
