from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from venlab.calendar import profile_quarter
from venlab.errors import DataError
from venlab.platforms import data_dir
from venlab.profiles import Profiles

USES = ("heating", "cooling", "ventilation", "lighting", "equipment", "water_heating")
BEGIN = datetime(2022, 12, 31, 23, tzinfo=UTC)
HOURS = [BEGIN + n * timedelta(hours=1) for n in range(8760)]
HEADER = ",".join(["time_utc", *(f"{use}_kw" for use in USES)])

Edit = Callable[[list[str]], list[str]]


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return Profiles.load()


@pytest.fixture(scope="module")
def hourly() -> list[str]:
    """An own meter's table: heating counts the hours of the year, hot water is 1.5 kW."""
    return [HEADER, *(f"{t:%Y-%m-%dT%H:%MZ},{n},0,0,0,0,1.5" for n, t in enumerate(HOURS))]


@pytest.fixture
def own(tmp_path: Path, profiles: Profiles) -> Callable[[list[str]], Profiles]:
    def read(lines: list[str]) -> Profiles:
        path = tmp_path / "meter.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        return profiles.with_csv(path, "town_hall", 250.0)

    return read


def table(name: str) -> list[dict[str, str]]:
    with (data_dir() / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_load_has_the_energy_that_the_source_states(profiles: Profiles) -> None:
    """Annual sums of the shipped counts are those of the tables made from the source."""
    rows = table("building_types.csv") + table("households.csv")
    assert profiles.names == tuple(r.get("building_type") or r["household"] for r in rows)
    assert profiles.floor_area_m2.tolist() == [float(r["floor_area_m2"]) for r in rows]
    with np.load(data_dir() / "profiles_2023.npz") as file:
        per_kw = file["per_kw"][:, None].astype(float)
        kwh = file["counts"].sum(axis=2, dtype=float) / per_kw / 4
    stated = [[float(r[f"{use}_kwh_per_year"]) for use in USES] for r in rows]
    assert (abs(kwh - stated) <= 8760 * 0.5 / per_kw).all()  # they were summed before rounding
    assert kwh.sum() == pytest.approx(np.sum(stated), rel=1e-4)


def test_profiles_are_small_and_whole(profiles: Profiles) -> None:
    """28 profiles of float32 in local quarters, no gap, nothing negative, at most 5 MB shipped."""
    assert profiles.power_kw.shape == (35040, 28, 6)
    assert profiles.power_kw.dtype == np.float32
    assert profiles.power_kw.flags.c_contiguous
    assert np.isfinite(profiles.power_kw).all()
    assert profiles.power_kw.min() == 0
    assert (data_dir() / "profiles_2023.npz").stat().st_size < 5_000_000


def test_the_calendar_finds_each_utc_hour_of_2023(profiles: Profiles) -> None:
    """What stood at a UTC hour is found by its local quarter; but for autumn's second 02:00."""
    with np.load(data_dir() / "profiles_2023.npz") as file:
        utc = file["counts"][:, :, ::4] / file["per_kw"][:, None, None]
    for n, t in enumerate(HOURS):
        day, quarter = profile_quarter(t)
        row = profiles.power_kw[96 * day + quarter]
        if t != datetime(2023, 10, 29, 1, tzinfo=UTC):
            np.testing.assert_allclose(row, utc[:, :, n], rtol=1e-6)


def test_the_hour_that_spring_leaves_out_repeats_the_one_before(profiles: Profiles) -> None:
    """Local 02:00 to 03:00 of 26 March is filled with 01:00 to 02:00."""
    day = profiles.power_kw[96 * 84 : 96 * 85]
    assert (day[8:12] == day[4:8]).all()
    assert not (day[8:12] == day[12:16]).all()


def test_the_cop_follows_the_stated_formula(profiles: Profiles) -> None:
    """Both series are When2Heat's at one outdoor temperature, within their rounding."""

    def formula(delta_k: np.ndarray) -> np.ndarray:
        delta_k = np.maximum(delta_k, 15)
        return np.asarray(0.85 * (6.08 - 0.09 * delta_k + 0.0005 * delta_k**2))

    assert formula(np.array(15.0)) == pytest.approx(4.1161, abs=1e-4)  # by hand
    assert profiles.cop.shape == (35040, 2)
    heating, hot_water = profiles.cop.T.astype(float)
    root = np.sqrt(0.09**2 - 4 * 0.0005 * (6.08 - hot_water / 0.85))
    outdoor_c = 50 - (0.09 - root) / (2 * 0.0005)
    assert -12 < outdoor_c.min() < 0
    assert 25 < outdoor_c.max() < 36
    np.testing.assert_allclose(heating, formula(40 - 2 * outdoor_c), rtol=0.02)


def test_own_hourly_data_become_a_profile(
    own: Callable[[list[str]], Profiles], hourly: list[str], profiles: Profiles
) -> None:
    """Each hour is repeated over its quarters, found by local time, under the given name."""
    more = own(hourly)
    assert more.names == (*profiles.names, "town_hall")
    assert more.floor_area_m2[more.index("town_hall")] == 250
    assert more.measured == {"town_hall"}
    mine = more.power_kw[:, more.index("town_hall")]
    assert mine[:9, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    day, quarter = profile_quarter(HOURS[5000])
    assert mine[96 * day + quarter].tolist() == [5000, 0, 0, 0, 0, 1.5]
    assert (more.power_kw[:, :-1] == profiles.power_kw).all()


def test_own_quarter_hours_in_any_order_and_wording(
    own: Callable[[list[str]], Profiles],
) -> None:
    """Rows may be unsorted, reach past the year, write UTC as +00:00, as Danish time or not."""
    times = [BEGIN + n * timedelta(minutes=15) for n in range(-4, 35044)]
    rows = [f"{t.isoformat(sep=' ')},0,0,0,0,{n},0" for n, t in enumerate(times)]
    rows[4] = "2022-12-31T23:00,0,0,0,0,4,0"
    rows[5] = "2023-01-01T00:15+01:00,0,0,0,0,5,0"
    more = own([HEADER, *reversed(rows)])
    assert more.power_kw[:4, -1, 4].tolist() == [4, 5, 6, 7]
    assert more.power_kw[-1, -1, 4] == 35043


def test_own_data_as_a_danish_spreadsheet_saves_them(
    own: Callable[[list[str]], Profiles], hourly: list[str]
) -> None:
    """Semicolons, decimal commas and a byte order mark are taken."""
    danish = [line.replace(",", ";").replace("1.5", "1,5") for line in hourly]
    assert own(["\ufeff" + danish[0], *danish[1:]]).power_kw[7, -1, 5] == 1.5


def cell(row: int, column: int, value: str) -> Edit:
    def edit(lines: list[str]) -> list[str]:
        cells = lines[row].split(",")
        cells[column] = value
        return [*lines[:row], ",".join(cells), *lines[row + 1 :]]

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda ls: ls[:100] + ls[102:], ["2023-01-05T02:00Z is missing, with 1 more"]),
        (lambda ls: ls[:1] + ls[2:], ["2022-12-31T23:00Z is missing"]),
        (lambda ls: [*ls[:3], ls[2], *ls[3:]], ["time_utc", "2023-01-01T00:00Z"]),
        (
            lambda ls: [*ls, "2023-01-01T00:00+00:00,1,1,1,1,1,1"],
            ["2023-01-01T00:00+00:00 is there twice"],
        ),
        (cell(5, 3, "-0.1"), ["line 6", "ventilation_kw", "-0.1"]),
        (cell(5, 1, "nan"), ["line 6", "heating_kw", "nan"]),
        (cell(5, 6, ""), ["line 6", "water_heating_kw"]),
        (cell(5, 0, "31-12-2022 23:00"), ["time_utc", "31-12-2022 23:00"]),
        (cell(5, 0, "2023-01-01T03:07Z"), ["time_utc", "2023-01-01T03:07Z", ":15"]),
        (cell(0, 2, "koeling_kw"), ["koeling_kw"]),
        (lambda ls: ls[:1], ["no rows"]),
    ],
)
def test_own_data_that_are_wrong_name_the_first_fault(
    own: Callable[[list[str]], Profiles], hourly: list[str], edit: Edit, words: list[str]
) -> None:
    """A gap, a double, a negative or missing value: one error with file, column, time or line."""
    with pytest.raises(DataError) as caught:
        own(edit(hourly))
    assert "meter.csv" in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_name_or_area_that_cannot_be_is_refused(profiles: Profiles, tmp_path: Path) -> None:
    """A taken name, an area of nothing, a file that is not there: a DataError each."""
    with pytest.raises(DataError, match="already"):
        profiles.with_csv(tmp_path / "x.csv", "restaurant", 10)
    with pytest.raises(DataError, match="floor_area_m2 is nan"):
        profiles.with_csv(tmp_path / "x.csv", "mine", float("nan"))
    with pytest.raises(DataError, match=r"x\.csv"):
        profiles.with_csv(tmp_path / "x.csv", "mine", 10)


def test_an_unknown_profile_is_named_with_what_is_near(profiles: Profiles) -> None:
    """A misspelt name gets a suggestion."""
    with pytest.raises(DataError, match="did you mean restaurant"):
        profiles.index("resturant")
