"""What the writer of Parquet files is told by the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetSettings:
    """See docs/parquet.md."""

    directory: Path
    keep_days: int | None = None
    """Days with records that are kept, the newest; None: all."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ParquetSettings | None:
        """None without `PARQUET_DIR`.

        Raises:
            ValueError: one clear sentence about the first mistake.
        """
        text, days = environment.get("PARQUET_DIR"), environment.get("PARQUET_KEEP_DAYS")
        if not text:
            return None
        directory = Path(text)
        try:
            is_file = directory.exists() and not directory.is_dir()
        except OSError as error:  # a name that is too long
            raise ValueError(f"PARQUET_DIR={text}: give a directory: {error.strerror}") from None
        if is_file:
            raise ValueError(f"PARQUET_DIR={text}: is a file; give a directory")
        if days and (not days.isascii() or not days.isdigit() or int(days) < 1):
            raise ValueError(
                f"PARQUET_KEEP_DAYS={days}: give a whole number of days, 1 or more, or nothing to keep all"
            )
        return cls(directory=directory, keep_days=int(days) if days else None)
