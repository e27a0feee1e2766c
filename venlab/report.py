"""Readings → reports that are frozen and named, in the words of a dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import numpy as np

from venlab.client import Client
from venlab.fleet import LOADS, Fleet
from venlab.model import Ven
from venlab.runfile import Frozen, ReadingRow
from venlab.simulator import Sample
from venlab.wire import LoadName, Measured, WindowWriter

__all__ = ["Formatter", "row_of"]


class Formatter:
    """Freezes a sample into the reports that carry it.

    Parameters
    ----------
    fleet : Fleet
        Whose loads were sampled.
    client : Client
        The VTN, which says how a report is written.
    vens : sequence of Ven
        As registered, in the order of the fleet.
    resource_ids : mapping
        The VTN's id of each resource, by resource index of the fleet.
    run_id : str
        First part of every report's name.
    """

    def __init__(
        self,
        fleet: Fleet,
        client: Client,
        vens: Sequence[Ven],
        resource_ids: Mapping[int, str],
        run_id: str,
    ) -> None:
        self._vens = []
        for v, ven in enumerate(vens):
            names = [
                LoadName(6 * r + k, resource_ids[r], str(fleet.resource_name[r]), load)
                for r in np.flatnonzero(fleet.resource_ven == v).tolist()
                for k, load in enumerate(LOADS)
            ]
            loads = np.array([n.load_index for n in names], np.int32)
            covers = [i.to_bytes(4, "little") for i in loads.tolist()]
            self._vens.append((loads, covers, client.writer(ven, names, run_id)))

    def readings_a_report(self) -> float:
        """Return how many readings a report carries, as those of the first VEN with loads do."""
        for loads, _, writer in self._vens:
            if len(loads):
                written = writer.write(datetime.fromtimestamp(0, UTC), 900, range(len(loads)))
                return len(loads) / len(written)
        return 1.0

    def freeze(
        self, sample: Sample, cycle: int, step_hash: bytes = b""
    ) -> tuple[ReadingRow, list[Frozen]]:
        """Return a sample's row and the reports that carry it.

        Parameters
        ----------
        sample : Sample
            Mean powers of one interval; its watts have shape (loads,) [W], -1 = not measured.
        cycle : int
            Which report cycle it is.
        step_hash : bytes
            Of the simulator's last step.
        """
        frozen = []
        for v, (loads, covers, writer) in enumerate(self._vens):
            watts = sample.watts[loads].tolist()
            for draft in writer.write(sample.stamp, sample.duration_s, watts):
                at = draft.positions
                watt_s = sum(watts[p] for p in at) * sample.duration_s
                # A load's own reports stay in order among themselves; a VEN's batches among theirs.
                lane = int(loads[at[0]]) if len(at) == 1 else -1 - v
                covered = b"".join(covers[p] for p in at)
                frozen.append(Frozen(draft.name, v, lane, len(at), watt_s, covered, draft.body))
        return row_of(sample, cycle, step_hash), frozen

    def freeze_window(self, rows: Sequence[ReadingRow], new: int, *, sums: bool) -> list[Frozen]:
        """Return the reports that carry several cycles, of which those before `new` are repeated.

        Parameters
        ----------
        rows : sequence of ReadingRow
            The cycles, in order.
        new : int
            The first cycle that is in no report yet.
        sums : bool
            Whether a VEN's loads are summed up.
        """
        stamps = [datetime.fromisoformat(row.stamp) for row in rows]
        watts = [np.frombuffer(row.watts, "<i4") for row in rows]
        seconds = np.array([row.duration_s for row in rows])
        cycles = np.array([row.cycle for row in rows], "<i4")
        frozen = []
        for v, (loads, _, writer) in enumerate(self._vens):
            here = np.array([w[loads] for w in watts])
            told = [
                Measured(row.cycle, stamp, row.duration_s, powers)
                for row, stamp, powers in zip(rows, stamps, here.tolist(), strict=True)
            ]
            # Whatever asks for windows is an event, and a dialect with events writes them.
            drafts = cast("WindowWriter", writer).write_window(told, new, aggregate=sums)
            for draft in drafts:
                n, at = np.divmod(np.array(draft.positions, int), max(1, len(loads)))
                watt_s = int((here[n, at] * seconds[n]).sum())
                covered = loads[at].astype("<i4").tobytes() + cycles[n].tobytes()
                frozen.append(
                    Frozen(draft.name, v, -1 - v, len(at), watt_s, covered, draft.body, draft.told)
                )
        return frozen


def row_of(sample: Sample, cycle: int, step_hash: bytes) -> ReadingRow:
    """Return a sample as it is kept."""
    there = sample.watts[sample.watts >= 0]
    return ReadingRow(
        cycle,
        sample.stamp.astimezone(UTC).isoformat(),
        sample.duration_s,
        len(there),
        int(there.sum(dtype=np.int64)) * sample.duration_s,
        sample.watts.astype("<i4").tobytes(),
        step_hash,
    )
