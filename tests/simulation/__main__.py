"""`python -m tests.simulation`: simulate days, print what happened, and fail when a promise was broken."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulation.tally import PLANTS, Tally, replay, run


def main() -> int:
    """Run as the arguments say. Returns the exit code: 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--hours", type=float, default=6.0, help="simulated hours of each run (default 6)")
    parser.add_argument("--runs", type=int, default=1, help="runs, each with the next seed (default 1)")
    parser.add_argument("--seed", type=int, help="of the first run (default: a new one, printed)")
    parser.add_argument("--profile", choices=[*PLANTS, "all"], default="all")
    parser.add_argument(
        "--fault-every", type=float, default=120.0, help="mean seconds between faults (default 120)"
    )
    chosen = parser.parse_args()
    first = random.SystemRandom().randrange(10**9) if chosen.seed is None else chosen.seed
    names = list(PLANTS) if chosen.profile == "all" else [chosen.profile]
    tally = Tally()
    for seed in range(first, first + chosen.runs):
        profile = names[(seed - first) % len(names)]
        result = run(profile, seed, chosen.hours * 3600, fault_every=chosen.fault_every)
        tally.add(result)
        print(f"seed {seed} {profile}: trace {result.trace}, violations {result.broken}", flush=True)
        if result.broken:
            print(replay(result, profile), flush=True)
    print(*tally.lines(), sep="\n")
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
