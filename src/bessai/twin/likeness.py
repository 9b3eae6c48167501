"""What lets a device be recognised: its fingerprints, shown where the twin would show something else.

A text takes the first of a few plain texts that its pattern accepts: the maker, the model or a word of it, serial
numbers of usual lengths. A number takes the first value that is expected, of a state one that is running. What has
only to be plausible is shown when it is a state, a serial number or the setting of a time; the twin invents no
measurement.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterator

from bessai.registry.schema import Point, Profile
from bessai.twin.registers import Registers, pack_text


def impersonate(
    registers: Registers, profile: Profile, seed: int, texts: dict[str, str], live: Container[str]
) -> None:
    """Show what the profile's fingerprints ask for, apart from `live` points. `texts` are those already shown."""
    running = profile.control.running_states if profile.control else {}
    for check in profile.fingerprint:
        name = check.point or ""
        point = profile.points.get(name)
        if point is None or name in live:
            continue
        if check.matches is not None:
            room = 2 * point.registers
            for text in (texts[name], *_texts(profile, seed)):
                shown = text.encode()[:room].decode(errors="ignore")
                if re.search(check.matches, shown):
                    registers.place(name, pack_text(point, shown))
                    break
        elif check.equals is not None:
            words = None if name in registers.absent else registers.words_of(name)
            shown_now = math.nan if words is None else registers.decode(name, words)
            if not any(math.isclose(shown_now, one, rel_tol=1e-6, abs_tol=1e-9) for one in check.equals):
                registers.absent.discard(name)
                states = running.get(name, ())
                registers.show(name, next((one for one in check.equals if one in states), check.equals[0]))
        elif name in registers.absent and (value := _plausible(name, point, seed)) is not None:
            registers.absent.discard(name)
            registers.show(name, value)


def _plausible(name: str, point: Point, seed: int) -> float | None:
    if point.enum:
        return min(int(key, 0) for key in point.enum) * point.gain + point.offset
    if point.unit in {"s", "min"}:
        return 60.0 if point.unit == "s" else 1.0
    return 1_000_000.0 + seed if name == "serial_number" else None


def _texts(profile: Profile, seed: int) -> Iterator[str]:
    yield profile.manufacturer
    yield from re.findall(r"[\w.+-]+", profile.model)
    yield f"TWIN{seed:06d}"
    yield f"TWIN{seed:012d}"
    yield f"{seed:012x}"
    yield "2.00"
