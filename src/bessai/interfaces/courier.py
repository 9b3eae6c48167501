"""What carries a batch of records to one place, and the words for what goes wrong.

A courier knows one protocol and nothing else: no cursor, no retry, no pause. `delivery` has those, once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Protocol, runtime_checkable

from bessai.journal.entry import Entry


class Lane(Enum):
    """Which way a batch goes."""

    LIVE = "live"
    """The newest records: what is true now."""
    BACKLOG = "backlog"
    """What could not be delivered when it was new. In order among itself, beside the live lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One record, ready to be sent."""

    id: str
    """`<site>/<epoch>/<sequence>`, the same whenever the record is sent; of a batch `<site>/<epoch>/<first>-<last>`."""
    sequence: int
    """Of a batch: the first."""
    data: bytes
    """UTF-8 JSON, see `envelope`."""
    attributes: Mapping[str, str]
    """`id`, `site`, `epoch`, `sequence`, `previous`, `lane`, `schema`, `kind`."""
    ordering_key: str
    """Messages of one key are in order: `<site>` for the live lane, `<site>/backlog`."""


@dataclass(frozen=True)
class Batch:
    """Records of one lane, in order, one layout change or none matters not."""

    lane: Lane
    entries: Sequence[Entry]
    encode: Callable[[Sequence[Entry]], Sequence[Message]]

    @cached_property
    def messages(self) -> Sequence[Message]:
        """The entries as messages; made when a courier asks for them."""
        return self.encode(self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An error, explained. Equal troubles have equal sentences, so that each is said once."""

    sentence: str
    """What is wrong and what to do about it."""
    passing: bool = False
    """True when it is likely to pass by itself, False when somebody has to change something."""
    reconnect: bool = True
    """True when the connection, or the credentials that it holds, may be the reason."""
    poison: bool = False
    """True when the content of a message is the reason: sent alone it would be refused again, for ever."""


class Courier(Protocol):
    """Carries batches. Every method but `close` is called from one thread only."""

    def send(self, batch: Batch, timeout: float) -> None:
        """Returns when the far end has acknowledged all of the batch; connects first when it has to.

        Raises:
            Exception: within `timeout` seconds it did not. The far end may have some of it, or all.
        """
        ...

    def explain(self, error: Exception) -> Trouble:
        """What an error of `send` means and what to do about it."""
        ...

    def close(self) -> None:
        """Drop the connection, cancel what is under way; `send` connects anew. From any thread, quickly."""
        ...


@runtime_checkable
class Connected(Protocol):
    """A courier that keeps a connection and sees when it ends."""

    @property
    def connected(self) -> bool:
        """It holds a connection that it has not seen end. From any thread."""
        ...
