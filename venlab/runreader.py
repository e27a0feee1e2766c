"""The run file as its readers see it: never written to, and never whole in memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from venlab import decided
from venlab.errors import StoreError
from venlab.fleet import LOADS, Fleet
from venlab.opting import Decision

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RUN_FILE", "RunReader"]

RUN_FILE = "run.sqlite"


class RunReader:
    """What stands in a run folder.

    Parameters
    ----------
    folder : path
        A run folder.

    Raises
    ------
    StoreError
        The folder holds no run file, or one that cannot be read.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._file = self.folder / RUN_FILE
        if not self._file.is_file():
            raise StoreError(f"{self.folder} holds no {RUN_FILE}", "name the folder of a run")

    @property
    def about(self) -> dict[str, Any]:
        """Facts about the run as a whole."""
        told = {key: json.loads(value) for key, value in self.rows("SELECT * FROM about")}
        return {key: value for key, value in told.items() if value is not None}

    @cached_property
    def fleet(self) -> Fleet:
        """The fleet that was played."""
        return Fleet.from_csv(self.folder / "fleet.csv")

    def load_name(self, load: int) -> str:
        """Return where a load of the fleet stands: town, resource, load."""
        r, k = divmod(load, len(LOADS))
        town = self.fleet.town_id[self.fleet.resource_ven[r]]
        return f"{town}/{self.fleet.resource_name[r]}/{LOADS[k]}"

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            # By its path: SQLite takes no URI of a network drive.
            with closing(sqlite3.connect(self._file)) as c:
                c.execute("PRAGMA query_only = ON")
                yield c
        except (sqlite3.Error, OSError) as error:  # pandas' own DatabaseError is an OSError
            raise StoreError(f"{self._file} cannot be read: {error}") from None

    def each(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Walk over what a query gives."""
        with self._opened() as c:
            yield from c.execute(query)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what a query gives."""
        with self._opened() as c:
            return c.execute(query).fetchall()

    def one(self, query: str) -> Any:
        """Return the one value that a query gives."""
        return self.rows(query)[0][0]

    def acknowledged(self, what: str) -> int:
        """Return a sum or count over the acknowledged reports."""
        return int(self.one(f"SELECT {what} FROM deliveries WHERE state = 'acknowledged'") or 0)

    def decisions(self) -> list[tuple[int, Decision]]:
        """Return the versions of events that took effect, and at which step, in this order."""
        with self._opened() as c:
            return decided.kept(c)

    def frame(self, query: str) -> pd.DataFrame:
        """Return what a query gives as a table."""
        import pandas as pd

        with self._opened() as c:
            return pd.read_sql_query(query, c)

    def cycles(self) -> Iterator[tuple[int, str, int, np.ndarray[Any, np.dtype[np.int32]]]]:
        """Walk over number, start, length [s] and powers [W] of the cycles; -1 = not measured."""
        with self._opened() as c:
            query = "SELECT cycle, stamp, duration_s, watts FROM readings ORDER BY cycle"
            for cycle, stamp, duration_s, watts in c.execute(query):
                yield cycle, stamp, duration_s, np.frombuffer(watts, "<i4")
