"""What was measured, acknowledged, rejected and heard, read from a run folder."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from venlab.errors import StoreError
from venlab.fleet import END_USES, LOADS, Fleet

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RUN_FILE", "SUMMARY_KEYS", "Check", "Results"]

RUN_FILE = "run.sqlite"
NAMES_SHOWN = 5
WATT_S_PER_KWH = 3.6e6
MEASURED = ("measured", "measured_watt_s")  # what the simulator counted, noted when a run ends
# fmt: off
SUMMARY_KEYS = (
    "run_id", "vens", "resources", "loads", "cycles", "measured", "acknowledged", "rejected",
    "waiting", "heard", "measured_kwh", "heard_kwh", "complete", "success_rate",
    "reports_per_s", "latency_ms_p50", "latency_ms_p99", "worst_lag_s", "wall_s", "start",
    "speed", "dialect", "transport", "vtn_url", "seed", "stopped",
)
# fmt: on


@dataclass(frozen=True)
class Check:
    """The closing check: what was counted in three places, and what is missing.

    Examples
    --------
    >>> print(Check(8, 9.0, 8, 9.0, 0, 0, 8, 9.0, ()))
    measured 8 = acknowledged 8 + rejected 0 + waiting 0; heard 8 = acknowledged 8
    energy: measured 9.000 kWh, heard 9.000 kWh
    nothing is missing
    """

    measured: int
    measured_kwh: float
    acknowledged: int
    acknowledged_kwh: float
    rejected: int
    waiting: int
    heard: int | None
    heard_kwh: float | None
    missing: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every count agrees and nothing is missing."""
        return not self.missing

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        heard = "not read back" if self.heard is None else f"{self.heard:,}"
        energy = "not read back" if self.heard_kwh is None else f"{self.heard_kwh:,.3f} kWh"
        lines = [
            f"measured {self.measured:,} = acknowledged {self.acknowledged:,} + rejected "
            f"{self.rejected:,} + waiting {self.waiting:,}; heard {heard} = acknowledged "
            f"{self.acknowledged:,}",
            f"energy: measured {self.measured_kwh:,.3f} kWh, heard {energy}",
        ]
        fine = "nothing is missing"
        if self.heard is None:
            fine += " on this side; what the VTN holds is not known"
        return "\n".join([*lines, *(self.missing or (fine,))])


class Results:
    """A run as its folder tells it; nothing of it is held in memory.

    Parameters
    ----------
    folder : path
        A run folder.

    Raises
    ------
    StoreError
        The folder holds no run file.

    Examples
    --------
    >>> results = Results("runs/fleet_run-20231130")  # doctest: +SKIP
    >>> print(results.check())  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._file = self.folder / RUN_FILE
        if not self._file.is_file():
            raise StoreError(f"{self.folder} holds no {RUN_FILE}", "name the folder of a run")

    # -- in one number each ------------------------------------------------------------------

    @property
    def about(self) -> dict[str, Any]:
        """Facts about the run as a whole."""
        return {key: json.loads(value) for key, value in self._rows("SELECT * FROM about")}

    def check(self) -> Check:
        """Compare what simulator, outbox and VTN counted, and name what is missing.

        Returns
        -------
        Check
            True where measured = acknowledged + rejected + waiting and heard = acknowledged, in
            count and in energy, name by name.
        """
        about = self.about
        kept: Any = self._rows("SELECT total(measured), total(watt_s) FROM readings")[0]
        measured, measured_ws = (about.get(k, int(n)) for k, n in zip(MEASURED, kept, strict=True))
        states = {
            state: (count, watt_s)
            for state, count, watt_s in self._rows(
                "SELECT state, sum(readings), sum(watt_s) FROM deliveries GROUP BY state"
            )
        }
        acknowledged, acknowledged_ws = states.get("acknowledged", (0, 0))
        rejected, _ = states.get("rejected", (0, 0))
        waiting = sum(states.get(s, (0, 0))[0] for s in ("waiting", "in flight"))
        heard, heard_ws = self._heard_sums() if about.get("read_back") else (None, None)
        return Check(
            measured,
            measured_ws / WATT_S_PER_KWH,
            acknowledged,
            acknowledged_ws / WATT_S_PER_KWH,
            rejected,
            waiting,
            heard,
            None if heard_ws is None else heard_ws / WATT_S_PER_KWH,
            tuple(self._missing(about, kept, sum(w for _, w in states.values()), heard, heard_ws)),
        )

    def summary(self) -> dict[str, Any]:
        """Return the run in some thirty numbers, as ``summary.json`` keeps them.

        What is not known, of a run that has not ended or was killed, is None.
        """
        check, latency_ms = self.check(), self._latencies_ms()
        told = self.about
        wall_s = told.get("wall_s")
        found = {
            "cycles": self._one("SELECT count(*) FROM readings"),
            "measured": check.measured,
            "acknowledged": check.acknowledged,
            "rejected": check.rejected,
            "waiting": check.waiting,
            "heard": check.heard,
            "measured_kwh": round(check.measured_kwh, 6),
            "heard_kwh": None if check.heard_kwh is None else round(check.heard_kwh, 6),
            "complete": check.ok,
            "success_rate": check.acknowledged / check.measured if check.measured else None,
            "reports_per_s": round(self._acknowledged("count(*)") / wall_s, 1) if wall_s else None,
            "latency_ms_p50": _percentile(latency_ms, 50),
            "latency_ms_p99": _percentile(latency_ms, 99),
            "worst_lag_s": round(self._one("SELECT max(lag_s) FROM ticks") or 0.0, 4),
        }
        return {key: (told | found).get(key) for key in SUMMARY_KEYS}

    # -- as tables -----------------------------------------------------------------------------

    @cached_property
    def fleet(self) -> Fleet:
        """The fleet that was played."""
        return Fleet.from_csv(self.folder / "fleet.csv")

    @property
    def readings(self) -> pd.DataFrame:
        """Each reading: start, VEN, resource, load, end use, mean power [kW] and energy [kWh]."""
        import pandas as pd

        frames = [f for f in self._reading_frames() if len(f)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    @property
    def power_kw(self) -> pd.DataFrame:
        """Fleet power by end use [kW], indexed by local start of each interval."""
        import pandas as pd

        rows, stamps = [], []
        for _, stamp, _, watts in self._cycles():
            there = np.where(watts < 0, 0, watts).reshape(-1, len(LOADS))
            rows.append(there.sum(axis=0, dtype=np.int64) / 1000)
            stamps.append(stamp)
        index = pd.DatetimeIndex(pd.to_datetime(stamps, utc=True), name="start")
        frame = pd.DataFrame(rows, index, list(END_USES), dtype=float)
        return frame.tz_convert("Europe/Copenhagen")

    @property
    def requests(self) -> pd.DataFrame:
        """Each request: when, what for, which VEN, status, latency [ms], bytes, problem."""
        import pandas as pd

        frame = self._frame("SELECT * FROM requests ORDER BY at")
        return frame.assign(at=pd.to_datetime(frame["at"], unit="s", utc=True))

    @property
    def loops(self) -> pd.DataFrame:
        """Each timed loop: runs, skips, lag [s] and duration [s]."""
        return self._frame(
            "SELECT kind, sum(1 - skipped) AS runs, sum(skipped) AS skips, max(lag_s) AS"
            " worst_lag_s, avg(duration_s) AS mean_duration_s, max(duration_s) AS"
            " worst_duration_s FROM ticks GROUP BY kind ORDER BY kind"
        )

    @property
    def rejected(self) -> pd.DataFrame:
        """Each rejected report, with the VTN's words."""
        return self._frame(
            "SELECT name, readings, status, words FROM deliveries WHERE state = 'rejected'"
        )

    @property
    def by_ven(self) -> pd.DataFrame:
        """Readings of each VEN by what became of them."""
        frame = self._frame(
            "SELECT ven, sum(readings) AS measured,"
            " sum(readings * (state = 'acknowledged')) AS acknowledged,"
            " sum(readings * (state = 'rejected')) AS rejected,"
            " sum(readings * (state IN ('waiting', 'in flight'))) AS waiting,"
            " sum(watt_s) / 3.6e6 AS measured_kwh FROM deliveries GROUP BY ven ORDER BY ven"
        )
        names = self.fleet.ven_name
        return frame.assign(ven=[str(names[v]) for v in frame["ven"]]).set_index("ven")

    @property
    def events(self) -> pd.DataFrame:
        """Which version of which event took effect at which step."""
        return self._frame("SELECT * FROM events_applied")

    def save(self) -> dict[str, Any]:
        """Write ``summary.json``, ``readings.csv`` and ``requests.csv``; return the summary."""
        with (self.folder / "readings.csv").open("w", encoding="utf-8", newline="") as file:
            for n, frame in enumerate(self._reading_frames()):
                frame.to_csv(file, index=False, header=n == 0)
        self.requests.to_csv(self.folder / "requests.csv", index=False, encoding="utf-8")
        summary = self.summary()
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (self.folder / "summary.json").write_text(text + "\n", encoding="utf-8")
        return summary

    # -- behind it -----------------------------------------------------------------------------

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            # By its path: SQLite takes no URI of a network drive.
            with closing(sqlite3.connect(self._file)) as c:
                c.execute("PRAGMA query_only = ON")
                yield c
        except (sqlite3.Error, OSError) as error:  # pandas' own DatabaseError is an OSError
            raise StoreError(f"{self._file} cannot be read: {error}") from None

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._opened() as c:
            return c.execute(query).fetchall()

    def _one(self, query: str) -> Any:
        return self._rows(query)[0][0]

    def _acknowledged(self, what: str) -> int:
        return int(self._one(f"SELECT {what} FROM deliveries WHERE state = 'acknowledged'") or 0)

    def _frame(self, query: str) -> pd.DataFrame:
        import pandas as pd

        with self._opened() as c:
            return pd.read_sql_query(query, c)

    def _cycles(self) -> Iterator[tuple[int, str, int, np.ndarray[Any, np.dtype[np.int32]]]]:
        with self._opened() as c:
            query = "SELECT cycle, stamp, duration_s, watts FROM readings ORDER BY cycle"
            for cycle, stamp, duration_s, watts in c.execute(query):
                yield cycle, stamp, duration_s, np.frombuffer(watts, "<i4")

    def _reading_frames(self) -> Iterator[pd.DataFrame]:
        """Yield one tidy frame a cycle, so that a long run needs no memory."""
        import pandas as pd

        fleet = self.fleet
        vens = np.repeat(fleet.ven_name[fleet.resource_ven], len(LOADS))
        resources = np.repeat(fleet.resource_name, len(LOADS))
        loads, uses = (np.tile(names, fleet.n_resources) for names in (LOADS, END_USES))
        for _, stamp, duration_s, watts in self._cycles():
            there = watts >= 0
            power_kw = watts[there] / 1000
            yield pd.DataFrame(
                {
                    "start": stamp,
                    "ven": vens[there],
                    "resource": resources[there],
                    "load": loads[there],
                    "end_use": uses[there],
                    "power_kw": power_kw,
                    "energy_kwh": power_kw * duration_s / 3600,
                }
            )

    def _latencies_ms(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        rows = self._rows(
            "SELECT latency_ms FROM requests WHERE purpose = 'report' AND status IS NOT NULL"
        )
        return np.array([row[0] for row in rows], float)

    def _heard_sums(self) -> tuple[int, int]:
        """Return readings and energy [W·s] of what the VTN holds; the length is the cycle's."""
        count = self._one("SELECT coalesce(sum(readings), 0) FROM heard")
        watt_s = self._one(
            "SELECT coalesce(sum(h.watts * r.duration_s), 0) FROM heard h"
            " JOIN deliveries d ON d.name = h.name JOIN readings r ON r.cycle = d.cycle"
        )
        return count, watt_s

    def _missing(
        self,
        about: Mapping[str, Any],
        kept: tuple[float, float],
        delivered_ws: int,
        heard: int | None,
        heard_ws: int | None,
    ) -> Iterator[str]:
        """Say, edge by edge, what one side has and the other has not."""
        if any(kept) and MEASURED[0] not in about:
            yield "simulator → run file: not compared, since the run has not ended"
        for key, stored, what in zip(MEASURED, kept, ("readings", "W·s"), strict=True):
            if (simulated := about.get(key, stored)) != stored:
                yield f"simulator → run file: {simulated:,} {what} measured, {stored:,.0f} kept"
        lost = list(self._not_covered())
        if lost:
            yield _listed("run file → outbox: readings in no report", lost)
        elif kept[1] != delivered_ws:
            yield f"run file → outbox: {kept[1]:,.0f} W·s kept, {delivered_ws:,} in reports"
        if heard is None:
            return
        yield from self._differences()
        acknowledged = self._acknowledged("sum(watt_s)")
        if heard_ws != acknowledged:
            yield f"VTN → lab: {heard_ws:,} W·s heard, {acknowledged:,} W·s acknowledged"

    def _differences(self) -> Iterator[str]:
        """Compare names and readings at the VTN with those it acknowledged."""
        sides = (
            "SELECT name, readings FROM deliveries WHERE state = 'acknowledged'",
            "SELECT name, readings FROM heard",
        )
        for here, there, words in (
            (*sides, "outbox → VTN: acknowledged but not heard"),
            (*reversed(sides), "VTN → outbox: heard but not acknowledged"),
        ):
            names = [row[0] for row in self._rows(f"{here} EXCEPT {there} ORDER BY name")]
            if names:
                yield _listed(words, names)
        others = self._rows(
            "SELECT h.name FROM heard h JOIN deliveries d ON d.name = h.name JOIN readings r"
            " ON r.cycle = d.cycle WHERE h.watts * r.duration_s != d.watt_s ORDER BY h.name"
        )
        if others:
            yield _listed("VTN → lab: another power heard than sent", [name for (name,) in others])

    def _not_covered(self) -> Iterator[str]:
        """Yield the readings that no report, or more than one, carries."""
        covers: dict[int, list[bytes]] = {}
        for cycle, loads in self._rows("SELECT cycle, loads FROM deliveries"):
            covers.setdefault(cycle, []).append(loads)
        for cycle, stamp, _, watts in self._cycles():
            carried = np.frombuffer(b"".join(covers.get(cycle, [])), "<i4")
            times = np.bincount(carried, minlength=len(watts))
            for load in np.flatnonzero(times != (watts >= 0)).tolist():
                yield f"{self._load_name(load)} at {stamp} in {times[load]} reports"

    def _load_name(self, load: int) -> str:
        r, k = divmod(load, len(LOADS))
        town = self.fleet.town_id[self.fleet.resource_ven[r]]
        return f"{town}/{self.fleet.resource_name[r]}/{LOADS[k]}"


def _listed(words: str, names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return f"{words}: {len(names):,}, {shown}{more}"


def _percentile(values: np.ndarray[Any, np.dtype[np.float64]], q: float) -> float | None:
    return round(float(np.percentile(values, q)), 3) if len(values) else None
