"""The notification file: who hears of what, when, how and in which language; explained in docs/notifications.md."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from bessai.registry.base import Name, Strict
from bessai.registry.schema import close

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of `datetime.weekday`."""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Days = Annotated[list[Day], Field(min_length=1, max_length=7, default_factory=lambda: list(DAYS))]
Language = Literal["en", "es"]
Level = Literal["info", "warning", "alarm"]
Glob = Annotated[str, Field(min_length=1, max_length=128)]
Globs = Annotated[list[Glob], Field(min_length=1, default_factory=lambda: ["*"])]
Names = Annotated[list[Name], Field(min_length=1, max_length=50)]
Minutes = Annotated[float, Field(gt=0, le=10_080)]
ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]

_PLACE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def clock(text: str) -> time:
    """A time of day such as `22:00`."""
    return time.fromisoformat(text)


class Address(Strict):
    """Where messages go: an Apprise URL, which is a secret."""

    url: str | None = Field(default=None, min_length=3, max_length=4096)
    """The URL; `${NAME}` stands for a variable of the gateway's environment. A URL with a secret in it belongs into
    such a variable or into a file."""
    url_file: str | None = Field(default=None, min_length=1, max_length=4096)
    """A file that holds the URL and nothing else, readable by the gateway alone."""

    @model_validator(mode="after")
    def _one(self) -> Address:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give either `url` or `url_file`")
        return self

    @property
    def literal(self) -> bool:
        """The URL stands in the file itself."""
        return self.url is not None and not _PLACE.search(self.url)


class Quiet(Strict):
    """Hours in which only what is severe enough goes out; the rest comes afterwards, in one message."""

    start: ClockTime
    """Local time, for example `22:00`."""
    end: ClockTime
    """Local time; before `start` it is that of the next day, and the same as `start` is a whole day."""
    days: Days
    """Days on which these hours begin."""
    breaks: Literal["warning", "alarm", "never"] = "alarm"
    """The lowest severity that goes out all the same; `never`: nothing does."""


class Recipient(Strict):
    """A person, or a group that reads the same channels."""

    channels: Annotated[list[Address], Field(min_length=1, max_length=10)]
    """Every message goes to each of them."""
    language: Language | None = None
    """Unset: that of the file."""
    quiet: Annotated[list[Quiet], Field(max_length=20, default_factory=list)]
    """Quiet hours."""
    ended: Literal["unacknowledged", "always", "never"] = "unacknowledged"
    """Whether the end of an alarm is told to those who were told that it began; of one that somebody has acknowledged
    only with `always`."""
    at_most: int = Field(default=20, ge=1, le=600)
    """Messages in any hour on each channel. What comes beyond waits and goes out together."""


class Step(Strict):
    """Who is told when nobody has acknowledged an alarm."""

    after_minutes: Minutes
    """Since it began."""
    tell: Names
    """Recipients."""
    repeat_minutes: Minutes | None = None
    """Told again at this pace; unset: once."""
    repeats: int = Field(default=3, ge=1, le=1000)
    """How many times more, with `repeat_minutes`."""


class Rule(Strict):
    """What is told to whom. Every rule that fits counts; nobody is told the same thing twice."""

    severity: Level = "warning"
    """This one and more severe ones."""
    codes: Globs
    """Codes of docs/alarms.md; `*` stands for anything."""
    points: Globs
    """Points that the alarm is about; `*` also stands for none."""
    sites: Globs
    """`SITE_ID`, for a file that several sites share."""
    tell: Names
    """Recipients."""
    escalate: Annotated[list[Step], Field(max_length=10, default_factory=list)]
    """While it stands and nobody has acknowledged it."""


class Daily(Strict):
    """A message a day, so that silence means something."""

    at: ClockTime
    """Local time."""
    days: Days
    tell: Names
    """Recipients."""


class Heartbeat(Address):
    """A page that is asked for by a plain GET while the gateway records cycles; a service there misses it."""

    every_minutes: float = Field(default=5.0, ge=0.5, le=1440)
    """Between two signs of life."""


class NotifyFile(Strict):
    """Who hears of what."""

    recipients: Annotated[dict[Name, Recipient], Field(min_length=1, max_length=100)]
    """By name."""
    rules: Annotated[list[Rule], Field(min_length=1, max_length=200)]
    """Who is told of what."""
    time_zone: str = Field(default="UTC", min_length=1, max_length=64)
    """A name of the IANA database, for quiet hours and for the times in messages."""
    language: Language = "en"
    """Of recipients that do not say theirs."""
    gather_seconds: float = Field(default=5.0, ge=0, le=300)
    """What comes within this time goes out in one message."""
    daily: Daily | None = None
    heartbeat: Heartbeat | None = None

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        from bessai.interfaces.schedule.times import zone_named  # noqa: PLC0415  the schedule knows zones already

        zone_named(value)
        return value


def expand(url: str, environment: Any) -> str:
    """A URL with its variables filled in.

    Raises:
        ValueError: one of them is not set.
    """
    missing = [name for name in _PLACE.findall(url) if not environment.get(name)]
    if missing:
        raise ValueError(
            f"{missing[0]} is not set; set it in the environment of the gateway, or use `url_file`"
        )
    return _PLACE.sub(lambda found: str(environment[found[1]]), url)


def notify_json_schema() -> dict[str, Any]:
    """The JSON Schema of a notification file, as published in `config/notify.schema.json`."""
    schema = NotifyFile.model_json_schema()
    close(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "BESSAI notifications",
    }
