"""The resolutions that are kept, and for how long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

SECOND = 1_000_000_000
SLOT = 10 * SECOND
"""Nanoseconds of the finest bucket. Every other bucket is a whole number of them."""

CHUNK = 8640
"""Buckets of one stored chunk: a day of 10 s, 6 days of 1 min, 90 days of 15 min, 24 years of days."""


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution."""

    label: str
    step: int
    """Nanoseconds of a bucket; buckets begin at whole multiples since 1970-01-01T00:00:00Z."""
    years: float
    """How long it is kept unless told otherwise."""

    @property
    def slots(self) -> int:
        """Finest buckets in one of this level."""
        return self.step // SLOT

    @property
    def span(self) -> int:
        """Nanoseconds of a chunk."""
        return self.step * CHUNK


LEVELS = (
    Level("10s", SLOT, 0.25),
    Level("1min", 60 * SECOND, 2),
    Level("15min", 900 * SECOND, 10),
    Level("1d", 86400 * SECOND, 50),
)
"""Finest first. Each divides the next. A day is a day of UTC."""

MIN_MB = 16
"""The smallest bound: the log of writes needs half of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How much is kept."""

    years: tuple[float, ...] = tuple(level.years for level in LEVELS)
    """Of each level. Years in which there was data: a clock that is wrong for a while deletes nothing."""
    max_bytes: int = 512 << 20
    """Of all files together. The finest level's oldest data go first."""

    def chunks(self, level: int) -> int:
        """How many chunks of a level are kept: one more than the years need, because two are partial."""
        return 1 + math.ceil(self.years[level] * 365.25 * 86400 * SECOND / LEVELS[level].span)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Keep:
        """Read `HISTORY_KEEP_YEARS` (such as `10s=0.5 1min=3`) and `HISTORY_MAX_MB`; empty means the default.

        Raises:
            ValueError: a value makes no sense; the message names the variable, the value and the mend.
        """
        years = {level.label: level.years for level in LEVELS}
        text = environment.get("HISTORY_KEEP_YEARS") or ""
        for part in text.replace(",", " ").split():
            label, _, number = part.partition("=")
            value = _positive(number)
            if label not in years or value is None or value > 1000:
                raise ValueError(
                    f"HISTORY_KEEP_YEARS {text!r}: {part!r} is not a resolution ({', '.join(years)}) with years, "
                    "for example 10s=0.25 1min=2"
                )
            years[label] = value
        megabytes = environment.get("HISTORY_MAX_MB") or "512"
        size = _positive(megabytes)
        if size is None or not MIN_MB <= size <= 1 << 20:
            raise ValueError(
                f"HISTORY_MAX_MB {megabytes!r}: give megabytes from {MIN_MB} to {1 << 20}, for example 512"
            )
        return cls(years=tuple(years.values()), max_bytes=int(size * (1 << 20)))


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
