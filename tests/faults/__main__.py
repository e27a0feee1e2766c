"""``python -m tests.faults``: the fault matrix as a table; fails where a row is not exact."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import traceback
from pathlib import Path

from tests.faults import matrix
from venlab.config import DIALECTS


async def main(word: str, dialect: str) -> int:
    """Play each row whose fault holds a word; print the table."""
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="venlab-faults-") as folder:
        like = await matrix.undisturbed(Path(folder, "undisturbed"))
        print("|", " | ".join(matrix.COLUMNS), "|")
        print("|", " | ".join("---" for _ in matrix.COLUMNS), "|")
        for n, row in enumerate(r for r in matrix.rows(dialect) if word in r.fault):
            try:
                outcome = await matrix.played(row, Path(folder, str(n)), like)
            except Exception:
                wrong += 1
                print(f"| {row} | raised |", flush=True)
                traceback.print_exc(limit=-4)
                continue
            wrong += not outcome.exact
            print("|", " | ".join(outcome.cells()), "|", flush=True)
            if not outcome.exact:
                print(outcome.results.check(), file=sys.stderr)
    return int(wrong > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("word", nargs="?", default="", help="only faults that hold it")
    parser.add_argument("--dialect", choices=DIALECTS, default="flat")
    chosen = parser.parse_args()
    sys.exit(asyncio.run(main(chosen.word, chosen.dialect)))
