"""Kills a process that trips and resets, again and again, and looks at what its successor finds.

Run as a program: `python latch_process.py DIRECTORY ROUNDS SEED [lie]`; prints one JSON object. The oracle is the
killing process: it believes only what the child wrote into a pipe before it died. `lie` makes the child call a trip
durable before it is, as a negative control.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from bessai.core.keeping import RECORD_LOST, Keeper, recovered
from bessai.core.state_file import DiskState
from bessai.model import Operation, Role, Trip

CODES = [f"code_{n}" for n in range(6)]


def child(directory: Path, pipe: int, chance: random.Random, *, lie: bool) -> None:
    """Trip and reset at random until killed; say what begins and what is durable."""
    state = DiskState(directory)
    latch = recovered(state, 0)
    keeper = Keeper(latch, state)

    def say(act: str, code: str, word: str) -> None:
        os.write(pipe, f"{act} {code} {word}\n".encode())

    def settle() -> None:
        while True:
            revision = keeper.tick()
            latch.settled(-1 if revision is None else revision)
            if revision == latch.memory.revision:
                return
            time.sleep(0.0002)

    settle()
    while True:
        code = chance.choice(CODES)
        act = "reset" if code in {trip.code for trip in latch.standing} else "trip"
        say(act, code, "begins")
        if act == "trip":
            latch.trip(Trip(code=code, unit=""))
            if lie:
                say(act, code, "durable")
        else:
            latch.reset(Operation(kind="reset", user="u", role=Role.ENGINEER, reason="r", code=code), (), 0)
        settle()
        say(act, code, "durable")


def main(directory: Path, rounds: int, seed: int, *, lie: bool) -> dict[str, int]:
    """Kill `rounds` children; count what they said and what went wrong."""
    chance = random.Random(seed)
    first = DiskState(directory)
    Keeper(recovered(first, 0), first).tick()
    first.close(30)
    result = dict.fromkeys(("trips", "resets", "midway", "lost", "came_back", "unreadable"), 0)
    standing: set[str] = set()
    for _ in range(rounds):
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            try:
                child(directory, writing, random.Random(chance.random()), lie=lie)
            finally:
                os._exit(1)
        os.close(writing)
        time.sleep(0.02 + 0.15 * chance.random())
        os.kill(process, signal.SIGKILL)
        if os.waitpid(process, 0)[1] != signal.SIGKILL:
            raise RuntimeError("the child ended by itself")
        with os.fdopen(reading) as said:
            lines = [line.split() for line in said]
        under_way: set[str] = set()
        for act, code, word in lines:
            if word == "begins":
                under_way = {code}
            else:
                under_way = set()
                standing = standing | {code} if act == "trip" else standing - {code}
                result[f"{act}s"] += 1
        found = {trip.code for trip in recovered(DiskState(directory), 0).standing}
        result["midway"] += bool(under_way)
        result["unreadable"] += RECORD_LOST in found
        result["lost"] += len(standing - found - under_way)
        result["came_back"] += len(found - standing - under_way)
        standing = found
    return result


if __name__ == "__main__":
    where, count, number, *rest = sys.argv[1:]
    print(json.dumps(main(Path(where), int(count), int(number), lie="lie" in rest)))
