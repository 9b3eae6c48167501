"""How every process of the gateway writes its log, and how loud it is.

    set_up("INFO", "auto", Origin(site="plant-1", process="control"))
    levels = Levels("INFO"); levels.apply({"": "DEBUG"}); levels.apply({})

Text for people on a terminal; else a JSON object a line: `timestamp` (UTC, milliseconds), `level`, `logger`, `event`,
`site`, `process`, where a span is open `trace_id` and `span_id`, and of an exception `exception.type`,
`exception.message` and `exception.stacktrace`.

The control plane writes its JSON with the formatter here: structlog would cost it 9 MB and 0.4 s at the start, and it
has no spans. `bessai.interfaces.structured` writes the same fields with structlog; a test holds them to each other.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bessai.model.masking import in_text

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
FORMATS: Final = ("auto", "text", "json")
CHATTY: Final = ("google", "grpc", "urllib3", "aiokafka", "nats")
"""What these libraries warn of on every attempt, the sinks say once, in a sentence."""


class Origin(NamedTuple):
    """Who writes."""

    site: str
    process: str
    """`control`, `service` or `page`."""


def set_up(level: str, form: str, origin: Origin) -> None:
    """Write to standard error from now on. `form` is one of `FORMATS`."""
    install(level, JsonLines(origin) if wants_json(form) else TextLines())


def install(level: str, formatter: logging.Formatter) -> None:
    """Let one handler on standard error write everything."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.CRITICAL)


def wants_json(form: str) -> bool:
    """`auto` is JSON unless somebody looks at a terminal."""
    return form == "json" or (form != "text" and not sys.stderr.isatty())


class TextLines(logging.Formatter):
    """One line a message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return in_text(super().format(record), "***").replace("\n", " | ")


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self._origin = origin

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = {
            "timestamp": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **self._origin._asdict(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, _ = record.exc_info
            fields["exception.type"] = kind.__name__
            fields["exception.message"] = str(error)
            fields["exception.stacktrace"] = self.formatException(record.exc_info)
        return json.dumps(without_users(fields), ensure_ascii=False)


def timestamp(seconds: float) -> str:
    """RFC 3339, UTC, milliseconds."""
    milliseconds = int(seconds * 1000)
    return (
        f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(milliseconds // 1000))}.{milliseconds % 1000:03d}Z"
    )


def without_users(value: Any) -> Any:
    """No user and no password inside an address, whoever logged it; what JSON does not know becomes its `repr`."""
    if isinstance(value, Mapping):
        return {str(name): without_users(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_users(one) for one in value]
    if value is None or isinstance(value, int | float):
        return value
    return in_text(value if isinstance(value, str) else repr(value), "***")


class Levels:
    """What is loud in this process."""

    def __init__(self, configured: str) -> None:
        self.configured = configured
        self.changed: dict[str, str] = {}
        """Level by logger; the empty name is the root of all."""

    def apply(self, changed: Mapping[str, str]) -> None:
        """Make loggers as loud as is said, and those of an earlier call what they were. Unknown levels are left out."""
        wanted = {name: level for name, level in changed.items() if level in LEVELS}
        if wanted == self.changed:
            return
        for name in self.changed.keys() - wanted.keys():
            level = self.configured if not name else logging.CRITICAL if name in CHATTY else logging.NOTSET
            logging.getLogger(name or None).setLevel(level)
        for name, level in wanted.items():
            logging.getLogger(name or None).setLevel(level)
        self.changed = wanted
