"""Flipped bits, cut files and lost files: the journal opens, loses what was hit, and says so.

What was hit is known from the undamaged files: which bytes of which file held which records. How many are lost is
counted exactly: at once, or for a damaged part of a sealed segment once that is checked, as a running gateway does
in the background. Which ones is told for the write-ahead log; elsewhere readers see it by the missing sequences.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from bessai.journal import Cursors, JournalReader
from bessai.journal import frame as frames
from bessai.journal.log import Log
from bessai.journal.row import row_of
from bessai.journal.wal import BLOCK
from simulation.seeds import base_seed, replay, scale
from support.journal_oracle import (
    Content,
    Decoder,
    content_of,
    decoding_once,
    numbered,
    require,
)
from support.records import DEVICE, LAYOUT
from support.simulated_disk import SimDisk

DATA = Path("/data")
SIZES = {"max_bytes": 80 << 10, "wal_bytes": 64 << 10, "segment_bytes": 1536}
ROOMY = SIZES | {"max_bytes": 1 << 20}
"""Nothing is dropped for space while it is repaired: what is missing is lost."""
CURSOR = 300


@dataclass(frozen=True)
class Piece:
    """Bytes of a file and the records that only they hold."""

    start: int
    end: int
    sequences: frozenset[int]


class Journal:
    """A closed journal with everything in it: a log, sealed and growing segments, kept events, a cursor."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.disk = SimDisk(DATA)
        log = Log.open(self.disk, DATA, wall_ns=lambda: 0, **SIZES)
        given: dict[int, Content] = {}
        cursors = Cursors(DATA, disk=self.disk)
        while log.last_sequence < 500 or len(log._wal.frames) < 6:
            items = [numbered(len(given) + n) for n in range(1, chance.choice((1, 2, 5, 30)) + 1)]
            last = log.append([row_of(item) for item in items], LAYOUT, DEVICE)
            given |= zip(range(last - len(items) + 1, last + 1), map(content_of, items), strict=True)
            if last > CURSOR:
                cursors.set("cloud", CURSOR)
        self.last, self.epoch, self.floor = log.last_sequence, log.epoch, log.totals.floor
        log.close()
        cursors.close()
        self.disk = self.disk.clone()
        self.files = [path for path in self.disk.files() if len(self.disk.content(path))]
        self.held = dict(Decoder().read(JournalReader(DATA, disk=self.disk)))
        require(all(given[sequence] == got for sequence, got in self.held.items()))
        self.pieces = self._pieces()

    def _pieces(self) -> dict[Path, list[Piece]]:
        """What each file holds that no other does."""
        found: dict[Path, list[tuple[int, int, set[int]]]] = {path: [] for path in self.files}
        copies: dict[int, int] = {}
        for path in self.files:
            if path.suffix not in {".seg", ".log"}:
                continue
            file, log = self.disk.open(path), path.suffix == ".log"
            size, home = file.size() - (2 * BLOCK if log else 0), int(path.stem.split("-")[1])
            for frame, _ in frames.scan(file, 0, size, home, BLOCK if log else frames.ALIGN):
                sequences = set(range(frame.first, frame.last + 1)) & self.held.keys()
                if not path.name.startswith("kept") and frame.first < self.floor:
                    sequences = {sequence for sequence in sequences if sequence >= self.floor}
                found[path].append((frame.offset, frame.end, sequences))
                for sequence in sequences:
                    copies[sequence] = copies.get(sequence, 0) + 1
        return {
            path: [Piece(a, b, frozenset(s for s in held if copies[s] == 1)) for a, b, held in pieces]
            for path, pieces in found.items()
        }


@dataclass(frozen=True)
class Harm:
    """What was done."""

    what: str
    suffix: str
    """Of the file."""
    hit: set[int]
    """The records that it may cost."""
    notes: bool
    """It may have hit the notes at the end of the write-ahead log, which count the records with events dropped."""


def damage(disk: SimDisk, journal: Journal, chance: random.Random) -> Harm:
    """Harm one file."""
    path = chance.choice(journal.files)
    content = bytearray(disk.content(path))
    kind = chance.choice(("flip", "flip", "flip", "flips", "page", "garbage", "cut", "delete"))
    start, end = 0, len(content)
    if kind == "delete":
        disk.unlink(path)
        disk.sync_directory(path.parent)
    else:
        start = chance.randrange(len(content))
        end = min(len(content), start + {"flip": 1, "flips": 20}.get(kind, chance.choice((10, 512, 4096))))
        if kind == "cut":
            end = len(content)
            del content[start:]
        elif kind == "page":
            content[start:end] = bytes(end - start)
        elif kind == "garbage":
            content[start:end] = chance.randbytes(end - start)
        else:
            for place in range(start, end):
                content[place] ^= 1 << chance.randrange(8)
        disk.damage(path, bytes(content))
    hit: set[int] = set()
    for piece in journal.pieces[path]:
        if piece.start < end and start < piece.end:
            hit |= piece.sequences
    notes = path.suffix == ".log" and end > len(journal.disk.content(path)) - 2 * BLOCK
    return Harm(f"{kind} {start}-{end} of {path.name}", path.suffix, hit, notes)


def check(journal: Journal, seed: int, decoder: Decoder) -> int:
    """Damage a copy, open it, and compare; how many records that cost."""
    chance = random.Random(seed)
    disk = journal.disk.clone()
    harm = damage(disk, journal, chance)
    try:
        log = Log.open(disk, DATA, wall_ns=lambda: 10**18, **ROOMY)
        reader = JournalReader(DATA, disk=disk)
        first = decoder.read(reader)
        for segment in log.unchecked():
            log.scrub(segment)
        got = decoder.read(reader)
        require(got == first, "checking the segments changed what is read")
        for sequence, content in got:
            require(journal.held.get(sequence) == content, "record", sequence, "has a wrong content")
        missing = journal.held.keys() - {sequence for sequence, _ in got}
        require(missing <= harm.hit, "lost without having been hit:", sorted(missing - harm.hit))
        told = {n for finding in log.findings for n in range(finding.first, finding.last + 1)}
        require(missing <= told or harm.suffix != ".log", "lost and not told:", missing - told, log.findings)
        require(not told & {sequence for sequence, _ in got}, "told as lost, but there", log.findings)
        lost = log.damaged
        require(
            lost == len(missing) or (harm.notes and lost > len(missing)), lost, "counted:", sorted(missing)
        )

        known = Cursors(DATA, disk=disk).get("cloud")
        require(known == CURSOR or (harm.suffix == ".cur" and known == 0), "the cursor is at", known)
        item = numbered(1)
        last = log.append([row_of(item)], LAYOUT, DEVICE)
        require(last > journal.last or log.epoch > journal.epoch, "sequence", last, "comes a second time")
        require(decoder.read(reader, last - 1) == [(last, content_of(item))], "it does not go on")
        counted = reader.stats().lost
        require(counted == lost, "lost", lost, "told to readers", counted)
        log.close()
        again = Log.open(disk, DATA, wall_ns=lambda: 10**18, **ROOMY)
        for segment in again.unchecked():
            again.scrub(segment)
        require(set(again.findings) <= set(log.findings), "found later:", again.findings)
        require(again.damaged == lost, "lost", lost, "counted after that", again.damaged)
    except Exception as error:
        raise AssertionError(f"{harm.what}: {type(error).__name__}: {error}") from error
    return len(missing)


def damages(base: int, count: int) -> int:
    """So many damaged journals; how many lost something."""
    lost = 0
    with decoding_once() as decoder:
        for n in range(count):
            if n % 500 == 0:
                journal = Journal(base + n)
            try:
                lost += check(journal, base + n, decoder) > 0
            except AssertionError as error:
                raise AssertionError(replay(base, [f"number {n}: {error}"])) from error
    return lost


@pytest.mark.timeout(600 * scale())
@pytest.mark.parametrize("part", range(2))
def test_only_what_was_hit_is_lost_and_it_is_told(part: int) -> None:
    assert damages(base_seed() + part * 10**6, 750 * scale()) > 75


@pytest.mark.soak
def test_a_hundred_thousand_damages() -> None:
    assert damages(base_seed() + 10**7, 100_000) > 10_000
