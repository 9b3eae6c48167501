"""Checking the chain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bessai.interfaces.api.audit.entries import ORIGIN, parse
from bessai.interfaces.api.audit.files import first_of
from bessai.interfaces.api.audit.head import Known


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check found."""

    ok: bool
    entries: int
    """That are good, before the first bad one."""
    first_bad: int | None
    """The number of the first entry that is missing, changed or not in its place."""
    problem: str | None
    """What is wrong with it."""
    torn: bool = False
    """The last line is torn: a power cut, mended with the next entry."""


@dataclass(frozen=True, slots=True)
class _State:
    """How far the chain holds."""

    first: int
    last: int
    hash: str
    entries: int
    link: str
    """The hash of the entry before the first one of this file."""


Sound = dict[Path, tuple[tuple[int, ...], _State]]
"""Whole files that were found good, and by what one sees that they are unchanged."""


class Held:
    """A file as it was when it was opened: what is appended meanwhile is not looked at."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("rb")
        stat = os.fstat(self.file.fileno())
        self.size = stat.st_size
        self.mark = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


class _Bad(Exception):  # noqa: N818  private
    def __init__(self, number: int, problem: str, entries: int) -> None:
        super().__init__(problem)
        self.number, self.problem, self.entries = number, problem, entries


def check(held: Sequence[Held], known: Known | None, sound: Sound) -> Verdict:
    """Check all.

    Args:
        held: the files, oldest first.
        known: the record of the newest entry.
        sound: files that need not be read again; those that are found good are added.
    """
    held = [file for file in held if file.size]
    try:
        entries, torn = _check(held, known, sound)
    except _Bad as bad:
        return Verdict(ok=False, entries=bad.entries, first_bad=bad.number, problem=bad.problem)
    return Verdict(ok=True, entries=entries, first_bad=None, problem=None, torn=torn)


def _check(held: Sequence[Held], known: Known | None, sound: Sound) -> tuple[int, bool]:
    if not held:
        if known is not None and known.sequence:
            raise _Bad(known.first, "all files are gone", 0)
        return 0, False
    start = first_of(held[0].path)
    if known is None:
        raise _Bad(start, "there is no record of the newest entry in identity.db", 0)
    if start > known.first:
        raise _Bad(known.first, "the oldest files are gone", 0)
    last, link, entries, torn = start - 1, ORIGIN if start == 1 else "", 0, False
    for place, file in enumerate(held):
        cached = sound.get(file.path)
        if cached and cached[0] == file.mark and cached[1].first == last + 1 and link in {"", cached[1].link}:
            state = cached[1]
        else:
            newest = place == len(held) - 1
            state, torn = _file(file, last, link, entries, known, newest=newest)
            if not torn:
                sound[file.path] = (file.mark, state)
        last, link, entries = state.last, state.hash, entries + state.entries
    for path in set(sound) - {file.path for file in held}:
        del sound[path]
    if last < known.sequence:
        raise _Bad(last + 1, f"the end is gone: entry {known.sequence} was written", entries)
    if last == known.sequence and link != known.hash:
        raise _Bad(last, "it is not the entry that was written last", entries - 1)
    if last > known.sequence + 1:
        raise _Bad(
            known.sequence + 1, "nobody has written it through the gateway", entries - last + known.sequence
        )
    return entries, torn


def _file(
    held: Held, last: int, link: str, before: int, known: Known, *, newest: bool
) -> tuple[_State, bool]:
    """Check one file that goes on after entry `last` with the hash `link` (empty: not known)."""
    if first_of(held.path) != last + 1:
        raise _Bad(last + 1, f"{held.path.name} does not go on where the file before it ended", before)
    held.file.seek(0)
    first, begin, count, torn, left = last + 1, link, 0, False, held.size
    while left:
        line = held.file.readline(left)
        left -= len(line)
        number, good = last + 1, before + count
        try:
            entry = parse(line)
        except ValueError as error:
            if newest and not left and not line.endswith(b"\n") and number > known.sequence:
                torn = True
                break
            raise _Bad(number, f"{held.path.name}: {error}", good) from None
        if entry.sequence != number:
            raise _Bad(number, f"entry {entry.sequence} stands in its place", good)
        if link and entry.previous != link:
            raise _Bad(number, "it does not follow the entry before it", good)
        if number == known.sequence and entry.hash != known.hash:
            raise _Bad(number, "it is not the entry that was written", good)
        begin = begin or entry.previous
        last, link, count = number, entry.hash, count + 1
    return _State(first=first, last=last, hash=link, entries=count, link=begin), torn
