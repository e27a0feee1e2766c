"""``python -m tests.kills [COUNT]``: kills at random moments; a table, and 1 for any loss."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.kills.trial import KILLS, Kill, Outcome, Reference, tried
from venlab.config import DIALECTS

SEED = 7
HEAD = ("killed", "how", "times", "resumed", "anew", "exact", "lost", "wall s")


def outcomes(
    kill: Kill, count: int, folder: Path, reference: Reference, *, seed: int, at_once: int
) -> Iterator[Outcome]:
    """Try one kind of kill so many times, each at a moment of its own."""
    random = np.random.default_rng([seed, KILLS.index(kill)])
    shares = random.random(count).tolist()
    places = [
        folder / f"{kill.what.replace(' ', '-')}-{kill.number.name}-{n}" for n in range(count)
    ]
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(
            lambda place, share: tried(kill, place, share, reference), places, shares
        )


def line(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    """Kill, compare, print the table; 1 where a run did not end exactly."""
    parser = argparse.ArgumentParser("python -m tests.kills", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=30, help="of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="of the moments (%(default)s)")
    parser.add_argument("--at-once", type=int, default=2, help="runs at a time (%(default)s)")
    parser.add_argument("--dialect", choices=DIALECTS, default="flat")
    asked = parser.parse_args()
    failed = False
    print(line(*HEAD), line(*["---"] * len(HEAD)), sep="\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="venlab-kills-") as name:
        references = {
            by: Reference(Path(name, f"{by}"), by_papermill=by, dialect=asked.dialect)
            for by in (False, True)
        }
        for kill in KILLS:
            began, done = time.monotonic(), []
            for n, each in enumerate(
                outcomes(
                    kill,
                    asked.count,
                    Path(name),
                    references[kill.by_papermill],
                    seed=asked.seed,
                    at_once=asked.at_once,
                )
            ):
                done.append(each)
                if each.differs or each.lost:
                    said = f"{kill.what} {kill.number.name} {n} at {each.moment_s:.2f} s"
                    print(f"{said}: {each.lost} lost; {each.differs}", file=sys.stderr, flush=True)
            exact = sum(not each.differs for each in done)
            counts = (sum(e.resumed for e in done), sum(e.anew for e in done), exact)
            lost, wall_s = sum(e.lost for e in done), time.monotonic() - began
            row = (kill.what, kill.number.name, len(done), *counts, lost, f"{wall_s:.0f}")
            print(line(*row), flush=True)
            failed |= exact < len(done) or lost > 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
