"""The topics of a site."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """Where everything of one site is; `docs/mqtt.md` says what is there."""

    prefix: str
    site: str

    @property
    def base(self) -> str:
        """What all topics of the site begin with."""
        return f"{self.prefix}/{level(self.site)}"

    @property
    def records(self) -> str:
        """Every record."""
        return f"{self.base}/records"

    @property
    def state(self) -> str:
        """The newest record, retained."""
        return f"{self.base}/state"

    @property
    def events(self) -> str:
        """What happened, one message an event."""
        return f"{self.base}/events"

    @property
    def availability(self) -> str:
        """`online` or `offline`, retained."""
        return f"{self.base}/availability"

    @property
    def command(self) -> str:
        """Where commands come in."""
        return f"{self.base}/command"

    @property
    def result(self) -> str:
        """What became of them."""
        return f"{self.base}/command/result"

    def point(self, name: str) -> str:
        """The newest value of a point, retained."""
        return f"{self.base}/points/{level(name)}"


def level(name: str) -> str:
    """A name as one level of a topic: `%`, `+`, `#`, `/` and control characters as in a URL, `%2F`."""
    return re.sub(r"[%+#/\x00-\x1f\x7f-\x9f]", lambda found: f"%{ord(found[0]):02X}", name)
