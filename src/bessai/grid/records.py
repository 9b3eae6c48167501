"""The section `records` of GRID_FILE: what `bessai.performance` records of the plant's behaviour.

The thresholds are ours unless a clause is named: they are provisional, and a plant sets its own.
"""

from __future__ import annotations

from pydantic import Field

from bessai.registry.base import Strict


class RecordSettings(Strict):
    """What is recorded, and from which point on something is an event."""

    rocof_window: float = Field(default=0.5, ge=0.1, le=5)
    """Seconds over which the rate of change of frequency is taken. NTSyCS Art. 3-11 asks for it; the window is ours."""
    rocof_limit: float = Field(default=0.5, gt=0, le=20)
    """Hz/s beyond which it is an event."""
    frequency_band: float = Field(default=0.2, gt=0, le=5)
    """Hz to either side of nominal beyond which it is an event."""
    frequency_return: float = Field(default=0.02, ge=0, le=1)
    """Hz that the frequency must be back inside the band for the end of the event."""
    voltage_band: float = Field(default=10.0, gt=0, le=50)
    """% of nominal to either side beyond which it is a sag or a swell; 10 is the default threshold of the fault mode
    in AT-IBR Art. 3-3 l."""
    voltage_return: float = Field(default=2.0, ge=0, le=10)
    """% of nominal that the voltage must be back inside the band for the end of the event."""
    before: float = Field(default=10.0, ge=0, le=120)
    """Seconds recorded before an event."""
    after: float = Field(default=10.0, ge=1, le=600)
    """Seconds recorded after it; what leaves the band again meanwhile is the same event."""
    gap: float = Field(default=10.0, ge=1, le=60)
    """Seconds without good data that are a gap: nothing is counted across it."""
    event_rows: int = Field(default=36_000, ge=100, le=1_000_000)
    """Records kept of one event; of a longer one, the extremes go on."""
    max_mb: int = Field(default=64, ge=1, le=10_000)
    """Bound of the records of all events; the oldest go first, their summaries stay."""
    keep_days: int = Field(default=400, ge=1, le=4000)
    """Days with data that are kept of the hourly and quarter-hourly records."""
    reserve_deviation: float | None = Field(default=None, gt=0, le=5)
    """Hz at which all primary and fast reserve is exhausted, as the Coordinator publishes it: the denominator of
    the FECF. None: unknown, and so is the index."""
    coverage: float = Field(default=0.9, gt=0, le=1)
    """Share of samples that an hourly index needs."""
    energy_exported: str | None = None
    """Counter of exported energy in kWh; None: the only point of that name in the plant, if there is one."""
    energy_imported: str | None = None
    """The same for imported energy."""
