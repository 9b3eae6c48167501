"""Levels of the log, changed for a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from bessai.core.log_levels import LogLevels
from bessai.model import Event


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall_ns(self) -> int:
        return 1


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel("INFO")
    yield logger
    logger.setLevel(before)
    for name in ("bessai.cycle", "grpc"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_level_holds_for_its_time_and_leaves_a_trace(root: logging.Logger) -> None:
    events: list[Event] = []
    clock = Clock()
    levels = LogLevels("INFO", events.append, clock)
    assert levels.handle({"op": "log_level"})["log"] == {
        "configured": "INFO",
        "changed": {},
        "seconds_left": {},
    }
    ask: dict[str, Any] = {"op": "log_level", "level": "DEBUG", "for": 60, "user": "ana"}
    assert levels.handle(ask)["log"]["changed"] == {"": "DEBUG"}
    levels.handle({**ask, "logger": "bessai.cycle", "level": "ERROR", "for": 30})
    levels.handle({**ask, "logger": "grpc", "for": 30})
    assert (root.level, logging.getLogger("bessai.cycle").level) == (logging.DEBUG, logging.ERROR)
    clock.now += 31
    levels.look()
    assert (root.level, logging.getLogger("bessai.cycle").level) == (logging.DEBUG, logging.NOTSET)
    assert logging.getLogger("grpc").level == logging.CRITICAL, "what chatters is as quiet as before"
    assert levels.status()["seconds_left"] == {"": 29.0}
    assert levels.handle({"op": "log_level", "level": None, "user": "ben"})["log"]["changed"] == {}
    assert root.level == logging.INFO
    assert [(event.code, event.user, event.message) for event in events] == [
        ("log_level_changed", "ana", "log level: DEBUG for 60 s, by ana"),
        ("log_level_changed", "ana", "log level of bessai.cycle: ERROR for 30 s, by ana"),
        ("log_level_changed", "ana", "log level of grpc: DEBUG for 30 s, by ana"),
        (
            "log_level_changed",
            None,
            "log level of bessai.cycle: back to what is configured, its time is over",
        ),
        ("log_level_changed", None, "log level of grpc: back to what is configured, its time is over"),
        ("log_level_changed", "ben", "log level: back to what is configured, by ben"),
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"level": "LOUD"}, "level='LOUD': use one of DEBUG"),
        ({"level": ["DEBUG"]}, "level=.*: use one of DEBUG"),
        ({"for": 0}, "for=0: give seconds"),
        ({"for": 86_401}, "for=86401: give seconds"),
        ({"for": True}, "for=True: give seconds"),
        ({"user": " "}, "user: say who"),
        ({"user": None}, "user: say who"),
        ({"logger": "x\n"}, "logger: give its name"),
    ],
)
def test_what_cannot_be_is_refused(root: logging.Logger, change: dict[str, Any], problem: str) -> None:
    events: list[Event] = []
    levels = LogLevels("INFO", events.append, Clock())
    with pytest.raises(ValueError, match=problem):
        levels.handle({"op": "log_level", "level": "DEBUG", "user": "ana"} | change)
    assert (root.level, events) == (logging.INFO, [])
