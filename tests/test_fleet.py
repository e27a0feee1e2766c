from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from subprocess import run

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venlab import fleet as module
from venlab.errors import ConfigError, DataError
from venlab.fleet import END_USES, HEAT_SUPPLIES, LOADS, Fleet
from venlab.platforms import data_dir
from venlab.profiles import Profiles

HEADER = "town_id,resource_name,building_type,floor_area_m2"
SEEDS = st.integers(0, 2**32 - 1)
# Annual peak of a building's electricity, all six loads, heat pump [W/m²].
PEAK_W_PER_M2 = {
    "household": (45, 55),
    "small_office": (25, 35),
    "medium_office": (25, 35),
    "large_office": (25, 35),
    "shop": (25, 40),
    "shopping_street": (25, 40),
    "supermarket": (50, 80),
    "restaurant": (50, 115),
    "fast_food": (50, 115),
    "primary_school": (30, 55),
    "secondary_school": (30, 55),
    "hospital": (40, 50),
    "warehouse": (13, 17),
}


@pytest.fixture(scope="module", name="profiles")
def _profiles() -> Profiles:
    return Profiles.load()


def same(one: Fleet, other: Fleet) -> bool:
    names = (f.name for f in fields(Fleet) if f.name != "note")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


def rows_of(fleet: Fleet) -> set[tuple[object, ...]]:
    return set(fleet.resources.itertuples(index=False, name=None))


def saved(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "mine.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_reference_totals_hold_for_any_seed(seed: int) -> None:
    """10 VENs, 276 approved resources of which Aabenraa has 15, some others, 1,656 loads."""
    fleet = Fleet.reference(seed)
    assert fleet.n_vens == len(set(fleet.ven_name.tolist())) == 10
    approved = np.bincount(fleet.resource_ven[fleet.approved])
    assert approved.sum() == 276
    assert approved[fleet.ven_name.tolist().index("Aabenraa")] == 15
    assert approved.min() == 15
    assert approved.max() == 30
    assert 6 * approved.sum() == 1656
    for status in ("pending", "suspended"):
        assert 0 < np.mean(fleet.status == status) < 0.08
    assert fleet.n_loads == 6 * fleet.n_resources


@settings(max_examples=3, deadline=None)
@given(SEEDS)
def test_full_totals_hold_for_any_seed(seed: int) -> None:
    """287 VENs of 5 to 400 resources, all approved: 19,402 resources, 116,412 loads."""
    fleet = Fleet.full(seed)
    count = np.bincount(fleet.resource_ven)
    assert (fleet.n_vens, count.sum(), fleet.approved.sum()) == (287, 19_402, 19_402)
    assert (count.min(), count.max()) == (5, 400)
    assert fleet.n_loads == 116_412
    assert len(set(fleet.ven_name.tolist())) == 287
    assert all(town.isascii() for town in fleet.town_id.tolist())


def test_the_full_fleet_follows_population_and_town_size() -> None:
    """A larger town never has less; hospitals, large offices stay in large towns; few schools."""
    fleet = Fleet.full()
    towns = module._towns()
    people = dict(zip(towns["town_id"].tolist(), towns["population"].tolist(), strict=True))
    count = np.bincount(fleet.resource_ven)
    order = np.argsort([people[t] for t in fleet.town_id.tolist()], kind="stable")
    assert (np.diff(count[order]) >= 0).all()
    # 1,153,615 in the urban area less 458,490 in the fourteen towns of it that are listed
    assert people["koebenhavn"] == 695_125
    size = np.array([people[t] for t in fleet.town_id[fleet.resource_ven].tolist()])
    for kind in ("hospital", "large_office", "large_hotel"):
        assert size[fleet.building_type == kind].min() >= 20_000
    homes = fleet.building_type == "household"
    assert homes[size < 5000].mean() > homes[size >= 60_000].mean() + 0.2
    assert 0.01 < np.mean(np.char.endswith(fleet.building_type, "_school")) < 0.025
    heated = fleet.heat_supply == "district_heating"
    assert 0.53 < heated.mean() < 0.60


def test_a_name_that_occurs_twice_carries_its_municipality() -> None:
    """Both towns of one name are told apart; other names stay as they are."""
    names = Fleet.full().ven_name.tolist()
    twice = {n for n in names if n.startswith(("Frederiksberg", "Jyderup"))}
    assert twice == {
        "Frederiksberg (Frederiksberg)",
        "Frederiksberg (Sorø)",
        "Jyderup (Odsherred)",
        "Jyderup (Holbæk)",
    }
    assert sum("(" in n for n in names) == 4


def test_no_town_changes_another_ones_buildings() -> None:
    """Without a town, or with more resources in one, the other buildings stay what they were."""
    three = module._drawn(5, ["aars", "odense", "viborg"], [20, 30, 25])
    two = module._drawn(5, ["aars", "viborg"], [20, 25])
    more = module._drawn(5, ["aars", "odense"], [40, 30])
    assert rows_of(two) == rows_of(three.only(["aars", "viborg"]))
    assert rows_of(three.only("aars")) < rows_of(more)
    assert rows_of(three) != rows_of(module._drawn(6, ["aars", "odense", "viborg"], [20, 30, 25]))


def test_draws_keep_their_ranges() -> None:
    """Areas are whole m² around the stated median within the stated range; shifts about 20 min."""
    fleet, mix = Fleet.full(), module._read("building_mix")
    for i, kind in enumerate(mix["building_type"].tolist()):
        area = fleet.floor_area_m2[fleet.building_type == kind]
        assert mix["min_m2"][i] <= area.min() <= area.max() <= mix["max_m2"][i]
        assert np.median(area) == pytest.approx(mix["median_m2"][i], rel=0.2)
    assert (fleet.floor_area_m2 % 1 == 0).all()
    assert fleet.time_shift_min.std() == pytest.approx(20, rel=0.03)
    assert abs(fleet.time_shift_min).max() <= 60


@given(
    st.lists(st.integers(1, 7), min_size=7, max_size=7),
    st.integers(7 * 5, 7 * 40),
)
def test_apportioned_shares_sum_to_the_total(weight: list[int], total: int) -> None:
    """Shares sum to the total, stay in their range and follow the weights."""
    share = module._apportion(np.array(weight), total, low=5, high=40)
    assert share.sum() == total
    assert 5 <= share.min() <= share.max() <= 40
    for i, j in itertools.combinations(range(7), 2):
        assert weight[i] <= weight[j] or share[i] >= share[j]


def test_apportions_by_largest_remainder() -> None:
    """By hand: 10 by 1:2:4 is 1.43, 2.86, 5.71, so 1, 3, 6; held below 6: 1.67, 3.33, 5."""
    assert module._apportion(np.array([1, 2, 4]), 10, low=0, high=10).tolist() == [1, 3, 6]
    assert module._apportion(np.array([1, 2, 4]), 10, low=0, high=5).tolist() == [2, 3, 5]


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.permutations(range(296)), st.floats(1, 1e6), st.floats(-180, 180))
def test_csv_reads_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    order: list[int],
    area_m2: float,
    shift_min: float,
) -> None:
    """A written fleet reads back exactly; rows in another order give the same buildings."""
    path = tmp_path_factory.mktemp("fleet") / "fleet.csv"
    fleet = Fleet.reference(seed)
    fleet.floor_area_m2[3], fleet.time_shift_min[4] = area_m2, shift_min
    fleet.profile[5] = "house_01"
    fleet.to_csv(path)
    assert same(Fleet.from_csv(path), fleet)
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    saved(path.parent, *(rows[i] for i in order), header=header)
    assert rows_of(Fleet.from_csv(path.parent / "mine.csv")) == rows_of(fleet)


def test_an_edited_type_takes_its_own_profile(tmp_path: Path) -> None:
    """The file leaves the usual profile empty, so that a changed type changes the profile."""
    Fleet.reference().only("Aars").to_csv(tmp_path / "aars.csv")
    text = (tmp_path / "aars.csv").read_text(encoding="utf-8")
    (tmp_path / "aars.csv").write_text(text.replace(",shop,", ",warehouse,"), encoding="utf-8")
    fleet = Fleet.from_csv(tmp_path / "aars.csv")
    assert not np.isin("shop", fleet.profile)


def test_defaults_and_order_of_a_small_table(tmp_path: Path) -> None:
    """VENs come as they first appear; what is left out takes the default of the schema."""
    fleet = Fleet.from_csv(
        saved(tmp_path, "odense,b,shop,80", "aars,a,household,120", "odense,a,hospital,9000")
    )
    assert fleet.ven_name.tolist() == ["Odense", "Aars"]
    assert fleet.resource_ven.tolist() == [0, 0, 1]
    assert fleet.resource_name.tolist() == ["b", "a", "a"]
    assert fleet.profile[:2].tolist() == ["shop", "hospital"]
    assert fleet.profile[2].startswith("house_")
    assert set(fleet.heat_supply.tolist()) == {"heat_pump"}
    assert fleet.approved.all()
    assert fleet.note.endswith("mine.csv: UTF-8, commas, decimal point")


def test_takes_a_fleet_from_a_danish_spreadsheet(tmp_path: Path) -> None:
    """Semicolons, decimal commas and Windows-1252 read as what they mean."""
    path = tmp_path / "excel.csv"
    text = HEADER.replace(",", ";") + "\r\naars;Rådhuset;medium_office;1.850,5\r\n"
    path.write_bytes(text.encode("cp1252"))
    fleet = Fleet.from_csv(path)
    assert fleet.resource_name.tolist() == ["Rådhuset"]
    assert fleet.floor_area_m2.tolist() == [1850.5]
    assert "Windows-1252, semicolons, decimal comma" in fleet.note


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("aars,a,shop,-5", "floor_area_m2: '-5' is not allowed"),
        ("aars,a,shop,0", "floor_area_m2: '0' is not allowed"),
        ("aars,a,shop,large", "floor_area_m2: 'large' is not allowed"),
        ("Abenraa,a,shop,5", "town_id: 'Abenraa' is not allowed (did you mean aabenraa"),
        ("aars,a,shoppe,5", "building_type: 'shoppe' is not allowed (did you mean shop"),
        ("aars,first,shop,5", "resource_name: aars / first is in line 2 already"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, expected: str) -> None:
    """A wrong row is one error with file, line, column, value and what is allowed."""
    with pytest.raises(DataError) as caught:
        Fleet.from_csv(saved(tmp_path, "aars,first,shop,5", row))
    assert f"mine.csv, line 3, column {expected}" in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("column", "allowed"), [("heat_supply", HEAT_SUPPLIES), ("status", ("approved", "pending"))]
)
def test_bad_choices_list_what_is_allowed(
    tmp_path: Path, column: str, allowed: tuple[str, ...]
) -> None:
    """A column with few values lists them all."""
    path = saved(tmp_path, "aars,a,shop,5,wood", header=f"{HEADER},{column}")
    with pytest.raises(DataError, match=f"column {column}: 'wood' is not allowed") as caught:
        Fleet.from_csv(path)
    assert all(a in caught.value.remedy for a in allowed)


def test_unwritable_path_is_an_error(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(DataError, match="cannot write"):
        Fleet.reference().to_csv(tmp_path / "nowhere" / "fleet.csv")


def test_only_leaves_the_values_of_the_rest() -> None:
    """The chosen VENs keep order, resources and values, whether counted or named."""
    fleet = Fleet.reference()
    three = fleet.only(3)
    assert three.ven_name.tolist() == fleet.ven_name[:3].tolist()
    assert same(three, fleet.only(three.town_id.tolist()[::-1]))
    assert same(fleet.only(10), fleet)
    odense = fleet.only(["Odense"])
    assert rows_of(odense) < rows_of(fleet)
    assert set(odense.resource_ven.tolist()) == {0}
    assert odense.only("odense").n_resources == 32


@pytest.mark.parametrize("vens", [0, -1, 11, [], 2.5, None, "Aabenrå", ["Aars", "Odens"]])
def test_only_refuses_what_the_fleet_does_not_have(vens: object) -> None:
    """A number out of range or an unknown name is an error that helps."""
    with pytest.raises(ConfigError) as caught:
        Fleet.reference().only(vens)  # type: ignore[arg-type]
    if not isinstance(vens, (int, float)) and vens:
        assert "did you mean" in str(caught.value)


@pytest.mark.parametrize("seed", [-1, 1.5, "pony", None])
@pytest.mark.parametrize("make", [Fleet.reference, Fleet.full])
def test_a_seed_that_is_none_is_refused(make: Callable[..., Fleet], seed: object) -> None:
    """Only whole numbers from 0 are seeds."""
    with pytest.raises(ConfigError, match="seed is"):
        make(seed)


def test_shares_that_are_all_zero_are_refused() -> None:
    """A mix from which nothing can be drawn is an error, not a silent first type."""
    with pytest.raises(DataError, match="all 0"):
        module._pick(np.zeros((1, 3)), np.array([0.5]))


def test_reads_well() -> None:
    """A fleet says what it is; its tables have names, not indices."""
    fleet = Fleet.reference()
    assert repr(fleet) == "Fleet: 10 VENs, 276 of 296 resources approved, 1,656 loads"
    assert fleet.vens["approved"].sum() == 276
    assert list(fleet.resources.columns[:3]) == ["ven_name", "resource_name", "building_type"]
    assert dict(zip(LOADS, END_USES, strict=True))["load_5"] == "water_heating"


def test_peaks_per_floor_area_lie_in_their_ranges(profiles: Profiles) -> None:
    """The annual peak of the six loads per m² is that of Danish buildings; homes on average."""
    base = Fleet.reference().only("Aabenraa")
    kinds = [k for k in PEAK_W_PER_M2 if k != "household"] + ["household"] * 12
    used = kinds[:12] + [f"house_{n:02d}" for n in range(1, 13)]
    n = len(kinds)
    fleet = replace(
        base,
        resource_ven=np.zeros(n, int),
        building_type=np.array(kinds),
        profile=np.array(used),
        floor_area_m2=np.linspace(100, 1000, n),
        heat_supply=np.full(n, "heat_pump"),
    )
    scale = fleet.load_scale(profiles)
    assert scale.shape == (n, 6)
    assert scale.dtype == np.float32
    peak = {}
    for r, name in enumerate(used):
        load_kw = profiles.power_kw[:, profiles.index(name)] * scale[r]
        peak[name] = 1000 * load_kw.sum(axis=1).max() / fleet.floor_area_m2[r]
    peak["household"] = np.mean([v for k, v in peak.items() if k.startswith("house_")])
    for kind, (low, high) in PEAK_W_PER_M2.items():
        assert low <= round(peak[kind], 1) <= high, kind


def test_load_scale_by_hand(profiles: Profiles, tmp_path: Path) -> None:
    """A 1,022 m² restaurant is twice the reference's 511 m², × 0.45; absent loads are 0."""
    header = f"{HEADER},heat_supply"
    path = saved(
        tmp_path,
        "aars,a,restaurant,1022,heat_pump",
        "aars,b,restaurant,1022,district_heating",
        "aars,c,restaurant,1022,resistance",
        "aars,d,apartment_block,3135,heat_pump",
        "aars,e,household,130,heat_pump",
        header=header,
    )
    scale = Fleet.from_csv(path).load_scale(profiles)
    np.testing.assert_allclose(scale[0], 0.9)
    np.testing.assert_allclose(scale[1], [0, 0.9, 0.9, 0.9, 0.9, 0])
    np.testing.assert_allclose(scale[2], 0.9)
    np.testing.assert_allclose(scale[3], [0.8, 0, 0.8, 0.8, 0.8, 0.8], rtol=1e-6)
    assert scale[4, 1] == 0
    assert scale[4, 3] > 0


def test_an_unknown_profile_is_an_error(profiles: Profiles, tmp_path: Path) -> None:
    """A profile that was never loaded is named before anything is simulated."""
    path = saved(tmp_path, "aars,a,shop,50,my_meter", header=f"{HEADER},profile")
    with pytest.raises(DataError, match="my_meter"):
        Fleet.from_csv(path).load_scale(profiles)


def test_every_type_has_a_profile_and_a_row() -> None:
    """The mix has the 16 simulated building types and the household, each with its source."""
    with (data_dir() / "building_types.csv").open(encoding="utf-8") as file:
        simulated = {row["building_type"] for row in csv.DictReader(file)}
    mix = module._read("building_mix")
    assert {*mix["building_type"].tolist()} == {*simulated, "household"}
    assert all(mix["source"].tolist())


def test_a_fleet_needs_no_pandas() -> None:
    """Making a fleet loads no pandas; only its tables for people do."""
    code = (
        "import sys; from venlab.fleet import Fleet; Fleet.full(); print('pandas' in sys.modules)"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
