"""What was measured, acknowledged, rejected and heard, read from a run folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from venlab.audit import Check, audit
from venlab.errors import StoreError
from venlab.fleet import END_USES, LOADS
from venlab.latency import outcome
from venlab.runreader import RUN_FILE, RunReader

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RUN_FILE", "SUMMARY_KEYS", "Results"]

AT_ONCE = 100_000  # rows in memory, while they are written
REQUESTS = "SELECT * FROM requests ORDER BY at"
# fmt: off
SUMMARY_KEYS = (
    "run_id", "vens", "resources", "loads", "cycles", "measured", "acknowledged", "rejected",
    "waiting", "not_asked", "heard", "measured_kwh", "heard_kwh", "complete", "success_rate",
    "attempts", "retried", "outages", "outage_s", "catch_up_s", "delivered",
    "reports_per_s", "latency_ms_p50", "latency_ms_p99", "worst_lag_s", "wall_s", "start",
    "speed", "dialect", "transport", "vtn_url", "seed", "stopped",
)
# fmt: on


class Results(RunReader):
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

    # -- in one number each ------------------------------------------------------------------

    def check(self) -> Check:
        """Compare what simulator, outbox and VTN counted, and name what is missing.

        Returns
        -------
        Check
            True where measured = acknowledged + rejected + waiting and heard = acknowledged, in
            count and in energy, name by name.
        """
        return audit(self)

    def summary(self) -> dict[str, Any]:
        """Return the run in some thirty numbers, as ``summary.json`` keeps them.

        What is not known, of a run that has not ended or was killed, is None.
        """
        check, latency_ms = self.check(), self._latencies_ms()
        told = self.about
        wall_s = told.get("wall_s")
        found = {
            "cycles": self.one("SELECT count(*) FROM readings"),
            "measured": check.measured,
            "acknowledged": check.acknowledged,
            "rejected": check.rejected,
            "not_asked": check.not_asked,
            "waiting": check.waiting,
            "heard": check.heard,
            "measured_kwh": round(check.measured_kwh, 6),
            "heard_kwh": None if check.heard_kwh is None else round(check.heard_kwh, 6),
            "complete": check.ok,
            "success_rate": check.acknowledged / check.measured if check.measured else None,
            **self._resends(),
            "reports_per_s": round(self.acknowledged("count(*)") / wall_s, 1) if wall_s else None,
            "latency_ms_p50": _percentile(latency_ms, 50),
            "latency_ms_p99": _percentile(latency_ms, 99),
            "worst_lag_s": round(self.one("SELECT max(lag_s) FROM ticks") or 0.0, 4),
        }
        return {key: (told | found).get(key) for key in SUMMARY_KEYS}

    # -- as tables -----------------------------------------------------------------------------

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
        for _, stamp, _, watts in self.cycles():
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

        frame = self.frame(REQUESTS)
        return frame.assign(at=pd.to_datetime(frame["at"], unit="s", utc=True))

    @property
    def loops(self) -> pd.DataFrame:
        """Each timed loop: runs, skips, lag [s] and duration [s]."""
        return self.frame(
            "SELECT kind, sum(1 - skipped) AS runs, sum(skipped) AS skips, max(lag_s) AS"
            " worst_lag_s, avg(duration_s) AS mean_duration_s, max(duration_s) AS"
            " worst_duration_s FROM ticks GROUP BY kind ORDER BY kind"
        )

    @property
    def rejected(self) -> pd.DataFrame:
        """Each rejected report, with the VTN's words."""
        return self.frame(
            "SELECT name, readings, status, words FROM deliveries WHERE state = 'rejected'"
        )

    def sent(self, name: str = "") -> dict[str, Any]:
        """Return a report as it goes over the wire; the first one where none is named.

        Raises
        ------
        StoreError
            The run has no such report.
        """
        chosen = "name = ?" if name else "? = ''"
        with self._opened() as c:
            query = f"SELECT body FROM deliveries JOIN bodies USING (id) WHERE {chosen} ORDER BY id"
            row = c.execute(query, (name,)).fetchone()
        if row is None:
            raise StoreError(f"{self.folder} has no report {name}".rstrip())
        body: dict[str, Any] = json.loads(row[0])
        return body

    @property
    def traffic(self) -> pd.Series[float]:
        """Reports a cycle: how many requests, and the size of their bodies [kB]."""
        import pandas as pd

        sent, size, cycles = self.rows(
            "SELECT count(*), total(bytes), (SELECT count(*) FROM readings) FROM requests"
            " WHERE purpose = 'report'"
        )[0]
        each = {"requests a cycle [count]": sent, "bodies a cycle [kB]": size / 1000}
        return pd.Series({what: n / max(cycles, 1) for what, n in each.items()}, dtype=float)

    @property
    def by_ven(self) -> pd.DataFrame:
        """Readings of each VEN by what became of them, and what it took."""
        frame = self.frame(
            "SELECT ven, sum(d.readings) AS measured, sum(attempts) AS attempts,"
            " sum(max(attempts - 1, 0)) AS retried,"
            " sum(d.readings * (state = 'acknowledged')) AS acknowledged,"
            " sum(d.readings * (state = 'rejected')) AS rejected,"
            " sum(d.readings * (state IN ('waiting', 'in flight'))) AS waiting,"
            " coalesce(sum(h.readings), 0) AS heard, sum(watt_s) / 3.6e6 AS measured_kwh"
            " FROM deliveries d LEFT JOIN heard h ON h.name = d.name GROUP BY ven ORDER BY ven"
        )
        names = self.fleet.ven_name
        return frame.assign(ven=[str(names[v]) for v in frame["ven"]]).set_index("ven")

    @property
    def latency(self) -> pd.DataFrame:
        """Latency of reports [ms] by outcome: how many, median, 90th, 99th percentile, longest."""
        asked = self.frame("SELECT status, latency_ms FROM requests WHERE purpose = 'report'")
        groups = asked.groupby(asked["status"].map(outcome))["latency_ms"]
        quantiles = groups.quantile(np.array([0.5, 0.9, 0.99, 1.0])).unstack()
        quantiles.columns = ["p50_ms", "p90_ms", "p99_ms", "longest_ms"]
        return quantiles.round(2).assign(requests=groups.size()).rename_axis("outcome")

    @property
    def outages(self) -> pd.DataFrame:
        """Each time without the VTN: when it began, how long [s], how long to catch up [s], why."""
        import pandas as pd

        frame = self.frame(
            "SELECT opened, closed - opened AS outage_s, caught_up - closed AS catch_up_s, reason"
            " FROM outages ORDER BY opened"
        )
        return frame.assign(opened=pd.to_datetime(frame["opened"], unit="s", utc=True))

    @property
    def backlog(self) -> pd.Series[int]:
        """Readings that waited, from each moment [UTC] on at which their number changed."""
        import pandas as pd

        changes = self.frame(
            "SELECT kept_at AS at, measured AS readings FROM readings UNION ALL"
            " SELECT settled_at, -readings FROM deliveries"
            " WHERE state IN ('acknowledged', 'rejected') AND settled_at IS NOT NULL"
        )
        at = pd.DatetimeIndex(pd.to_datetime(changes["at"], unit="s", utc=True), name="at")
        by_time = pd.Series(changes["readings"].to_numpy(), at).groupby(level=0).sum()
        return by_time.cumsum().rename("waiting").astype(int)

    @property
    def events(self) -> pd.DataFrame:
        """Which version of which event took effect at which step."""
        return self.frame(
            'SELECT step, event_id, name, version, start, "end", cancelled FROM events_applied'
        )

    def save(self) -> dict[str, Any]:
        """Write ``summary.json``, ``readings.csv`` and ``requests.csv``; return the summary.

        StoreError where they cannot be written; the run file has it all.
        """
        try:
            return self._saved()
        except OSError as error:
            said = f"cannot write to {self.folder}: {error.strerror}"
            raise StoreError(said, "see whether its disk is full") from None

    def _saved(self) -> dict[str, Any]:
        with (self.folder / "readings.csv").open("w", encoding="utf-8", newline="") as file:
            for n, frame in enumerate(self._reading_frames()):
                frame.to_csv(file, index=False, header=n == 0)
        self._save_requests(self.folder / "requests.csv")
        summary = self.summary()
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (self.folder / "summary.json").write_text(text + "\n", encoding="utf-8")
        return summary

    def _save_requests(self, path: Path) -> None:
        """Write the requests, so many at a time that those of a long run fit."""
        import pandas as pd

        with self._opened() as c, path.open("w", encoding="utf-8", newline="") as file:
            for n, frame in enumerate(pd.read_sql_query(REQUESTS, c, chunksize=AT_ONCE)):
                when = pd.to_datetime(frame["at"], unit="s", utc=True)
                told = frame.assign(at=when, status=frame["status"].astype("Int64"))
                told.to_csv(file, index=False, header=n == 0)

    # -- behind it -----------------------------------------------------------------------------

    def _reading_frames(self) -> Iterator[pd.DataFrame]:
        """Yield one tidy frame a cycle, so that a long run needs no memory."""
        import pandas as pd

        fleet = self.fleet
        vens = np.repeat(fleet.ven_name[fleet.resource_ven], len(LOADS))
        resources = np.repeat(fleet.resource_name, len(LOADS))
        loads, uses = (np.tile(names, fleet.n_resources) for names in (LOADS, END_USES))
        for _, stamp, duration_s, watts in self.cycles():
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

    def _resends(self) -> dict[str, Any]:
        """Return how often reports were sent, how long the VTN was away, and the way back."""
        attempts, retried = self.rows(
            "SELECT coalesce(sum(attempts), 0), coalesce(sum(max(attempts - 1, 0)), 0)"
            " FROM deliveries"
        )[0]
        outages, outage_s, catch_up_s = self.rows(
            "SELECT count(*), round(total(closed - opened), 3),"
            " round(total(caught_up - closed), 3) FROM outages"
        )[0]
        return {
            "attempts": attempts,
            "retried": retried,
            "outages": outages,
            "outage_s": outage_s,
            "catch_up_s": catch_up_s,
        }

    def _latencies_ms(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        query = "SELECT latency_ms FROM requests WHERE purpose = 'report' AND status IS NOT NULL"
        return np.fromiter((row[0] for row in self.each(query)), float)  # millions of them fit so


def _percentile(values: np.ndarray[Any, np.dtype[np.float64]], q: float) -> float | None:
    return round(float(np.percentile(values, q)), 3) if len(values) else None
