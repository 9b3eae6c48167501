"""What `bessai commission` finds out before it begins."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessai.cli.common import NOT_HEALTHY, NOT_RUNNING, GatewayError, ask_gateway, fail

if TYPE_CHECKING:
    from bessai.commissioning import Pace


def status_with_units(data_dir: Path) -> dict[str, Any]:
    """The status of the running gateway; ends the command when it commands nothing."""
    try:
        answer = ask_gateway(data_dir, {"op": "status"})
    except GatewayError as error:
        fail(error, code=NOT_HEALTHY)
    if answer is None or not answer.get("ok"):
        fail(f"no gateway is running on {data_dir} (set DATA_DIR or --data-dir)", code=NOT_RUNNING)
    status: dict[str, Any] = answer["status"]
    if "units" not in status:
        fail(
            f"the gateway that runs (version {status.get('version')}) does not tell its units; update and restart it",
            code=NOT_HEALTHY,
        )
    if not status["units"]:
        fail("the gateway commands no device: there is nothing to commission", code=NOT_HEALTHY)
    return status


def choose_unit(status: Mapping[str, Any], wanted: str | None) -> str:
    """The unit that is meant; ends the command when that is not clear."""
    names = sorted(status["units"])
    if wanted is None and len(names) == 1:
        return str(names[0])
    if wanted not in names:
        given = "--unit is missing" if wanted is None else f"--unit {wanted}: is not commanded here"
        fail(f"{given}; use one of {', '.join(name or '(empty)' for name in names)}")
    return str(wanted)


def ask(data_dir: Path, message: dict[str, Any]) -> dict[str, Any] | None:
    """One message to the gateway; None when it does not answer."""
    try:
        return ask_gateway(data_dir, message)
    except GatewayError:
        return None


def facts_of(unit: Mapping[str, Any], profile_id: str) -> dict[str, Any]:
    """What the profile promises, as the gateway tells it or, if it does not, as the registry has it."""
    if unit.get("measured_point") is None:
        return profile_facts(profile_id)
    return {
        "measured": unit["measured_point"],
        "tolerance": unit.get("tolerance"),
        "response_time": unit.get("response_time"),
    }


def profile_facts(profile_id: str) -> dict[str, Any]:
    """What the profile promises; empty when it is neither in the registry nor in DRIVER_PROFILE_PATH."""
    from bessai.core.environment import SettingsError, given_value
    from bessai.registry import ProfileError, load_profile

    candidates = [profile_id]
    with contextlib.suppress(SettingsError):
        candidates.append(given_value("DRIVER_PROFILE_PATH") or "")
    for name in filter(None, candidates):
        try:
            profile = load_profile(name)
        except (ProfileError, OSError):
            continue
        if profile.id == profile_id and profile.control is not None:
            return {
                "measured": profile.control.measured,
                "tolerance": profile.control.tolerance,
                "response_time": profile.control.response_time,
                "fallback": "" if profile.dead_man is None else profile.dead_man.fallback,
            }
    return {}


def pace() -> Pace:
    """The real time; tests put another one here."""
    from bessai.commissioning import Pace

    return Pace()
