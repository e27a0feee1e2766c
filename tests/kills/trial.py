"""One run that is killed at one moment, gone on with, and compared with one that nobody touched."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import psutil

from tests.kernels.processes import VENLAB, is_gone, until, vtns_of
from tests.scratch_notebooks import code, parameters, write_notebook
from venlab.results import RUN_FILE, Results

SETTINGS = {"vens": 1, "simulated_hours": 1.0, "speed": 60.0, "drain_s": 30.0}
LONGEST_S = 120.0
NOT_BEGUN = ("holds no run", "had not begun")  # what is said of a folder with nothing to go on with
WITNESS = """\
import os

import venlab as vl
from venlab.outbox import Outbox

append, finished = Outbox.append, os.open({path!r}, os.O_CREAT | os.O_APPEND | os.O_WRONLY)


async def witnessed(self, row, frozen):
    await append(self, row, frozen)
    os.write(finished, b"%d\\n" % row.cycle)


Outbox.append = witnessed
"""
SCRIPT = """\
import sys

config = vl.params(out_dir="run", **{settings!r})
lab = vl.Lab.resume("run") if "--resume" in sys.argv else vl.Lab(config)
lab.run_sync()
"""
CELLS = (
    "lab = vl.Lab(vl.params(globals()))\nawait lab.open()",
    "await lab.register()",
    "await lab.run()",
    "await lab.read_back()",
    "await lab.close()",
)


@dataclass(frozen=True)
class Kill:
    """Who is killed, and how."""

    what: str
    number: signal.Signals

    @property
    def by_papermill(self) -> bool:
        """Whether the lab is in a kernel that papermill started."""
        return self.what == "papermill"


KILLS = tuple(
    Kill(what, number)
    for what in ("the VTN", "the lab", "both", "papermill")
    for number in (signal.SIGKILL, signal.SIGTERM)
)


class Play:
    """A run in a folder of its own, by a script or by `venlab run`."""

    def __init__(self, folder: Path, *, by_papermill: bool, dialect: str) -> None:
        self.folder, self._by_papermill, self.dialect = folder, by_papermill, dialect
        folder.mkdir(parents=True)
        settings = SETTINGS | {"dialect": dialect}
        witness = WITNESS.format(path=str(folder / "finished"))
        if by_papermill:
            told = "\n".join(f"{name}: {type(v).__name__} = {v!r}" for name, v in settings.items())
            cells = map(code, (witness, *CELLS))
            write_notebook(folder / "job.ipynb", parameters(told + '\nout_dir: str = ""'), *cells)
        else:
            source = witness + SCRIPT.format(settings=settings)
            (folder / "play.py").write_text(source, encoding="utf-8")

    def begin(self, *, resume: bool = False) -> subprocess.Popen[bytes]:
        """Start it; what it says goes to a file."""
        command = [sys.executable, "play.py", *["--resume"] * resume]
        if self._by_papermill:
            where = "--resume" if resume else "--out"
            command = [*VENLAB, "run", "job.ipynb", where, "run", "--no-html"]
        with (self.folder / "said.txt").open("ab") as said:
            return subprocess.Popen(
                command, stdout=said, stderr=said, cwd=self.folder, start_new_session=True
            )

    def opened(self, process: subprocess.Popen[bytes]) -> float:
        """Wait until the lab begins to open, or all is over; return when that was."""
        run_file = self.folder / "run" / RUN_FILE
        until(lambda: run_file.exists() or process.poll() is not None, LONGEST_S)
        return time.monotonic()

    def end(self, process: subprocess.Popen[bytes]) -> tuple[int, str]:
        """Wait for its end; return its code and all that was said."""
        try:
            number = process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            number = process.wait()
        return number, (self.folder / "said.txt").read_text("utf-8", "replace")

    @property
    def finished(self) -> list[int]:
        """The cycles whose sample ticks were finished, in the words of who played them."""
        path = self.folder / "finished"
        return [int(n) for n in path.read_text("utf-8").split()] if path.exists() else []

    @property
    def results(self) -> Results:
        """What the run folder says."""
        return Results(self.folder / "run")


class Reference(Play):
    """A run that nobody touched: what there is to be measured, and how long it takes."""

    def __init__(self, folder: Path, *, by_papermill: bool, dialect: str = "flat") -> None:
        super().__init__(folder, by_papermill=by_papermill, dialect=dialect)
        process = self.begin()
        began = self.opened(process)
        number, said = self.end(process)
        self.took_s = time.monotonic() - began
        assert number == 0, said

    @cached_property
    def values(self) -> dict[int, tuple[object, ...]]:
        """Each cycle as it was measured."""
        return values(self.results)

    def readings(self, cycles: set[int]) -> int:
        """Return how many readings these cycles have."""
        kept = (np.frombuffer(self.values[n][-1], "<i4") for n in cycles)  # type: ignore[call-overload]
        return sum(int((watts >= 0).sum()) for watts in kept)

    def differs(self, other: Play) -> str:
        """Return in what a run is not this one; nothing where it is."""
        check, ours = other.results.check(), self.results.check()
        counts = (check.measured, check.acknowledged, check.heard)
        if not check or counts != (ours.measured,) * 3:
            return str(check)
        if values(other.results) != self.values:
            return "other values"
        if stored(other) != stored(self):
            return "other reports at the VTN, or not each exactly once"
        return ""


def values(results: Results) -> dict[int, tuple[object, ...]]:
    """Return each cycle as a run file keeps it."""
    rows = results.rows("SELECT cycle, stamp, duration_s, watts FROM readings")
    return {cycle: rest for cycle, *rest in map(tuple, rows)}  # type: ignore[misc]


def stored(play: Play) -> list[str]:
    """Return the names of all reports at the VTN, without the run's own, as often as they are."""
    table = "reports" if play.dialect == "flat" else "standard_reports"
    with closing(sqlite3.connect(play.folder / "run" / "vtn.sqlite")) as c:
        names = c.execute(f"SELECT name FROM {table} ORDER BY name").fetchall()
    # Before a run's own name the standard's have their version.
    return sorted(re.sub("^.*?run-[^/]*/", "", name) for (name,) in names)


@dataclass(frozen=True)
class Outcome:
    """What became of a run that was killed."""

    moment_s: float
    resumed: bool = False
    anew: bool = False
    lost: int = 0
    differs: str = ""


def tried(kill: Kill, folder: Path, share: float, reference: Reference) -> Outcome:
    """Play, kill at a share of the run's expected length, go on, compare."""
    play = Play(folder, by_papermill=kill.by_papermill, dialect=reference.dialect)
    process = play.begin()
    moment_s = share * reference.took_s
    moment = play.opened(process) + moment_s
    if kill.what == "the VTN":
        with suppress(psutil.NoSuchProcess):  # the run was over before it was seen
            until(lambda: vtns_of(process.pid), LONGEST_S)
    with suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, moment - time.monotonic()))
    family = strike(kill, process)
    if kill.what == "the VTN":
        number, said = play.end(process)
        differs = reference.differs(play) if number == 0 else said[-1000:]
        return Outcome(moment_s, differs=differs)
    process.wait()
    if kill.by_papermill:  # its kernel ends a moment later, and plays on until then
        until(lambda: all(map(is_gone, family)))
    finished, kept = set(play.finished), kept_by(play)
    lost = {n for n in finished if kept.get(n) != reference.values[n]}
    number, said = play.end(play.begin(resume=True))
    if anew := number != 0 and not finished and any(words in said for words in NOT_BEGUN):
        shutil.rmtree(play.folder / "run", ignore_errors=True)
        number, said = play.end(play.begin())
    differs = reference.differs(play) if number == 0 else said[-1000:]
    return Outcome(moment_s, not anew, anew, reference.readings(lost), differs)


def strike(kill: Kill, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Send the signal; return whom the process had started."""
    family: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        if kill.what in ("the VTN", "both"):
            for vtn in vtns_of(process.pid):
                vtn.send_signal(kill.number)
    if kill.what != "the VTN":
        process.send_signal(kill.number)
    return family


def kept_by(play: Play) -> dict[int, tuple[object, ...]]:
    """Return what the run file holds, read from a copy: who goes on finds it as it was left."""
    copy = play.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in (play.folder / "run").glob(RUN_FILE + "*"):
        shutil.copy(path, copy)
    with suppress(Exception):  # no file, no tables: nothing is kept
        return values(Results(copy))
    return {}
