"""How a SunSpec device is commanded, if its models hold everything that safe control rests on.

Model 704 sets the active power with a reversion timer. The definition of 701 counts generation positive, and
704 sets that same active power (OpenEMS writes its own + = discharge setpoint to `WSet` as it is,
`EssSocomecPmsImpl`). The timer is a duration: writing `WSetRvrtTms` starts it again, `WSetRvrtRem` counts it
down, and with `WSetEnaRvrt` 0 the function is disabled when it ends. A device that does not implement
`WSetRvrtRem` cannot prove that it counts, and is not controlled.

Reactive power is commanded where 704 has a setpoint in vars with a reversion timer of its own, and 702 tells how much
the device exports and absorbs. `VarSet` counts injection positive: SunSpec's own test suite calls a positive setting of
704 injected (`der1547_sunspec.py` of the SVP energy lab), and OpenEMS writes its + = export value as it is, with
`VarSetMod` vars, as it does for `WSet` (`EssSocomecPmsImpl`). Its timer is fed together with that of the active power;
where the apparent power is told, active power comes first.

Model 124 alone yields no control section: it limits charge and discharge rates in per cent, forcing a power
needs a negative rate of the opposite direction that the definition does not promise, per cent of a maximum
discharge rate that the model does not hold, and on a hybrid inverter no single point measures the battery.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SET = ("m704_w_set_mod", "m704_w_set_ena_rvrt", "m704_w_set", "m704_w_set_rvrt_tms", "m704_w_set_ena")
TIMER = "m704_w_set_rvrt_rem"
"""Shows that the device counts the reversion time."""
MEASURED_VARS = "m701_var"
"""What 701 measures of reactive power. Its definition promises no sign, so the gateway judges its size alone."""
_NEEDED = (
    *_SET,
    TIMER,
    "active_power",
    "device_status",
    "soc",
    "charge_power_max",
    "discharge_power_max",
)
_REACTIVE = (
    *(
        "m704_var_set_mod",
        "m704_var_set_ena_rvrt",
        "m704_var_set",
        "m704_var_set_rvrt_tms",
        "m704_var_set_ena",
    ),
    *("reactive_power_max", "absorbed_reactive_power_max"),
)
_VARS = 4.0
"""704 VarSetMod: the setpoint is in vars."""
_RUNNING = [3, 4]
"""701 InvSt running and throttled: the two in which OpenEMS commands a power as well."""
DEAD_MAN_TIME = 60.0


def control_sections(models: Mapping[int, int], points: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The sections `control`, `dead_man` and `alive`, as far as the chain supports them.

    Args:
        models: how often each model id occurs.
        points: documents of all points.
        source: id of the definitions in the profile's `sources`.
    """
    sections: dict[str, Any] = {}
    for heartbeat in ("m715_der_hb", "m802_hb"):
        if heartbeat in points:
            sections["alive"] = {"point": heartbeat, "within": 10.0}
            break
    # two inverters or batteries behind one setpoint: which one is measured would be a guess
    alone = all(models.get(number, 0) == 1 for number in (701, 702, 704)) and models.get(713, 0) <= 1
    if not alone or models.get(802, 0) > 1 or any(name not in points for name in _NEEDED):
        return sections
    if any(number in models for number in (101, 102, 103, 111, 112, 113)):
        return sections
    evidence, running = ["active_power", "soc", "device_status"], {"device_status": _RUNNING}
    for name in ("m715_loc_rem_ctl", "m802_loc_rem_ctl"):
        if name in points:
            evidence.append(name)
            running[name] = [0]
    sections["control"] = {
        "charge": _sequence({"quantity": "power"}),
        "discharge": _sequence({"quantity": "power"}),
        "zero": _sequence({"value": 0.0}),
        "stop": [{"point": "m704_w_set_ena", "value": 0.0}],
        "measured": "active_power",
        "charge_power_max": "charge_power_max",
        "discharge_power_max": "discharge_power_max",
        "evidence": evidence,
        "running_states": running,
    }
    sections["dead_man"] = {
        "kind": "duration",
        "point": "m704_w_set_rvrt_tms",
        "feed": ["m704_w_set_rvrt_tms"],
        "time": DEAD_MAN_TIME,
        "remaining": TIMER,
        "fallback": "the active power function is disabled and the device follows its own settings",
        "sources": [source],
    }
    if all(name in points for name in _REACTIVE):
        _add_reactive(sections, points)
    return sections


def _add_reactive(sections: dict[str, Any], points: Mapping[str, Any]) -> None:
    control = sections["control"]
    control["reactive"] = [
        {"point": "m704_var_set_mod", "value": _VARS},
        {"point": "m704_var_set_ena_rvrt", "value": 0.0},
        {"point": "m704_var_set", "quantity": "reactive"},
        {"point": "m704_var_set_rvrt_tms", "quantity": "dead_man_time"},
        {"point": "m704_var_set_ena", "value": 1.0},
    ]
    control["reactive_power_max"] = "reactive_power_max"
    control["absorbed_reactive_power_max"] = "absorbed_reactive_power_max"
    if "apparent_power_max" in points:
        control["apparent_power_max"] = "apparent_power_max"
    if MEASURED_VARS in points:
        control["measured_reactive"] = MEASURED_VARS
    control["stop"] = [{"point": "m704_var_set_ena", "value": 0.0}, *control["stop"]]
    sections["dead_man"]["feed"].append("m704_var_set_rvrt_tms")


def _sequence(power: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"point": "m704_w_set_mod", "value": 1.0},
        {"point": "m704_w_set_ena_rvrt", "value": 0.0},
        {"point": "m704_w_set", **power},
        {"point": "m704_w_set_rvrt_tms", "quantity": "dead_man_time"},
        {"point": "m704_w_set_ena", "value": 1.0},
    ]
