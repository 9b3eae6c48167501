"""The log of the processes around the control plane: structlog renders what is logged, with the ids of open spans."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

from bessai.interfaces.tracing import current
from bessai.logs import Origin, TextLines, install, timestamp, wants_json, without_users


def set_up(level: str, form: str, origin: Origin) -> None:
    """Write to standard error from now on; the fields are told by `bessai.logs`."""
    install(level, formatter(origin) if wants_json(form) else TextLines())


def formatter(origin: Origin) -> logging.Formatter:
    """JSON lines with structlog's processors, also for what is logged by the standard library."""

    def fields(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        record: logging.LogRecord = event.pop("_record")
        event.pop("_from_structlog", None)
        told: dict[str, Any] = {
            "timestamp": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event.pop("event"),
            **origin._asdict(),
        }
        if (ids := current.get()) is not None:
            told["trace_id"], told["span_id"] = ids.texts()
        raised = event.pop("exc_info", None)
        found = sys.exc_info() if raised is True else raised
        if isinstance(found, tuple) and found[0] is not None:
            told["exception.type"] = found[0].__name__
            told["exception.message"] = str(found[1])
            told["exception.stacktrace"] = logging.Formatter().formatException(found)
        for name in ("stack_info", "level", "logger", "timestamp"):
            event.pop(name, None)
        hidden: Mapping[str, Any] = without_users({**told, **event})
        return hidden

    structlog = _structlog()
    render = structlog.processors.JSONRenderer(ensure_ascii=False)
    made: logging.Formatter = structlog.stdlib.ProcessorFormatter(
        processors=[fields, render],
        foreign_pre_chain=[structlog.contextvars.merge_contextvars],
    )
    return made


def _structlog() -> Any:
    """The library, without rich, which it would load for colours that nobody sees here: 5 MB a process."""
    if "rich" in sys.modules:
        return importlib.import_module("structlog")
    sys.modules["rich"] = None  # type: ignore[assignment]  # imports fail, as structlog expects
    try:
        return importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]
