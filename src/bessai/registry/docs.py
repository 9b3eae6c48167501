"""`docs/registry.md`, generated from the profiles and their golden vectors, so that it cannot be wrong about them."""

from __future__ import annotations

from collections.abc import Iterator

from bessai.registry.golden import golden_path, load_golden
from bessai.registry.loading import list_profiles, load_profile
from bessai.registry.schema import Profile

_DEAD_MAN = {
    "duration": "each command ends by itself after {time:g} s",
    "timeout": "falls back {time:g} s after the last write",
    "heartbeat": "falls back {time:g} s after the counter stops",
    "rewrite": "falls back when the setpoint is not written again within {time:g} s",
    "none": "none known: read only",
}

_HEAD = """# Devices in the registry

Generated from `registry/` by `bessai profile document`; edit the profiles, not this page.

*How sure*: `documented`, from one source; `cross-checked`, every address in a second source as well; `field-tested`,
tried on a real device, with the evidence in the profile. A device without a dead-man is read and never commanded.
Devices that speak SunSpec need no profile: `bessai read HOST:PORT --profile sunspec`.
"""


def registry_markdown() -> str:
    """The page, ending with a line break.

    Raises:
        ProfileError: a profile of the registry is not valid.
    """
    profiles = [load_profile(path) for path in list_profiles()]
    lines = [
        _HEAD,
        "| profile | device | kinds | how sure | points | dead-man |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(profile) for profile in profiles]
    for profile in profiles:
        lines += ["", *_section(profile)]
    return "\n".join(lines) + "\n"


def _row(profile: Profile) -> str:
    cells = (
        f"[`{profile.id}`](#{profile.id})",
        f"{profile.manufacturer} {profile.model}",
        ", ".join(profile.kinds),
        profile.status,
        str(len(profile.points)),
        _dead_man(profile),
    )
    return f"| {' | '.join(cells)} |"


def _section(profile: Profile) -> Iterator[str]:
    connection = profile.connection
    yield f"## {profile.id}"
    yield ""
    yield f"{profile.manufacturer} {profile.model}. {profile.status.capitalize()}."
    yield ""
    manners = [
        f"port {connection.port}",
        f"unit {connection.unit}",
        f"{connection.max_registers} registers a read",
    ]
    manners += [f"{name} {unit}" for name, unit in connection.stations.items()]
    manners += [f"{connection.pause:g} s between requests"] if connection.pause else []
    manners += [f"{connection.settle:g} s after connecting"] if connection.settle else []
    manners += ["one connection only"] if connection.single_connection else []
    yield f"- **Connection**: {', '.join(manners)}."
    yield f"- **Control**: {_control(profile)}."
    yield f"- **Dead-man**: {_dead_man(profile)}." + (
        f" {profile.dead_man.fallback}" if profile.dead_man else ""
    )
    yield f"- **Golden vectors**: {_golden(profile)}."
    for test in profile.field_tests:
        yield f"- **Field test** {test.date}, {test.device}: {test.what} ({test.where})."
    if profile.caveats:
        yield "- **Caveats**:"
        for caveat in profile.caveats:
            yield f"    - {caveat.text} ({caveat.source})"
    yield "- **Sources**:"
    for name, source in profile.sources.items():
        yield f"    - {name}: {source.title} ({source.kind}), {source.where}"
    yield ""
    yield "| point | address | type | unit | access | poll | description |"
    yield "|---|---|---|---|---|---|---|"
    numbered = [name for name in profile.points if name[-3:].isdigit()]
    shown = [name for name in profile.points if name not in numbered[2:-1]]
    for name in shown:
        point = profile.points[name]
        table = "" if point.table == "holding" else f" {point.table}"
        where = f"{point.address}{table}" + (f" @{point.station}" if point.station else "")
        description = point.description.replace("|", "/")
        cells = (f"`{name}`", where, point.type, point.unit or "", point.access, point.poll, description)
        yield f"| {' | '.join(cells)} |"
        if len(numbered) > 3 and name == numbered[1]:
            yield f"| … | | | | | | {len(numbered) - 3} more of the numbered points |"


def _control(profile: Profile) -> str:
    control = profile.control
    if control is None:
        return "none; it is read"
    return (
        f"charge, discharge, zero and stop, proved by `{control.measured}` within {control.response_time:g} s"
    )


def _dead_man(profile: Profile) -> str:
    if profile.dead_man is None:
        return _DEAD_MAN["none"] if profile.control is not None else "not commanded"
    return _DEAD_MAN[profile.dead_man.kind].format(time=getattr(profile.dead_man, "time", 0.0))


def _golden(profile: Profile) -> str:
    path = next(path for path in list_profiles() if path.stem == profile.id)
    if not golden_path(path).exists():
        return "none"
    golden = load_golden(golden_path(path))
    return f"{len(golden.reads)} readings, {len(golden.writes)} commands"
