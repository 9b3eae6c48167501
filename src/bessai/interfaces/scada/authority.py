"""Which master is in command: one at a time."""

from __future__ import annotations

from collections.abc import Container, Sequence

from bessai.interfaces.scada.access import AddressList


class Authority:
    """The first that commands has it while it is linked; a preferred one takes it over by commanding.

    Args:
        command: addresses and networks that may command, in order of preference.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.holder: str | None = None
        """Address of the master in command; None: nobody has commanded yet, or its link was given up."""
        self._allowed = AddressList(command)

    def may(self, master: str) -> bool:
        """True for one that may command at all."""
        return master in self._allowed

    def objection(self, master: str, linked: Container[str]) -> str | None:
        """Why a master may not command now, or None."""
        rank = self._allowed.rank(master)
        if rank is None:
            return f"{master} may not command"
        holder = self.holder
        if holder is None or holder == master or holder not in linked:
            return None
        held = self._allowed.rank(holder)
        if held is not None and held <= rank:
            return f"{holder} is in command"
        return None

    def take(self, master: str) -> None:
        """A master that may has commanded."""
        self.holder = master

    def give_up(self) -> None:
        """Nobody is in command any more."""
        self.holder = None
