"""Reading a black-box file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bessai.core.black_box.calls import decode
from bessai.core.black_box.frames import Kind, UnreadableBoxError, read_frames
from bessai.journal.encoding import layout_from_json
from bessai.journal.errors import JournalError
from bessai.model import Layout


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the guard."""

    kind: str
    """The method's name."""
    arguments: list[Any]
    """As the method takes them; plain data, but for the images of `decide`."""
    result: Any
    """Plain data."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The guard's memory before the next call."""

    memory: Any
    """Plain data."""
    gap: bool
    """True when calls before it are missing, so that memory must be taken from here."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why the record was kept, or kept longer."""

    kind: str
    """`trip`, `alarm` or `freeze`."""
    code: str
    message: str
    wall_ns: int
    """UTC nanoseconds."""
    suppressed: int = 0
    """Triggers before it that got no record, because there were too many."""


@dataclass(slots=True)
class Box:
    """A black-box record, in order."""

    header: dict[str, Any]
    items: list[Snapshot | Call]
    triggers: list[Trigger] = field(default_factory=list)
    end: str | None = None
    """Why it ends where it does; None when it was cut, or is still written."""


def read_box(path: Path) -> Box:
    """Everything of a file up to its first damaged or unfinished frame.

    Raises:
        UnreadableBoxError: it is no black-box record, or cut so early that it tells nothing.
    """
    header: dict[str, Any] | None = None
    box = Box({}, [])
    layouts: dict[int, Layout] = {}
    try:
        with path.open("rb") as file:
            for kind, payload in read_frames(file):
                if kind is Kind.CALLS:
                    box.items += [
                        Call(name, rest, result) for name, *rest, result in decode(payload, layouts)
                    ]
                    continue
                data = json.loads(payload)
                match kind:
                    case Kind.HEADER:
                        header = data
                    case Kind.LAYOUT:
                        layouts[data["number"]], _ = layout_from_json(data["layout"])
                    case Kind.SNAPSHOT:
                        box.items.append(Snapshot(data["memory"], data["gap"]))
                    case Kind.TRIGGER:
                        box.triggers.append(Trigger(**data))
                    case Kind.END:
                        box.end = data["why"]
    except UnreadableBoxError as error:
        raise UnreadableBoxError(f"{path} {error}") from None
    except OSError as error:
        raise UnreadableBoxError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, JournalError) as error:
        raise UnreadableBoxError(f"{path} is damaged: {error}") from error
    if header is None:
        raise UnreadableBoxError(f"{path} is cut within its header")
    box.header = header
    return box


@dataclass(frozen=True, slots=True)
class Outline:
    """What a file says of itself without its calls."""

    triggers: list[Trigger]
    end: str | None
    """None when it was cut, or is still written."""


def outline(path: Path) -> Outline:
    """Triggers and end; most of the file is not read.

    Raises:
        UnreadableBoxError: it is no black-box record.
    """
    found, end = [], None
    try:
        with path.open("rb") as file:
            for kind, payload in read_frames(file, frozenset({Kind.TRIGGER, Kind.END})):
                data = json.loads(payload)
                if kind is Kind.END:
                    end = data["why"]
                else:
                    found.append(Trigger(**data))
    except UnreadableBoxError as error:
        raise UnreadableBoxError(f"{path} {error}") from None
    except OSError as error:
        raise UnreadableBoxError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError) as error:
        raise UnreadableBoxError(f"{path} is damaged: {error}") from error
    return Outline(found, end)
