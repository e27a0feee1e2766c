"""``python -m tests.benchmarks``: one table, each row against its bare counterpart."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator

from tests.benchmarks import (
    batched_rows,
    fleet_rows,
    history_rows,
    lab_rows,
    outbox_rows,
    pace,
    vtn_reports,
)
from tests.benchmarks.table import Row, line

GROUPS: dict[str, Callable[[], Iterator[Row] | list[Row]]] = {
    "import": lab_rows.import_time,
    "fleet": lab_rows.full_fleet,
    "step": lab_rows.full_step,
    "cycle": lab_rows.reference_cycle,
    "fast": fleet_rows.fast_cycle,
    "full": fleet_rows.full_flat,
    "memory": fleet_rows.memory,
    "batched": batched_rows.rows,
    "history": history_rows.rows,
    "outbox": outbox_rows.rows,
    "vtn": vtn_reports.rows,
    "drift": lab_rows.drift,
    "pace": pace.rows,
}


def main() -> int:
    """Measure the chosen groups and print the table; never fails because of a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    chosen = parser.parse_args().groups or list(GROUPS)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(line("what", "measured", "against", "ratio", "bar"))
    for group in chosen:
        if group not in GROUPS:
            parser.error(f"unknown group {group}, choose from {', '.join(GROUPS)}")
        began = time.monotonic()
        for row in GROUPS[group]():
            print(line(*row.cells()), flush=True)
        print(f"  ({group}: {time.monotonic() - began:.0f} s)", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
