"""A run played again from its folder: what its loads did, and what they would have done."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from venlab import opening
from venlab.calendar import TZ
from venlab.errors import StoreError
from venlab.fleet import END_USES, LOADS
from venlab.grouping import By, Grouping
from venlab.model import Event
from venlab.opting import Choice, Decision
from venlab.profiles import Profiles
from venlab.responder import Responder
from venlab.resume import kept_settings, played_config
from venlab.runreader import RunReader
from venlab.track import lifespan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Playback"]

Power = NDArray[np.float32]
MOST = 100_000_000  # powers in memory
REASONS = {Choice.BY_HAND: "by hand", Choice.NOT_ENROLLED: "not enrolled"}


class Playback:
    """The loads of a run, step by step, with its events and without: the twin.

    Nothing is measured anew: the same seed, tables and decisions give the same power, to the watt.

    Parameters
    ----------
    folder : path
        A run folder.
    since : datetime, optional
        Keep steps from then on only; those before are played all the same.

    Raises
    ------
    StoreError
        The folder holds no run, one that has measured nothing since then, or more steps than fit
        into memory.
    """

    def __init__(self, folder: str | Path, since: datetime | None = None) -> None:
        self._reader = reader = RunReader(folder)
        self.fleet, profiles = reader.fleet, Profiles.load()
        self._config = config = played_config(kept_settings(folder))
        end = max((_end(row) for row in reader.cycles()), default=None)
        if end is None:
            raise StoreError(f"{reader.folder} has measured nothing yet", "run it first")
        self._simulator = opening.simulator_of(config, self.fleet, profiles, reader.about["start"])
        self._length = timedelta(minutes=config.step)
        self._steps = (end - self._simulator.time_of(0)) / self._length
        self._since = since or self._simulator.time_of(0)
        self.approved = np.any(
            [(watts >= 0).reshape(-1, len(LOADS)).any(axis=1) for *_, watts in reader.cycles()],
            axis=0,
        )
        self._play(opening.responder_of(config, self.fleet, profiles, reader.folder))

    def _play(self, responder: Responder) -> None:
        """Play every step once more, as `Participation` did."""
        steps = defaultdict[int, list[Decision]](list)
        for step, decision in self._reader.decisions():
            steps[step].append(decision)
        self.decisions = [decision for step in sorted(steps) for decision in steps[step]]
        if self._since >= self._simulator.time_of(0) + self._steps * self._length:
            said = f"since is {self._since.isoformat()}, when {self._reader.folder} had ended"
            raise StoreError(said, "name an earlier time")
        begins, rows = list[datetime](), list[tuple[NDArray[Any], ...]]()
        for step in range(int(np.ceil(self._steps - 1e-9))):
            begin = self._simulator.time_of(step)
            for decision in steps[step]:
                responder.receive(decision, begin)
            usual_kw = self._simulator.step()
            power_kw, response = responder.step(begin, usual_kw), responder.response
            if begin < self._since:
                continue
            if len(rows) * len(usual_kw) * 4 > MOST:
                raise StoreError(f"{self._reader.folder} is too long to be played at once", "since")
            state = response.deviation_k.astype(np.float32), responder.tired, response.at_band
            rows.append((power_kw, usual_kw, *state, response.shortfall_kw))
            begins.append(begin)
        self.pending_kwh, self._begins = responder.response.pending_kwh, begins
        self._power_kw, self._usual_kw, self._drift_k, self._tired, self._at_band, short = (
            np.array(column) for column in zip(*rows, strict=True)
        )
        self.shortfall_kw = self._frame(np.array(short), self.fleet.ven_name.tolist())

    # -- as tables -----------------------------------------------------------------------------

    def power_kw(self, by: By = "fleet") -> pd.DataFrame:
        """Return the power of approved resources [kW], by the local start of each step.

        Parameters
        ----------
        by : {"fleet", "ven", "resource", "load", "building_type", "end_use"}
            What the columns are, as of `History.kw`.
        """
        return self._grouped(self._power_kw, by)

    def twin_kw(self, by: By = "fleet") -> pd.DataFrame:
        """Return the same without any event: the true baseline [kW]."""
        return self._grouped(self._usual_kw, by)

    def drift_k(self) -> pd.DataFrame:
        """Return how far thermal loads have drifted in the mean [K], by end use.

        Of those that have ever drifted in the run.
        """
        drifted = self._there & self._drift_k.any(axis=0)
        groups = Grouping.of(self.fleet, "end_use", drifted)
        count = np.diff(groups.begins, append=len(groups.loads))
        return self._frame(groups.sums(self._drift_k, np.float64) / count, groups.columns)

    @property
    def choices(self) -> pd.DataFrame:
        """Each approved resource that an event was for: what it chose, and why.

        ``takes part``, ``by hand``, ``not enrolled``; of those that take part, ``comfort`` where a
        load came to the end of its band during the event, ``event limit`` where one was called for
        as long as it can be.
        """
        import pandas as pd

        last = {decision.event.id: decision for decision in self.decisions if decision.asked.any()}
        frames = [self._choices(decision) for decision in last.values()]
        columns = ["event", "ven", "resource", "building_type", "choice"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)

    def _choices(self, decision: Decision) -> pd.DataFrame:
        import pandas as pd

        fleet, who = self.fleet, np.flatnonzero(decision.asked)
        choice = np.full(fleet.n_resources, "takes part", dtype=object)
        inside = np.array([_is_during(decision.event, begin) for begin in self._begins])
        for reason, loads in (("comfort", self._at_band), ("event limit", self._tired)):
            held = loads[inside].any(axis=0).reshape(-1, len(LOADS)).any(axis=1)
            choice[held] = reason
        for code, reason in REASONS.items():
            choice[decision.choices == code] = reason
        return pd.DataFrame(
            {
                "event": decision.event.name,
                "ven": fleet.ven_name[fleet.resource_ven[who]],
                "resource": fleet.resource_name[who],
                "building_type": fleet.building_type[who],
                "choice": choice[who],
            }
        )

    @cached_property
    def events(self) -> list[Event]:
        """The last version of each event that took effect and was not cancelled, as received."""
        last = {decision.event.id: decision.event for decision in self.decisions}
        return [event for event in last.values() if not event.cancelled and event.signal]

    @property
    def groups(self) -> pd.DataFrame:
        """VEN, building type and end use of each load: as `by` of `measures` takes them."""
        import pandas as pd

        fleet = self.fleet
        table = pd.DataFrame(
            {
                "ven": np.repeat(fleet.ven_name[fleet.resource_ven], len(LOADS)),
                "building_type": np.repeat(fleet.building_type, len(LOADS)),
                "end_use": np.tile(END_USES, fleet.n_resources),
            }
        )[self._there]
        return table.set_axis(Grouping.of(fleet, "load", self._there).columns)

    # -- behind it -----------------------------------------------------------------------------

    @cached_property
    def _there(self) -> NDArray[np.bool_]:
        return np.repeat(self.approved, len(LOADS))

    def _grouped(self, power_kw: Power, by: By) -> pd.DataFrame:
        groups = Grouping.of(self.fleet, by, self._there)
        return self._frame(groups.sums(power_kw, np.float64), groups.columns)

    def _frame(self, values: NDArray[Any], columns: Any) -> pd.DataFrame:
        import pandas as pd

        index = pd.DatetimeIndex(pd.to_datetime(self._begins, utc=True), name="start")
        return pd.DataFrame(values, index, columns).tz_convert(TZ)


def _end(row: tuple[int, str, int, Any]) -> datetime:
    _, stamp, duration_s, _ = row
    return datetime.fromisoformat(stamp) + timedelta(seconds=duration_s)


def _is_during(event: Event, at: datetime) -> bool:
    begin, end = lifespan(event, at)
    return begin is not None and begin <= at and (end is None or at < end)
