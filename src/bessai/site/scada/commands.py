"""Makes the list of commands from `scada.commands` and the preset."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from bessai.site.scada.addresses import Addresses, Tell, near
from bessai.site.scada.names import TARGETS, Target
from bessai.site.scada.points import CommandPoint
from bessai.site.scada.presets import PRESETS
from bessai.site.scada.schema import CommandEntry, PresetEntry


def make_commands(
    entries: Sequence[CommandEntry],
    preset: PresetEntry | None,
    points: Collection[int],
    addresses: Addresses,
    problem: Tell,
) -> list[CommandPoint]:
    """What may be commanded: what the file says first, then the preset's.

    Args:
        entries: as in the site file.
        preset: the preset that fills up; None: none.
        points: addresses of the points, which may read commands back.
        addresses: those that are taken.
        problem: called once for each problem.
    """
    found: list[CommandPoint] = []
    for i, item in enumerate(entries):
        field = f"scada.commands.{i}"
        target = TARGETS.get(item.target)
        if target is None:
            problem(f"{field}.target", f"{item.target!r} cannot be commanded{near(item.target, [*TARGETS])}")
        elif addresses.free(f"{field}.ioa", item.ioa, f"command {item.target}"):
            if item.feedback is not None and item.feedback not in points:
                problem(f"{field}.feedback", f"there is no point with address {item.feedback}")
            _check(field, item, target, problem)
            found.append(_command(item, target))
    return found + _of_preset(preset, {command.target for command in found}, points, addresses)


def _of_preset(
    preset: PresetEntry | None, written: set[str], points: Collection[int], addresses: Addresses
) -> list[CommandPoint]:
    if preset is None:
        return []
    shown, commands = PRESETS[preset.name]
    names = {item["ioa"]: item["name"] for item in shown}
    found: list[CommandPoint] = []
    for item in commands:
        ioa = item["ioa"] + preset.ioa
        if item["target"] in written or item["target"] in preset.without:
            continue
        if addresses.free("scada.preset", ioa, f"command {item['target']}"):
            feedback = item["feedback"] + preset.ioa
            sign = preset.signs.get(names[item["feedback"]], 1)
            entry = CommandEntry.model_validate({**item, "ioa": ioa, "sign": sign, "feedback": None})
            command = _command(entry, TARGETS[entry.target])
            read_back = feedback if feedback in points else None
            found.append(replace(command, feedback=read_back, provisional=True))
    return found


def _check(field: str, item: CommandEntry, target: Target, problem: Tell) -> None:
    switch = item.type in ("single", "double")
    if target.switch != switch:
        mend = "is on or off: take type single or double" if target.switch else "is a number: take type float"
        problem(f"{field}.type", f"{item.target!r} {mend}")
    if target.states and (item.type not in ("scaled", "float") or (item.sign, item.scale) != (1, 1.0)):
        problem(field, f"{item.target!r} has numbered choices: take type scaled, no `sign` and no `scale`")
    if item.scale != 1 and item.unit is None:
        problem(f"{field}.scale", "say in `unit` what is sent, for example MW")


def _command(item: CommandEntry, target: Target) -> CommandPoint:
    return CommandPoint(
        ioa=item.ioa,
        target=item.target,
        kind=item.type,
        sbo=item.sbo,
        sign=item.sign,
        scale=item.scale,
        unit=item.unit if item.unit is not None else target.unit if item.scale == 1 else None,
        full_scale=item.full_scale,
        low=item.min,
        high=item.max,
        choices=dict(target.states),
        feedback=item.feedback,
        description=item.description or target.en,
        description_es=item.description_es or item.description or target.es,
    )
