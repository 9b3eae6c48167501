"""What can go wrong with a journal."""

from __future__ import annotations


class JournalError(Exception):
    """The journal cannot be used. The message names the path and the mend."""


class DamagedRecordError(ValueError):
    """One record is not what was written. Readers count it and go on with the next."""


class TooLargeError(ValueError):
    """Records are larger than the journal can hold at once."""
