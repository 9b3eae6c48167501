"""SunSpec points that mean the same as a shared name, with the sign that is certain.

Signs: the definition of 701 says that active power is positive for generation. Models 101–113 count AC power
positive when the inverter delivers. Left under their own names, because the definitions give no sign and
devices differ: power and current of meters (201–214), of batteries (802: "to/from the battery bank") and of
strings, reactive power of 701 and 1xx, and the power factor of 1xx (per cent or a share).
"""

from __future__ import annotations

_INVERTER = {
    "W": "active_power",
    "VA": "apparent_power",
    "Hz": "frequency",
    "PhVphA": "phase_voltage_a",
    "PhVphB": "phase_voltage_b",
    "PhVphC": "phase_voltage_c",
    "PPVphAB": "line_voltage_ab",
    "PPVphBC": "line_voltage_bc",
    "PPVphCA": "line_voltage_ca",
    "AphA": "phase_current_a",
    "AphB": "phase_current_b",
    "AphC": "phase_current_c",
    "DCW": "dc_power",
    "TmpCab": "internal_temperature",
    "St": "device_status",
}
_METER = {
    "Hz": "grid_frequency",
    "PPV": "grid_voltage",
    "TotWhExp": "energy_exported_total",
    "TotWhImp": "energy_imported_total",
}

SHARED: dict[int, dict[str, str]] = {
    1: {"Mn": "manufacturer", "Md": "model_name", "SN": "serial_number", "Vr": "software_version"},
    **dict.fromkeys((101, 102, 103, 111, 112, 113), _INVERTER),
    **dict.fromkeys((201, 202, 203, 204, 211, 212, 213, 214), _METER),
    124: {"ChaState": "soc", "ChaSt": "battery_status"},
    701: {
        "W": "active_power",
        "VA": "apparent_power",
        "PF": "power_factor",
        "Hz": "frequency",
        "InvSt": "device_status",
        "VL1": "phase_voltage_a",
        "VL2": "phase_voltage_b",
        "VL3": "phase_voltage_c",
        "VL1L2": "line_voltage_ab",
        "VL2L3": "line_voltage_bc",
        "VL3L1": "line_voltage_ca",
        "AL1": "phase_current_a",
        "AL2": "phase_current_b",
        "AL3": "phase_current_c",
        "TmpCab": "internal_temperature",
    },
    702: {
        "WChaRteMax": "charge_power_max",
        "WDisChaRteMax": "discharge_power_max",
        "VarMaxInj": "reactive_power_max",
        "VarMaxAbs": "absorbed_reactive_power_max",
        "VAMax": "apparent_power_max",
    },
    713: {"SoC": "soc", "SoH": "soh", "WHRtg": "energy_capacity", "Sta": "battery_status"},
    802: {
        "SoC": "soc",
        "SoH": "soh",
        "WHRtg": "energy_capacity",
        "V": "battery_voltage",
        "State": "battery_status",
        "CellVMax": "cell_voltage_max",
        "CellVMin": "cell_voltage_min",
    },
}
"""Model id to point name to shared name. The first model of the chain that has a name keeps it."""

RATING_OF = {
    "WChaRteMax": "WChaRteMaxRtg",
    "WDisChaRteMax": "WDisChaRteMaxRtg",
    "VarMaxInj": "VarMaxInjRtg",
    "VarMaxAbs": "VarMaxAbsRtg",
    "VAMax": "VAMaxRtg",
}
"""Settings of 702 that a device may leave out, with the rating that then stands in."""

FAST = frozenset(
    {
        "active_power",
        "soc",
        "device_status",
        "m715_der_hb",
        "m802_hb",
        "m715_loc_rem_ctl",
        "m802_loc_rem_ctl",
        "m704_w_set_sf",
        "m704_var_set_sf",
        "m701_var",
        "grid_frequency",
        "grid_voltage",
    }
)
"""Points read every cycle: what control rests on (a stale exponent would write ten times the power), what the grid
is answered by, and what shows that the data is alive."""
