"""What loads can give: the table as it is, edited, and with mistakes in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from venlab.errors import DataError
from venlab.fleet import Fleet
from venlab.flexibility import Flexibility
from venlab.platforms import data_dir
from venlab.profiles import Profiles

TABLE = data_dir() / "flexibility_parameters.csv"


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return Profiles.load()


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet.reference(7)


def test_each_load_has_its_row(fleet: Fleet, profiles: Profiles) -> None:
    """A restaurant's heating is thermal, its light cut by 10 % at level 2, its kitchen must run."""
    flexible = Flexibility.of(fleet, profiles)
    for field in fields(flexible):
        assert getattr(flexible, field.name).shape[-1] == fleet.n_loads
    r = 6 * int(np.flatnonzero(fleet.building_type == "restaurant")[0])
    assert flexible.thermal_frac[r : r + 6].tolist() == [1.0, 1.0, 0.0, 0.0, 0.09, 0.8]
    assert flexible.level_frac[:, r + 3].tolist() == [0.0, 0.05, 0.1, 0.3]
    assert (flexible.time_constant_h[r], flexible.full_off_drift_k[r]) == (8.0, 13.3)


def test_what_its_drift_is_told_for(profiles: Profiles) -> None:
    """By hand: heating of a building at the mean of winter workdays from 17 to 19, and at most its
    rating, a tenth above its highest quarter."""
    fleet = Fleet.reference(7).only(["Aabenraa"])
    flexible = Flexibility.of(fleet, profiles)
    (heated, *_) = np.flatnonzero(fleet.heat_supply == "heat_pump")
    column = profiles.power_kw[:, profiles.index(str(fleet.profile[heated])), 0]
    scaled = column.astype(float) * fleet.load_scale(profiles)[heated, 0]
    days = scaled.reshape(365, 96)
    january_2 = days[1, 68:76].mean()  # a Monday
    assert 0.2 < january_2 / flexible.reference_kw[6 * heated] < 5
    assert flexible.rated_kw[6 * heated] == pytest.approx(1.1 * scaled.max())


def test_district_heating_gives_nothing(fleet: Fleet, profiles: Profiles) -> None:
    """Where heat comes by pipe there is no electricity to withhold."""
    flexible = Flexibility.of(fleet, profiles)
    piped = np.flatnonzero(fleet.heat_supply == "district_heating")
    assert piped.size
    assert not flexible.reference_kw[6 * piped].any()
    assert not flexible.rated_kw[6 * piped].any()


def test_direct_heat_takes_more(profiles: Profiles) -> None:
    """The same building with resistance heating: the heat pump's heat without its help."""
    fleet = Fleet.reference(7).only(["Aabenraa"])
    kinds = {}
    for kind in ("heat_pump", "resistance"):
        fleet.heat_supply[:] = kind
        kinds[kind] = Flexibility.of(fleet, profiles).reference_kw
    heated = kinds["heat_pump"] > 0
    assert (kinds["resistance"][heated] >= kinds["heat_pump"][heated]).all()
    assert kinds["resistance"].sum() > 2 * kinds["heat_pump"].sum()


Edit = Callable[[str], str]
BAD: list[tuple[Edit, str]] = [
    (lambda text: text.replace("warehouse,load_3", "warehouse,load_9"), "'load_9' is not allowed"),
    (lambda text: text.replace("warehouse,load_3,lighting,sheddable,0,0,0.6,0.4",
                               "warehouse,load_3,lighting,sheddable,0,0,0.6,0.5"),
     "warehouse load_3: its four shares are not 1"),
    (lambda text: text.replace("0.6,0.4,0.1,0.3,0.6,", "0.6,0.4,0.1,0.3,0.7,"),
     "level 3 cuts what must run"),
    (lambda text: text.replace("0.4,0.1,0.3,0.6,", "0.4,0.3,0.1,0.6,"), "a higher level cuts less"),
    (lambda text: "\n".join(line for line in text.splitlines() if "warehouse,load_3" not in line),
     "no row for warehouse load_3"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "said"), BAD, ids=[said for _, said in BAD])
def test_mistakes_are_told(
    tmp_path: Path, fleet: Fleet, profiles: Profiles, edit: Edit, said: str
) -> None:
    """Each names the row and what to do."""
    assert "warehouse" in fleet.building_type
    text = TABLE.read_text("utf-8")
    assert edit(text) != text
    path = tmp_path / "mine.csv"
    path.write_text(edit(text), encoding="utf-8")
    with pytest.raises(DataError, match=said):
        Flexibility.of(fleet, profiles, path)
