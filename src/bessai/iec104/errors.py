"""What can be wrong with bytes that a peer sent, or with what we are asked to send."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bessai.iec104.asdu import Header


class Reason(Enum):
    """Why an ASDU cannot be decoded or encoded."""

    SHORT = "short"
    """It ends before its header does: there is nothing to answer."""
    TYPE = "type"
    """A type identification that this package does not know: answer with cause 44."""
    LENGTH = "length"
    """Its length does not fit its type and number of objects, or it is too long."""
    FORM = "form"
    """A number of objects, or a sequence (SQ = 1), that its type does not allow."""
    VALUE = "value"
    """Something to send that its field cannot hold."""


@dataclass(eq=False)
class AsduError(ValueError):
    """An ASDU that cannot be decoded or encoded."""

    reason: Reason
    """What kind of trouble it is."""
    message: str
    """One sentence for people."""
    header: Header | None = None
    """The header, when it could be read: enough for a negative answer (`asdu.mirrored`)."""

    def __str__(self) -> str:
        return self.message


class LinkError(ValueError):
    """A call that the link cannot do: wrong settings, an ASDU that is too long, a start by the wrong side."""
