"""Faults as text: `name[=value][@device]`, for the command line and the control socket.

    silence@rack_3   delay=0.1..0.5   exception=6*3   busy=10%   drop=20   spike=soc+battery_power*5%

Where a parameter is OFTEN, nothing means always, `3` the next three requests, `10%` that share of them.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bessai.twin.faults import ALWAYS, Faults
from bessai.twin.grid_faults import GRID_KINDS

Values = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One fault of the table."""

    name: str
    parameter: str
    """What may follow `=`, in words; empty when nothing may."""
    meaning: str
    fields: tuple[str, ...]
    """Fields of `Faults`; the first tells whether it is on."""
    parse: Callable[[str], Values]
    show: Callable[[Faults], str]
    """The value as text; empty for none."""
    needs: str = ""
    """What the bus must have: `transaction`, `crc` or `connection`; empty for nothing."""

    @property
    def usage(self) -> str:
        """How it is written."""
        if self.parameter.startswith("["):
            return f"{self.name}[={self.parameter[1:]}"
        return f"{self.name}={self.parameter}" if self.parameter else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One fault as somebody asked for it."""

    kind: Kind
    values: Mapping[str, Any]
    device: str | None
    """None: every device."""

    def apply(self, faults: Faults) -> None:
        """Switch it on."""
        for name, value in self.values.items():
            if isinstance(value, dict):
                getattr(faults, name).update(value)
            elif isinstance(value, set):
                setattr(faults, name, getattr(faults, name) | value)
            else:
                setattr(faults, name, value)


def _often(text: str) -> float:
    if not text:
        return ALWAYS
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text):
        share = float(match[1]) / 100
        if 0 < share <= 1:
            return ALWAYS if share == 1 else share
        raise ValueError("a share is above 0 % and at most 100 %")
    return _count(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{text!r} is no number of requests: 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 86_400:
        raise ValueError(f"{text!r} is no time: give seconds, above 0")
    return value


def _flag(field: str) -> Callable[[str], Values]:
    def parse(text: str) -> Values:
        if text:
            raise ValueError("it takes no value")
        return {field: True}

    return parse


def _delay(text: str) -> Values:
    low, dots, high = text.partition("..")
    if not dots:
        return {"delay": _seconds(low)}
    pair = (_seconds(low), _seconds(high))
    if pair[0] > pair[1]:
        raise ValueError("the shorter time comes first")
    return {"delay": pair}


def _slow(text: str) -> Values:
    count, _, interval = text.partition("/")
    return {"slow": (_count(count) if count else 1, _seconds(interval) if interval else 0.02)}


def _late(text: str) -> Values:
    seconds, _, often = text.partition("*")
    return {"late_by": _seconds(seconds) if seconds else Faults().late_by, "late": _often(often)}


def _exception(text: str) -> Values:
    code, _, often = text.partition("*")
    if not code.isdigit() or not 1 <= int(code) <= 255:
        raise ValueError(f"{code!r} is no exception code: 1 … 255")
    return {"exceptions": {int(code): _often(often)}}


def _functions(text: str) -> Values:
    codes = text.split("+")
    if not all(code.isdigit() and 1 <= int(code) <= 127 for code in codes):
        raise ValueError(f"{text!r}: give function codes of 1 … 127, joined by +")
    return {"refused_functions": {int(code) for code in codes}}


def _spike(text: str) -> Values:
    names, _, often = text.partition("*")
    points = {name for name in names.split("+") if name}
    if not points:
        raise ValueError("name the points, joined by +")
    return {"spike": _often(often) if often else 0.05, "spike_points": points}


def _how_often(often: float) -> str:
    return "" if often == ALWAYS else f"{100 * often:g}%" if 0 < often < 1 else f"{often:g}"


def _star(text: str, often: float) -> str:
    return f"{text}*{shown}" if (shown := _how_often(often)) else text


def _show_delay(faults: Faults) -> str:
    return "{:g}..{:g}".format(*faults.delay) if isinstance(faults.delay, tuple) else f"{faults.delay:g}"


def _show_slow(faults: Faults) -> str:
    return "{}/{:g}".format(*faults.slow) if faults.slow else ""


def _switch(name: str, field: str, meaning: str) -> Kind:
    return _own(name, "", meaning, (field,), _flag(field), lambda _: "")


def _repeated(name: str, field: str, meaning: str, needs: str = "") -> Kind:
    return Kind(
        name=name, parameter="[OFTEN]", meaning=meaning, fields=(field,), needs=needs,
        parse=lambda text: {field: _often(text)}, show=lambda faults: _how_often(getattr(faults, field)),
    )  # fmt: skip


def _own(
    name: str, parameter: str, meaning: str, fields: tuple[str, ...], parse: Callable[[str], Values],
    show: Callable[[Faults], str], needs: str = "",
) -> Kind:  # fmt: skip
    return Kind(
        name=name, parameter=parameter, meaning=meaning, fields=fields, parse=parse, show=show, needs=needs
    )


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _switch("silence", "silent", "requests are never answered"),
        _own("refuse", "", "connections are closed at once", ("refuse",), _flag("refuse"), lambda _: "",
             "connection"),
        _own("drop", "N", "every connection is closed after N answers", ("drop",),
             lambda text: {"drop": _count(text)}, lambda f: str(f.drop), "connection"),
        _own("reboot", "SECONDS", "the device is gone, then back with its start values", ("reboot",),
             lambda text: {"reboot": _seconds(text)}, lambda f: f"{f.reboot:g}"),
        _own("delay", "SECONDS or LOW..HIGH", "each answer comes so much later", ("delay",),
             _delay, _show_delay),
        _own("slow", "[BYTES/SECONDS]", "answers come in pieces (1 byte each 0.02 s)", ("slow",),
             _slow, _show_slow),
        _own("late", "[SECONDS[*OFTEN]]", "an answer comes after the master gave up (5 s), others meanwhile",
             ("late", "late_by"), _late, lambda f: _star(f"{f.late_by:g}", f.late)),
        _repeated("garbage", "garbage", "the answer is no Modbus frame"),
        _repeated("noise", "noise", "random bytes come before the answer"),
        _repeated("truncated", "truncated", "the second half of the answer is missing"),
        _repeated("duplicate", "duplicate", "the answer comes twice"),
        _repeated("bad_crc", "bad_crc", "the checksum is wrong (serial frames)", "crc"),
        _repeated("wrong_transaction", "wrong_transaction", "another transaction id (TCP frames)", "transaction"),
        _repeated("wrong_unit", "wrong_unit", "another unit id in the answer"),
        _repeated("wrong_function", "wrong_function", "another function code in the answer"),
        _repeated("short_reply", "short_replies", "a read answered with one register less"),
        _repeated("busy", "busy", "exception 6"),
        _repeated("failure", "failures", "exception 4"),
        _own("exception", "CODE[*OFTEN]", "any exception, for example exception=6*3", ("exceptions",),
             _exception, lambda f: " ".join(_star(str(c), n) for c, n in f.exceptions.items())),
        _own("refuse_function", "CODE[+CODE…]", "exception 1 for these functions", ("refused_functions",),
             _functions, lambda f: "+".join(map(str, sorted(f.refused_functions)))),
        _switch("freeze", "freeze", "measured points and counters stand still"),
        _own("spike", "POINT[+POINT…][*OFTEN]", "an absurd value now and then (5 % of reads)",
             ("spike", "spike_points"), _spike,
             lambda f: _star("+".join(sorted(f.spike_points)), f.spike)),
    )
}  # fmt: skip
"""Every fault by name, in the order of help and documentation."""


def parse_fault(text: str) -> Spec:
    """The fault that a text asks for.

    Raises:
        ValueError: names the text, what is wrong and what to write instead.
    """
    rest, _, device = text.strip().partition("@")
    name, equals, value = rest.partition("=")
    kind = KINDS.get(name)
    if kind is None:
        names = [*KINDS, *GRID_KINDS]
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}"
        raise ValueError(f"fault {text!r}: there is no fault {name!r}; {hint}")
    if "@" in text and not device:
        raise ValueError(f"fault {text!r}: name the device after @, or leave @ out")
    if equals and not value:
        raise ValueError(f"fault {text!r}: a value is missing after =; write {kind.usage}")
    try:
        return Spec(kind=kind, values=kind.parse(value), device=device or None)
    except ValueError as error:
        raise ValueError(f"fault {text!r}: {error}; write {kind.usage}") from None


def active(faults: Faults) -> list[str]:
    """The faults that are on, as texts that `parse_fault` takes."""
    texts: list[str] = []
    for kind in KINDS.values():
        if getattr(faults, kind.fields[0]):
            shown = kind.show(faults).split(" ") if kind.name == "exception" else [kind.show(faults)]
            texts += [f"{kind.name}={part}" if part else kind.name for part in shown]
    return texts
