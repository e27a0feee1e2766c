"""OpenADR 3's reports of several intervals: each new reading once, and every word allowed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.test_v3 import ABOUT, AEROE, ENERGY, LOADS, VERSIONS, check_request, standard
from venlab.vtn.quick import Quick
from venlab.wire import Address, Draft, Limits, LoadName, Measured, SeriesWriter
from venlab.wire.v3 import OpenAdr3
from venlab.wire.v3_answers import ReportAnswer
from venlab.wire.v3_reports import heard

T0 = datetime(2023, 11, 30, 15, tzinfo=UTC)
SECONDS = 450
WATTS = st.integers(-1, 10**7)


def written(
    version: str,
    powers: Sequence[Sequence[int]],
    new: int,
    *,
    about: Address = ABOUT,
    limits: Limits | None = None,
    aggregate: bool = False,
) -> list[Draft]:
    """Write intervals 10, 11, …, of which `new` and those after it are new."""
    loads = [LoadName(i, "r", f"shop_{i:02}", "load_0") for i in range(len(powers[0]))]
    speaks = cast("OpenAdr3", standard(version, limits))
    writer = speaks.writer(AEROE, loads, "run-1", about)
    intervals = [
        Measured(10 + n, T0 + timedelta(seconds=SECONDS * n), SECONDS, watts)
        for n, watts in enumerate(powers)
    ]
    return writer.write_window(intervals, 10 + new, aggregate=aggregate)


def read(draft: Draft) -> tuple[str, int, int]:
    return heard(msgspec.json.decode(draft.body[:-1] + b',"id":"1"}', type=ReportAnswer))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_gap_by_hand(version: str) -> None:
    """What was not measured is left out; each interval says when it is."""
    (draft,) = written(version, [[1000, -1], [-1, -1], [3000, 500]], new=0)
    assert draft.name == "run-1/aeroe/20231130T151500Z"
    assert list(draft.positions) == [0, 4, 5]
    assert draft.told == (3, 4500)

    def said(cycle: int, minute: str, power_kw: float) -> dict[str, object]:
        period = {"start": f"2023-11-30T15:{minute}Z", "duration": "PT7M30S"}
        payload = {"type": "DEMAND", "values": [power_kw]}
        return {"id": cycle, "intervalPeriod": period, "payloads": [payload]}

    assert json.loads(draft.body)["resources"] == [
        {
            "resourceName": "shop_00.load_0",
            "intervals": [said(10, "00:00", 1.0), said(12, "15:00", 3.0)],
        },
        {"resourceName": "shop_01.load_0", "intervals": [said(12, "15:00", 0.5)]},
    ]
    check_request(version, standard(version).post_report(draft.body))


def test_sums_by_hand() -> None:
    """1,000 and 500 W, then 3,000 W alone: 1.5 and 3 KW, behind which are three readings."""
    (draft,) = written("3.1.0", [[1000, 500], [-1, -1], [3000, -1]], new=0, aggregate=True)
    (only,) = json.loads(draft.body)["resources"]
    assert only["resourceName"] == "AGGREGATED_REPORT"
    assert [i["payloads"][0]["values"] for i in only["intervals"]] == [[1.5], [3.0]]
    assert list(draft.positions) == [0, 1, 4]
    assert draft.told == (2, 4500)


def test_nothing_measured_is_no_report() -> None:
    """A VEN whose loads were all suspended reports nothing, nor one that has none."""
    for aggregate in (False, True):
        assert written("3.1.0", [[-1], [-1]], new=0, aggregate=aggregate) == []
        assert written("3.1.0", [[], []], new=0, aggregate=aggregate) == []
        assert written("3.1.0", [[5], [-1]], new=1, aggregate=False) == []


@given(
    version=st.sampled_from(VERSIONS),
    powers=st.integers(1, 7).flatmap(
        lambda n: st.lists(st.lists(WATTS, min_size=n, max_size=n), min_size=1, max_size=6)
    ),
    new=st.integers(0, 5),
    about=st.sampled_from([ABOUT, ENERGY]),
    aggregate=st.booleans(),
    limits=st.builds(Limits, st.integers(900, 3000), st.integers(1, 9)),
)
def test_each_new_reading_once(
    *,
    version: str,
    powers: list[list[int]],
    new: int,
    about: Address,
    aggregate: bool,
    limits: Limits,
) -> None:
    """Whatever was measured: within the limits, allowed, heard as told; halved to the end, too."""
    new = min(new, len(powers) - 1)
    drafts = written(version, powers, new, about=about, limits=limits, aggregate=aggregate)
    flat = [watts for interval in powers for watts in interval]
    wanted = [p for p, w in enumerate(flat) if w >= 0 and p >= new * len(powers[0])]
    assert len({draft.name for draft in drafts}) == len(drafts)
    assert sorted(p for draft in drafts for p in draft.positions) == wanted
    for draft in drafts:
        assert len(draft.body) <= limits.most_bytes
        assert len(json.loads(draft.body)["resources"]) <= limits.most_resources
        check_request(version, standard(version).post_report(draft.body))
        assert read(draft) == (draft.name, *(draft.told or ()))
        alone = halved(version, draft, [10 + p // len(powers[0]) for p in draft.positions])
        assert sorted(p for _, at in alone for p in at) == sorted(draft.positions)
        for part, at in alone:
            assert read(part) == (part.name, *(part.told or ()))
            sums = sum(flat[p] for p in at)
            assert (part.told or ())[1] == sums, "a part of one value has but what is new"


def halved(version: str, draft: Draft, cycles: list[int]) -> list[tuple[Draft, list[int]]]:
    """Halve a report to the end; each part with the positions that it covers in the first."""
    todo, alone = [(draft, list(draft.positions), cycles)], []
    while todo:
        each, at, of = todo.pop()
        parts = standard(version).halves(each.name, each.body, len(at), of) if at else []
        assert all(p.positions for p in parts), "what holds nothing new is not sent again"
        if not parts and at:
            alone.append((each, at))
        todo += [(p, [at[n] for n in p.positions], [of[n] for n in p.positions]) for p in parts]
    return alone


@pytest.mark.parametrize("version", VERSIONS)
def test_it_gets_the_event_that_is_there_now(version: str) -> None:
    """Readdressed, a report differs in what it is about and in nothing else."""
    powers = [[1234, 7], [1, 2]]
    (draft,) = written(version, powers, new=0)
    moved = ABOUT._replace(program_id="p2", event_id="e2")
    (other,) = written(version, powers, new=0, about=moved)
    body = standard(version).readdress(draft.body, AEROE, moved)
    assert json.loads(body) == json.loads(other.body)


def test_one_interval_is_written_as_ever() -> None:
    """The path of one report an interval is not touched: no period of an interval's own, id 0."""
    writer = standard("3.1.0").writer(AEROE, LOADS, "run-1", ABOUT)
    (draft,) = writer.write(T0, SECONDS, [1, 2])
    assert draft.told is None
    first = json.loads(draft.body)["resources"][0]
    assert first["intervals"][0]["id"] == 0
    assert "intervalPeriod" not in first["intervals"][0]


def series(version: str, watts: Sequence[Sequence[int]], about: Address, first: int = 0) -> Draft:
    """Write quarters of an hour without a gap, of two loads more than there are columns."""
    loads = [LoadName(i, "r", f"100 % {i:02}", "load_0") for i in range(len(watts[0]) + 2)]
    writer = standard(version).writer(AEROE, loads, "run-1", about)
    assert isinstance(writer, SeriesWriter)
    return writer.write_series("run-1/aeroe/x", T0, 900, np.array(watts, np.int32), first)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_series_by_hand(version: str) -> None:
    """Each load's period once, of its first interval; those that follow begin where it ends."""
    draft = series(version, [[1234, 0], [1, 999]], ABOUT, first=1)
    assert (draft.name, list(draft.positions)) == ("run-1/aeroe/x", [1, 2])
    period = {"start": "2023-11-30T15:00:00Z", "duration": "PT15M"}

    def said(name: str, *powers_kw: float) -> dict[str, object]:
        payloads = [[{"type": "DEMAND", "values": [kw]}] for kw in powers_kw]
        intervals = [{"id": n, "payloads": each} for n, each in enumerate(payloads)]
        return {"resourceName": f"{name}.load_0", "intervalPeriod": period, "intervals": intervals}

    report = json.loads(draft.body)
    assert report["reportName"] == draft.name
    assert report["resources"] == [said("100 % 01", 1.234, 0.001), said("100 % 02", 0.0, 0.999)]
    check_request(version, standard(version).post_report(draft.body))


@given(
    version=st.sampled_from(VERSIONS),
    watts=st.integers(1, 4).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(0, 2**31 - 1), min_size=n, max_size=n), min_size=1, max_size=5
        )
    ),
    about=st.sampled_from([ABOUT, ENERGY]),
    first=st.integers(0, 2),
)
def test_a_series_says_what_a_window_says(
    version: str, watts: list[list[int]], about: Address, first: int
) -> None:
    """Power or energy, the same values to the last digit, and the VTN's hot route takes it."""
    draft = series(version, watts, about, first)
    check_request(version, standard(version).post_report(draft.body))
    assert read(draft) == (draft.name, len(watts) * len(watts[0]), sum(map(sum, watts)))
    loads = [LoadName(i, "r", f"{i}", "load_0") for i in range(len(watts[0]))]
    writer = cast("OpenAdr3", standard(version)).writer(AEROE, loads, "run-1", about)
    told = [Measured(n, T0 + n * timedelta(minutes=15), 900, row) for n, row in enumerate(watts)]
    (window,) = writer.write_window(told, 0, aggregate=False)
    assert values(draft) == values(window)
    assert Quick(version).report(draft.body) is not None


def values(draft: Draft) -> list[list[object]]:
    resources = json.loads(draft.body)["resources"]
    return [[i["payloads"][0]["values"][0] for i in each["intervals"]] for each in resources]
