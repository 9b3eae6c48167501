"""The page has words in both languages for whatever the audit log may name."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ACTION = re.compile(r'action="([a-z_]+)"|(?<!getattr\()caller, "([a-z_]+)"|"action": "([a-z_]+)"')


def test_every_action_that_is_recorded_has_words() -> None:
    recorded: set[str] = set()
    for room in ("interfaces/api", "cli"):
        for file in (ROOT / "src" / "bessai" / room).rglob("*.py"):
            recorded |= {next(filter(None, found)) for found in ACTION.findall(file.read_text())}
    assert len(recorded) > 10, "actions are written in another way now"
    words = (ROOT / "ui/src/pages/audit/words.svelte.ts").read_text()
    assert not {name for name in recorded if f"  {name}: [" not in words}
