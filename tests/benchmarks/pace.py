"""The real pace: the reference fleet at speed 1 in a kernel, with the dashboard on.

``python -m tests.benchmarks.pace --seconds 600`` measures ten minutes of it.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from nbformat import v4, write

from tests.benchmarks.table import Row, line
from venlab.results import RUN_FILE
from venlab.runs import run_notebook

STEP_S, STEP_H = 30.0, 0.25  # schedule seconds and simulated hours of one step
CYCLE_READINGS = 1656
CELLS = (
    "import json, time\nimport venlab as vl\n"
    "lab = vl.Lab(vl.params(speed=1.0, simulated_hours=simulated_hours, out_dir=out_dir))\n"
    "await lab.open()\nawait lab.register()",
    "if dashboard:\n    display(vl.Dashboard(lab))",
    "cpu_s, wall_s = time.process_time(), time.perf_counter()\n"
    "results = await lab.run()\n"
    "used = time.process_time() - cpu_s, time.perf_counter() - wall_s",
    "await lab.read_back()\n_ = await lab.close()\n"
    "complete = results.check().ok\n"
    "json.dump((*used, complete), open(out_dir + '/pace.json', 'w', encoding='utf-8'))",
)


def rows(seconds: float = 60.0, *, dashboard: bool = True) -> Iterator[Row]:
    """Measure the kernel's processor time, what each cycle sent, and how late ticks began.

    Parameters
    ----------
    seconds : float
        Length of the run at speed 1 [s], a multiple of 30.
    dashboard : bool
        Whether it is shown.
    """
    with tempfile.TemporaryDirectory() as folder:
        cpu_s, wall_s, complete = _played(Path(folder), seconds, dashboard)
        sent, lags_s = _cycles_and_lags(Path(folder) / RUN_FILE)
    worn = "on" if dashboard else "off"
    yield Row(
        f"kernel at speed 1 for {seconds:g} s, dashboard {worn}",
        f"{cpu_s / wall_s:.1%} of one core",
        "15 % of one core",
        cpu_s / wall_s / 0.15,
        "<= 1",
    )
    yield Row(
        f"readings acknowledged in each of {len(sent)} cycles",
        f"{min(sent):,} to {max(sent):,}" + ("" if complete else ", not complete"),
        f"{CYCLE_READINGS:,}",
        min(sent) / CYCLE_READINGS,
        "= 1",
    )
    third = max(1, len(lags_s) // 3)
    first, last = statistics.median(lags_s[:third]), statistics.median(lags_s[-third:])
    yield Row(
        "drift: median lag of the last third less the first",
        f"{(last - first) * 1e3:+.2f} ms (worst lag {max(lags_s) * 1e3:.1f} ms)",
        "5 ms",
        abs(last - first) / 0.005,
        "<= 1",
    )


def _played(folder: Path, seconds: float, dashboard: bool) -> list[Any]:
    cells = [v4.new_code_cell("", metadata={"tags": ["parameters"]})]
    write(
        v4.new_notebook(cells=cells + [v4.new_code_cell(c) for c in CELLS]), folder / "pace.ipynb"
    )
    simulated_hours = seconds / STEP_S * STEP_H
    parameters = {
        "out_dir": str(folder),
        "simulated_hours": simulated_hours,
        "dashboard": dashboard,
    }
    run_notebook(folder / "pace.ipynb", parameters, folder, html=False, say=lambda _: None)
    found: list[Any] = json.loads((folder / "pace.json").read_text("utf-8"))
    return found


def _cycles_and_lags(file: Path) -> tuple[list[int], list[float]]:
    with closing(sqlite3.connect(file)) as store:
        sent = store.execute(
            "SELECT sum(readings * (state = 'acknowledged')) FROM deliveries GROUP BY cycle"
        ).fetchall()
        # The first tick at each time: those after it also wait for what it does.
        lags = store.execute(
            "SELECT min(lag_s) FROM ticks WHERE NOT skipped GROUP BY at_s ORDER BY at_s"
        ).fetchall()
    return [n for (n,) in sent], [lag for (lag,) in lags]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the run")
    parser.add_argument("--no-dashboard", action="store_true", help="the lab alone")
    chosen = parser.parse_args()
    for row in rows(chosen.seconds, dashboard=not chosen.no_dashboard):
        print(line(*row.cells()))
