"""What the notifications remember, in `DATA_DIR/notify/state.json`: written whole, old or new after a power cut.

The cursor is in it, with what was made of the records up to there: both or neither.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from bessai.interfaces.notify.queue import Line, Queue, Sending
from bessai.interfaces.notify.standing import Alarm, Standing

FORMAT: Final = 1


class StateError(ValueError):
    """A state file that cannot be read or understood."""


@dataclass(slots=True, kw_only=True)
class State:
    """Everything that is known between two looks."""

    cursor: int = 0
    """Sequence of the last record that was looked at."""
    epoch: int = 0
    standing: Standing = field(default_factory=Standing)
    queues: dict[str, Queue] = field(default_factory=dict)
    """By channel."""
    daily: str | None = None
    """Local date of the last daily message, or on which there was none to send."""
    begun: int = 0
    """Alarms and warnings that began since then."""
    escalated: int = 0
    """Steps of escalation that were taken, ever."""
    silenced: int = 0
    """Lines that were not sent, because somebody took note of the alarm before."""

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> State:
        """What `to_plain` described. What a newer version added is left out: who goes back loses no message that waits.

        Raises:
            StateError: it is not that.
        """
        if plain.get("format") != FORMAT:
            raise StateError(
                f"format={plain.get('format')!r} is unknown to this version, which writes {FORMAT}"
            )
        try:
            rest = _known(cls, plain)
            told = rest.pop("standing")
            alarms = {key: Alarm(**_known(Alarm, one)) for key, one in told["alarms"].items()}
            standing = Standing(alarms, told["shelved"])
            queues = {name: _queue(one) for name, one in rest.pop("queues").items()}
            return cls(standing=standing, queues=queues, **rest)
        except (TypeError, KeyError, AttributeError) as error:
            raise StateError(f"not what this version writes: {error}") from None


def _queue(plain: Mapping[str, Any]) -> Queue:
    rest = _known(Queue, plain)
    waiting = {key: Line(**_known(Line, line)) for key, line in rest.pop("waiting").items()}
    sending = rest.pop("sending")
    if sending is not None:
        lines = [Line(**_known(Line, line)) for line in sending["lines"]]
        sending = Sending(**(_known(Sending, sending) | {"lines": lines}))
    return Queue(waiting=waiting, sending=sending, **rest)


def _known(kind: type[Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in plain.items() if name in names}


def state_path(data_dir: Path) -> Path:
    """Where the state of a data directory is."""
    return data_dir / "notify" / "state.json"


def load_state(path: Path) -> State | None:
    """The state; None when there is none yet.

    Raises:
        StateError: it is damaged.
        OSError: it cannot be read.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StateError(f"no JSON: {error}") from None
    if not isinstance(plain, dict):
        raise StateError("no JSON object")
    return State.from_plain(plain)


def save_state(path: Path, state: State) -> None:
    """Durable on return.

    Raises:
        OSError: it could not be written; what was there stands.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(state.to_plain(), file, ensure_ascii=False, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
