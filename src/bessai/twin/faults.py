"""Ways in which the twin misbehaves on the wire, switched from the same process."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong. Change any field at any time; `clear` ends everything.

    Counters count requests down and end at 0. Of several faults, the one named first here is felt.
    """

    silent: bool = False
    """Connections are accepted, requests are never answered."""
    refuse: bool = False
    """New connections are closed at once, requests on old ones close theirs."""
    garbage: int = 0
    """Requests answered with bytes that are no Modbus frame."""
    wrong_transaction: int = 0
    """Requests answered rightly but under another transaction id."""
    short_replies: int = 0
    """Reads answered with one register less than asked for."""
    busy: int = 0
    """Requests answered with exception 6."""
    failures: int = 0
    """Requests answered with exception 4."""
    refused_functions: set[int] = field(default_factory=set)
    """Function codes answered with exception 1."""
    delay: float = 0.0
    """Seconds before each answer."""

    def clear(self) -> None:
        """End every fault."""
        fresh = Faults()
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def take(self, counter: str) -> bool:
        """Use up one request of a counter; False when it is at 0."""
        left: int = getattr(self, counter)
        if left > 0:
            setattr(self, counter, left - 1)
        return left > 0
