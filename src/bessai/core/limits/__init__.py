"""What the battery may be asked for: limits over its state, and what happens beyond them.

A `Limit` watches one measured quantity. Its curves derate charge and discharge as the value nears its end, its
warning tells people, and its trip stops the battery until somebody resets it. A `Flag` does the same for a state or
bit field: a fire alarm, a contactor. `Limits` are all limits of one battery, by default those of an LFP battery;
`PRESETS` has one set of levels for each chemistry, with a source for every number. `load_limits` reads a site's own
limits, which may be safer than the preset, and less safe only with the signature of an engineer.

`LimitCheck` looks at one process image a cycle and answers with a `LimitReport`: allowed shares, power from the
BMS's current limits, conditions, trips to latch, and evidence that was lost. See docs/limits.md.
"""

from bessai.core.limits.battery import Limits
from bessai.core.limits.check import LimitCheck
from bessai.core.limits.level import (
    CurrentLimit,
    Curve,
    Flag,
    Limit,
    StateLimit,
    TripLevel,
    WarningLevel,
)
from bessai.core.limits.loading import LimitsDraft, load_limits, read_limits, sign_limits
from bessai.core.limits.merging import preset_limits
from bessai.core.limits.presets import LFP, LTO, NMC, PRESETS, SODIUM_ION, Preset
from bessai.core.limits.reading import LimitsError
from bessai.core.limits.report import LimitReport, Memory
from bessai.core.limits.safer import Weaker
from bessai.core.limits.schema import limits_json_schema

__all__ = [
    "LFP",
    "LTO",
    "NMC",
    "PRESETS",
    "SODIUM_ION",
    "CurrentLimit",
    "Curve",
    "Flag",
    "Limit",
    "LimitCheck",
    "LimitReport",
    "Limits",
    "LimitsDraft",
    "LimitsError",
    "Memory",
    "Preset",
    "StateLimit",
    "TripLevel",
    "WarningLevel",
    "Weaker",
    "limits_json_schema",
    "load_limits",
    "preset_limits",
    "read_limits",
    "sign_limits",
]
