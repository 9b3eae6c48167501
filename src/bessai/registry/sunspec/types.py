"""SunSpec types and units in the profile's words."""

from __future__ import annotations

import re

TYPES: dict[str, tuple[str, int | None]] = {
    "int16": ("i16", -0x8000),
    "sunssf": ("i16", -0x8000),
    "uint16": ("u16", 0xFFFF),
    "count": ("u16", 0xFFFF),
    "enum16": ("u16", 0xFFFF),
    "bitfield16": ("u16", 0xFFFF),
    "raw16": ("u16", None),
    "acc16": ("u16", 0),
    "int32": ("i32", -0x80000000),
    "uint32": ("u32", 0xFFFFFFFF),
    "enum32": ("u32", 0xFFFFFFFF),
    "bitfield32": ("u32", 0xFFFFFFFF),
    "acc32": ("u32", 0),
    "ipaddr": ("u32", 0),
    "int64": ("i64", -(1 << 63)),
    "uint64": ("u64", (1 << 64) - 1),
    "bitfield64": ("u64", (1 << 64) - 1),
    "acc64": ("u64", 0),
    "eui48": ("u64", 0xFFFFFFFFFFFF),
    "float32": ("f32", None),
    "float64": ("f64", None),
    "string": ("text", None),
}
"""SunSpec type to the profile's type and the raw value that means not implemented (NaN for floats)."""

_UNITS: dict[str, tuple[str | None, float]] = {
    "W": ("kW", 0.001),
    "VA": ("kVA", 0.001),
    "var": ("kvar", 0.001),
    "Var": ("kvar", 0.001),
    "Wh": ("kWh", 0.001),
    "WH": ("kWh", 0.001),
    "VAh": ("kVAh", 0.001),
    "varh": ("kvarh", 0.001),
    "Varh": ("kvarh", 0.001),
    "C": ("°C", 1.0),
    "Secs": ("s", 1.0),
    "Sec": ("s", 1.0),
    "mSecs": ("ms", 1.0),
    "Pct": ("%", 1.0),
    "%WHRtg": ("%", 1.0),
    "% WChaMax": ("%", 1.0),
    "% WDisChaMax": ("%", 1.0),
    "% AhrRtg": ("%", 1.0),
    "AH": ("Ah", 1.0),
    "SF": (None, 1.0),
}


def unit_of(unit: str | None) -> tuple[str | None, float]:
    """The profile's unit and the gain that leads to it; an unknown unit stays as it is."""
    return (None, 1.0) if unit is None else _UNITS.get(unit, (unit, 1.0))


def snake(name: str) -> str:
    """`WSetRvrtTms` as `w_set_rvrt_tms`, `SoC` as `soc`."""
    for word in ("SoC", "SoH", "DoD"):
        name = name.replace(word, word.capitalize())
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
