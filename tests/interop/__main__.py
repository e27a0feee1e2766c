"""``python -m tests.interop``: clients that others wrote against our VTN, as a table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.interop.environments import PEERS, CannotMakeError, made, python_of
from tests.interop.table import PLAYED, expected, table
from tests.interop.world import Outcome, World, play, running


def main() -> int:
    """Make environments or play the peers; 1 where a cell is red for a reason that is not known."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    parser.add_argument("--make", action="store_true", help="make the peers' environments, no more")
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS))
    options = parser.parse_args()
    if unknown := set(options.peers) - set(PEERS):
        parser.error(f"unknown peer: {', '.join(unknown)}")
    chosen = options.peers or list(PEERS)
    if options.make:
        return max([made(name) for name in chosen])
    outcomes: dict[tuple[str, str], Outcome | str] = {}
    for peer, version in PLAYED:
        key = peer.package, version
        outcomes[key] = "not chosen"
        if peer.package in chosen:
            outcomes[key] = played(*key)
    print("\n".join(table(outcomes)))
    surprises = 0
    for (package, version), outcome in outcomes.items():
        if isinstance(outcome, str):
            print(f"\n{package} {version}: {outcome}")
            continue
        red = {name for name, cell in outcome.cells.items() if not cell.ok}
        surprises += red != set(expected(package, version)) or bool(outcome.answers)
        for title, words in (("requests", outcome.requests), ("ANSWERS", outcome.answers)):
            if words:
                print(f"\n{package} {version}, {title} that the document does not allow:")
                print("\n".join(f"- {each}" for each in dict.fromkeys(words)))
    return int(bool(surprises))


def played(package: str, version: str) -> Outcome | str:
    """Play one peer against a VTN of its own."""
    peer = PEERS[package]
    try:
        python = python_of(peer, make=False)
    except CannotMakeError as error:
        return str(error)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(folder / "vtn.sqlite") as url:
            world = World(url, version)
            try:
                return play(peer, python, world, folder)
            finally:
                world.close()


if __name__ == "__main__":
    sys.exit(main())
