from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from venlab.calendar import day_type, profile_day
from venlab.errors import ConfigError, DataError, RunError
from venlab.fleet import Fleet
from venlab.profiles import Profiles
from venlab.simulator import Meter, Noise, Sample, Simulator

START = datetime(2023, 11, 29, 23, tzinfo=UTC)  # local midnight of 30 November, a Thursday
DAY = 333
STILL = Noise(day_sigma=0.0, quarter_sigma=0.0)
PROFILES = Profiles.load()
REFERENCE = Fleet.reference()


def buildings(*kinds: str, **columns: Any) -> Fleet:
    """A fleet of buildings as large as their profiles, two towns in turn."""
    n = len(kinds)
    area = [PROFILES.floor_area_m2[PROFILES.index(k)] for k in kinds]
    made: dict[str, Any] = {
        "town_id": np.array(["aars", "odense"]),
        "ven_name": np.array(["Aars", "Odense"]),
        "price_area": np.array(["DK1", "DK1"]),
        "latitude": np.zeros(2),
        "longitude": np.zeros(2),
        "resource_ven": np.arange(n) % 2,
        "resource_name": np.array([f"{k}_{i:02d}" for i, k in enumerate(kinds)]),
        "building_type": np.array(["household" if k.startswith("house_") else k for k in kinds]),
        "floor_area_m2": np.array(area),
        "heat_supply": np.full(n, "heat_pump"),
        "status": np.full(n, "approved"),
        "time_shift_min": np.zeros(n),
        "profile": np.array(kinds),
    }
    return Fleet(**made | {name: np.array(c) for name, c in columns.items()})


def simulator(fleet: Fleet = REFERENCE, **options: Any) -> Simulator:
    given = {"seed": 7, "start": START, "step_min": 15.0} | options
    return Simulator(fleet, PROFILES, **given)


def day_of(fleet: Fleet, **options: Any) -> np.ndarray:
    """The 96 quarters of 30 November, shape (96, R, 6)."""
    running = simulator(fleet, **options)
    return np.array([running.step() for _ in range(96)]).reshape(96, -1, 6)


def profile(name: str, first: int = 96 * DAY, n: int = 96) -> np.ndarray:
    return PROFILES.power_kw[first : first + n, PROFILES.index(name)]


def test_without_noise_a_building_is_its_profile_scaled() -> None:
    """A restaurant of 1022 m², twice its profile's, has 2 × 0.45 of its power."""
    fleet = buildings("restaurant", floor_area_m2=[1022.0])
    power = day_of(fleet, noise=STILL)[:, 0]
    np.testing.assert_allclose(power, 0.9 * profile("restaurant"), rtol=1e-6)
    running = simulator(fleet, noise=STILL)
    assert running.step().dtype == np.float32
    assert running.step().shape == (6,)
    assert running.index == 2
    assert running.time_of(2) == START + timedelta(minutes=30)


def test_what_a_building_uses_at_most() -> None:
    """0.9 times the sum of the highest quarter of each load; by resistance heat costs more."""
    fleet = buildings(
        "restaurant",
        "house_01",
        floor_area_m2=[1022.0, 150.0],
        heat_supply=["heat_pump", "resistance"],
    )
    whole_year = PROFILES.power_kw[:, PROFILES.index("restaurant")]
    found = simulator(fleet, noise=STILL).rated_kw()
    assert found[0] == pytest.approx(0.9 * whole_year.max(axis=0).sum(), rel=1e-6)
    house = PROFILES.power_kw[:, PROFILES.index("house_01")].astype(float)
    house[:, [0, 5]] *= PROFILES.cop
    house[:, 1] = 0.0  # homes do not cool
    scale = 150.0 / PROFILES.floor_area_m2[PROFILES.index("house_01")]
    assert found[1] == pytest.approx(scale * house.max(axis=0).sum(), rel=1e-6)


def test_no_noise_takes_a_building_above_that() -> None:
    """Two weeks of winter: up to nine tenths of it, and never more."""
    running = simulator()
    rated = running.rated_kw()
    used = [running.step().reshape(-1, 6).sum(axis=1) for _ in range(14 * 96)]
    share = np.max(used, axis=0) / rated
    assert 0.75 < share.max() < 1.0


def test_a_shifted_building_lives_later_by_whole_quarters() -> None:
    """35 minutes are two quarters, -20 are one earlier; the shift passes midnight."""
    fleet = buildings("supermarket", "supermarket", time_shift_min=[35.0, -20.0])
    power = day_of(fleet, noise=STILL)
    for r, quarters in enumerate((2, -1)):
        expected = 0.65 * profile("supermarket", 96 * DAY - quarters)
        np.testing.assert_allclose(power[:, r], expected, rtol=1e-6)


def test_what_heats_a_building_decides_on_heating_and_hot_water() -> None:
    """Resistance gives the heat pump's heat at COP 1; district heating takes no electricity."""
    kinds = ["small_hotel", "house_03"] * 3
    supply = ["heat_pump"] * 2 + ["resistance"] * 2 + ["district_heating"] * 2
    power = day_of(buildings(*kinds, heat_supply=supply), noise=STILL)
    cop = PROFILES.cop[96 * DAY : 96 * DAY + 96]
    pump, resistance, district = power[:, 0], power[:, 2], power[:, 4]
    np.testing.assert_allclose(resistance[:, [0, 5]], pump[:, [0, 5]] * cop, rtol=1e-5)
    assert (resistance[:, 1:5] == pump[:, 1:5]).all()
    assert not district[:, [0, 5]].any()
    assert (district[:, 1:5] == pump[:, 1:5]).all()
    np.testing.assert_allclose(power[:, 3, 0], power[:, 1, 0] * cop[:, 0], rtol=1e-5)


def test_own_meter_data_are_taken_whatever_heats_the_building() -> None:
    """A person's metered heating is not turned into resistance heating again."""
    fleet = buildings("restaurant", heat_supply=["resistance"])
    measured = replace(PROFILES, measured=frozenset({"restaurant"}))
    running = Simulator(fleet, measured, seed=7, start=START, step_min=15, noise=STILL)
    np.testing.assert_allclose(running.step(), 0.45 * profile("restaurant")[0], rtol=1e-6)


def test_homes_do_not_cool() -> None:
    """Households and apartment blocks have load_1 = 0 in the hottest week too."""
    fleet = buildings("apartment_block", "house_01", "small_office")
    running = simulator(fleet, start=datetime(2023, 7, 10, 12, tzinfo=UTC))
    assert (running.step().reshape(3, 6)[:, 1] > 0).tolist() == [False, False, True]


def test_a_days_energy_is_the_profiles_within_the_stated_noise() -> None:
    """Over a day a load has its scaled profile's energy ± day factor and averaged noise."""
    energy_kwh = day_of(REFERENCE).sum(axis=0) / 4
    expected_kwh = day_of(REFERENCE, noise=STILL).sum(axis=0) / 4
    used = expected_kwh > 0
    assert ((energy_kwh > 0) == used).all()
    ratio = np.where(used, energy_kwh, 1) / np.where(used, expected_kwh, 1)
    # One day of 5 % a resource; the quarters' 5 % averages out where a load is on all day.
    assert np.abs(ratio - 1).max() < 5 * 0.05
    assert abs(ratio[:, 4].mean() - 1) < 4 * 0.05 / np.sqrt(len(ratio))
    assert ratio[:, 4].std() == pytest.approx(0.05, rel=0.2)


def test_a_household_draws_other_days_of_its_type() -> None:
    """Lighting, equipment and hot water each come from another day of the type, within 14 days.

    Heating and ventilation are of the day itself, and households of one house differ.
    """
    power = day_of(buildings(*["house_04"] * 20), noise=STILL)
    year = PROFILES.power_kw[:, PROFILES.index("house_04")].reshape(365, 96, 6)
    np.testing.assert_allclose(power[:, :, [0, 2]], year[DAY][:, None, [0, 2]] + 0 * power[..., :2])
    drawn = {load: [] for load in (3, 4, 5)}
    for load, days in drawn.items():
        for r in range(20):
            apart = np.abs(year[:, :, load] - power[:, r, load]).max(axis=1)
            days.append(int(apart.argmin()))
            assert apart.min() < 1e-5
    for days in drawn.values():
        dates = [date(2023, 1, 1) + timedelta(days=d) for d in days]
        assert {day_type(d) for d in dates} == {"business"}
        assert max(abs(d - DAY) for d in days) <= 14
        assert DAY not in days
        assert len(set(days)) > 8
    assert drawn[3] != drawn[4] != drawn[5] != drawn[3]


def test_store_bededag_is_not_drawn_for_another_holiday() -> None:
    """From 2024 on nothing comes from 5 May 2023, Ascension Day's draws neither."""
    fleet = buildings(*["house_04"] * 50)
    ascension = datetime(2024, 5, 8, 22, tzinfo=UTC)
    lighting = day_of(fleet, noise=STILL, start=ascension)[:, :, 3]
    year = PROFILES.power_kw[:, PROFILES.index("house_04"), 3].reshape(365, 96)
    found = {int(np.abs(year - mine).max(axis=1).argmin()) for mine in lighting.T}
    assert found == {profile_day(date(2023, 5, 28)), profile_day(date(2023, 5, 29))}


def test_noise_is_as_large_as_stated_and_independent() -> None:
    """Quarters: 5 % and unrelated between loads and times. Days: 5 %, 0.7 from day to day."""
    fleet = buildings(*["hospital"] * 60)
    on = np.s_[:, :, 2:5]  # loads that are never off
    noise = day_of(fleet, noise=Noise(day_sigma=0))[on] / day_of(fleet, noise=STILL)[on] - 1
    assert noise.mean() == pytest.approx(0, abs=0.002)
    assert noise.std() == pytest.approx(0.05, rel=0.03)
    series = noise.transpose(1, 2, 0).reshape(-1, 96)
    others = np.corrcoef(series)[np.triu_indices(len(series), 1)]
    assert abs(others.mean()) < 0.005
    assert np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1] == pytest.approx(0, abs=0.03)

    daily = simulator(fleet, noise=Noise(quarter_sigma=0), step_min=24 * 60)
    still = simulator(fleet, noise=STILL, step_min=24 * 60)
    days = np.array([daily.step()[4::6] / still.step()[4::6] - 1 for _ in range(100)])
    assert days.std() == pytest.approx(0.05, rel=0.1)
    assert np.corrcoef(days[1:].ravel(), days[:-1].ravel())[0, 1] == pytest.approx(0.7, abs=0.05)


def test_the_seed_alone_decides() -> None:
    """The same seed repeats to the bit, another one differs in every load that is on."""
    first = simulator().step()
    assert (first == simulator().step()).all()
    other = simulator(seed=8).step()
    assert ((first != other) | (first == 0)).mean() > 0.99
    namesakes = simulator(buildings("hospital", "hospital", resource_name=["h_01", "h_01"])).step()
    assert (namesakes[:6] != namesakes[6:])[2:5].all()  # of two towns


def test_nobody_elses_values_change_with_the_fleet() -> None:
    """A VEN taken out, a resource taken out or approved, another order: the others stay."""
    whole = day_of(REFERENCE)
    some = REFERENCE.only(["Odense", "Aabenraa"])
    theirs = np.isin(REFERENCE.ven_name[REFERENCE.resource_ven], ["Odense", "Aabenraa"])
    assert (day_of(some) == whole[:, theirs]).all()
    approved = replace(REFERENCE, status=np.full(REFERENCE.n_resources, "approved"))
    assert (day_of(approved) == whole).all()

    kinds = ["restaurant", "house_02", "shop", "house_02"]
    names = np.array(["a", "b", "c", "d"])
    four = buildings(*kinds, resource_name=names)
    without = buildings(*kinds[2:], resource_name=names[2:])
    assert (day_of(without) == day_of(four)[:, 2:]).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3 * 35040))
@example(10_992)  # about clock changes and the ends of the year
@example(3_072)
def test_the_start_changes_no_value(later: int) -> None:
    """Starting later, or going on from an index, gives what a run from the start gives there."""
    fleet = buildings("large_hotel", "house_01", "house_12", time_shift_min=[-60.0, 30.0, 0.0])
    resumed, started = (
        simulator(fleet),
        simulator(fleet, start=START + later * timedelta(hours=0.25)),
    )
    resumed.step()
    resumed.index = later
    for _ in range(3):
        assert (resumed.step() == started.step()).all()


def test_the_step_changes_no_value() -> None:
    """A step of 30 minutes is the mean of its quarters, one of 5 is the quarter it lies in."""
    quarters, halves, fives = (simulator(step_min=m) for m in (15, 30, 5))
    for _ in range(48):
        first, second = quarters.step(), quarters.step()
        assert (halves.step() == (first + second) / np.float32(2)).all()
        for quarter in (first, second):
            assert all((fives.step() == quarter).all() for _ in range(3))


def test_a_year_has_no_hole() -> None:
    """Through clock changes, holidays and the end of the year: finite, nothing negative."""
    fleet = buildings("small_office", "house_07", time_shift_min=[45.0, -45.0])
    running = simulator(fleet, start=datetime(2023, 3, 1, tzinfo=UTC))
    for n in range(0, 35_200, 5):
        running.index = n
        power = running.step()
        assert np.isfinite(power).all()
        assert (power >= 0).all()
        assert (power[4::6] > 0).all()


def test_a_large_noise_is_cut_at_zero() -> None:
    """However large the spread, no load feeds in."""
    assert day_of(REFERENCE, noise=Noise(2.0, 0.5, 2.0)).min() >= 0


@pytest.mark.parametrize("step_min", [7, 20, 0, -15, 0.001, 16 / 60, float("nan"), float("inf")])
def test_a_step_that_does_not_fit_quarters_is_a_config_error(step_min: float) -> None:
    """A step divides 15 minutes or is a multiple, in whole seconds."""
    with pytest.raises(ConfigError):
        simulator(step_min=step_min)


def test_a_start_without_zone_and_an_unknown_profile_are_refused() -> None:
    """One readable error each."""
    with pytest.raises(ConfigError, match="without a zone"):
        simulator(start=datetime(2023, 1, 1))
    with pytest.raises(DataError, match="no load profile 'castle'"):
        simulator(buildings("restaurant", profile=["castle"]))


def fed(step_min: float, interval_min: float, *power_w: float) -> Meter:
    """A meter of one resource that was given these steps, each load k + 1 times the power."""
    meter = Meter(START, step_min, interval_min)
    for watts in power_w:
        meter.add(np.arange(1, 7, dtype=np.float32) * np.float32(watts / 1000))
    return meter


ALL = np.array([True])


def test_a_reading_shorter_than_a_step_is_the_step() -> None:
    """Two readings a step: both have its power, and a step just begun has no part in them."""
    meter = fed(15, 7.5, 1000)
    first = meter.read(ALL)
    meter.add(np.full(6, 9, np.float32))  # at the boundary the agenda simulates, then samples
    second = meter.read(ALL)
    assert (first.stamp, first.duration_s) == (START, 450)
    assert (second.stamp, second.duration_s) == (START + timedelta(minutes=7.5), 450)
    assert first.watts.tolist() == second.watts.tolist() == [1000, 2000, 3000, 4000, 5000, 6000]
    assert first.watts.dtype == np.int32
    assert meter.read(ALL).watts.tolist() == [9000] * 6


def test_a_reading_of_several_steps_is_their_mean() -> None:
    """Three steps of 100, 200 and 600 W make 300 W, the fourth belongs to the next reading."""
    meter = fed(10, 30, 100, 200, 600, 5000)
    assert meter.read(ALL).watts[0] == 300
    meter.add(np.zeros(6, np.float32))
    meter.add(np.zeros(6, np.float32))
    assert meter.read(ALL).watts[0] == 1667


def test_the_last_reading_is_cut_at_the_end_of_the_run() -> None:
    """A run of four steps, read by threes, ends with a reading of one step; then there is none."""
    meter = fed(10, 30, 100, 200, 600, 5000)
    end = START + timedelta(minutes=40)
    assert meter.read(ALL, end).duration_s == 1800
    last = meter.read(ALL, end)
    assert (last.stamp, last.duration_s, last.watts[0]) == (
        START + timedelta(minutes=30),
        600,
        5000,
    )
    with pytest.raises(RunError, match="no steps to measure"):
        meter.read(ALL, end)


def test_only_approved_resources_are_measured_and_counted() -> None:
    """Others read -1 and are in no count; energy is counted in whole watt seconds."""
    meter = Meter(START, 15, 15)
    meter.add(np.array([[0.1] * 6, [1.0] * 6], np.float32).ravel())
    sample = meter.read(np.array([False, True]))
    assert sample.watts.tolist() == [-1] * 6 + [1000] * 6
    assert (meter.measured, meter.measured_ws) == (6, 6 * 1000 * 900)
    meter.add(np.full(12, 0.0004, np.float32))
    assert meter.read(np.array([True, True])).watts.tolist() == [0] * 12
    assert (meter.measured, meter.measured_ws) == (18, 6 * 1000 * 900)
    assert type(meter.measured) is type(meter.measured_ws) is int


@given(
    st.sampled_from([(15, 7.5), (15, 15), (15, 5), (5, 15), (5, 20), (0.5, 3), (30, 7.5)]),
    st.lists(st.integers(0, 2_000_000), min_size=1, max_size=12),
)
def test_readings_hold_the_energy_of_the_steps(
    lengths: tuple[float, float], run: list[int]
) -> None:
    """Played in the agenda's order, simulate before sample, no energy is lost or counted twice."""
    step_min, interval_min = lengths
    meter, samples = Meter(START, step_min, interval_min), list[Sample]()
    end = START + len(run) * timedelta(minutes=step_min)
    sampled = START
    for n in range(1, len(run) + 2):
        if n <= len(run):
            meter.add(np.full(6, run[n - 1] / 1000, np.float32))
        begun = START + min(n, len(run)) * timedelta(minutes=step_min)
        due = begun - timedelta(minutes=step_min if n <= len(run) else 0)
        while sampled < end and min(sampled + timedelta(minutes=interval_min), end) <= due:
            samples.append(meter.read(ALL, end))
            sampled += timedelta(minutes=interval_min)
    assert sum(s.duration_s for s in samples) == len(run) * step_min * 60
    expected_ws = sum(run) * step_min * 60 * 6
    rounding_ws = sum(s.duration_s for s in samples) * 6 * 0.51
    assert abs(meter.measured_ws - expected_ws) <= rounding_ws + 1e-6 * expected_ws
    assert meter.measured == 6 * len(samples)


def test_steps_that_are_missing_are_told() -> None:
    """A reading that reaches into the future is refused, and can be had when that has come."""
    meter = fed(15, 30, 100)
    with pytest.raises(RunError, match="no steps to measure"):
        meter.read(ALL)
    meter.add(np.full(6, 0.3, np.float32))
    assert meter.read(ALL).watts[0] == 200


@pytest.mark.parametrize("lengths", [(15, 10), (10, 15), (15, 0), (0.125 / 60, 15)])
def test_lengths_that_do_not_divide_are_a_config_error(lengths: tuple[float, float]) -> None:
    """One of step and interval divides the other, both whole seconds."""
    with pytest.raises(ConfigError):
        Meter(START, *lengths)
