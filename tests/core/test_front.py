"""What `bessai update` may have written down."""

from __future__ import annotations

from typing import Any

import pytest

from bessai.core.front import Front
from bessai.model import Event, Severity, SystemClock

WORDS = {"result": "rolled_back", "from": "1.0", "to": "2.0", "user": "ana", "reason": "it does not answer"}


def _told(message: dict[str, Any]) -> list[Event]:
    noted: list[Event] = []
    nothing: Any = None
    Front(nothing, nothing, nothing, noted.append, SystemClock()).handlers["update"](message)
    return noted


def test_a_way_back_is_a_warning_with_a_name() -> None:
    (event,) = _told(WORDS)
    assert (event.code, event.severity, event.user) == ("update_rolled_back", Severity.WARNING, "ana")
    assert event.message == "gateway 1.0 runs again: the update to 2.0 failed; it does not answer"


def test_an_update_is_for_information() -> None:
    (event,) = _told({**WORDS, "result": "updated", "reason": "release"})
    assert (event.code, event.severity) == ("gateway_updated", Severity.INFO)
    assert event.message == "gateway 2.0 replaced 1.0, and was watched; release"


@pytest.mark.parametrize(
    ("name", "value"), [("result", "x"), ("user", ""), ("reason", "a\nb"), ("to", "x" * 200), ("from", None)]
)
def test_nonsense_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        _told({**WORDS, name: value})
